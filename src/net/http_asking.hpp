// One call of a pool, awaited: what fetch() and exchange() have in common. Only for these.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <string>

#include "async/deadline.hpp"
#include "async/timer.hpp"
#include "base/error.hpp"
#include "net/http_message.hpp"
#include "net/http_pool.hpp"

namespace consort::http {

/// Awaitable; destroying it while it waits cancels the call. What the request points to stays until
/// then. The pool may go once the call is started: then it ends at its deadline.
class [[nodiscard]] Asking final : private Call::Owner {
 public:
  Asking(Pool& pool, const CallRequest& request, std::size_t answer_bytes_max, Deadline deadline);
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> task);
  Result<Response> await_resume();

 private:
  void on_response(Call& call) override;
  void on_call_failed(Call& call, CallFailure failure) override;
  bool on_body_bytes(Call& call, std::size_t more) override;
  void expire();
  void wake();

  Pool& pool_;  ///< until the call is started
  const std::string where_;
  const CallRequest request_;
  std::size_t answer_bytes_left_;
  const Deadline deadline_;
  std::coroutine_handle<> task_;
  std::optional<Result<Response>> result_;
  Timer timer_;
  Call call_;
};

}  // namespace consort::http
