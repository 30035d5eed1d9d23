#include "roles/gather/admission.hpp"

#include <algorithm>

namespace consort::gather {

/// In the line from birth until it is called or dies; once called, the place is taken for it.
struct Admission::Waiter {
  explicit Waiter(Admission& of) : admission(of) { admission.waiters_.push_back(this); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (!was_called) std::erase(admission.waiters_, this);
    admission.tell();
  }

  Admission& admission;
  Event event;
  bool was_called = false;
};

Task<Result<>> Admission::wait(Event& event) {
  co_await event.wait();
  co_return Result<>();
}

Task<Admission::Pass> Admission::enter(Deadline deadline) {
  if (inside_ < inside_max_ && waiters_.empty()) {
    ++inside_;
    tell();
    co_return Pass(*this);
  }
  if (waiters_.size() >= inside_max_) co_return Pass();
  Waiter waiter(*this);
  tell();
  Task<Result<>> called = wait(waiter.event);
  Result<> done = co_await with_deadline(timers_, deadline, std::move(called));
  // Told by the flag: the call may come in the moment in which the time is over.
  if (waiter.was_called) co_return Pass(*this);
  co_return Pass();
}

void Admission::leave() {
  --inside_;
  if (!call_next()) tell();
}

void Admission::set_max(std::size_t inside_max) {
  inside_max_ = inside_max;
  while (call_next()) {
  }
}

/// False when nobody waits, or there is no place.
bool Admission::call_next() {
  if (waiters_.empty() || inside_ >= inside_max_) return false;
  Waiter* next = waiters_.front();
  waiters_.pop_front();
  next->was_called = true;
  ++inside_;
  // Last: it runs the waiter, which may end and leave again.
  next->event.set();
  return true;
}

void Admission::tell() {
  inside_gauge_.set(static_cast<std::int64_t>(inside_));
  queued_gauge_.set(static_cast<std::int64_t>(waiters_.size()));
}

}  // namespace consort::gather
