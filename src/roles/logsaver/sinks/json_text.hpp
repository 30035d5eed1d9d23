// What a log wrote, as a JSON string: any bytes in, valid JSON out, fast where the text is plain.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/options.hpp"

namespace consort::logsaver {

/// What becomes of bytes that are not UTF-8 where the destination takes text only.
enum class InvalidUtf8 : std::uint8_t {
  replace,  ///< each becomes U+FFFD
  escape,   ///< each becomes the four characters \xNN, so that a person can tell what it was
};

/// Appends text with quotes. Only what JSON asks for is escaped: these strings are for machines;
/// append_json_string() (base/json_writer.hpp) is for what terminals show. 16 bytes at a time up to
/// the next quote, backslash, control character or byte above 127.
void append_json_text(std::string& out, std::string_view text,
                      InvalidUtf8 invalid = InvalidUtf8::replace);

/// The number in decimal digits.
void append_number(std::string& out, std::uint64_t number);
void append_number(std::string& out, std::int64_t number);

}  // namespace consort::logsaver

namespace consort {
template <>
struct Choices<logsaver::InvalidUtf8> {
  static constexpr std::string_view names[] = {"replace", "escape"};
};
}  // namespace consort
