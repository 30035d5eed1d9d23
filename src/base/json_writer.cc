#include "base/json_writer.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "base/utf8.hpp"

namespace consort {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The code point of the valid character that text is.
char32_t code_of(std::string_view character) {
  auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead;
  auto code = static_cast<char32_t>(lead & (0x7FU >> character.size()));
  for (char c : character.substr(1)) code = (code << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  return code;
}

/// C0, DEL, C1, the separators that JavaScript and YAML take for line ends, and the three code
/// points of the basic plane that YAML readers refuse.
bool needs_escape(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029 ||
         code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

void append_escape(std::string& out, char32_t code) {
  switch (code) {
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(code >> shift) & 0xFU];
}

void append_character(std::string& out, std::string_view character) {
  char32_t code = code_of(character);
  if (needs_escape(code)) {
    append_escape(out, code);
    return;
  }
  if (code == '"' || code == '\\') out += '\\';
  out += character;
}

bool is_plain_ascii(char c) {
  return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

template <class N>
void append_number(std::string& out, N number) {
  std::array<char, 32> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    // Most text is plain: copy runs of it at once.
    std::size_t run = 0;
    while (run < text.size() && is_plain_ascii(text[run])) ++run;
    out.append(text.substr(0, run));
    text.remove_prefix(run);
    if (text.empty()) break;

    std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) {
      out += kReplacement;
      text.remove_prefix(1);
      continue;
    }
    append_character(out, text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  out += '"';
}

JsonWriter& JsonWriter::begin_object() {
  begin('{');
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  end('}');
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  begin('[');
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  end(']');
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  CHECK(!levels_.empty() && levels_.back().is_object && !after_key_);
  if (!levels_.back().is_empty) out_ += ',';
  levels_.back().is_empty = false;
  new_line();
  append_json_string(out_, name);
  out_ += indent_ > 0 ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  append_json_string(out_, text);
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  before_value();
  append_number(out_, number);
  return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
  before_value();
  append_number(out_, number);
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  before_value();
  append_number(out_, number);
  return *this;
}

JsonWriter& JsonWriter::value(bool flag) {
  return raw(flag ? "true" : "false");
}

JsonWriter& JsonWriter::null() {
  return raw("null");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  before_value();
  out_ += json;
  return *this;
}

std::string JsonWriter::take() {
  CHECK(levels_.empty());
  return std::exchange(out_, {});
}

void JsonWriter::before_value() {
  if (levels_.empty()) {
    CHECK(out_.empty());  // one text holds one value
    return;
  }
  Level& level = levels_.back();
  if (level.is_object) {
    CHECK(after_key_);
    after_key_ = false;
    return;
  }
  if (!level.is_empty) out_ += ',';
  level.is_empty = false;
  new_line();
}

void JsonWriter::begin(char bracket) {
  before_value();
  CHECK(levels_.size() < kMaxDepth);
  out_ += bracket;
  levels_.push_back({.is_object = bracket == '{'});
}

void JsonWriter::end(char bracket) {
  CHECK(!levels_.empty() && levels_.back().is_object == (bracket == '}') && !after_key_);
  bool was_empty = levels_.back().is_empty;
  levels_.pop_back();
  if (!was_empty) new_line();
  out_ += bracket;
}

void JsonWriter::new_line() {
  if (indent_ <= 0) return;
  out_ += '\n';
  out_.append(levels_.size() * static_cast<std::size_t>(indent_), ' ');
}

}  // namespace consort
