// The event loop as everything above io/ sees it; io/uv is the real one, tests/sim a virtual one.
#pragma once

#include <cstdint>
#include <functional>

#include "async/timer.hpp"

namespace consort::io {

/// Told once per turn, after all of the turn's events and before the loop sleeps.
class TurnHook {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnHook() = default;
};

/// One loop belongs to one thread; only post() may be called from others.
class Loop {
 public:
  virtual ~Loop() = default;

  /// Monotonic milliseconds, read once per turn.
  virtual std::uint64_t now_ms() const = 0;
  /// Monotonic nanoseconds, read at the call: for measuring, not for deadlines.
  virtual std::uint64_t now_ns() const = 0;
  virtual TimerQueue& timers() = 0;
  /// The hook must outlive the loop or be removed; adding one during a turn end takes effect next.
  virtual void add_turn_hook(TurnHook& hook) = 0;
  virtual void remove_turn_hook(TurnHook& hook) = 0;
  /// Runs fn on the loop's thread, soon. The only member that other threads may call.
  virtual void post(std::function<void()> fn) = 0;
  virtual void stop() = 0;
};

}  // namespace consort::io
