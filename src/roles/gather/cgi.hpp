// CGI as commands know it: a request as environment variables, an answer with headers in front.
//
//   REQUEST_METHOD=GET PATH_INFO=/search QUERY_STRING=q=a CONTENT_LENGTH=0 HTTP_ACCEPT=*/*
//
//   Status: 404 Not Found          or 200; with Location and no Status 302
//   Content-Type: text/plain
//                                  an empty line ends the headers; lines end with LF or CRLF
//   body
//
// After RFC 3875 (CGI 1.1), sections 4.1 and 6.3. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "wire/http1.hpp"

namespace consort::gather {

struct CgiRequest {
  std::string_view method;
  std::string_view path;
  std::string_view query;                   ///< without the question mark
  const http1::Headers* headers = nullptr;  ///< as HTTP_*; null for none
  std::string_view content_type;            ///< empty: the variable is not set
  std::size_t content_length = 0;
  bool has_body = false;  ///< CONTENT_LENGTH is set
};

/// "NAME=value" for a Command. Left out: Authorization and Proxy-Authorization (RFC 3875 section
/// 4.1.18), Proxy (a child would take HTTP_PROXY for a setting of its own), Content-Type and
/// Content-Length, which have variables of their own, and names with other characters than
/// letters, digits and dashes. Headers that come several times are joined.
std::vector<std::string> cgi_environment(const CgiRequest& request);

struct CgiAnswer {
  int status = 200;
  std::string content_type;  ///< empty when no header names it
  http1::Headers headers;    ///< end-to-end ones, without Status and Content-Type
  std::string_view body;     ///< into the output
};

/// Largest block of headers.
inline constexpr std::size_t kCgiHeaderBytesMax = 32 * 1024;

/// What a command wrote. Errors say which line is wrong: Errc::protocol.
Result<CgiAnswer> parse_cgi_answer(std::string_view output);

/// What to call a body that nobody named: "application/json" when it is JSON, else plain text.
std::string_view guess_content_type(std::string_view body);

/// Whether an answer's header is ours to decide: framing, hop-by-hop and connection headers.
bool is_framing_header(std::string_view name);

}  // namespace consort::gather
