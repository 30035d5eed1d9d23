#include "roles/logsaver/sinks/json_text.hpp"

#include <array>
#include <charconv>
#include <cstddef>

#include "base/utf8.hpp"
#include "wire/json_scan_blocks.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kHex = "0123456789abcdef";

void append_hex(std::string& out, unsigned char byte) {
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

void append_control(std::string& out, char c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\u00";
      append_hex(out, static_cast<unsigned char>(c));
  }
}

void append_invalid(std::string& out, char c, InvalidUtf8 invalid) {
  if (invalid == InvalidUtf8::replace) {
    out += kReplacement;
    return;
  }
  out += "\\\\x";
  append_hex(out, static_cast<unsigned char>(c));
}

/// Appends what stands at the front of `text`, which is no plain ASCII; how many bytes that was.
std::size_t append_special(std::string& out, std::string_view text, InvalidUtf8 invalid) {
  const char c = text[0];
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
    return 1;
  }
  if (static_cast<unsigned char>(c) < 0x20) {
    append_control(out, c);
    return 1;
  }
  // Text in other scripts comes in runs: those are copied at once.
  std::size_t run = 0;
  while (run < text.size() && static_cast<unsigned char>(text[run]) >= 0x80) {
    const std::size_t bytes = utf8_character_bytes(text.substr(run));
    if (bytes == 0) break;
    run += bytes;
  }
  if (run > 0) {
    out.append(text.substr(0, run));
    return run;
  }
  append_invalid(out, c, invalid);
  return 1;
}

template <class N>
void append_digits(std::string& out, N number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

}  // namespace

void append_json_text(std::string& out, std::string_view text, InvalidUtf8 invalid) {
  out += '"';
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const char* const special = json_blocks::Fastest::find_special(at, end);
    out.append(at, special);
    if (special == end) break;
    const std::string_view rest(special, static_cast<std::size_t>(end - special));
    at = special + append_special(out, rest, invalid);
  }
  out += '"';
}

void append_number(std::string& out, std::uint64_t number) {
  append_digits(out, number);
}

void append_number(std::string& out, std::int64_t number) {
  append_digits(out, number);
}

}  // namespace consort::logsaver
