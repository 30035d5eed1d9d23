// What a Registry holds, between its two halves: metrics.cc creates, metrics_render.cc prints.
//
//   Registry -> Family (name, help, kind) -> Series (rendered labels, one value)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.hpp"

namespace consort {
namespace metrics {

enum class Kind : std::uint8_t { counter, gauge, histogram };

/// One series; prints its samples.
class Series {
 public:
  virtual ~Series() = default;
  virtual void render(std::string& out) const = 0;
};

class CounterSeries final : public Series {
 public:
  explicit CounterSeries(std::string prefix) : prefix_(std::move(prefix)) {}
  void render(std::string& out) const override;
  Counter value;

 private:
  std::string prefix_;  ///< `name{labels} `
};

class GaugeSeries final : public Series {
 public:
  explicit GaugeSeries(std::string prefix) : prefix_(std::move(prefix)) {}
  void render(std::string& out) const override;
  Gauge value;

 private:
  std::string prefix_;
};

class FunctionSeries final : public Series {
 public:
  explicit FunctionSeries(std::string prefix) : prefix_(std::move(prefix)) {}
  void render(std::string& out) const override;
  std::function<double()> read;

 private:
  std::string prefix_;
};

class HistogramSeries final : public Series {
 public:
  HistogramSeries(std::string_view name, std::string_view labels);
  void render(std::string& out) const override;
  LatencyHistogram value;

 private:
  std::string bucket_prefix_;  ///< `name_bucket{labels,le="`
  std::string sum_prefix_;
  std::string count_prefix_;
};

/// `a="1",b="2"`, sorted by name, so that equal sets of labels are equal text. Values are escaped;
/// bytes that are not UTF-8 become U+FFFD.
std::string render_labels(Labels labels);
/// `name{labels} `, or `name ` without labels.
std::string sample_prefix(std::string_view name, std::string_view labels);

}  // namespace metrics

struct Registry::Family {
  std::string name;
  std::string help;
  metrics::Kind kind;
  std::vector<std::unique_ptr<metrics::Series>> series;
  std::map<std::string, metrics::Series*, std::less<>> by_labels;

  void render(std::string& out, Format format) const;
};

}  // namespace consort
