#include "roles/logsaver/sinks/loki_encoding.hpp"

#include <algorithm>

#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kBegin = R"({"streams":[)";
constexpr std::string_view kEnd = "]}";
constexpr std::string_view kStreamBegin = R"({"stream":)";
constexpr std::string_view kValuesBegin = R"(,"values":[)";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void add_label(LokiEncoding::Labels& labels, std::string_view name, std::string_view value) {
  std::string valid = loki_label_name(name);
  const auto is_taken = [&valid](const auto& each) { return each.first == valid; };
  while (std::any_of(labels.begin(), labels.end(), is_taken)) valid += '_';
  labels.emplace_back(std::move(valid), value);
}

/// The values of one stream are opened by the first of them and closed before the next stream.
template <class AppendValue>
void append_streams(std::span<const BodyPart> parts, std::string& out, AppendValue append_value) {
  out += kBegin;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_first = i == 0 || parts[i].frame != parts[i - 1].frame;
    if (is_first) {
      if (i > 0) out += "]},";
      out.append(kStreamBegin).append(parts[i].frame).append(kValuesBegin);
    } else {
      out += ',';
    }
    append_value(i);
  }
  if (!parts.empty()) out += kEnd;
  out += kEnd;
}

/// Time and line of a value, as written.
bool read_value(std::string_view value, std::string_view& time, std::string_view& line) {
  JsonArrayReader reader(value);
  return reader.next(time) && reader.next(line) && time.size() >= 2 && line.size() >= 2;
}

}  // namespace

void DistinctTimes::clear() {
  taken_.clear();
  index_.clear();
  is_indexed_ = false;
}

std::int64_t DistinctTimes::take(std::int64_t wanted_ns) {
  // Equal times in a row begin where the last one ended: no search.
  std::int64_t given = !taken_.empty() && wanted_ns == wanted_ns_ ? given_ns_ + 1 : wanted_ns;
  if (!taken_.empty() && given <= max_ns_) {
    if (!is_indexed_) index_.insert(taken_.begin(), taken_.end());
    is_indexed_ = true;
    while (index_.contains(given)) ++given;
  }
  max_ns_ = taken_.empty() ? given : std::max(max_ns_, given);
  taken_.push_back(given);
  if (is_indexed_) index_.insert(given);
  wanted_ns_ = wanted_ns;
  given_ns_ = given;
  return given;
}

std::string loki_label_name(std::string_view name) {
  std::string valid;
  for (const char c : name) valid += is_letter(c) || (c >= '0' && c <= '9') ? c : '_';
  if (valid.empty() || !is_letter(valid[0])) valid.insert(0, "_");
  return valid;
}

void LokiEncoding::begin(const BatchHead& head, std::string& out) {
  created_ns_ = head.created_ms * 1'000'000;
  records_ = 0;
  times_.clear();
  open_ = nullptr;
  has_streams_ = false;
  out += kBegin;
}

void LokiEncoding::record(const Record& record, const TailFacts& facts, std::string& out) {
  if (open_ == &facts && open_stream_ == record.stream) {
    out += ',';
  } else {
    open_stream(record, facts, out);
  }
  const bool has_time = record.time_ns != Record::kNoTime;
  const std::int64_t time = times_.take(has_time ? record.time_ns : created_ns_ + records_);
  ++records_;
  out += "[\"";
  append_number(out, time);
  out += "\",";
  append_json_text(out, record.object.empty() ? record.text : record.object, invalid_);
  out += ']';
}

void LokiEncoding::open_stream(const Record& record, const TailFacts& facts, std::string& out) {
  end_extent(out);
  if (has_streams_) out += ',';
  has_streams_ = true;
  open_ = &facts;
  open_stream_ = record.stream;
  Labels labels;
  add_label(labels, "file", facts.file);
  if (!record.stream.empty()) add_label(labels, "stream", record.stream);
  for (const auto& [name, value] : facts.labels) add_label(labels, name, value);
  for (const auto& [name, value] : labels_) add_label(labels, name, value);
  out += kStreamBegin;
  char comma = '{';
  for (const auto& [name, value] : labels) {
    out += comma;
    comma = ',';
    append_json_text(out, name, invalid_);
    out += ':';
    append_json_text(out, value, invalid_);
  }
  out += '}';
  out += kValuesBegin;
}

void LokiEncoding::end_extent(std::string& out) {
  if (open_ != nullptr) out += kEnd;
  open_ = nullptr;
}

void LokiEncoding::end(std::string& out) {
  end_extent(out);
  out += kEnd;
}

Result<std::vector<BodyPart>> LokiShape::take_apart(std::string_view body) const {
  std::vector<BodyPart> parts;
  const auto broken = [] { return fail(Errc::internal, "a body for Loki that is none"); };
  if (!body.starts_with(kBegin) || !body.ends_with(kEnd)) return broken();
  body.remove_prefix(kBegin.size() - 1);
  body.remove_suffix(1);
  JsonArrayReader streams(body);
  for (std::string_view stream; streams.next(stream);) {
    JsonObjectReader members(stream);
    std::string_view name;
    std::string_view labels;
    std::string_view values;
    if (!members.next(name, labels) || !members.next(name, values)) return broken();
    JsonArrayReader each(values);
    for (std::string_view value; each.next(value);) {
      parts.push_back({.frame = labels, .bytes = value});
    }
    if (each.failed()) return broken();
  }
  if (streams.failed()) return broken();
  return parts;
}

void LokiShape::put_together(std::span<const BodyPart> parts, std::string& out) const {
  append_streams(parts, out, [&](std::size_t i) { out += parts[i].bytes; });
}

std::string LokiShape::shown(const BodyPart& part) const {
  std::string_view time;
  std::string_view line;
  if (!read_value(part.bytes, time, line)) return std::string(part.bytes);
  return unescape_json_string(line.substr(1, line.size() - 2));
}

void LokiShape::put_together_at(std::int64_t first_ns, std::span<const BodyPart> parts,
                                std::string& out) {
  append_streams(parts, out, [&](std::size_t i) {
    std::string_view time;
    std::string_view line;
    if (!read_value(parts[i].bytes, time, line)) line = "\"\"";
    out += "[\"";
    append_number(out, first_ns + static_cast<std::int64_t>(i));
    out.append("\",").append(line).append("]");
  });
}

}  // namespace consort::logsaver
