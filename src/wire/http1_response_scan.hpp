// The inner loops of http1_response*.cc, which alone include this.
//
// llhttp takes 3300 instructions for an nginx answer of 200 bytes, more than all the rest of a
// call. Of HTTP/1.1 only strict lines are left here, and they are cheap to read by hand (1500):
// find the line's end, look at the few headers that matter, count control bytes sixteen at a time.
// That this reads what llhttp and the engine's own checks read together is held by the differential
// fuzz test.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/http1_text_scan.hpp"

namespace consort::http1::detail {

/// The bytes of which `matches`, of lanes, says that they are meant. Sixteen at a time, each lane
/// with a count of its own.
template <class Matches>
std::size_t count_bytes(std::string_view text, const Matches& matches) {
  constexpr std::size_t kRoundBytes = 255 * sizeof(Lanes);
  std::size_t total = 0;
  for (std::size_t round = 0; round < text.size(); round += kRoundBytes) {
    const char* at = text.data() + round;
    const char* const end = at + std::min(kRoundBytes, text.size() - round);
    Lanes counts{};
    // A comparison gives -1 in the lanes where it holds.
    for (; end - at >= kLanes; at += kLanes) counts -= static_cast<Lanes>(matches(load<Lanes>(at)));
    Lanes last = Lanes{} + static_cast<unsigned char>(' ');
    std::memcpy(&last, at, static_cast<std::size_t>(end - at));
    counts -= static_cast<Lanes>(matches(last));
    for (std::size_t i = 0; i < sizeof counts; ++i) total += counts[i];
  }
  return total;
}

/// Whether a text of at least `count` control bytes, HTAB aside, has no more of them. Nearly all
/// texts hold no HTAB and nothing but ASCII, and then one comparison tells.
inline bool has_only_controls(std::string_view text, std::size_t count) {
  return count_bytes(text, unusual_in_values) == count || count_bytes(text, controls) == count;
}

/// Beside control bytes, only letters of both cases and '-' are the same with this bit set. A head
/// with control bytes is refused in the end, whatever is taken for what until then. At least eight
/// bytes long.
inline bool is_same(std::string_view text, std::string_view lower) {
  constexpr std::uint64_t kCase = 0x2020'2020'2020'2020;
  if (text.size() != lower.size()) return false;
  const std::size_t last = lower.size() - sizeof(std::uint64_t);
  for (std::size_t at = 0; at < last; at += sizeof(std::uint64_t)) {
    if ((load<std::uint64_t>(text.data() + at) | kCase) != load<std::uint64_t>(lower.data() + at))
      return false;
  }
  return (load<std::uint64_t>(text.data() + last) | kCase) ==
         load<std::uint64_t>(lower.data() + last);
}

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

inline std::string_view trim_blanks(std::string_view text) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  while (begin < end && is_blank(*begin)) ++begin;
  while (begin < end && is_blank(end[-1])) --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace consort::http1::detail
