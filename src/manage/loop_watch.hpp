// How busy the role's loop is, told from another thread: stalls for /livez, load for /loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>

namespace consort {

/// What a loop tells any thread about itself; io::UvLoop has all of it.
struct LoopGauges {
  std::function<std::uint64_t()> now_ns;         ///< monotonic
  std::function<std::uint64_t()> busy_since_ns;  ///< start of the turn under way; 0 while asleep
  std::function<std::uint64_t()> busy_ns;  ///< outside the kernel's sleep, finished turns only
  std::function<std::uint64_t()> turns;
};

/// Thread-safe.
class LoopWatch {
 public:
  /// Two readers within this time get the same share: a share of a few turns says nothing.
  static constexpr std::uint64_t kSampleNs = 1'000'000'000;

  explicit LoopWatch(LoopGauges gauges);

  /// How long the turn under way has lasted; 0 while the loop sleeps.
  std::chrono::milliseconds busy_for() const;
  std::uint64_t turns() const { return gauges_.turns(); }
  /// The share 0..1 of time spent working since the previous sample, at least kSampleNs ago.
  double utilization();

 private:
  struct Sample {
    std::uint64_t at_ns = 0;
    std::uint64_t busy_ns = 0;
  };
  Sample sample() const;

  LoopGauges gauges_;
  std::mutex mutex_;
  Sample last_;
  double share_ = 0;
  bool has_share_ = false;
};

}  // namespace consort
