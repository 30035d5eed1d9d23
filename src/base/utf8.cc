#include "base/utf8.hpp"

namespace consort {
namespace {

bool in_range(char c, unsigned char low, unsigned char high) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= low && byte <= high;
}

}  // namespace

std::size_t utf8_character_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t bytes = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < bytes) return 0;
  // The second byte decides whether the character is overlong, a surrogate or too large.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!in_range(text[1], low, high)) return 0;
  for (std::size_t i = 2; i < bytes; ++i) {
    if (!in_range(text[i], 0x80, 0xBF)) return 0;
  }
  return bytes;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  // At most three continuation bytes belong to one character; more are not UTF-8 anyway.
  std::size_t cut = bytes_max;
  for (int i = 0; i < 3 && cut > 0 && in_range(text[cut], 0x80, 0xBF); ++i) --cut;
  return text.substr(0, cut);
}

}  // namespace consort
