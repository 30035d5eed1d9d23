// The inner loops of http1_text.cc, server_timing.cc and http1_response*.cc, which alone include
// this: what bytes are, sixteen at a time, and what differs in the case of letters only, eight at a
// time. No function here reads outside the text that it is given.
//
// A table takes four instructions per byte. Nearly all bytes of header names are letters, digits
// and '-', and nearly all values are visible ASCII and blanks: that is asked of sixteen bytes with
// about a dozen. What is not so is looked at again, byte by byte.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace consort::http1::detail {

inline constexpr std::array<bool, 256> kIsToken = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = true;
  for (std::size_t c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<std::size_t>(c)] = true;
  return table;
}();

inline bool is_token_char(char c) {
  return kIsToken[static_cast<unsigned char>(c)];
}

inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

template <class Word>
Word load(const char* at) {
  Word word{};
  std::memcpy(&word, at, sizeof word);
  return word;
}

inline constexpr int kLanes = 16;
using Lanes = unsigned char __attribute__((vector_size(kLanes)));

/// Of 8 to 15 bytes: those in the middle come twice.
inline Lanes load_short(std::string_view text) {
  const std::array<std::uint64_t, 2> halves = {
      load<std::uint64_t>(text.data()),
      load<std::uint64_t>(text.data() + text.size() - sizeof(std::uint64_t))};
  return std::bit_cast<Lanes>(halves);
}

/// One bit for each lane, the first lane's first. A comparison of lanes gives -1 where it holds,
/// and that is what comes in here.
template <class Compared>
std::uint32_t bits(const Compared& lanes) {
  using Bools = bool __attribute__((ext_vector_type(kLanes)));
  return std::bit_cast<std::uint16_t>(__builtin_convertvector(lanes, Bools));
}

using SignedLanes = signed char __attribute__((vector_size(kLanes)));

/// Control bytes but HTAB.
inline auto controls(const Lanes& bytes) {
  return ((bytes < 0x20) & (bytes != '\t')) | (bytes == 0x7f);
}

/// All but the blank and visible ASCII: what is not among these is no control byte. With one more,
/// the bytes above '~' are below the others, as signed numbers.
inline auto unusual_in_values(const Lanes& bytes) {
  return static_cast<SignedLanes>(bytes + 1) <= ' ';
}

/// Most of what names are made of: letters, digits and '-'. The others of RFC 9110 are not in it.
/// Each range is moved up to the end of the signed numbers, so that one comparison is enough.
inline auto usual_in_names(const Lanes& bytes) {
  const auto letter = static_cast<SignedLanes>((bytes | 0x20) + (0x7f - 'z'));
  const auto digit = static_cast<SignedLanes>(bytes + (0x7f - '9'));
  return (letter > 0x7f - 26) | (digit > 0x7f - 10) | (bytes == '-');
}

/// One past the newline; null when there is none.
inline const char* skip_past_newline(const char* at, const char* end) {
  for (; end - at >= kLanes; at += kLanes) {
    const std::uint32_t found = bits(load<Lanes>(at) == '\n');
    if (found != 0) return at + std::countr_zero(found) + 1;
  }
  while (at < end) {
    if (*at++ == '\n') return at;
  }
  return nullptr;
}

/// The first byte in [at, end) that is no part of a token; end when there is none.
inline const char* skip_token(const char* at, const char* end) {
  while (end - at >= kLanes) {
    const std::uint32_t others = bits(usual_in_names(load<Lanes>(at))) ^ 0xffff;
    if (others == 0) {
      at += kLanes;
      continue;
    }
    at += std::countr_zero(others);
    if (!is_token_char(*at)) return at;
    ++at;
  }
  while (at < end && is_token_char(*at)) ++at;
  return at;
}

/// Whether `matches`, of lanes, holds for all bytes of a text of at least eight.
template <class Matches>
bool holds_for_all(std::string_view text, const Matches& matches) {
  if (text.size() < kLanes) {
    return bits(matches(load_short(text))) == 0xffff;
  }
  const char* const last = text.data() + text.size() - kLanes;
  for (const char* at = text.data(); at < last; at += kLanes) {
    if (bits(matches(load<Lanes>(at))) != 0xffff) return false;
  }
  return bits(matches(load<Lanes>(last))) == 0xffff;
}

/// Whether eight bytes, or four, are the same but for the case of letters.
template <class Word>
bool is_same_in_any_case(Word a, Word b) {
  constexpr Word kEach = static_cast<Word>(0x0101'0101'0101'0101);
  constexpr Word kCase = kEach * 0x20;
  const Word different = a ^ b;
  if ((different & ~kCase) != 0) return false;
  if (different == 0) return true;
  // Bit 5 means the case of a letter, and other things elsewhere: '@' and '`', 0xc1 and 0xe1. The
  // sums have bit 7 where the byte is 'a' or more, and more than 'z'.
  const Word folded = (a | kCase) & (kEach * 0x7f);
  const Word from_a = folded + kEach * (0x80 - 'a');
  const Word past_z = folded + kEach * (0x7f - 'z');
  const Word letters = from_a & ~past_z & ~a & (kEach * 0x80);
  return ((different << 2) & ~letters) == 0;
}

/// Of `size` bytes each.
inline bool is_same_in_any_case(const char* a, const char* b, std::size_t size) {
  const auto words = [a, b, size]<class Word>(Word) {
    const std::size_t last = size - sizeof(Word);
    for (std::size_t at = 0; at < last; at += sizeof(Word)) {
      if (!is_same_in_any_case(load<Word>(a + at), load<Word>(b + at))) return false;
    }
    return is_same_in_any_case(load<Word>(a + last), load<Word>(b + last));
  };
  if (size >= sizeof(std::uint64_t)) return words(std::uint64_t{});
  if (size >= sizeof(std::uint32_t)) return words(std::uint32_t{});
  for (std::size_t i = 0; i < size; ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace consort::http1::detail
