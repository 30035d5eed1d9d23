#include "net/http_exchange.hpp"

#include <string>
#include <utility>

#include "async/try.hpp"
#include "net/http_asking.hpp"
#include "wire/http1_text.hpp"

namespace consort::http {
namespace {

/// To the empty line.
Result<std::string> render(const RequestHead& head, std::size_t body_bytes) {
  if (!http1::is_token(head.method)) return fail(Errc::invalid, "the method is not a token");
  if (!http1::is_target(head.target)) return fail(Errc::invalid, "the target is malformed");
  if (!http1::is_host(head.host)) return fail(Errc::invalid, "the host is malformed");
  std::string out;
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\nHost: ");
  out.append(head.host).append("\r\n");
  for (const auto& [name, value] : *head.headers) {
    if (http1::equals_ignoring_case(name, "host")) continue;
    if (!http1::is_token(name) || !http1::is_field_value(value)) {
      return fail(Errc::invalid, "the header " + name.substr(0, 64) + " holds a control byte");
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (body_bytes != 0 || head.method == "PUT" || head.method == "POST") {
    out.append("Content-Length: ").append(std::to_string(body_bytes)).append("\r\n");
  }
  return out.append("\r\n");
}

/// A task is lazy, so what the head points to has to be read before there is one.
Task<Result<Response>> send(Pool& pool, std::string method, Result<std::string> head,
                            std::string_view body, std::size_t answer_bytes_max, Deadline deadline,
                            Repeat repeat) {
  const std::string text = co_await try_(std::move(head));
  CallRequest request;
  request.method = method;
  request.head = text;
  request.body = body;
  request.may_repeat = repeat == Repeat::allowed || (method != "POST" && method != "PATCH");
  co_return co_await Asking(pool, request, answer_bytes_max, deadline);
}

}  // namespace

Task<Result<Response>> exchange(Pool& pool, const RequestHead& head, std::string_view body,
                                Deadline deadline, Repeat repeat) {
  return send(pool, std::string(head.method), render(head, body.size()), body,
              head.answer_bytes_max, deadline, repeat);
}

}  // namespace consort::http
