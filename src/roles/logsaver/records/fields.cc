#include "roles/logsaver/records/fields.hpp"

#include <utility>

#include "base/options.hpp"
#include "roles/logsaver/records/log_time.hpp"
#include "roles/logsaver/records/logfmt.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {

namespace {

constexpr std::string_view kPatternPrefix = "regex:";
/// Of a long record with escapes; kept no longer than that record.
constexpr std::size_t kScratchBytesMax = 256 * 1024;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Most text that is no object is told by its ends, without check_json's error text.
bool may_be_object(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text.size() >= 2 && text.front() == '{' && text.back() == '}';
}

}  // namespace

Result<FieldParser> FieldParser::make(std::string_view parse, std::string_view time_key) {
  FieldParser parser;
  parser.time_key_ = time_key;
  if (parse == "json") {
    parser.how_ = How::json;
  } else if (parse == "logfmt") {
    parser.how_ = How::logfmt;
  } else if (parse.starts_with(kPatternPrefix)) {
    Result<Regex> pattern = Regex::compile(parse.substr(kPatternPrefix.size()));
    if (!pattern) return fail(std::move(pattern.error()));
    if (pattern->names().empty()) {
      return fail(Errc::invalid, in_quotes(parse) +
                                     " names no field: write (?<name>...) around "
                                     "what should become one");
    }
    parser.how_ = How::pattern;
    parser.pattern_ = std::move(*pattern);
  } else if (parse != "none") {
    return fail(Errc::invalid, in_quotes(parse) +
                                   " is not one of none, json, logfmt, "
                                   "regex:PATTERN");
  }
  if (parser.how_ == How::none && !time_key.empty()) {
    return fail(Errc::invalid, "a time key (" + in_quotes(time_key) +
                                   ") needs fields: say how to parse them (json, logfmt or "
                                   "regex:PATTERN)");
  }
  return parser;
}

void FieldParser::parse(Record& record) {
  if (how_ == How::none) return;
  if (!find_fields(record)) {
    ++counters_.unparsed;
    return;
  }
  ++counters_.parsed;
  if (!time_key_.empty()) find_time(record);
}

bool FieldParser::find_fields(Record& record) {
  if (how_ == How::json) return find_object(record);
  if (scratch_.capacity() > kScratchBytesMax) std::string().swap(scratch_);
  const bool is_found = how_ == How::logfmt ? parse_logfmt(record.text, fields_, scratch_)
                                            : match_pattern(record.text);
  if (is_found) record.fields = fields_;
  return is_found;
}

bool FieldParser::find_object(Record& record) {
  if (!may_be_object(record.text)) return false;
  const Result<std::string_view> object = check_json(record.text);
  if (!object) return false;
  record.object = *object;
  return true;
}

bool FieldParser::match_pattern(std::string_view text) {
  fields_.clear();
  const Regex::Verdict verdict = pattern_->match(text);
  if (verdict == Regex::Verdict::limit) ++counters_.limits;
  if (verdict != Regex::Verdict::yes) return false;
  for (const Regex::NamedGroup& group : pattern_->names()) {
    const std::string_view value = pattern_->group(group.number);
    if (value.data() != nullptr) fields_.push_back({group.name, value});
  }
  return true;
}

void FieldParser::find_time(Record& record) {
  if (how_ != How::json) {
    for (const Field& field : record.fields) {
      if (field.name == time_key_) return take_time(field.value, record);
    }
    return;
  }
  JsonObjectReader members(record.object);
  std::string_view key;
  for (std::string_view value; members.next(key, value);) {
    if (json_string_equals(key, time_key_)) return take_json_time(value, record);
  }
}

void FieldParser::take_json_time(std::string_view value, Record& record) {
  if (json_kind(value) == JsonKind::string) value = value.substr(1, value.size() - 2);
  // Some write the + of an offset as \u002B.
  if (value.find('\\') == value.npos) return take_time(value, record);
  take_time(unescape_json_string(value), record);
}

void FieldParser::take_time(std::string_view text, Record& record) {
  const std::optional<std::int64_t> time = parse_log_time_ns(text);
  ++(time ? counters_.times : counters_.bad_times);
  if (time) record.time_ns = *time;
}

}  // namespace consort::logsaver
