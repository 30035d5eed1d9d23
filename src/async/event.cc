#include "async/event.hpp"

#include <utility>

#include "base/check.hpp"

namespace consort {

Event::~Event() {
  if (waiter_ != nullptr) waiter_->event_ = nullptr;
}

void Event::set() {
  is_set_ = true;
  Wait* waiter = std::exchange(waiter_, nullptr);
  if (waiter == nullptr) return;
  // Either may be destroyed by what the task does; neither is touched afterwards.
  waiter->event_ = nullptr;
  waiter->task_.resume();
}

void Event::Wait::await_suspend(std::coroutine_handle<> task) noexcept {
  CHECK(event_->waiter_ == nullptr);
  task_ = task;
  event_->waiter_ = this;
}

}  // namespace consort
