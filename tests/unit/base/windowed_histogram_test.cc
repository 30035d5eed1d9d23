#include "base/windowed_histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/random.hpp"

using namespace consort;

TEST_CASE("a value lies in a bucket whose bound is at most an eighth above it") {
  std::size_t last = 0;
  for (std::uint64_t us = 8; us < WindowedHistogram::kMaxUs; us += 1 + us / 97) {
    CAPTURE(us);
    const std::size_t bucket = WindowedHistogram::bucket_of(us);
    const std::uint64_t bound = WindowedHistogram::bound_of(bucket);
    REQUIRE(bucket < WindowedHistogram::kBuckets);
    REQUIRE(bucket >= last);
    REQUIRE(bound >= us);
    REQUIRE(bound <= us + us / 8);
    last = bucket;
  }
}

TEST_CASE("buckets have no gaps between them") {
  for (std::size_t bucket = 0; bucket + 2 < WindowedHistogram::kBuckets; ++bucket) {
    CAPTURE(bucket);
    const std::uint64_t bound = WindowedHistogram::bound_of(bucket);
    CHECK(WindowedHistogram::bucket_of(bound) == bucket);
    CHECK(WindowedHistogram::bucket_of(bound + 1) == bucket + 1);
  }
}

TEST_CASE("what is below 8 us or above 60 s is counted at the ends") {
  WindowedHistogram histogram;
  histogram.record(0, 0);
  CHECK(histogram.percentile_us(1, 0) == 8);
  histogram.record(UINT64_MAX, 0);
  histogram.record(WindowedHistogram::kMaxUs, 0);
  CHECK(histogram.count(0) == 3);
  CHECK(histogram.percentile_us(1, 0) == WindowedHistogram::kMaxUs);
  CHECK(histogram.percentile_us(0, 0) == 8);
}

TEST_CASE("without samples there is no percentile") {
  WindowedHistogram histogram;
  CHECK(histogram.count(5) == 0);
  CHECK_FALSE(histogram.percentile_us(0.5, 5));
  histogram.record(100, 5);
  histogram.clear();
  CHECK(histogram.count(5) == 0);
  CHECK_FALSE(histogram.percentile_us(0.5, 5));
}

TEST_CASE("a percentile is never below the exact one, and at most an eighth above it") {
  Random random(7);
  WindowedHistogram histogram;
  std::vector<std::uint64_t> samples;
  for (int i = 0; i < 5'000; ++i) {
    const std::uint64_t us = 50 + random.below(200) * random.below(1'000);
    samples.push_back(us);
    histogram.record(us, static_cast<std::uint64_t>(i));
  }
  std::ranges::sort(samples);
  for (std::size_t percent : {1U, 25U, 50U, 90U, 95U, 99U, 100U}) {
    CAPTURE(percent);
    const std::uint64_t exact = samples[samples.size() * percent / 100 - 1];
    const std::uint64_t found =
        histogram.percentile_us(static_cast<double>(percent) / 100, 5'000).value();
    CHECK(found >= exact);
    CHECK(found <= exact + exact / 8);
  }
}

TEST_CASE("samples are forgotten window by window") {
  WindowedHistogram histogram;
  for (std::uint64_t window = 0; window < 10; ++window) histogram.record(100, window * 3'000);
  CHECK(histogram.count(29'999) == 10);
  CHECK(histogram.count(30'000) == 9);
  CHECK(histogram.count(33'000) == 8);
  histogram.record(100, 33'000);
  CHECK(histogram.count(33'000) == 9);
  CHECK(histogram.count(56'999) == 2);
  CHECK(histogram.count(57'000) == 1);
  CHECK(histogram.count(63'000) == 0);
}

TEST_CASE("after a long silence nothing is left, and counting starts anew") {
  WindowedHistogram histogram;
  histogram.record(100, 1'000);
  CHECK(histogram.count(1'000'000'000) == 0);
  histogram.record(9'000, 1'000'000'000);
  CHECK(histogram.count(1'000'000'000) == 1);
  CHECK(histogram.percentile_us(0.5, 1'000'000'001).value() >= 9'000);
}

TEST_CASE("a sample that comes late is counted in the newest window") {
  WindowedHistogram histogram;
  histogram.record(100, 60'000);
  histogram.record(100, 10);
  CHECK(histogram.count(60'000) == 2);
  CHECK(histogram.count(90'000) == 0);
}

TEST_CASE("windows can be fewer and longer") {
  WindowedHistogram histogram({.count = 2, .each_ms = 10'000});
  histogram.record(100, 9'000);
  histogram.record(5'000, 19'000);
  CHECK(histogram.percentile_us(0.5, 19'999).value() < 120);
  CHECK(histogram.percentile_us(0.5, 20'000).value() >= 5'000);
  CHECK(histogram.count(30'000) == 0);
}
