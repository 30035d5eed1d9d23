#include "wire/memcache_words.hpp"

#include <array>
#include <limits>

#include "wire/memcache.hpp"

namespace consort::memcache {

namespace {

constexpr std::uint32_t kMaxLength = std::numeric_limits<std::int32_t>::max() - 2;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

struct Number {
  bool valid = false;
  bool negative = false;
  std::uint64_t magnitude = 0;
};

Number read_number(std::string_view word) {
  std::size_t at = 0;
  while (at < word.size() && is_space(word[at])) ++at;
  Number number;
  if (at < word.size() && (word[at] == '-' || word[at] == '+')) number.negative = word[at++] == '-';
  const std::size_t first_digit = at;
  for (; at < word.size() && word[at] >= '0' && word[at] <= '9'; ++at) {
    const auto digit = static_cast<std::uint64_t>(word[at] - '0');
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    if (number.magnitude > (kMax - digit) / 10) return {};
    number.magnitude = number.magnitude * 10 + digit;
  }
  number.valid = at > first_digit && (at == word.size() || is_space(word[at]));
  return number;
}

bool read_signed(std::string_view word, std::int32_t& value) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const Number number = read_number(word);
  if (!number.valid || number.magnitude > kMax + (number.negative ? 1 : 0)) return false;
  value = static_cast<std::int32_t>(
      static_cast<std::uint32_t>(number.negative ? 0 - number.magnitude : number.magnitude));
  return true;
}

/// 0..63, or -1 outside the alphabet.
constexpr std::array<std::int8_t, 256> kBase64 = [] {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

std::int8_t base64_value(char c) {
  return kBase64[static_cast<unsigned char>(c)];
}

}  // namespace

bool is_unsigned(std::string_view word) {
  constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;
  const Number number = read_number(word);
  const std::uint64_t value = number.negative ? 0 - number.magnitude : number.magnitude;
  return number.valid && !(number.negative && (value & kSignBit) != 0);
}

bool is_signed(std::string_view word) {
  std::int32_t ignored = 0;
  return read_signed(word, ignored);
}

bool read_length(std::string_view word, std::uint32_t& length) {
  std::int32_t value = 0;
  if (!read_signed(word, value) || value < 0) return false;
  length = static_cast<std::uint32_t>(value);
  return length <= kMaxLength;
}

bool is_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return false;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  for (const char c : text) {
    if (base64_value(c) < 0) return false;
  }
  // The bits that padding leaves over must be zero, else two texts mean one key.
  const int spare = padding == 2 ? 0x0f : padding == 1 ? 0x03 : 0;
  return (base64_value(text.back()) & spare) == 0;
}

bool decode_base64(std::string_view text, std::string& out) {
  out.clear();
  if (!is_base64(text)) return false;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = (bits << 6) | static_cast<std::uint32_t>(base64_value(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return true;
}

}  // namespace consort::memcache
