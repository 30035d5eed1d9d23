// Requests and responses as applications see them, whichever side of a connection they are on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "io/stream.hpp"
#include "wire/http1.hpp"

namespace consort::http {

struct Request {
  std::string method;  ///< "GET"
  std::string target;  ///< as sent
  std::string path;    ///< before '?'; percent-decoded, without NUL; dot segments are kept
  std::string query;   ///< after '?'; raw, but every escape in it is well-formed
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
  io::Peer peer;
  /// The first header of that (lower-case) name; empty when absent.
  std::string_view header(std::string_view name) const;
  /// The decoded value of a query parameter; empty when absent or without value. The first one
  /// counts.
  std::string query_value(std::string_view name) const;
  bool has_query(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  /// As sent. Content-Length, Transfer-Encoding and Connection are the server's: a handler that
  /// sets them, or a value with a line break, is answered for with 500.
  std::vector<std::pair<std::string, std::string>> headers;
};

/// What a parsed message asks for. Errc::invalid for a target that is no path or that holds a
/// malformed escape or NUL. The host of an absolute target replaces the Host header.
Result<Request> make_request(http1::Message message, io::Peer peer);

/// "404 Not Found: text", as the body of a plain answer.
Response make_error(int status, std::string_view text);

}  // namespace consort::http
