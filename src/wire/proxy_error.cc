#include "wire/proxy_error.hpp"

#include "base/check.hpp"

namespace consort {

std::string_view to_string(ProxyError error) {
  switch (error) {
    case ProxyError::dns_timeout:
      return "dns_timeout";
    case ProxyError::dns_error:
      return "dns_error";
    case ProxyError::destination_unavailable:
      return "destination_unavailable";
    case ProxyError::connection_refused:
      return "connection_refused";
    case ProxyError::connection_terminated:
      return "connection_terminated";
    case ProxyError::connection_timeout:
      return "connection_timeout";
    case ProxyError::connection_limit_reached:
      return "connection_limit_reached";
    case ProxyError::tls_protocol_error:
      return "tls_protocol_error";
    case ProxyError::tls_certificate_error:
      return "tls_certificate_error";
    case ProxyError::http_request_denied:
      return "http_request_denied";
    case ProxyError::http_protocol_error:
      return "http_protocol_error";
    case ProxyError::http_response_incomplete:
      return "http_response_incomplete";
    case ProxyError::http_response_header_section_size:
      return "http_response_header_section_size";
    case ProxyError::http_response_body_size:
      return "http_response_body_size";
    case ProxyError::http_response_content_coding:
      return "http_response_content_coding";
    case ProxyError::http_response_timeout:
      return "http_response_timeout";
    case ProxyError::http_request_error:
      return "http_request_error";
    case ProxyError::proxy_internal_response:
      return "proxy_internal_response";
    case ProxyError::proxy_internal_error:
      return "proxy_internal_error";
    case ProxyError::proxy_loop_detected:
      return "proxy_loop_detected";
  }
  return "proxy_internal_error";
}

int status_for(ProxyError error) {
  switch (error) {
    case ProxyError::dns_timeout:
    case ProxyError::connection_timeout:
    case ProxyError::http_response_timeout:
      return 504;
    case ProxyError::connection_limit_reached:
    case ProxyError::destination_unavailable:
      return 503;
    default:
      return 502;
  }
}

}  // namespace consort
