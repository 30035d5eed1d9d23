// One HTTP/1.1 request on one new connection: for probes and for asking a consort on this node.
//
// No pool, no redirects, no TLS, no content codings; the connection is closed after the answer.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/address.hpp"
#include "base/error.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "net/http_message.hpp"

namespace consort::http {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  /// Empty: the address, or "localhost" for unix sockets.
  std::string host;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::size_t response_header_bytes_max = 16 * 1024;
  std::size_t response_body_bytes_max = 8 * 1024 * 1024;
};

/// The answer, whatever its status; names of headers in lower case. The address's host must be an
/// IP literal. The deadline covers everything. Errors say what was asked of whom: Errc::refused,
/// timed_out, closed (before or in mid-answer), protocol, limit, or invalid for a request that
/// cannot be written. Loop and network must outlive the task; dropping it closes the connection.
Task<Result<Response>> fetch(io::Loop& loop, io::Network& network, Address address,
                             ClientRequest request, Deadline deadline);

}  // namespace consort::http
