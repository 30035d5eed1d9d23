// Many events in a row, one telling: who writes a file causes a dozen events within milliseconds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "async/timer.hpp"
#include "io/loop.hpp"

namespace consort::io {

/// Tells after kQuietMs without a further event, at the latest kLongestMs after the first one: a
/// file that is appended to without end is told of all the same. Belongs to the loop's thread.
class Burst {
 public:
  static constexpr std::uint64_t kQuietMs = 100;
  static constexpr std::uint64_t kLongestMs = 1000;

  /// `told` may destroy this object.
  Burst(Loop& loop, Timer::Callback told, void* owner)
      : loop_(loop), timer_(loop.timers(), told, owner) {}

  void add() {
    const std::uint64_t now_ms = loop_.now_ms();
    if (!timer_.armed()) began_ms_ = now_ms;
    timer_.arm_at(std::min(now_ms + kQuietMs, began_ms_ + kLongestMs));
  }
  /// Tells in the next turn, unless an event comes before.
  void tell_soon() {
    began_ms_ = loop_.now_ms();
    timer_.arm_at(began_ms_);
  }

 private:
  Loop& loop_;
  Timer timer_;
  std::uint64_t began_ms_ = 0;
};

}  // namespace consort::io
