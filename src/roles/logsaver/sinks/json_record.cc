#include "roles/logsaver/sinks/json_record.hpp"

#include <algorithm>
#include <cstddef>

#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kOffset = "offset";
constexpr std::string_view kId = "consort.id";
constexpr std::string_view kStream = "stream";
constexpr std::string_view kCut = "cut";
constexpr std::string_view kMessage = "message";

constexpr std::string_view kOffsetBegin = R"("offset":)";
constexpr std::string_view kIdBegin = R"("consort.id":")";
constexpr std::string_view kStreamBegin = R"(,"stream":)";
constexpr std::string_view kCutMember = R"(,"cut":true)";

/// Puts the commas: out ends with '{' or with a member.
void append_name(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":";
}

std::string_view without_braces(std::string_view object) {
  std::string_view inside = object.substr(1, object.size() - 2);
  const std::size_t first = inside.find_first_not_of(" \t\r\n");
  return first == inside.npos ? std::string_view() : inside.substr(first);
}

}  // namespace

JsonRecordWriter::JsonRecordWriter(JsonRecordRules rules)
    : rules_(rules), time_begin_(",\"" + std::string(rules.time_name) + "\":\"") {}

void JsonRecordWriter::append(std::string& out, const Record& record, const TailFacts& facts,
                              std::int64_t usual_ns) {
  std::int64_t time_ns = record.time_ns == Record::kNoTime ? usual_ns : record.time_ns;
  out += '{';
  if (rules_.unique_names) {
    find_theirs(record);
    learn_members(facts);
    append_ours_but_theirs(out, record, facts, time_ns);
  } else {
    if (json_has_member(record.object, rules_.time_name)) time_ns = Record::kNoTime;
    append_ours(out, record, facts, time_ns);
  }
  append_theirs(out, record);
  out += '}';
}

void JsonRecordWriter::append_ours(std::string& out, const Record& record, const TailFacts& facts,
                                   std::int64_t time_ns) {
  if (rules_.has_id) {
    out += kIdBegin;
    append_record_id(out, record, facts);
    out += '"';
  } else {
    out += kOffsetBegin;
    append_number(out, record.place.offset);
  }
  if (time_ns != Record::kNoTime) {
    out += time_begin_;
    times_.append_ns(out, time_ns);
    out += '"';
  }
  if (!facts.json_members.empty()) {
    out += ',';
    out += facts.json_members;
  }
  if (!record.stream.empty()) {
    out += kStreamBegin;
    append_json_text(out, record.stream, rules_.invalid_utf8);
  }
  if (record.is_cut) out += kCutMember;
}

void JsonRecordWriter::append_ours_but_theirs(std::string& out, const Record& record,
                                              const TailFacts& facts, std::int64_t time_ns) {
  const std::size_t start = out.size();
  append_ours(out, record, facts, time_ns);
  if (!has_collision()) return;
  const std::string ours = out.substr(start - 1) + '}';
  out.resize(start);
  std::string_view name;
  std::string_view value;
  for (JsonObjectReader each(ours); each.next(name, value);) {
    if (is_theirs(name)) continue;
    append_name(out, name);
    out += value;
  }
}

/// Equal ones come one after the other: a comparison of bytes is all that most records cost.
void JsonRecordWriter::learn_members(const TailFacts& facts) {
  const std::string_view known = members_;
  if (!known.empty() && known.substr(1, known.size() - 2) == facts.json_members) return;
  members_ = "{" + facts.json_members + "}";
  names_.clear();
  std::string_view name;
  std::string_view value;
  for (JsonObjectReader each(members_); each.next(name, value);) names_.push_back(name);
}

/// Whether a name stands on both sides, or may: what must be unescaped to know counts as one.
bool JsonRecordWriter::has_collision() const {
  return std::any_of(theirs_.begin(), theirs_.end(), [this](std::string_view each) {
    return each == kOffset || each == rules_.time_name || each == kStream || each == kCut ||
           each == kId || each.find('\\') != each.npos ||
           std::find(names_.begin(), names_.end(), each) != names_.end();
  });
}

void JsonRecordWriter::append_theirs(std::string& out, const Record& record) const {
  if (!record.object.empty()) {
    const std::string_view inside = without_braces(record.object);
    if (inside.empty()) return;
    if (out.back() != '{') out += ',';
    append_on_one_line(out, inside);
    return;
  }
  for (const Field& field : record.fields) {
    if (out.back() != '{') out += ',';
    append_json_text(out, field.name, rules_.invalid_utf8);
    out += ':';
    append_json_text(out, field.value, rules_.invalid_utf8);
  }
  if (!record.fields.empty()) return;
  append_name(out, kMessage);
  append_json_text(out, record.text, rules_.invalid_utf8);
}

void JsonRecordWriter::find_theirs(const Record& record) {
  theirs_.clear();
  std::string_view name;
  std::string_view value;
  if (!record.object.empty()) {
    for (JsonObjectReader each(record.object); each.next(name, value);) theirs_.push_back(name);
  } else if (!record.fields.empty()) {
    for (const Field& field : record.fields) theirs_.push_back(field.name);
  } else {
    theirs_.push_back(kMessage);
  }
}

bool JsonRecordWriter::is_theirs(std::string_view name) const {
  return std::any_of(theirs_.begin(), theirs_.end(), [name](std::string_view each) {
    return each == name || (each.find('\\') != each.npos && json_string_equals(each, name));
  });
}

void append_record_id(std::string& out, const Record& record, const TailFacts& facts) {
  out += facts.id;
  out += '-';
  append_number(out, record.place.offset);
}

void append_on_one_line(std::string& out, std::string_view json) {
  const std::size_t start = out.size();
  out += json;
  for (const char c : {'\n', '\r'}) {
    for (std::size_t at = out.find(c, start); at != out.npos; at = out.find(c, at)) out[at] = ' ';
  }
}

}  // namespace consort::logsaver
