// A second opinion on JSON text for tests and fuzzers: nlohmann's parser, with the differences that
// are known and wanted taken out, so that what is left must be equal on every input.
//
//   nlohmann                                       check_json
//   refuses half a surrogate pair ("\ud800")       takes it: RFC 8259, section 8.2
//   refuses numbers beyond a double (1e400)        takes them
//   takes a NUL byte as the end of the text        refuses it
//   skips a byte order mark                        refuses it: RFC 8259, section 8.1
//   takes any depth                                kMaxJsonDepth
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "wire/json_scan.hpp"

namespace consort::test {

inline bool is_hex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Whether the u at text[at] begins an escape from \ud800 to \udfff.
inline bool is_surrogate_escape(std::string_view text, std::size_t at) {
  if (text[at] != 'u' || at == 0 || text[at - 1] != '\\' || text.size() - at < 5) return false;
  return (text[at + 1] | 0x20) == 'd' && is_hex(text[at + 2]) && !(text[at + 2] < '8') &&
         is_hex(text[at + 3]) && is_hex(text[at + 4]);
}

/// A text with the same verdict, that nlohmann judges as check_json does: surrogate escapes become
/// letters, exponents zero, and long rows of digits shorter. What these are part of (a string, a
/// number or nothing) they stay part of.
inline std::string without_disputes(std::string_view text) {
  std::string out;
  std::size_t row = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    row = is_digit(c) ? row + 1 : 0;
    if (row > 100) continue;
    out += c;
    if (is_surrogate_escape(text, i)) {
      out += "0041";
      i += 4;
    } else if (c == 'e' || c == 'E') {
      if (i + 1 < text.size() && (text[i + 1] == '+' || text[i + 1] == '-')) out += text[++i];
      while (i + 1 < text.size() && is_digit(text[i + 1])) {
        out += '0';
        ++i;
      }
    }
  }
  return out;
}

/// Counts brackets, and says no to nothing but errors.
class DepthCounter : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }
  std::size_t deepest = 0;

 private:
  bool open() {
    deepest = std::max(deepest, ++depth_);
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  std::size_t depth_ = 0;
};

/// Whether check_json() must take it.
inline bool oracle_accepts(std::string_view text) {
  if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF")) return false;
  DepthCounter counter;
  return nlohmann::json::sax_parse(without_disputes(text), &counter) &&
         counter.deepest <= kMaxJsonDepth;
}

inline bool same_value(std::string_view ours, const nlohmann::json& theirs);

inline bool same_object(std::string_view ours, const nlohmann::json& theirs) {
  JsonObjectReader members(ours);
  std::map<std::string, std::string_view> last;  // nlohmann keeps the last of equal names
  std::string_view key;
  for (std::string_view value; members.next(key, value);) last[unescape_json_string(key)] = value;
  if (members.failed() || last.size() != theirs.size()) return false;
  for (const auto& [name, value] : last) {
    if (!theirs.contains(name) || !same_value(value, theirs[name])) return false;
  }
  return true;
}

/// Whether the readers find in a checked value what nlohmann's parser made of it.
inline bool same_value(std::string_view ours, const nlohmann::json& theirs) {
  switch (json_kind(ours)) {
    case JsonKind::null:
      return ours == "null" && theirs.is_null();
    case JsonKind::boolean:
      return theirs.is_boolean() && ours == (theirs.get<bool>() ? "true" : "false");
    case JsonKind::number:
      return theirs.is_number() && nlohmann::json::parse(ours) == theirs;
    case JsonKind::string:
      return theirs.is_string() &&
             unescape_json_string(ours.substr(1, ours.size() - 2)) == theirs.get<std::string>();
    case JsonKind::object:
      return theirs.is_object() && same_object(ours, theirs);
    case JsonKind::array:
      break;
  }
  JsonArrayReader elements(ours);
  std::size_t count = 0;
  for (std::string_view element; elements.next(element); ++count) {
    if (count >= theirs.size() || !same_value(element, theirs[count])) return false;
  }
  return theirs.is_array() && !elements.failed() && count == theirs.size();
}

}  // namespace consort::test
