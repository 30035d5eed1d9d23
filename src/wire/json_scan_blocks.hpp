// The inner loops of the JSON scanner, twice: Scalar for any machine, which is also the definition,
// and Sse2, which must give the same for all bytes (tests/unit/wire/json_scan_test.cc, and the
// fuzzer). For who looks at each byte of JSON and knows what to make of it: json_scan*.cc,
// docker_json.cc, and the text that log records become. Others read through json_scan.hpp.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace consort::json_blocks {

inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::size_t kWideBytes = 16;  ///< of a register

/// Bit i says what byte i of a block is.
struct Masks {
  std::uint64_t quotes = 0;
  std::uint64_t backslashes = 0;
  std::uint64_t opens = 0;   ///< [ and {
  std::uint64_t closes = 0;  ///< ] and }
  friend bool operator==(const Masks&, const Masks&) = default;
};

struct Scalar {
  /// Of the kBlockBytes bytes at `at`.
  static Masks masks(const char* at) {
    Masks result;
    for (std::size_t i = 0; i < kBlockBytes; ++i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      if (at[i] == '"') result.quotes |= bit;
      if (at[i] == '\\') result.backslashes |= bit;
      if (at[i] == '[' || at[i] == '{') result.opens |= bit;
      if (at[i] == ']' || at[i] == '}') result.closes |= bit;
    }
    return result;
  }
  /// The first byte in [at, end) that is a quote or a backslash; end when there is none.
  static const char* find_quote(const char* at, const char* end) {
    while (at < end && *at != '"' && *at != '\\') ++at;
    return at;
  }
  /// The same for everything that a string cannot hold as it is without a closer look: quotes,
  /// backslashes, control characters and bytes above 127.
  static const char* find_special(const char* at, const char* end) {
    while (at < end && *at != '"' && *at != '\\' && static_cast<signed char>(*at) >= 0x20) ++at;
    return at;
  }
  /// The first place in [at, end) with a quote there and another `apart` bytes behind it, also
  /// before end; end when there is none.
  static const char* find_quotes_apart(const char* at, const char* end, std::size_t apart) {
    for (; static_cast<std::size_t>(end - at) > apart; ++at) {
      if (*at == '"' && at[apart] == '"') return at;
    }
    return end;
  }
  /// find_special() in the kWideBytes bytes at `at`; null when there is none.
  static const char* find_special_wide(const char* at) {
    const char* const found = find_special(at, at + kWideBytes);
    return found == at + kWideBytes ? nullptr : found;
  }
  /// find_special() of at most kWideBytes bytes, where those before end may all be read.
  static const char* find_special_back(const char* at, const char* end) {
    return find_special(at, end);
  }
};

#if defined(__SSE2__)

struct Sse2 {
  static Masks masks(const char* at) {
    Masks result;
    for (unsigned int i = 0; i < kBlockBytes; i += 16) {
      const __m128i bytes = load(at + i);
      // Bit 5 is all that lies between [ and {, and between ] and }.
      const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
      result.quotes |= bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))) << i;
      result.backslashes |= bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))) << i;
      result.opens |= bits(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{'))) << i;
      result.closes |= bits(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))) << i;
    }
    return result;
  }

  static const char* find_quote(const char* at, const char* end) {
    for (; end - at >= 16; at += 16) {
      const std::uint64_t found = bits(quotes_and_backslashes(load(at)));
      if (found != 0) return at + std::countr_zero(found);
    }
    return Scalar::find_quote(at, end);
  }

  static const char* find_special(const char* at, const char* end) {
    for (; end - at >= static_cast<std::ptrdiff_t>(kWideBytes); at += kWideBytes) {
      const char* const found = find_special_wide(at);
      if (found != nullptr) return found;
    }
    return Scalar::find_special(at, end);
  }

  static const char* find_quotes_apart(const char* at, const char* end, std::size_t apart) {
    const __m128i quote = _mm_set1_epi8('"');
    for (; static_cast<std::size_t>(end - at) >= apart + kWideBytes; at += kWideBytes) {
      const std::uint64_t found = bits(
          _mm_and_si128(_mm_cmpeq_epi8(load(at), quote), _mm_cmpeq_epi8(load(at + apart), quote)));
      if (found != 0) return at + std::countr_zero(found);
    }
    return Scalar::find_quotes_apart(at, end, apart);
  }

  static const char* find_special_wide(const char* at) {
    const std::uint64_t found = specials(at);
    return found == 0 ? nullptr : at + std::countr_zero(found);
  }

  static const char* find_special_back(const char* at, const char* end) {
    const std::uint64_t found =
        specials(end - kWideBytes) >> (kWideBytes - static_cast<std::size_t>(end - at));
    return found == 0 ? end : at + std::countr_zero(found);
  }

 private:
  static __m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static std::uint64_t bits(__m128i bytes) {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
  }
  static std::uint64_t specials(const char* at) {
    const __m128i bytes = load(at);
    // Signed: bytes above 127 are below 0x20 too.
    const __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    return bits(_mm_or_si128(quotes_and_backslashes(bytes), low));
  }
  static __m128i quotes_and_backslashes(__m128i bytes) {
    return _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
  }
};

using Fastest = Sse2;

#else

using Fastest = Scalar;

#endif

/// The white space of RFC 8259, section 2.
inline bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

inline const char* skip_space(const char* at, const char* end) {
  while (at < end && is_space(*at)) ++at;
  return at;
}

/// Bit i is the exclusive or of the bits 0..i.
inline std::uint64_t running_parity(std::uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

/// Walks blocks from the first byte of a bracket to the one that closes it.
template <class Blocks>
class BracketWalker {
 public:
  /// One past the closing bracket of the one at `at`; null when the text ends before.
  static const char* find_end(const char* at, const char* end) {
    BracketWalker walker;
    for (; static_cast<std::size_t>(end - at) >= kBlockBytes; at += kBlockBytes) {
      const int closing = walker.take(Blocks::masks(at));
      if (closing >= 0) return at + closing + 1;
    }
    char tail[kBlockBytes] = {};
    std::memcpy(tail, at, static_cast<std::size_t>(end - at));
    const int closing = walker.take(Blocks::masks(tail));
    return closing < 0 ? nullptr : at + closing + 1;
  }

 private:
  /// Where in the block the first bracket is closed, or -1.
  int take(const Masks& masks) {
    const std::uint64_t quotes = masks.quotes & ~escaped_bytes(masks.backslashes);
    const std::uint64_t inside = running_parity(quotes) ^ in_string_;
    in_string_ = std::uint64_t{0} - (inside >> 63);
    const std::uint64_t opens = masks.opens & ~inside;
    const std::uint64_t closes = masks.closes & ~inside;
    const int closed = std::popcount(closes);
    if (closed < depth_) {
      depth_ += std::popcount(opens) - closed;
      return -1;
    }
    for (std::uint64_t rest = opens | closes; rest != 0; rest &= rest - 1) {
      const int at = std::countr_zero(rest);
      depth_ += (opens >> at & 1) != 0 ? 1 : -1;
      if (depth_ == 0) return at;
    }
    return -1;
  }

  /// The bytes that follow an unescaped backslash: one turn per escape, of which there are few.
  std::uint64_t escaped_bytes(std::uint64_t backslashes) {
    std::uint64_t escaped = escape_next_;
    std::uint64_t rest = backslashes & ~escaped;
    escape_next_ = 0;
    while (rest != 0) {
      const std::uint64_t bit = rest & (0 - rest);
      escaped |= bit << 1;
      rest &= ~(bit | bit << 1);
      escape_next_ = bit >> 63;
    }
    return escaped;
  }

  std::int64_t depth_ = 0;         ///< up to the number of bytes
  std::uint64_t in_string_ = 0;    ///< all ones when the last block ended inside a string
  std::uint64_t escape_next_ = 0;  ///< 1 when it ended in an unescaped backslash
};

}  // namespace consort::json_blocks
