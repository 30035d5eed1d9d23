// How many requests are answered at a time; the others wait in line for a moment, then are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "async/task.hpp"
#include "base/metrics.hpp"

namespace consort::gather {

/// First come, first served. Belongs to the role's loop and outlives its passes.
class Admission {
 public:
  /// Held while a request is answered.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(admission_, other.admission_);
      return *this;
    }
    ~Pass() {
      if (admission_ != nullptr) admission_->leave();
    }
    explicit operator bool() const { return admission_ != nullptr; }

   private:
    friend class Admission;
    explicit Pass(Admission& admission) : admission_(&admission) {}
    Admission* admission_ = nullptr;
  };

  Admission(TimerQueue& timers, std::size_t inside_max, Gauge& inside, Gauge& queued)
      : timers_(timers), inside_max_(inside_max), inside_gauge_(inside), queued_gauge_(queued) {}

  /// A pass at once, or when one becomes free before the deadline; else an empty one. As many wait
  /// as may be inside.
  Task<Pass> enter(Deadline deadline);
  /// For good: those in the line are not let in any more.
  void close() { inside_max_ = 0; }
  /// More than before: those in the line come in at once.
  void set_max(std::size_t inside_max);
  std::size_t inside() const { return inside_; }

 private:
  struct Waiter;

  void leave();
  bool call_next();
  void tell();
  static Task<Result<>> wait(Event& event);

  TimerQueue& timers_;
  std::size_t inside_max_;
  Gauge& inside_gauge_;
  Gauge& queued_gauge_;
  std::size_t inside_ = 0;
  std::deque<Waiter*> waiters_;
};

}  // namespace consort::gather
