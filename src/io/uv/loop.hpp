// The real event loop: libuv under our timers, posts and turn hooks.
//
// One turn:
//
//   sleep in the kernel -> sockets, signals, posts -> due timers -> turn hooks -> sleep
//                          ^ busy_since_ns is set                   ^ and cleared
//
// Hooks run once, after the timers, so that what sockets and timers produced leaves in one flush.
// Cost per turn: two clock reads of ours. An idle loop never wakes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/metrics.hpp"
#include "io/loop.hpp"

struct uv_loop_s;

namespace consort::io {

/// Belongs to the thread that calls run(); post(), busy_since_ns(), busy_ns() and turns() are for
/// any thread. Streams, listeners, watchers and timers must be gone before the loop is.
class UvLoop final : public Loop {
 public:
  static constexpr std::size_t kReadBufferBytes = 256 * 1024;

  /// Ends the process with a clear line when the system has no descriptors or memory for a loop.
  UvLoop();
  ~UvLoop() override;
  UvLoop(const UvLoop&) = delete;
  UvLoop& operator=(const UvLoop&) = delete;

  /// Turns until stop(), also when nothing is left to wait for: a server idles, it does not end.
  /// A stop() before it makes it return after one turn.
  void run();
  void stop() override;

  std::uint64_t now_ms() const override;
  std::uint64_t now_ns() const override;
  TimerQueue& timers() override { return timers_; }
  void add_turn_hook(TurnHook& hook) override;
  void remove_turn_hook(TurnHook& hook) override;
  void post(std::function<void()> fn) override;

  /// When the turn under way began (now_ns), 0 while sleeping: a value that stays is a stall.
  std::uint64_t busy_since_ns() const { return busy_since_ns_.load(std::memory_order_relaxed); }
  /// Time spent outside the kernel's sleep since the start, and the number of turns.
  std::uint64_t busy_ns() const { return busy_ns_.value(); }
  std::uint64_t turns() const { return turns_.value(); }
  std::uint64_t started_ns() const { return started_ns_; }
  /// Where turn durations go; must outlive the loop. Set before run().
  void set_turn_histogram(LatencyHistogram* histogram) { turn_histogram_ = histogram; }

  /// For the rest of io/: what every callback of libuv calls first.
  void enter_turn() {
    if (turn_began_ns_ == 0) begin_turn();
  }
  uv_loop_s* raw();
  /// kReadBufferBytes that every stream of the loop reads into; allocated when first used.
  char* read_buffer();

 private:
  struct Handles;

  void begin_turn();
  void end_turn();
  void run_hooks();
  void run_posts();
  void arm_timer();

  // The handles outlive nothing below: the destructor closes them first.
  std::unique_ptr<Handles> handles_;
  TimerQueue timers_;
  std::uint64_t alarm_at_ms_ = TimerQueue::kNever;
  std::uint64_t armed_at_ms_ = TimerQueue::kNever;

  std::vector<TurnHook*> hooks_;
  bool in_hooks_ = false;
  bool stopped_ = false;  // run() is in its last turn end

  std::mutex posts_mutex_;
  std::vector<std::function<void()>> posts_;

  std::unique_ptr<char[]> read_buffer_;

  std::uint64_t started_ns_ = 0;
  std::uint64_t turn_began_ns_ = 0;
  std::atomic<std::uint64_t> busy_since_ns_{0};
  Counter busy_ns_;
  Counter turns_;
  LatencyHistogram* turn_histogram_ = nullptr;
};

}  // namespace consort::io
