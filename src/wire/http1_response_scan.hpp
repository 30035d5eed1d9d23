// The inner loops of http1_response*.cc, which alone include this.
//
// llhttp takes 3300 instructions for an nginx answer of 200 bytes, more than all the rest of a
// call. Of HTTP/1.1 only strict lines are left here, and they are cheap to read by hand (1960):
// find the line's end, look at the few headers that matter, count control bytes sixteen at a time.
// That this reads what llhttp and the engine's own checks read together is held by the differential
// fuzz test.
#pragma once

#include <algorithm>
#include <array>
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

inline constexpr std::array<char, 256> kLower = [] {
  std::array<char, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) {
    table[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 0x20 : c);
  }
  return table;
}();

inline std::uint64_t load(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Control bytes but HTAB. Sixteen at a time, each lane with a count of its own.
inline std::size_t count_controls(std::string_view text) {
  using Lanes = unsigned char __attribute__((vector_size(16)));
  constexpr std::size_t kRoundBytes = 255 * sizeof(Lanes);
  std::size_t total = 0;
  for (std::size_t round = 0; round < text.size(); round += kRoundBytes) {
    const char* at = text.data() + round;
    const char* const end = at + std::min(kRoundBytes, text.size() - round);
    Lanes counts{};
    // A comparison gives -1 in the lanes where it holds.
    const auto count = [&counts](const Lanes& bytes) {
      counts -= static_cast<Lanes>(((bytes < 0x20) & (bytes != '\t')) | (bytes == 0x7f));
    };
    for (; end - at >= 16; at += 16) {
      Lanes bytes;
      std::memcpy(&bytes, at, sizeof bytes);
      count(bytes);
    }
    Lanes last = Lanes{} + static_cast<unsigned char>(' ');
    std::memcpy(&last, at, static_cast<std::size_t>(end - at));
    count(last);
    for (std::size_t i = 0; i < sizeof counts; ++i) total += counts[i];
  }
  return total;
}

/// Beside control bytes, only letters of both cases and '-' are the same with this bit set. A head
/// with control bytes is refused in the end, whatever is taken for what until then. At least eight
/// bytes long.
inline bool is_same(std::string_view text, std::string_view lower) {
  constexpr std::uint64_t kCase = 0x2020'2020'2020'2020;
  if (text.size() != lower.size()) return false;
  const std::size_t last = lower.size() - sizeof(std::uint64_t);
  for (std::size_t at = 0; at < last; at += sizeof(std::uint64_t)) {
    if ((load(text.data() + at) | kCase) != load(lower.data() + at)) return false;
  }
  return (load(text.data() + last) | kCase) == load(lower.data() + last);
}

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace consort::http1::detail
