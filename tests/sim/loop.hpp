// An event loop in virtual time: a second passes in microseconds, and every run is the same.
//
//   sim::SimLoop loop;
//   loop.post([&] { ... });
//   loop.settle();                        // all that is due now; the clock stands still
//   loop.run_for(500);                    // 500 virtual milliseconds, jumping from event to event
//   bool ok = loop.run_until([&] { return done; }, 10'000);
//
// One turn: events and posts that were due when it began, in order of (time, number), then due
// timers, then the turn hooks. Whatever these add is for the next turn.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "io/loop.hpp"

namespace consort::sim {

class SimLoop final : public io::Loop {
 public:
  /// Turns without the clock moving, before a test is ended as a busy loop.
  static constexpr int kTurnsPerMillisecondMax = 100'000;

  std::uint64_t now_ms() const override { return now_ms_; }
  std::uint64_t now_ns() const override { return now_ms_ * 1'000'000; }
  TimerQueue& timers() override { return timers_; }
  void add_turn_hook(io::TurnHook& hook) override { hooks_.push_back(&hook); }
  void remove_turn_hook(io::TurnHook& hook) override {
    std::replace(hooks_.begin(), hooks_.end(), &hook, static_cast<io::TurnHook*>(nullptr));
  }
  void post(std::function<void()> fn) override { at(now_ms_, std::move(fn)); }
  void stop() override { stopped_ = true; }

  /// Runs fn at a virtual time (at once when that is past), for peers and scripted events.
  void at(std::uint64_t at_ms, std::function<void()> fn) {
    events_.emplace(std::pair(std::max(at_ms, now_ms_), next_number_++), std::move(fn));
  }
  void after(std::uint64_t delay_ms, std::function<void()> fn) {
    at(now_ms_ + delay_ms, std::move(fn));
  }

  /// Everything that is due at the present moment, and what follows from it without delay.
  void settle() { run_to(now_ms_, nullptr); }
  /// Lets virtual time pass.
  void run_for(std::uint64_t ms) { run_to(now_ms_ + ms, nullptr); }
  /// Until done() holds after a turn (true), or limit_ms have passed or stop() was called.
  bool run_until(const std::function<bool()>& done, std::uint64_t limit_ms = 60'000) {
    run_to(now_ms_ + limit_ms, &done);
    return done();
  }
  bool stopped() const { return stopped_; }
  std::uint64_t turns() const { return turns_; }

 private:
  void run_to(std::uint64_t end_ms, const std::function<bool()>* done) {
    stopped_ = false;
    int turns_now = 0;
    turn();
    while (!stopped_ && !(done != nullptr && (*done)())) {
      std::uint64_t next = next_due();
      if (next > end_ms) {
        now_ms_ = end_ms;
        return;
      }
      if (next > now_ms_) {
        now_ms_ = next;
        turns_now = 0;
      }
      if (++turns_now > kTurnsPerMillisecondMax) die("the loop spins: time does not move on");
      turn();
    }
  }

  void turn() {
    ++turns_;
    std::uint64_t numbers_end = next_number_;
    while (!events_.empty()) {
      auto first = events_.begin();
      if (first->first.first > now_ms_ || first->first.second >= numbers_end) break;
      auto fn = std::move(first->second);
      events_.erase(first);
      fn();
    }
    if (timers_.next() <= now_ms_) timers_.fire(now_ms_);
    for (std::size_t i = 0, count = hooks_.size(); i < count; ++i) {
      if (hooks_[i] != nullptr) hooks_[i]->on_turn_end();
    }
    std::erase(hooks_, nullptr);
  }

  std::uint64_t next_due() const {
    std::uint64_t next = timers_.next();
    if (!events_.empty()) next = std::min(next, events_.begin()->first.first);
    return next;
  }

  [[noreturn]] static void die(const char* why) {
    std::fprintf(stderr, "simulation: %s\n", why);
    std::abort();
  }

  std::uint64_t now_ms_ = 1'000'000;  // not 0, so that "now - something" cannot hide a bug
  std::uint64_t next_number_ = 0;
  std::uint64_t turns_ = 0;
  bool stopped_ = false;
  // Ordered by time, then by the order of arrival.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::function<void()>> events_;
  TimerQueue timers_;
  std::vector<io::TurnHook*> hooks_;
};

}  // namespace consort::sim
