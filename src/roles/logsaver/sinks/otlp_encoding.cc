#include "roles/logsaver/sinks/otlp_encoding.hpp"

#include <cstddef>

#include "roles/logsaver/sinks/json_record.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::string_view kBegin = R"({"resourceLogs":[)";
constexpr std::string_view kEnd = "]}";
constexpr std::string_view kResourceBegin = R"({"resource":)";
constexpr std::string_view kRecordsBegin =
    R"(,"scopeLogs":[{"scope":{"name":"consort"},"logRecords":[)";
constexpr std::string_view kResourceEnd = "]}]}";

/// The value of the only or the last member of that name; empty when there is none.
std::string_view member(std::string_view object, std::string_view wanted) {
  std::string_view name;
  std::string_view value;
  std::string_view found;
  for (JsonObjectReader each(object); each.next(name, value);) {
    if (name == wanted) found = value;
  }
  return found;
}

}  // namespace

void OtlpEncoding::begin(const BatchHead& head, std::string& out) {
  created_ns_ = head.created_ms * 1'000'000;
  open_ = nullptr;
  has_resources_ = false;
  out += kBegin;
}

void OtlpEncoding::record(const Record& record, const TailFacts& facts, std::string& out) {
  if (open_ == &facts) {
    out += ',';
  } else {
    open_resource(facts, out);
  }
  out += '{';
  if (record.time_ns != Record::kNoTime) {
    out += R"("timeUnixNano":")";
    append_number(out, record.time_ns);
    out += "\",";
  }
  out += R"("observedTimeUnixNano":")";
  append_number(out, created_ns_);
  out += R"(","body":{"stringValue":)";
  append_json_text(out, record.object.empty() ? record.text : record.object, invalid_);
  out += R"(},"attributes":[)";
  append_attributes(record, facts, out);
  out += "]}";
}

void OtlpEncoding::append_attribute(std::string& out, std::string_view key,
                                    std::string_view value) const {
  out += R"({"key":)";
  append_json_text(out, key, invalid_);
  out += R"(,"value":{"stringValue":)";
  append_json_text(out, value, invalid_);
  out += "}}";
}

void OtlpEncoding::append_attributes(const Record& record, const TailFacts& facts,
                                     std::string& out) const {
  out += R"({"key":"log.record.uid","value":{"stringValue":")";
  append_record_id(out, record, facts);
  out += R"("}},{"key":"consort.offset","value":{"intValue":")";
  append_number(out, record.place.offset);
  out += "\"}}";
  if (!record.stream.empty()) {
    out += ',';
    append_attribute(out, "log.iostream", record.stream);
  }
  if (record.is_cut) out += R"(,{"key":"consort.cut","value":{"boolValue":true}})";
  for (const Field& field : record.fields) {
    out += ',';
    append_attribute(out, field.name, field.value);
  }
}

void OtlpEncoding::open_resource(const TailFacts& facts, std::string& out) {
  end_extent(out);
  if (has_resources_) out += ',';
  has_resources_ = true;
  open_ = &facts;
  out += kResourceBegin;
  out += R"({"attributes":[)";
  append_attribute(out, "log.file.path", facts.file);
  for (const Labels* labels : {&facts.labels, &labels_}) {
    for (const auto& [name, value] : *labels) {
      out += ',';
      append_attribute(out, name, value);
    }
  }
  out += "]}";
  out += kRecordsBegin;
}

void OtlpEncoding::end_extent(std::string& out) {
  if (open_ != nullptr) out += kResourceEnd;
  open_ = nullptr;
}

void OtlpEncoding::end(std::string& out) {
  end_extent(out);
  out += kEnd;
}

Result<std::vector<BodyPart>> OtlpShape::take_apart(std::string_view body) const {
  std::vector<BodyPart> parts;
  const auto broken = [] { return fail(Errc::internal, "a body for OTLP that is none"); };
  JsonArrayReader resources(member(body, "resourceLogs"));
  for (std::string_view each; resources.next(each);) {
    const std::string_view frame = member(each, "resource");
    JsonArrayReader scopes(member(each, "scopeLogs"));
    std::string_view scope;
    if (!scopes.next(scope)) return broken();
    JsonArrayReader records(member(scope, "logRecords"));
    for (std::string_view record; records.next(record);) {
      parts.push_back({.frame = frame, .bytes = record});
    }
    if (records.failed()) return broken();
  }
  if (resources.failed()) return broken();
  return parts;
}

void OtlpShape::put_together(std::span<const BodyPart> parts, std::string& out) const {
  out += kBegin;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && parts[i].frame == parts[i - 1].frame) {
      out += ',';
    } else {
      if (i > 0) out.append(kResourceEnd).append(",");
      out.append(kResourceBegin).append(parts[i].frame).append(kRecordsBegin);
    }
    out += parts[i].bytes;
  }
  if (!parts.empty()) out += kResourceEnd;
  out += kEnd;
}

std::string OtlpShape::shown(const BodyPart& part) const {
  const std::string_view text = member(member(part.bytes, "body"), "stringValue");
  if (text.size() < 2) return std::string(part.bytes);
  return unescape_json_string(text.substr(1, text.size() - 2));
}

}  // namespace consort::logsaver
