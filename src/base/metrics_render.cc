// Prometheus text 0.0.4 and OpenMetrics 1.0. They differ in the header lines of a counter (the
// latter names the family without _total), in the quotes of HELP and in the final "# EOF".
// prometheus.io/docs/instrumenting/exposition_formats,
// prometheus.io/docs/specs/om/open_metrics_spec
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/metrics_series.hpp"
#include "base/utf8.hpp"

namespace consort {
namespace metrics {
namespace {

/// kBoundsNs in seconds, as OpenMetrics wants a `le` written: the label is text, and the same
/// bound must read the same in every scrape and format.
constexpr std::array<std::string_view, LatencyHistogram::kBuckets> kBounds = {
    "1e-06",  "2.5e-06", "5e-06",  "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025",
    "0.0005", "0.001",   "0.0025", "0.005", "0.01",    "0.025", "0.05",   "0.1",
    "0.25",   "0.5",     "1.0",    "2.5",   "5.0",     "10.0",  "+Inf"};

template <class N>
void append_number(std::string& out, N number) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_real(std::string& out, double number) {
  if (std::isnan(number)) {
    out += "NaN";
  } else if (std::isinf(number)) {
    out += number > 0 ? "+Inf" : "-Inf";
  } else {
    append_number(out, number);
  }
}

enum class Quotes : std::uint8_t { plain, escaped };

void append_escaped(std::string& out, std::string_view text, Quotes quotes) {
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
    } else if (text[0] == '\n') {
      out += "\\n";
    } else if (text[0] == '\\' || (text[0] == '"' && quotes == Quotes::escaped)) {
      out += '\\';
      out += text[0];
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::counter:
      return "counter";
    case Kind::gauge:
      return "gauge";
    case Kind::histogram:
      return "histogram";
  }
  return "unknown";
}

}  // namespace

std::string render_labels(Labels labels) {
  std::ranges::sort(labels);
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out.append(name).append("=\"");
    append_escaped(out, value, Quotes::escaped);
    out += '"';
  }
  return out;
}

std::string sample_prefix(std::string_view name, std::string_view labels) {
  std::string out(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out += ' ';
  return out;
}

void CounterSeries::render(std::string& out) const {
  out += prefix_;
  append_number(out, value.value());
  out += '\n';
}

void GaugeSeries::render(std::string& out) const {
  out += prefix_;
  append_number(out, value.value());
  out += '\n';
}

void FunctionSeries::render(std::string& out) const {
  out += prefix_;
  append_real(out, read());
  out += '\n';
}

HistogramSeries::HistogramSeries(std::string_view name, std::string_view labels)
    : bucket_prefix_(std::string(name) + "_bucket{"),
      sum_prefix_(sample_prefix(std::string(name) + "_sum", labels)),
      count_prefix_(sample_prefix(std::string(name) + "_count", labels)) {
  bucket_prefix_ += labels;
  bucket_prefix_ += labels.empty() ? "le=\"" : ",le=\"";
}

void HistogramSeries::render(std::string& out) const {
  // The count is the sum of what was read, not a number of its own: a histogram that is being
  // written to must still add up.
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    count += value.bucket(i);
    out.append(bucket_prefix_).append(kBounds[i]).append("\"} ");
    append_number(out, count);
    out += '\n';
  }
  out += sum_prefix_;
  append_real(out, static_cast<double>(value.sum_ns()) / 1e9);
  out.append("\n").append(count_prefix_);
  append_number(out, count);
  out += '\n';
}

}  // namespace metrics

void Registry::Family::render(std::string& out, Format format) const {
  const bool open = format == Format::openmetrics;
  std::string_view shown = name;
  if (open && kind == metrics::Kind::counter)
    shown.remove_suffix(std::string_view("_total").size());
  out.append("# HELP ").append(shown).append(" ");
  metrics::append_escaped(out, help, open ? metrics::Quotes::escaped : metrics::Quotes::plain);
  out.append("\n# TYPE ").append(shown).append(" ").append(metrics::kind_name(kind)).append("\n");
  for (const auto& each : series) each->render(out);
}

std::string_view Registry::content_type(Format format) {
  return format == Format::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

std::string Registry::render(Format format) const {
  constexpr std::size_t kLineBytes = 80;  // a guess that spares most of the regrowing
  const std::lock_guard lock(mutex_);
  std::size_t lines = 0;
  for (const auto& family : families_) {
    const std::size_t each = family->kind == metrics::Kind::histogram ? 25 : 1;
    lines += 2 + family->series.size() * each;
  }
  std::string out;
  out.reserve(lines * kLineBytes);
  for (const auto& family : families_) family->render(out, format);
  if (format == Format::openmetrics) out += "# EOF\n";
  return out;
}

}  // namespace consort
