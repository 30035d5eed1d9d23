#include "base/metrics.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/metrics_series.hpp"

namespace consort {
namespace {

using metrics::Kind;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_label_name(std::string_view name) {
  return !name.empty() && is_letter(name[0]) &&
         std::ranges::all_of(name, [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool is_metric_name(std::string_view name, Kind kind) {
  return is_label_name(name) && (kind == Kind::counter) == name.ends_with("_total");
}

bool are_label_names(const Labels& labels, Kind kind) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : labels) {
    if (!is_label_name(name) || name.starts_with("__")) return false;
    // The histogram puts its own le.
    if (kind == Kind::histogram && name == "le") return false;
    names.push_back(name);
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

/// The family's series with these labels, made by make(labels) when it is new.
template <class S, class Family, class Make>
S& find_or_add(Family& family, Labels labels, Make make) {
  CHECK(are_label_names(labels, family.kind));
  std::string text = metrics::render_labels(std::move(labels));
  const auto known = family.by_labels.find(text);
  if (known != family.by_labels.end()) {
    // A counter and a counter_fn of one name and labels would be two values of one thing.
    auto* series = dynamic_cast<S*>(known->second);
    CHECK(series != nullptr);
    return *series;
  }
  auto made = make(text);
  S& series = *made;
  family.series.push_back(std::move(made));
  family.by_labels.emplace(std::move(text), &series);
  return series;
}

template <class S, class Family>
S& find_or_add_plain(Family& family, Labels labels) {
  return find_or_add<S>(family, std::move(labels), [&family](std::string_view text) {
    return std::make_unique<S>(metrics::sample_prefix(family.name, text));
  });
}

}  // namespace

Registry::Registry() = default;
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  Family& in = family(name, help, Kind::counter);
  return find_or_add_plain<metrics::CounterSeries>(in, std::move(labels)).value;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  Family& in = family(name, help, Kind::gauge);
  return find_or_add_plain<metrics::GaugeSeries>(in, std::move(labels)).value;
}

LatencyHistogram& Registry::histogram(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  Family& in = family(name, help, Kind::histogram);
  auto make = [&in](std::string_view text) {
    return std::make_unique<metrics::HistogramSeries>(in.name, text);
  };
  return find_or_add<metrics::HistogramSeries>(in, std::move(labels), make).value;
}

void Registry::gauge_fn(std::string_view name, std::string_view help, Labels labels,
                        std::function<double()> read) {
  CHECK(read != nullptr);
  const std::lock_guard lock(mutex_);
  Family& in = family(name, help, Kind::gauge);
  find_or_add_plain<metrics::FunctionSeries>(in, std::move(labels)).read = std::move(read);
}

void Registry::counter_fn(std::string_view name, std::string_view help, Labels labels,
                          std::function<double()> read) {
  CHECK(read != nullptr);
  const std::lock_guard lock(mutex_);
  Family& in = family(name, help, Kind::counter);
  find_or_add_plain<metrics::FunctionSeries>(in, std::move(labels)).read = std::move(read);
}

Registry::Family& Registry::family(std::string_view name, std::string_view help, Kind kind) {
  // Linear in families, of which a role has some dozens; series are found by a map.
  const auto known = std::ranges::find_if(
      families_, [name](const std::unique_ptr<Family>& each) { return each->name == name; });
  if (known != families_.end()) {
    CHECK((*known)->kind == kind);
    return **known;
  }
  CHECK(is_metric_name(name, kind));
  families_.push_back(
      std::make_unique<Family>(Family{std::string(name), std::string(help), kind, {}, {}}));
  return *families_.back();
}

}  // namespace consort
