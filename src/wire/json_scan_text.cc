// What the scanner knows of the inside of values: the text of strings, and the order of values.
#include <algorithm>
#include <cstdint>

#include "wire/json_scan.hpp"
#include "wire/json_scan_number.hpp"

namespace consort {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// 0..15, or -1.
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto continuation = [](std::uint32_t bits) {
    return static_cast<char>(0x80 | (bits & 0x3F));
  };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += continuation(point);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += continuation(point >> 6);
    out += continuation(point);
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += continuation(point >> 12);
    out += continuation(point >> 6);
    out += continuation(point);
  }
}

/// Whether raw begins with \uXXXX, and what it says.
bool read_code_unit(std::string_view raw, std::uint32_t& unit) {
  if (raw.size() < 6 || raw[0] != '\\' || raw[1] != 'u') return false;
  unit = 0;
  for (std::size_t i = 2; i < 6; ++i) {
    const int digit = hex_value(raw[i]);
    if (digit < 0) return false;
    unit = unit * 16 + static_cast<std::uint32_t>(digit);
  }
  return true;
}

/// The backslash at the front and what belongs to it; how many bytes that was.
std::size_t append_escape(std::string& out, std::string_view raw) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  std::uint32_t unit = 0;
  if (!read_code_unit(raw, unit)) {
    const std::size_t letter = raw.size() < 2 ? kLetters.npos : kLetters.find(raw[1]);
    out += letter == kLetters.npos ? '\\' : kMeanings[letter];
    return letter == kLetters.npos ? 1 : 2;
  }
  const bool is_surrogate = unit >= 0xD800 && unit < 0xE000;
  std::uint32_t low = 0;
  if (unit < 0xDC00 && is_surrogate && read_code_unit(raw.substr(6), low) && low >= 0xDC00 &&
      low < 0xE000) {
    append_utf8(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
    return 12;
  }
  append_utf8(out, is_surrogate ? 0xFFFD : unit);
  return 6;
}

std::string_view without_quotes(std::string_view value) {
  return value.size() < 2 ? std::string_view() : value.substr(1, value.size() - 2);
}

bool has_escapes(std::string_view raw) {
  return raw.find('\\') != std::string_view::npos;
}

/// The order of UTF-8 bytes is that of the code points.
int compare_strings(std::string_view a, std::string_view b) {
  if (!has_escapes(a) && !has_escapes(b)) return a.compare(b);
  return unescape_json_string(a).compare(unescape_json_string(b));
}

/// The first 7 bytes of a text, then zeros; below 2^61.
std::uint64_t text_order_prefix(std::string_view text) {
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < 7; ++i) {
    prefix = prefix << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
  }
  return prefix << 5;
}

std::uint64_t string_order_prefix(std::string_view raw) {
  return has_escapes(raw.substr(0, 7)) ? text_order_prefix(unescape_json_string(raw))
                                       : text_order_prefix(raw);
}

}  // namespace

std::string unescape_json_string(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (;;) {
    const std::size_t plain = std::min(raw.find('\\'), raw.size());
    out.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) return out;
    raw.remove_prefix(append_escape(out, raw));
  }
}

bool json_string_equals(std::string_view raw, std::string_view text) {
  // No escape is shorter than what it stands for.
  if (raw.size() < text.size()) return false;
  return has_escapes(raw) ? unescape_json_string(raw) == text : raw == text;
}

int compare_json(std::string_view a, std::string_view b) {
  const JsonKind kind = json_kind(a);
  const JsonKind other = json_kind(b);
  if (kind != other) return kind < other ? -1 : 1;
  switch (kind) {
    case JsonKind::boolean:
      return static_cast<int>(a[0] == 't') - static_cast<int>(b[0] == 't');
    case JsonKind::number:
      return compare_json_numbers(a, b);
    case JsonKind::string:
      return compare_strings(without_quotes(a), without_quotes(b));
    case JsonKind::null:
    case JsonKind::array:
    case JsonKind::object:
      break;
  }
  return 0;
}

std::uint64_t json_order_prefix(std::string_view value) {
  const JsonKind kind = json_kind(value);
  std::uint64_t prefix = 0;
  if (kind == JsonKind::boolean) prefix = value[0] == 't' ? 1 : 0;
  if (kind == JsonKind::number) prefix = number_order_prefix(value);
  if (kind == JsonKind::string) prefix = string_order_prefix(without_quotes(value));
  return static_cast<std::uint64_t>(kind) << 61 | prefix;
}

}  // namespace consort
