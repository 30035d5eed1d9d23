// Fuzzes the readers of fields: what logfmt finds is within its rules and its text, and written and
// read again it is the same; JSON and patterns take no other text than theirs, and times are read
// or not, but not wrongly.
//
// The input is one text.
#include "roles/logsaver/records/logfmt.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.hpp"
#include "roles/logsaver/records/fields.hpp"
#include "roles/logsaver/records/log_time.hpp"
#include "wire/json_scan.hpp"

namespace {

using namespace consort;
using namespace consort::logsaver;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_within(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

void check_round_trip(const std::vector<Field>& fields) {
  std::string written;
  for (const Field& field : fields) {
    // Bytes above ASCII may be no UTF-8, which a JSON string cannot hold.
    if (!is_plain(field.value)) return;
    written.append(field.name).append("=");
    append_json_string(written, field.value);
    written += ' ';
  }
  std::vector<Field> again;
  std::string scratch;
  require(parse_logfmt(written, again, scratch));
  require(again.size() == fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    require(again[i].name == fields[i].name && again[i].value == fields[i].value);
  }
}

void read_logfmt(std::string_view text) {
  std::vector<Field> fields;
  std::string scratch;
  if (!parse_logfmt(text, fields, scratch)) return;
  require(!fields.empty() && fields.size() <= kLogfmtFieldsMax && scratch.size() <= text.size());
  for (const Field& field : fields) {
    require(!field.name.empty() && is_within(field.name, text));
    require(field.name.find_first_of(" \t\r\n=\"") == field.name.npos);
    require(field.value.empty() || is_within(field.value, text) || is_within(field.value, scratch));
  }
  check_round_trip(fields);
}

void read_record(std::string_view parse, std::string_view text) {
  Result<FieldParser> parser = FieldParser::make(parse, "ts");
  require(parser.has_value());
  Record record{.text = text, .time_ns = 7};
  parser->parse(record);
  require(record.text.data() == text.data() && record.text.size() == text.size());
  require(parser->counters().parsed + parser->counters().unparsed == 1);
  require(parser->counters().times == 1 || record.time_ns == 7);
  if (parse == "json") {
    require(record.object.empty() != (parser->counters().parsed == 1));
    require(record.object.empty() || json_kind(record.object) == JsonKind::object);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_logfmt(text);
  read_record("json", text);
  read_record("logfmt", text);
  read_record("regex:(?<ts>\\d+(?:\\.\\d+)?)|(?<word>\\w+)", text);
  if (const auto time = parse_log_time_ns(text)) require(!text.empty());
  return 0;
}
