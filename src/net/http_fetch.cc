#include "net/http_fetch.hpp"

#include <coroutine>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/timer.hpp"
#include "wire/http1.hpp"
#include "wire/http1_text.hpp"

namespace consort::http {
namespace {

Errc code_of(ProxyError reason) {
  switch (reason) {
    case ProxyError::dns_timeout:
    case ProxyError::connection_timeout:
    case ProxyError::http_response_timeout:
      return Errc::timed_out;
    case ProxyError::dns_error:
    case ProxyError::destination_unavailable:
      return Errc::unavailable;
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
    case ProxyError::connection_limit_reached:
    case ProxyError::http_response_header_section_size:
    case ProxyError::http_response_body_size:
      return Errc::limit;
    default:
      return Errc::internal;
  }
}

bool is_idempotent(std::string_view method) {
  for (std::string_view each : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (method == each) return true;
  }
  return false;
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

/// The whole request in one buffer, ready to be sent.
Result<std::string> render(const ClientRequest& request, const Url& url) {
  const std::string target = url.target(request.target);
  std::string out;
  http1::RequestView view{.method = request.method,
                          .target = target,
                          .host = request.host.empty() ? url.host_header : request.host,
                          .headers = &request.headers,
                          .body = request.body};
  Result<> written = http1::append_request(out, view);
  if (!written) return fail(std::move(written.error()));
  return out;
}

/// Awaitable; destroying it while it waits cancels the call.
class [[nodiscard]] Asking final : private Call::Owner {
 public:
  Asking(Pool& pool, const CallRequest& request, std::size_t body_bytes_max, Deadline deadline)
      : pool_(pool),
        where_(pool.url().to_string()),
        request_(request),
        body_bytes_left_(body_bytes_max),
        deadline_(deadline),
        timer_(
            pool.loop().timers(), [](void* self) { static_cast<Asking*>(self)->expire(); }, this),
        call_(*this) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

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
    if (more > body_bytes_left_) return false;
    body_bytes_left_ -= more;
    return true;
  }
  void expire() {
    call_.cancel();
    result_.emplace(fail(Errc::timed_out, where_ + ": no answer in time"));
    wake();
  }
  /// The task may destroy this object.
  void wake() {
    timer_.cancel();
    task_.resume();
  }

  Pool& pool_;  ///< until the call is started
  const std::string where_;
  const CallRequest request_;
  std::size_t body_bytes_left_;
  const Deadline deadline_;
  std::coroutine_handle<> task_;
  std::optional<Result<Response>> result_;
  Timer timer_;
  Call call_;
};

}  // namespace

Task<Result<Response>> fetch(Pool& pool, ClientRequest request, Deadline deadline, Repeat repeat) {
  Result<std::string> bytes = render(request, pool.url());
  const std::string context = request.method + " " + pool.url().target(request.target);
  if (!bytes) co_return fail(std::move(bytes.error()).in(context));
  // It stands in the rendered bytes now.
  request.body = std::string();
  CallRequest raw;
  raw.method = request.method;
  raw.head = *bytes;
  raw.may_repeat = repeat == Repeat::allowed || is_idempotent(request.method);
  const std::size_t bytes_max = request.response_body_bytes_max;
  Result<Response> response = co_await Asking(pool, raw, bytes_max, deadline);
  if (!response) co_return fail(std::move(response.error()).in(context));
  co_return std::move(*response);
}

}  // namespace consort::http
