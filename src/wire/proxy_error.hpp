// Why an intermediary got no usable answer, in the words of RFC 9209 (the Proxy-Status header).
#pragma once

#include <cstdint>
#include <string_view>

namespace consort {

/// The error types of RFC 9209 section 2.3 that a client of ours can meet.
enum class ProxyError : std::uint8_t {
  dns_timeout,
  dns_error,
  destination_unavailable,  ///< we know it to be unusable (ejected, drained) and did not ask
  connection_refused,
  connection_terminated,  ///< closed or reset before any byte of an answer
  connection_timeout,
  connection_limit_reached,  ///< a limit of ours
  tls_protocol_error,
  tls_certificate_error,
  http_request_denied,
  http_protocol_error,
  http_response_incomplete,
  http_response_header_section_size,
  http_response_body_size,
  http_response_content_coding,
  http_response_timeout,
  http_request_error,       ///< the answer's status says that the request is wrong
  proxy_internal_response,  ///< the answer is not acceptable: its status or its content
  proxy_internal_error,
  proxy_loop_detected,
};

/// As it stands in the header: "http_response_timeout".
std::string_view to_string(ProxyError error);
/// The status that RFC 9209 recommends for it: 502, 503 or 504 (and 508's stand-in 502 for loops).
int status_for(ProxyError error);

}  // namespace consort
