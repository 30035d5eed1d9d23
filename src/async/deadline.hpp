// Deadlines as values that are passed down, and the two waits that end by one.
#pragma once

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <utility>

#include "async/task.hpp"
#include "async/timer.hpp"
#include "base/error.hpp"

namespace consort {

/// A moment on the loop's monotonic clock, in milliseconds. Computed once, where the budget is
/// known; every layer below gets the same moment instead of a timeout of its own.
struct Deadline {
  std::uint64_t at_ms = TimerQueue::kNever;

  static constexpr Deadline never() { return {}; }
  /// A negative wait has passed already; one beyond the clock's range is never.
  static constexpr Deadline after(std::uint64_t now_ms, std::chrono::milliseconds wait) {
    const auto wait_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(wait.count(), 0));
    return {wait_ms > TimerQueue::kNever - now_ms ? TimerQueue::kNever : now_ms + wait_ms};
  }

  constexpr bool is_never() const { return at_ms == TimerQueue::kNever; }
  constexpr bool passed(std::uint64_t now_ms) const { return !is_never() && at_ms <= now_ms; }
  /// What is left: 0 once it has passed, the longest duration there is when it never does.
  constexpr std::chrono::milliseconds left(std::uint64_t now_ms) const {
    constexpr auto kMax = std::chrono::milliseconds::max();
    if (is_never()) return kMax;
    const std::uint64_t left_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return left_ms >= static_cast<std::uint64_t>(kMax.count()) ? kMax
                                                               : std::chrono::milliseconds(left_ms);
  }
  /// The earlier of two: a layer may only shorten what it was given.
  friend constexpr Deadline earlier(Deadline a, Deadline b) { return {std::min(a.at_ms, b.at_ms)}; }
  friend constexpr bool operator==(Deadline, Deadline) = default;
};

/// Awaitable. A time already past is waited for until the queue's next fire(), so that a loop of
/// sleeps cannot starve the event loop; kNever waits until it is dropped.
class [[nodiscard]] SleepUntil {
 public:
  SleepUntil(TimerQueue& queue, std::uint64_t at_ms)
      : timer_(queue, &SleepUntil::wake, this), at_ms_(at_ms) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    timer_.arm_at(at_ms_);
  }
  void await_resume() const noexcept {}

 private:
  static void wake(void* context) { static_cast<SleepUntil*>(context)->waiter_.resume(); }

  Timer timer_;
  std::uint64_t at_ms_;
  std::coroutine_handle<> waiter_;
};

inline SleepUntil sleep_until(TimerQueue& queue, std::uint64_t at_ms) {
  return SleepUntil(queue, at_ms);
}

namespace detail {

/// A task against a timer: whichever ends first resumes the waiter, the other is dropped.
template <class T>
class RaceWithTimer {
 public:
  RaceWithTimer(TimerQueue& queue, std::uint64_t at_ms, Task<T> task)
      : timer_(queue, &RaceWithTimer::expire, this),
        at_ms_(at_ms),
        task_(std::move(task)),
        runner_(std::move(*task_).operator co_await()) {}

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    timer_.arm_at(at_ms_);
    return runner_.await_suspend(waiter);
  }
  /// Nothing when the timer won.
  std::optional<T> await_resume() {
    timer_.cancel();
    if (!task_) return std::nullopt;
    return runner_.await_resume();
  }

 private:
  static void expire(void* context) {
    auto& self = *static_cast<RaceWithTimer*>(context);
    // Dropped before the waiter goes on, so that a retry never overlaps with what it retries.
    self.task_.reset();
    self.waiter_.resume();
  }

  Timer timer_;
  std::uint64_t at_ms_;
  std::optional<Task<T>> task_;
  typename Task<T>::Awaiter runner_;
  std::coroutine_handle<> waiter_;
};

}  // namespace detail

/// The task's result, or Errc::timed_out once the deadline has passed; the task is cancelled then.
/// A task that finishes without waiting wins even over a deadline in the past.
template <class T>
Task<Result<T>> with_deadline(TimerQueue& queue, Deadline deadline, Task<Result<T>> task) {
  auto result = co_await detail::RaceWithTimer<Result<T>>(queue, deadline.at_ms, std::move(task));
  if (!result) co_return fail(Errc::timed_out, "the deadline passed");
  co_return std::move(*result);
}

}  // namespace consort
