// The small grammars inside HTTP/1.x messages: tokens, lists, Host values, request targets.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/error.hpp"

namespace consort::http1 {

/// RFC 9110 token: header names and methods. False for the empty text.
bool is_token(std::string_view text);
/// What may stand in a header value: no control bytes but HTAB.
bool is_field_value(std::string_view text);
/// What a request target is made of: visible ASCII, not empty, no fragment ("#").
bool is_target(std::string_view text);
/// host[:port] with the characters of names, IP literals and brackets; may be empty.
bool is_host(std::string_view text);

bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string to_lower(std::string_view text);
/// Without blanks and tabs at both ends.
std::string_view trim(std::string_view text);
/// True when the comma-separated list holds the token, in any case of letters.
bool list_contains(std::string_view list, std::string_view token);

/// What %XX says, as bytes; '+' becomes a blank when asked for (forms and queries). Malformed
/// escapes and NUL are Errc::invalid: no path and no parameter of ours holds a NUL, but much code
/// behind a path stops at one.
enum class Plus : bool { keep, is_blank };
Result<std::string> percent_decode(std::string_view text, Plus plus);

/// The first line of an answer, without its CRLF; the reason phrase tells nothing.
struct StatusLine {
  int status = 0;
  int minor_version = 0;  ///< of HTTP/1
};
/// HTTP/1.0 and HTTP/1.1. Else what is wrong, a literal.
tl::expected<StatusLine, const char*> parse_status_line(std::string_view line);

/// The parts of a request target.
struct Target {
  std::string authority;  ///< host[:port] of the absolute form, which overrides Host; else empty
  std::string path;       ///< before '?', decoded; "*" for the asterisk form
  std::string query;      ///< after '?', raw; every escape in it is well-formed
};
/// "/path?query", "http://host/path?query", and "*" for OPTIONS. Dot segments stay as they are.
Result<Target> parse_target(std::string_view method, std::string_view target);

}  // namespace consort::http1
