// The writers of http1.hpp: head and body in one buffer, so that a message is one write.
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/check.hpp"
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

/// Measures what a Pen will write.
struct Ruler {
  std::size_t bytes = 0;
  void put(std::string_view text) { bytes += text.size(); }
};

/// Writes into room that has been measured.
struct Pen {
  char* at;
  void put(std::string_view text) { at += text.copy(at, text.size()); }
};

/// What `write` puts, and the body. It is called twice, so that there is one allocation and no look
/// at the room for each of the pieces.
template <class Write>
void append_message(std::string& out, std::string_view body, const Write& write) {
  Ruler ruler;
  write(ruler);
  const std::size_t begin = out.size();
  out.reserve(begin + ruler.bytes + body.size());
  out.resize(begin + ruler.bytes);
  Pen pen{out.data() + begin};
  write(pen);
  CHECK(pen.at == out.data() + out.size());
  out.append(body);
}

struct Digits {
  explicit Digits(std::size_t number)
      : bytes(
            static_cast<std::size_t>(std::to_chars(text, text + sizeof text, number).ptr - text)) {}
  operator std::string_view() const { return {text, bytes}; }

  char text[20];
  std::size_t bytes;
};

template <class Out>
void put_field(Out& out, std::string_view name, std::string_view value) {
  out.put(name);
  out.put(": ");
  out.put(value);
  out.put("\r\n");
}

template <class Out>
void put_headers(Out& out, const Headers* headers) {
  if (headers == nullptr) return;
  for (const auto& [name, value] : *headers) put_field(out, name, value);
}

bool is_ours(std::string_view name, std::string_view also_ours) {
  switch (name.size()) {
    case 10:
      return equals_ignoring_case(name, "connection");
    case 14:
      return equals_ignoring_case(name, "content-length");
    case 17:
      return equals_ignoring_case(name, "transfer-encoding");
    default:
      return equals_ignoring_case(name, also_ours);
  }
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
    if (is_ours(name, also_ours)) {
      return fail(Errc::invalid, "the header " + name + " is written by the server or client");
    }
  }
  return {};
}

std::string_view connection_of(Persistence persistence) {
  switch (persistence) {
    case Persistence::keep_alive:
      break;
    case Persistence::keep_alive_stated:
      return "keep-alive";
    case Persistence::close:
      return "close";
  }
  return {};
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
  const Digits status(static_cast<std::size_t>(response.status));
  const Digits length(response.body.size());
  const std::string_view reason = reason_phrase(response.status);
  const std::string_view connection = connection_of(response.persistence);
  const auto write_head = [&](auto& head) {
    head.put("HTTP/1.1 ");
    head.put(status);
    head.put(" ");
    head.put(reason);
    head.put("\r\n");
    if (has_body && !response.content_type.empty()) {
      put_field(head, "Content-Type", response.content_type);
    }
    put_headers(head, response.headers);
    if (has_body) put_field(head, "Content-Length", length);
    if (!connection.empty()) put_field(head, "Connection", connection);
    head.put("\r\n");
  };
  append_message(out, has_body && !response.to_head ? response.body : "", write_head);
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
  const Digits length(request.body.size());
  const auto write_head = [&](auto& head) {
    head.put(request.method);
    head.put(" ");
    head.put(request.target);
    head.put(" HTTP/1.1\r\n");
    put_field(head, "Host", request.host);
    put_headers(head, request.headers);
    if (is_upload || !request.body.empty()) put_field(head, "Content-Length", length);
    if (request.close) put_field(head, "Connection", "close");
    head.put("\r\n");
  };
  append_message(out, request.body, write_head);
  return {};
}

}  // namespace consort::http1
