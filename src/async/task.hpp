// Task<T>: a coroutine that starts when awaited and is cancelled by being dropped.
//
//   created --co_await--> running <--> suspended --co_return--> done --> awaiter resumed
//                 \________ ~Task at any point: the frame and all it awaits are destroyed (cancel)
//
// Lazy, move-only, one consumer, symmetric transfer (no stack growth). Errors are values: an
// exception that leaves a coroutine ends the process. Rules of use: CONVENTIONS, "Coroutines".
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.hpp"

namespace consort {

template <class T>
class Task;

namespace detail {

struct PromiseBase {
  /// Who goes on when this task has ended.
  using Next = std::coroutine_handle<> (*)(void* context) noexcept;

  std::coroutine_handle<> continuation = std::noop_coroutine();
  /// Decides instead of `continuation` when set: try_ skips the awaiting task after an error.
  Next choose = nullptr;
  void* choose_context = nullptr;

  std::coroutine_handle<> next() const noexcept {
    return choose == nullptr ? continuation : choose(choose_context);
  }

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> done) const noexcept {
      return done.promise().next();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  /// The default makes `co_return {};` mean a T of its own default.
  template <class U = T>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  /// Once the task has ended, which is when there is a value.
  T take() { return std::move(*value); }  // NOLINT(bugprone-unchecked-optional-access)
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(Handle handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
      handle_.promise().continuation = waiter;
      return handle_;
    }
    T await_resume() { return handle_.promise().take(); }

    /// For other awaiters: the handle to resume, with `choose` asked at the task's end.
    std::coroutine_handle<> start(detail::PromiseBase::Next choose, void* context) noexcept {
      handle_.promise().choose = choose;
      handle_.promise().choose_context = context;
      return handle_;
    }
    /// The value of a task that has ended.
    auto& result() noexcept {
      return *handle_.promise().value;  // NOLINT(bugprone-unchecked-optional-access): it has one.
    }

   private:
    Handle handle_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }

 private:
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}
}  // namespace detail

}  // namespace consort
