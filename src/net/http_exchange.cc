#include "net/http_exchange.hpp"

#include <coroutine>
#include <optional>
#include <string>
#include <utility>

#include "async/timer.hpp"
#include "async/try.hpp"
#include "wire/http1_text.hpp"

namespace consort::http {
namespace {

Errc code_of(ProxyError reason) {
  switch (reason) {
    case ProxyError::dns_timeout:
    case ProxyError::connection_timeout:
    case ProxyError::http_response_timeout:
      return Errc::timed_out;
    case ProxyError::connection_refused:
      return Errc::refused;
    case ProxyError::connection_terminated:
    case ProxyError::http_response_incomplete:
      return Errc::closed;
    case ProxyError::http_protocol_error:
    case ProxyError::tls_protocol_error:
      return Errc::protocol;
    case ProxyError::tls_certificate_error:
      return Errc::denied;
    case ProxyError::http_response_header_section_size:
    case ProxyError::http_response_body_size:
      return Errc::limit;
    default:
      return Errc::unavailable;
  }
}

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

Response to_response(Call& call) {
  Response response;
  response.status = call.status();
  response.content_type = call.header("content-type");
  const http1::ResponseHead& head = call.head();
  response.headers.reserve(head.size());
  for (std::size_t i = 0; i < head.size(); ++i) {
    response.headers.emplace_back(http1::to_lower(head[i].name), head[i].value);
  }
  response.body = call.take_body();
  return response;
}

/// Awaitable; destroying it while it waits cancels the call.
class [[nodiscard]] Exchange final : private Call::Owner {
 public:
  Exchange(Pool& pool, const CallRequest& request, std::size_t answer_bytes_max, Deadline deadline)
      : pool_(pool),
        request_(request),
        answer_bytes_left_(answer_bytes_max),
        deadline_(deadline),
        timer_(pool.loop().timers(), &Exchange::expire, this),
        call_(*this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task) {
    task_ = task;
    timer_.arm_at(deadline_.at_ms);
    pool_.start(call_, request_);
  }
  Result<Response> await_resume() {
    // Every resumption has set it. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
    return std::move(*result_);
  }

 private:
  void on_response(Call& call) override {
    result_.emplace(to_response(call));
    wake();
  }
  void on_call_failed(Call&, CallFailure failure) override {
    result_.emplace(fail(code_of(failure.reason), std::move(failure.text)));
    wake();
  }
  bool on_body_bytes(Call&, std::size_t more) override {
    if (more > answer_bytes_left_) return false;
    answer_bytes_left_ -= more;
    return true;
  }
  static void expire(void* context) {
    auto& self = *static_cast<Exchange*>(context);
    self.call_.cancel();
    self.result_.emplace(
        fail(Errc::timed_out, self.pool_.url().to_string() + ": no answer in time"));
    self.wake();
  }
  /// The task may destroy this object.
  void wake() {
    timer_.cancel();
    task_.resume();
  }

  Pool& pool_;
  const CallRequest request_;
  std::size_t answer_bytes_left_;
  const Deadline deadline_;
  std::coroutine_handle<> task_;
  std::optional<Result<Response>> result_;
  Timer timer_;
  Call call_;
};

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
  co_return co_await Exchange(pool, request, answer_bytes_max, deadline);
}

}  // namespace

Task<Result<Response>> exchange(Pool& pool, const RequestHead& head, std::string_view body,
                                Deadline deadline, Repeat repeat) {
  return send(pool, std::string(head.method), render(head, body.size()), body,
              head.answer_bytes_max, deadline, repeat);
}

}  // namespace consort::http
