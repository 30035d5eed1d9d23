#include "base/windowed_histogram.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.hpp"

namespace consort {

WindowedHistogram::WindowedHistogram(Windows windows) : windows_(windows) {
  CONSORT_CHECK(windows.count > 0 && windows.each_ms > 0);
}

void WindowedHistogram::record(std::uint64_t us, std::uint64_t now_ms) {
  advance(now_ms);
  if (!counts_) counts_ = std::make_unique<std::uint32_t[]>(windows_.count * kBuckets);
  ++window(newest_)[bucket_of(us)];
  ++total_;
}

std::uint64_t WindowedHistogram::count(std::uint64_t now_ms) {
  advance(now_ms);
  return total_;
}

std::optional<std::uint64_t> WindowedHistogram::percentile_us(double p, std::uint64_t now_ms) {
  advance(now_ms);
  if (total_ == 0) return std::nullopt;
  // Window by window, so that the compiler adds several buckets at a time.
  std::array<std::uint64_t, kBuckets> sums{};
  for (std::uint32_t i = 0; i < windows_.count; ++i) {
    const std::uint32_t* counts = window(i);
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) sums[bucket] += counts[bucket];
  }
  const double share = std::clamp(p, 0.0, 1.0) * static_cast<double>(total_);
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += sums[bucket];
    if (seen >= rank) return bound_of(bucket);
  }
  return kMaxUs;
}

void WindowedHistogram::clear() {
  if (counts_) std::fill_n(counts_.get(), windows_.count * kBuckets, 0U);
  total_ = 0;
}

void WindowedHistogram::advance(std::uint64_t now_ms) {
  const std::uint64_t number = now_ms / windows_.each_ms;
  if (number <= newest_) return;
  const std::uint64_t stale = std::min<std::uint64_t>(number - newest_, windows_.count);
  newest_ = number;
  if (total_ == 0) return;
  for (std::uint64_t i = 0; i < stale; ++i) {
    std::uint32_t* counts = window(number - i);
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) total_ -= counts[bucket];
    std::fill_n(counts, kBuckets, 0U);
  }
}

}  // namespace consort
