// Event: one task waits until another part of the program says so.
#pragma once

#include <coroutine>
#include <utility>

namespace consort {

/// A flag that one task at a time can wait for. It stays set until reset(): once set, every wait
/// passes without suspending. An Event that dies leaves its waiter waiting until it is dropped.
/// Belongs to one thread.
class Event {
 public:
  class Wait;

  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();

  /// `co_await event.wait();` A second waiter at the same time is a CHECK.
  Wait wait();
  /// Runs the waiter before it returns, on the caller's stack; that may destroy the Event.
  void set();
  void reset() { is_set_ = false; }
  bool is_set() const { return is_set_; }
  bool has_waiter() const { return waiter_ != nullptr; }

 private:
  Wait* waiter_ = nullptr;
  bool is_set_ = false;
};

class Event::Wait {
 public:
  explicit Wait(Event& event) : event_(&event) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() {
    if (event_ != nullptr && event_->waiter_ == this) event_->waiter_ = nullptr;
  }

  bool await_ready() const noexcept { return event_->is_set_; }
  void await_suspend(std::coroutine_handle<> task) noexcept;
  void await_resume() const noexcept {}

 private:
  friend class Event;
  Event* event_;
  std::coroutine_handle<> task_;
};

inline Event::Wait Event::wait() {
  return Wait(*this);
}

}  // namespace consort
