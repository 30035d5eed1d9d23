#include "net/http_asking.hpp"

#include <utility>

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

}  // namespace

Asking::Asking(Pool& pool, const CallRequest& request, std::size_t answer_bytes_max,
               Deadline deadline)
    : pool_(pool),
      where_(pool.url().to_string()),
      request_(request),
      answer_bytes_left_(answer_bytes_max),
      deadline_(deadline),
      timer_(
          pool.loop().timers(), [](void* self) { static_cast<Asking*>(self)->expire(); }, this),
      call_(*this) {}

void Asking::await_suspend(std::coroutine_handle<> task) {
  task_ = task;
  timer_.arm_at(deadline_.at_ms);
  pool_.start(call_, request_);
}

Result<Response> Asking::await_resume() {
  // Every resumption has set it. NOLINTNEXTLINE(bugprone-unchecked-optional-access)
  return std::move(*result_);
}

void Asking::on_response(Call& call) {
  result_.emplace(to_response(call));
  wake();
}

void Asking::on_call_failed(Call&, CallFailure failure) {
  result_.emplace(fail(code_of(failure.reason), std::move(failure.text)));
  wake();
}

bool Asking::on_body_bytes(Call&, std::size_t more) {
  if (more > answer_bytes_left_) return false;
  answer_bytes_left_ -= more;
  return true;
}

void Asking::expire() {
  call_.cancel();
  result_.emplace(fail(Errc::timed_out, where_ + ": no answer in time"));
  wake();
}

/// The task may destroy this object.
void Asking::wake() {
  timer_.cancel();
  task_.resume();
}

}  // namespace consort::http
