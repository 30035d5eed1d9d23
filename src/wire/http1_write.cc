// The writers of http1.hpp: head and body in one buffer, so that a message is one write.
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "wire/http1.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1 {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

namespace {

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// A value may come from a peer by way of a handler: one line break in it would write the rest of
/// the message (response splitting).
Result<> check_headers(const Headers* headers, std::string_view also_ours) {
  if (headers == nullptr) return {};
  for (const auto& [name, value] : *headers) {
    if (!is_token(name)) return fail(Errc::invalid, "a header name is not a token");
    if (!is_field_value(value)) {
      return fail(Errc::invalid, "the header " + name + " holds a control byte");
    }
    for (std::string_view ours :
         {std::string_view("content-length"), std::string_view("transfer-encoding"),
          std::string_view("connection"), also_ours}) {
      if (equals_ignoring_case(name, ours)) {
        return fail(Errc::invalid, "the header " + name + " is written by the server or client");
      }
    }
  }
  return {};
}

void append_headers(std::string& out, const Headers* headers) {
  if (headers == nullptr) return;
  for (const auto& [name, value] : *headers) append_field(out, name, value);
}

void append_length(std::string& out, std::size_t length) {
  out.append("Content-Length: ");
  append_number(out, length);
  out.append("\r\n");
}

}  // namespace

Result<> append_response(std::string& out, const ResponseView& response) {
  if (response.status < 200 || response.status > 999) {
    return fail(Errc::invalid, "a status must be between 200 and 999");
  }
  if (!is_field_value(response.content_type)) {
    return fail(Errc::invalid, "the content type holds a control byte");
  }
  Result<> checked = check_headers(response.headers, "");
  if (!checked) return checked;

  const bool has_body = response.status != 204 && response.status != 304;
  out.reserve(out.size() + 256 + response.body.size());
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::size_t>(response.status));
  out.append(" ").append(reason_phrase(response.status)).append("\r\n");
  if (has_body && !response.content_type.empty()) {
    append_field(out, "Content-Type", response.content_type);
  }
  append_headers(out, response.headers);
  if (has_body) append_length(out, response.body.size());
  switch (response.persistence) {
    case Persistence::keep_alive:
      break;
    case Persistence::keep_alive_stated:
      append_field(out, "Connection", "keep-alive");
      break;
    case Persistence::close:
      append_field(out, "Connection", "close");
      break;
  }
  out.append("\r\n");
  if (has_body && !response.to_head) out.append(response.body);
  return {};
}

Result<> append_request(std::string& out, const RequestView& request) {
  if (!is_token(request.method)) return fail(Errc::invalid, "the method is not a token");
  if (!is_target(request.target)) return fail(Errc::invalid, "the request target is malformed");
  if (!is_host(request.host)) return fail(Errc::invalid, "the host is malformed");
  Result<> checked = check_headers(request.headers, "host");
  if (!checked) return checked;

  const bool is_upload =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  out.reserve(out.size() + 256 + request.body.size());
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  append_field(out, "Host", request.host);
  append_headers(out, request.headers);
  if (is_upload || !request.body.empty()) append_length(out, request.body.size());
  if (request.close) append_field(out, "Connection", "close");
  out.append("\r\n").append(request.body);
  return {};
}

}  // namespace consort::http1
