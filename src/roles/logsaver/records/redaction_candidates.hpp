// One look at a text that rules most of the built-in redactions out, twice: Scalar for any machine,
// which is also the definition, and Sse2, which must give the same for all bytes
// (tests/unit/roles/logsaver_redaction_scanners_test.cc, and the fuzzer). Only for
// redaction_scanners.cc and these tests.
//
// A bit of the result says that the text has what each match of that kind has:
//   jwt      yJ             bearer   bea, in any case
//   aws_key  IA             email    @ or %4
//   ipv4     three dots between digits, 2 to 4 bytes apart (d.d.d.d to d.ddd.ddd.d)
//   card     a run of digits that begins with 0 or 2 to 6 (0: the end of an escape, \u00224111...),
//            of three or more, and three more digits 5 bytes later, and 10 or 12: all groups of
//            cards have that, and so have 13 digits in a row
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace consort::logsaver::candidates {

inline constexpr std::uint32_t kJwt = 1;
inline constexpr std::uint32_t kBearer = 2;
inline constexpr std::uint32_t kAwsKey = 4;
inline constexpr std::uint32_t kIpv4 = 8;
inline constexpr std::uint32_t kEmail = 16;
inline constexpr std::uint32_t kCard = 32;

/// Follows the bytes that begin digit-dot-digit, of which an address has three.
class DotHistory {
 public:
  /// Bit i of dots: byte i of the next 16 begins one. True when three of them are near.
  bool take(std::uint32_t dots) {
    if (dots == 0) {
      last_ = 0;
      return false;
    }
    const std::uint32_t all = dots << 8 | last_;
    last_ = all >> 16;
    const std::uint32_t pairs = all & near(all);
    return (all & near(pairs)) != 0;
  }

 private:
  /// Bit i: one of the bits i + 2 to i + 4.
  static std::uint32_t near(std::uint32_t bits) { return bits >> 2 | bits >> 3 | bits >> 4; }

  std::uint32_t last_ = 0;  ///< of the 8 bytes before, as far as an address reaches back
};

/// Follows the bytes that begin three digits in a row.
class DigitHistory {
 public:
  /// As DotHistory::take(). Of the triples, some begin with a digit that a card may begin with.
  bool take(std::uint32_t triples, std::uint32_t firsts) {
    const std::uint32_t all = triples << 16 | triples_;
    // The byte before bit 0 is not known any more; bit 0 was looked at when it was bit 16.
    const std::uint32_t begins = (firsts << 16 | firsts_) & ~(all << 1 | 1);
    triples_ = triples;
    firsts_ = firsts;
    return (begins & all >> 5 & (all >> 10 | all >> 12)) != 0;
  }

 private:
  std::uint32_t triples_ = 0;  ///< of the 16 bytes before
  std::uint32_t firsts_ = 0;
};

struct Scalar {
  static std::uint32_t find(std::string_view text) {
    std::uint32_t found = 0;
    DotHistory dot_history;
    DigitHistory digit_history;
    std::uint32_t dots = 0;
    std::uint32_t triples = 0;
    std::uint32_t firsts = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char next = i + 1 < text.size() ? text[i + 1] : '\0';
      const char third = i + 2 < text.size() ? text[i + 2] : '\0';
      found |= pair(text[i], next);
      if (lower(text[i]) == 'b' && lower(next) == 'e' && lower(third) == 'a') found |= kBearer;
      const bool has_digits = is_digit(text[i]) && is_digit(third);
      if (has_digits && next == '.') dots |= 1U << i % 16;
      if (has_digits && is_digit(next)) triples |= 1U << i % 16;
      if (text[i] < '7' && text[i] != '1') firsts |= triples & 1U << i % 16;
      if (i % 16 != 15 && i + 1 != text.size()) continue;
      if (dot_history.take(dots)) found |= kIpv4;
      if (digit_history.take(triples, firsts)) found |= kCard;
      dots = triples = firsts = 0;
    }
    return found;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static char lower(char c) { return static_cast<char>(c | 0x20); }
  static std::uint32_t pair(char c, char next) {
    if (c == '@' || (c == '%' && next == '4')) return kEmail;
    if (c == 'y' && next == 'J') return kJwt;
    return c == 'I' && next == 'A' ? kAwsKey : 0;
  }
};

#if defined(__SSE2__)

class Sse2 {
 public:
  static std::uint32_t find(std::string_view text) {
    Sse2 all;
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= kBlockBytes + kAhead; at += kBlockBytes, left -= kBlockBytes) all.take(at);
    char tail[2 * kBlockBytes + kAhead] = {};
    if (left > 0) std::memcpy(tail, at, left);
    all.take(tail);
    if (left > kBlockBytes) all.take(tail + kBlockBytes);
    return all.found();
  }

 private:
  static constexpr std::size_t kBlockBytes = 16;
  static constexpr std::size_t kAhead = 2;

  void take(const char* at) {
    const __m128i bytes = load(at);
    const __m128i next = load(at + 1);
    const __m128i third = load(at + 2);
    email_ = _mm_or_si128(email_, is(bytes, '@'));
    email_ = _mm_or_si128(email_, _mm_and_si128(is(bytes, '%'), is(next, '4')));
    jwt_ = _mm_or_si128(jwt_, _mm_and_si128(is(bytes, 'y'), is(next, 'J')));
    aws_ = _mm_or_si128(aws_, _mm_and_si128(is(bytes, 'I'), is(next, 'A')));
    const __m128i be = _mm_and_si128(is(lower(bytes), 'b'), is(lower(next), 'e'));
    bearer_ = _mm_or_si128(bearer_, _mm_and_si128(be, is(lower(third), 'a')));
    const __m128i digits = _mm_and_si128(are_digits(bytes), are_digits(third));
    // Both of them only look back from a byte that begins one. Prose is twice as fast so.
    if (bits(digits) == 0) {
      dots_ = {};
      digits_ = {};
      return;
    }
    const __m128i dots = _mm_and_si128(digits, is(next, '.'));
    const __m128i triples = _mm_and_si128(digits, are_digits(next));
    if (dots_.take(bits(dots))) has_ipv4_ = true;
    const __m128i below_7 = _mm_cmplt_epi8(bytes, _mm_set1_epi8('7'));
    const __m128i firsts = _mm_andnot_si128(is(bytes, '1'), _mm_and_si128(triples, below_7));
    if (digits_.take(bits(triples), bits(firsts))) has_card_ = true;
  }

  std::uint32_t found() const {
    const auto bit = [](__m128i seen, std::uint32_t kind) {
      return _mm_movemask_epi8(seen) != 0 ? kind : 0;
    };
    return bit(email_, kEmail) | bit(jwt_, kJwt) | bit(aws_, kAwsKey) | bit(bearer_, kBearer) |
           (has_ipv4_ ? kIpv4 : 0) | (has_card_ ? kCard : 0);
  }

  static std::uint32_t bits(__m128i bytes) {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
  }

  static __m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static __m128i is(__m128i bytes, char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); }
  static __m128i lower(__m128i bytes) { return _mm_or_si128(bytes, _mm_set1_epi8(0x20)); }
  static __m128i are_digits(__m128i bytes) {
    // The digits become the ten lowest signed values.
    const __m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(128 - '0')));
    return _mm_cmplt_epi8(shifted, _mm_set1_epi8(-128 + 10));
  }

  __m128i email_ = _mm_setzero_si128();
  __m128i jwt_ = _mm_setzero_si128();
  __m128i aws_ = _mm_setzero_si128();
  __m128i bearer_ = _mm_setzero_si128();
  DotHistory dots_;
  DigitHistory digits_;
  bool has_ipv4_ = false;
  bool has_card_ = false;
};

using Fastest = Sse2;

#else

using Fastest = Scalar;

#endif

}  // namespace consort::logsaver::candidates
