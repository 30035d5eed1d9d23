// try_: unwrap a Result, or leave the enclosing task with its error. No macro, no exception.
//
//   Task<Result<Config>> load(std::string path) {
//     std::string text = co_await try_(read_file(path));  // Task<Result<std::string>>
//     co_return co_await try_(parse(text));               // Result<Config>
//   }
//
// How it leaves: the error becomes the enclosing task's own result, and whoever awaits that task is
// resumed. The enclosing task stays suspended at its try_ for ever; its locals are destroyed with
// it, when its Task is dropped: for an awaited temporary at the end of that expression.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "async/task.hpp"
#include "base/error.hpp"

namespace consort {

namespace detail {

/// A task that try_ can leave: its result can be made from an error.
template <class P>
concept LeavesWithError =
    requires(P& promise) { promise.return_value(tl::unexpected<Error>(Error(Errc::io, ""))); };

template <class P>
std::coroutine_handle<> leave_with(Error error, P& promise) {
  static_assert(LeavesWithError<P>, "try_ belongs in a task that returns a Result");
  promise.return_value(tl::unexpected<Error>(std::move(error)));
  return promise.next();
}

/// Costs nothing but the move of the value when there is one.
template <class T>
class [[nodiscard]] TryResult {
 public:
  explicit TryResult(Result<T> result) : result_(std::move(result)) {}

  bool await_ready() const noexcept { return result_.has_value(); }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> waiter) noexcept {
    return leave_with(std::move(result_.error()), waiter.promise());
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*result_);
  }

 private:
  Result<T> result_;
};

/// Starts the child with a say in who goes on at its end: the waiter, or (after an error) whoever
/// awaits the waiter. No frame of its own.
template <class T>
class [[nodiscard]] TryTask {
 public:
  explicit TryTask(Task<Result<T>> task)
      : task_(std::move(task)), child_(std::move(task_).operator co_await()) {}
  TryTask(const TryTask&) = delete;
  TryTask& operator=(const TryTask&) = delete;

  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> waiter) noexcept {
    waiter_ = waiter;
    return child_.start(&TryTask::template next<P>, this);
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*child_.result());
  }

 private:
  template <class P>
  static std::coroutine_handle<> next(void* context) noexcept {
    auto& self = *static_cast<TryTask*>(context);
    if (self.child_.result().has_value()) return self.waiter_;
    auto waiter = std::coroutine_handle<P>::from_address(self.waiter_.address());
    return leave_with(std::move(self.child_.result().error()), waiter.promise());
  }

  Task<Result<T>> task_;
  typename Task<Result<T>>::Awaiter child_;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail

template <class T>
detail::TryResult<T> try_(Result<T> result) {
  return detail::TryResult<T>(std::move(result));
}
template <class T>
detail::TryTask<T> try_(Task<Result<T>> task) {
  return detail::TryTask<T>(std::move(task));
}

}  // namespace consort
