#include "base/metrics.hpp"

#include <doctest/doctest.h>

#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace consort {
namespace {

using Format = Registry::Format;

TEST_CASE("counters and gauges in both formats, families in order of creation") {
  Registry registry;
  registry.gauge("zebras", "How many.").set(-3);
  registry.counter("apples_total", "Eaten.", {{"kind", "red"}}).add(2);
  registry.counter("apples_total", "Eaten.", {{"kind", "green"}}).add();
  CHECK(registry.render(Format::prometheus_text) ==
        "# HELP zebras How many.\n"
        "# TYPE zebras gauge\n"
        "zebras -3\n"
        "# HELP apples_total Eaten.\n"
        "# TYPE apples_total counter\n"
        "apples_total{kind=\"red\"} 2\n"
        "apples_total{kind=\"green\"} 1\n");
  CHECK(registry.render(Format::openmetrics) ==
        "# HELP zebras How many.\n"
        "# TYPE zebras gauge\n"
        "zebras -3\n"
        "# HELP apples Eaten.\n"
        "# TYPE apples counter\n"
        "apples_total{kind=\"red\"} 2\n"
        "apples_total{kind=\"green\"} 1\n"
        "# EOF\n");
}

TEST_CASE("an empty registry renders, and the content types name the versions") {
  Registry registry;
  CHECK(registry.render(Format::prometheus_text).empty());
  CHECK(registry.render(Format::openmetrics) == "# EOF\n");
  CHECK(Registry::content_type(Format::prometheus_text) ==
        "text/plain; version=0.0.4; charset=utf-8");
  CHECK(Registry::content_type(Format::openmetrics) ==
        "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

TEST_CASE("the same name and labels give the same series, in any order of labels") {
  Registry registry;
  Counter& one = registry.counter("a_total", "A.", {{"x", "1"}, {"y", "2"}});
  Counter& same = registry.counter("a_total", "ignored", {{"y", "2"}, {"x", "1"}});
  Counter& other = registry.counter("a_total", "A.", {{"x", "1"}});
  CHECK(&one == &same);
  CHECK(&one != &other);
  CHECK(&registry.gauge("g", "G.") == &registry.gauge("g", "G."));
  CHECK(&registry.histogram("h_seconds", "H.") == &registry.histogram("h_seconds", "H."));
}

TEST_CASE("addresses stay while thousands of series are added") {
  Registry registry;
  Counter& first = registry.counter("n_total", "N.", {{"i", "first"}});
  std::vector<Counter*> all;
  for (int i = 0; i < 5000; ++i) {
    all.push_back(&registry.counter("n_total", "N.", {{"i", std::to_string(i)}}));
  }
  first.add(7);
  CHECK(&first == &registry.counter("n_total", "N.", {{"i", "first"}}));
  CHECK(all[42] == &registry.counter("n_total", "N.", {{"i", "42"}}));
  CHECK(registry.render(Format::prometheus_text).find("n_total{i=\"first\"} 7\n") !=
        std::string::npos);
}

TEST_CASE("help and label values are escaped, bytes that are not UTF-8 replaced") {
  Registry registry;
  registry.gauge("g", "a\\b\n\"c\"", {{"v", "q\"b\\n\n\xC3\xA4\xff"}}).set(1);
  const std::string sample = "g{v=\"q\\\"b\\\\n\\n\xC3\xA4\xEF\xBF\xBD\"} 1\n";
  CHECK(registry.render(Format::prometheus_text) ==
        "# HELP g a\\\\b\\n\"c\"\n# TYPE g gauge\n" + sample);
  CHECK(registry.render(Format::openmetrics) ==
        "# HELP g a\\\\b\\n\\\"c\\\"\n# TYPE g gauge\n" + sample + "# EOF\n");
}

TEST_CASE("functions are read at each scrape and can be replaced") {
  Registry registry;
  double value = 0.5;
  registry.gauge_fn("load", "Load.", {}, [&value] { return value; });
  registry.counter_fn("cpu_seconds_total", "CPU.", {{"mode", "user"}}, [] { return 1e21; });
  CHECK(registry.render(Format::prometheus_text) ==
        "# HELP load Load.\n# TYPE load gauge\nload 0.5\n"
        "# HELP cpu_seconds_total CPU.\n# TYPE cpu_seconds_total counter\n"
        "cpu_seconds_total{mode=\"user\"} 1e+21\n");
  value = std::numeric_limits<double>::infinity();
  CHECK(registry.render(Format::prometheus_text).find("load +Inf\n") != std::string::npos);
  value = -value;
  CHECK(registry.render(Format::prometheus_text).find("load -Inf\n") != std::string::npos);
  value = std::numeric_limits<double>::quiet_NaN();
  CHECK(registry.render(Format::prometheus_text).find("load NaN\n") != std::string::npos);
  registry.gauge_fn("load", "Load.", {}, [] { return 3.0; });
  CHECK(registry.render(Format::prometheus_text).find("load 3\n") != std::string::npos);
}

std::size_t bucket_by_search(std::uint64_t ns) {
  std::size_t i = 0;
  while (i < LatencyHistogram::kBoundsNs.size() && ns > LatencyHistogram::kBoundsNs[i]) ++i;
  return i;
}

TEST_CASE("the bucket table agrees with a linear search around every bound and power of two") {
  std::vector<std::uint64_t> points = {0, 1, ~std::uint64_t{0}};
  for (const std::uint64_t bound : LatencyHistogram::kBoundsNs) points.push_back(bound);
  for (int shift = 0; shift < 64; ++shift) points.push_back(std::uint64_t{1} << shift);
  for (const std::uint64_t point : points) {
    for (const std::uint64_t ns : {point - 1, point, point + 1}) {
      CAPTURE(ns);
      CHECK(LatencyHistogram::bucket_of(ns) == bucket_by_search(ns));
    }
  }
}

TEST_CASE("a histogram is cumulative, in seconds, and its count is the last bucket") {
  Registry registry;
  LatencyHistogram& histogram = registry.histogram("t_seconds", "T.", {{"op", "get"}});
  for (const std::uint64_t ns : {500U, 1000U, 1001U, 1'000'000'000U}) histogram.observe_ns(ns);
  histogram.observe_ns(60'000'000'000);
  const std::string text = registry.render(Format::openmetrics);
  auto has = [&text](std::string_view line) { return text.find(line) != std::string::npos; };
  CHECK(text.starts_with("# HELP t_seconds T.\n# TYPE t_seconds histogram\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"1e-06\"} 2\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"2.5e-06\"} 3\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"0.5\"} 3\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"1.0\"} 4\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"10.0\"} 4\n"));
  CHECK(has("t_seconds_bucket{op=\"get\",le=\"+Inf\"} 5\n"));
  CHECK(has("t_seconds_sum{op=\"get\"} 61.000002501\n"));
  CHECK(has("t_seconds_count{op=\"get\"} 5\n# EOF\n"));
}

TEST_CASE("the bounds as printed are the bounds as counted") {
  Registry registry;
  registry.histogram("t_seconds", "T.");
  const std::string text = registry.render(Format::prometheus_text);
  std::size_t at = 0;
  for (const std::uint64_t bound : LatencyHistogram::kBoundsNs) {
    constexpr std::string_view kLabel = "{le=\"";
    at = text.find(kLabel, at) + kLabel.size();
    double seconds = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), seconds);
    CHECK(seconds * 1e9 == doctest::Approx(static_cast<double>(bound)).epsilon(1e-12));
  }
  CHECK(text.find("t_seconds_sum 0\n") != std::string::npos);
}

}  // namespace
}  // namespace consort
