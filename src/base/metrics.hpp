// Counters, gauges and histograms that a loop updates for the price of a plain add, and that
// another thread renders as Prometheus text or OpenMetrics.
//
// A series is written by one thread only (its loop) and read by any: a relaxed load and store, no
// locked instruction. Series are created under a lock, live as long as the registry, and keep their
// rendered name and labels, so that a scrape only formats numbers.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace consort {

/// Monotonic. One writing thread.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. One writing thread.
class Gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t n) { set(value() + n); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Durations in log-linear buckets: 1, 2.5 and 5 of each decade from 1 us to 10 s. One writing
/// thread; observing costs two adds and one compare.
class LatencyHistogram {
 public:
  /// Upper bounds, inclusive, in nanoseconds; one more bucket counts what is above.
  static constexpr std::array<std::uint64_t, 22> kBoundsNs = {
      1'000,         2'500,         5'000,         10'000,        25'000,      50'000,
      100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
      10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
      1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
  static constexpr std::size_t kBuckets = kBoundsNs.size() + 1;

  void observe_ns(std::uint64_t ns) {
    buckets_[bucket_of(ns)].add();
    sum_ns_.add(ns);
  }
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  std::uint64_t sum_ns() const { return sum_ns_.value(); }

  /// Neighbouring bounds differ by a factor of two or more, so numbers of the same bit width fall
  /// into two buckets at most: a table finds the lower one, a compare decides.
  static constexpr std::size_t bucket_of(std::uint64_t ns) {
    const std::size_t low = kFirstBucket[static_cast<std::size_t>(std::bit_width(ns))];
    return low + (low < kBoundsNs.size() && ns > kBoundsNs[low] ? 1 : 0);
  }

 private:
  /// Per bit width, the bucket of the smallest number of that width.
  static constexpr std::array<std::uint8_t, 65> kFirstBucket = [] {
    std::array<std::uint8_t, 65> first{};
    for (std::size_t width = 1; width < first.size(); ++width) {
      const std::uint64_t smallest = std::uint64_t{1} << (width - 1);
      while (first[width] < kBoundsNs.size() && kBoundsNs[first[width]] < smallest) {
        ++first[width];
      }
    }
    return first;
  }();

  std::array<Counter, kBuckets> buckets_;
  Counter sum_ns_;
};

namespace metrics {
enum class Kind : std::uint8_t;
}

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Thread-safe. References it gives stay valid as long as it lives. Creating a series may wait for
/// a scrape (about 2 ms for 10 000 series): create at start and on change, not per message.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Names follow Prometheus' rules: a counter's ends in _total, seconds and bytes are base units.
  /// The same name and labels (in any order) give the same series. A name with two kinds, or that
  /// breaks the rules, is a CHECK; label values may be anything.
  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  LatencyHistogram& histogram(std::string_view name, std::string_view help, Labels labels = {});
  /// A value that is read at scrape time, for example from /proc; called on the scraping thread,
  /// and must not use the registry. The same name and labels again replace the function.
  void gauge_fn(std::string_view name, std::string_view help, Labels labels,
                std::function<double()> read);
  void counter_fn(std::string_view name, std::string_view help, Labels labels,
                  std::function<double()> read);

  enum class Format : std::uint8_t { prometheus_text, openmetrics };
  /// The value of the Content-Type header.
  static std::string_view content_type(Format format);
  /// Text exposition format 0.0.4, or OpenMetrics 1.0 with its "# EOF". Families and their series
  /// come in the order of their creation.
  std::string render(Format format) const;

 private:
  struct Family;

  Family& family(std::string_view name, std::string_view help, metrics::Kind kind);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Family>> families_;
};

}  // namespace consort
