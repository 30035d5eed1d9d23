#include "manage/loop_watch.hpp"

#include <algorithm>
#include <utility>

namespace consort {

LoopWatch::LoopWatch(LoopGauges gauges) : gauges_(std::move(gauges)), last_(sample()) {}

std::chrono::milliseconds LoopWatch::busy_for() const {
  const std::uint64_t since = gauges_.busy_since_ns();
  const std::uint64_t now = gauges_.now_ns();
  // The turn may have begun after we looked at the clock.
  if (since == 0 || now <= since) return std::chrono::milliseconds{0};
  return std::chrono::milliseconds((now - since) / 1'000'000);
}

LoopWatch::Sample LoopWatch::sample() const {
  const std::uint64_t since = gauges_.busy_since_ns();
  const std::uint64_t now = gauges_.now_ns();
  const std::uint64_t under_way = since != 0 && now > since ? now - since : 0;
  return {.at_ns = now, .busy_ns = gauges_.busy_ns() + under_way};
}

double LoopWatch::utilization() {
  std::lock_guard lock(mutex_);
  const Sample now = sample();
  const std::uint64_t elapsed_ns = now.at_ns - last_.at_ns;
  if (elapsed_ns == 0 || (has_share_ && elapsed_ns < kSampleNs)) return share_;
  // A turn that ends between two reads is counted once too often; hence the bounds.
  const std::uint64_t busy_ns = now.busy_ns > last_.busy_ns ? now.busy_ns - last_.busy_ns : 0;
  share_ = std::min(1.0, static_cast<double>(busy_ns) / static_cast<double>(elapsed_ns));
  has_share_ = true;
  last_ = now;
  return share_;
}

}  // namespace consort
