// The latencies of the last seconds, to read a percentile from: what is older is forgotten a window
// at a time.
//
//     us   8  9 .. 15 | 16 18 .. 30 | 32 36 .. 60 | ... | 2^25 .. 60 s | 60 s and above
//          8 buckets    8 buckets     8 buckets     ...   7 buckets      1 bucket
//
// Log-linear: eight buckets per power of two, so that a percentile is at most 12.5 % too high and
// never too low. Up to 15 us a bucket is one microsecond wide, and what is below 8 us counts as 8.
//
// Cost: record() 5 ns, no allocation after the first. percentile_us() adds up all windows (0.4 us
// for ten): a hot path keeps the answer for a window, as roles/gather/hedge_policy.hpp does.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace consort {

/// Belongs to one thread. Time is given and should not run backwards: what comes late is counted in
/// the newest window.
class WindowedHistogram {
 public:
  /// At and above this nothing is told apart: percentile_us() then answers kMaxUs.
  static constexpr std::uint64_t kMaxUs = 60'000'000;
  static constexpr std::size_t kBuckets = 23 * 8;

  /// How many windows there are, and how long each is. The answers cover the newest one, which is
  /// not full yet, and the others. Memory: 736 bytes per window, taken by the first record().
  struct Windows {
    std::uint32_t count = 10;
    std::uint32_t each_ms = 3'000;
  };

  WindowedHistogram() : WindowedHistogram(Windows{}) {}
  explicit WindowedHistogram(Windows windows);

  void record(std::uint64_t us, std::uint64_t now_ms);
  /// Samples that are not forgotten yet.
  std::uint64_t count(std::uint64_t now_ms);
  /// The smallest bound that a share p (0..1) of the samples does not exceed; none without samples.
  std::optional<std::uint64_t> percentile_us(double p, std::uint64_t now_ms);
  /// Forgets everything.
  void clear();

  static constexpr std::size_t bucket_of(std::uint64_t us) {
    if (us >= kMaxUs) return kBuckets - 1;
    if (us < 8) return 0;
    // The three bits below the highest one choose among the eight buckets of a power of two.
    const auto shift = static_cast<unsigned>(std::bit_width(us) - 4);
    return shift * 8 + static_cast<std::size_t>(us >> shift) - 8;
  }
  /// The largest value of a bucket.
  static constexpr std::uint64_t bound_of(std::size_t bucket) {
    if (bucket >= bucket_of(kMaxUs - 1)) return kMaxUs;
    return ((bucket % 8 + 9) << (bucket / 8)) - 1;
  }

 private:
  void advance(std::uint64_t now_ms);
  std::uint32_t* window(std::uint64_t number) {
    return counts_.get() + number % windows_.count * kBuckets;
  }

  Windows windows_;
  std::uint64_t newest_ = 0;  ///< number of the newest window: its time over each_ms
  std::uint64_t total_ = 0;
  std::unique_ptr<std::uint32_t[]> counts_;  ///< kBuckets for each window
};

}  // namespace consort
