#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/records/fields.hpp"
#include "roles/logsaver/records/log_time.hpp"
#include "roles/logsaver/records/logfmt.hpp"

using namespace consort;
using namespace consort::logsaver;

namespace {

FieldParser made(std::string_view parse, std::string_view time_key = {}) {
  Result<FieldParser> parser = FieldParser::make(parse, time_key);
  if (!parser) FAIL(parser.error().message());
  return std::move(*parser);
}

std::string refusal(std::string_view parse, std::string_view time_key = {}) {
  const Result<FieldParser> parser = FieldParser::make(parse, time_key);
  return parser ? "" : parser.error().message();
}

/// "name=value|name=value"; "-" for text that is no logfmt.
std::string logfmt(std::string_view text) {
  std::vector<Field> fields;
  std::string scratch;
  if (!parse_logfmt(text, fields, scratch)) return "-";
  std::string out;
  for (const Field& field : fields) {
    if (!out.empty()) out += '|';
    out.append(field.name).append("=").append(field.value);
  }
  return out;
}

}  // namespace

TEST_CASE("logfmt has keys, plain and quoted values, and keys alone") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"level=warn msg=\"slow \\\"query\\\"\" took=1.5s cached",
       "level=warn|msg=slow \"query\"|took=1.5s|cached="},
      {"  a=1\t\n b= c=\"\"  ", "a=1|b=|c="},
      {"url=http://x/?q=1&r=2 x=a\"b", "url=http://x/?q=1&r=2|x=a\"b"},
      {"a=\"\\n\\u00e9\\\\\" b=\"plain\" c=\"\\t\"", "a=\n\xc3\xa9\\|b=plain|c=\t"},
      {"a=1 a=2", "a=1|a=2"},
      {"a=\xff\xfe", "a=\xff\xfe"},
      {"hello world", "-"},
      {"", "-"},
      {"=x", "-"},
      {"a=1 =x", "-"},
      {"a=\"open", "-"},
      {"a=\"open\\", "-"},
      {"a=\"x\"y", "-"},
      {"say \"a=1\"", "-"},
  };
  for (const auto& [text, fields] : table) {
    CAPTURE(text);
    CHECK(logfmt(text) == fields);
  }
}

TEST_CASE("text of too many words is no logfmt") {
  std::string text = "a=1";
  for (std::size_t i = 1; i < kLogfmtFieldsMax; ++i) text += " w";
  CHECK(logfmt(text) != "-");
  CHECK(logfmt(text + " w") == "-");
}

TEST_CASE("times are RFC 3339 or numbers whose size tells their unit") {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::pair<std::string_view, std::int64_t> table[] = {
      {"2001-09-09T01:46:40Z", 1'000'000'000 * kSecond},
      {"2001-09-09T01:46:40.5+00:00", 1'000'000'000 * kSecond + kSecond / 2},
      {"1000000000", 1'000'000'000 * kSecond},
      {"1000000000.000000001", 1'000'000'000 * kSecond + 1},
      {"1000000000.0000000019", 1'000'000'000 * kSecond + 1},
      {"1000000000500", 1'000'000'000 * kSecond + kSecond / 2},
      {"1000000000500.25", 1'000'000'000 * kSecond + kSecond / 2 + 250'000},
      {"1000000000500001", 1'000'000'000 * kSecond + kSecond / 2 + 1000},
      {"1000000000500000001", 1'000'000'000 * kSecond + kSecond / 2 + 1},
      {"0", 0},
  };
  for (const auto& [text, time] : table) {
    CAPTURE(text);
    REQUIRE(parse_log_time_ns(text));
    CHECK(*parse_log_time_ns(text) == time);
  }
  for (const std::string_view text : {"", "-1", "-0", "+1", "1.", "1.x", "1e9", "0x10", " 1", "1 ",
                                      "99999999999", "9223372036854775808", "yesterday"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_log_time_ns(text));
  }
}

TEST_CASE("json finds the object, trimmed and not copied") {
  FieldParser parser = made("json");
  const std::string text = " {\"a\":1}\r";
  Record record{.text = text};
  parser.parse(record);
  CHECK(record.object == "{\"a\":1}");
  CHECK(record.object.data() == text.data() + 1);
  CHECK(record.time_ns == Record::kNoTime);
  for (const std::string_view other :
       {"", "{", "}", "{}x", "[1]", "1", "{\"a\":}", "{\"a\":\"\xff\"}"}) {
    CAPTURE(other);
    Record left{.text = other};
    parser.parse(left);
    CHECK(left.object.empty());
    CHECK(left.text == other);
  }
  CHECK(parser.counters().parsed == 1);
  CHECK(parser.counters().unparsed == 8);
}

TEST_CASE("a time key replaces the runtime's time when it holds one") {
  FieldParser parser = made("json", "ts");
  const auto time_of = [&parser](std::string_view text) {
    Record record{.text = text, .time_ns = 7};
    parser.parse(record);
    return record.time_ns;
  };
  CHECK(time_of(R"({"a":{"ts":1},"ts":"1970-01-01T00:00:01Z"})") == 1'000'000'000);
  CHECK(time_of(R"({"ts":2})") == 2'000'000'000);
  CHECK(time_of(R"({"t\u0073":"3"})") == 3'000'000'000);
  CHECK(time_of(R"({"ts":"1970-01-01T00:00:04\u002B00:00"})") == 4'000'000'000);
  CHECK(parser.counters().times == 4);
  CHECK(time_of(R"({"ts":"soon"})") == 7);
  CHECK(time_of(R"({"ts":null})") == 7);
  CHECK(time_of(R"({"ts":{}})") == 7);
  CHECK(time_of(R"({"ts":""})") == 7);
  CHECK(parser.counters().bad_times == 4);
  CHECK(time_of(R"({"a":1})") == 7);
  CHECK(time_of("ts=5") == 7);
  CHECK(parser.counters().bad_times == 4);
}

TEST_CASE("logfmt fields and their time live until the next record") {
  FieldParser parser = made("logfmt", "time");
  Record record{.text = "time=1970-01-01T00:00:01Z msg=\"a \\\"b\\\"\""};
  parser.parse(record);
  REQUIRE(record.fields.size() == 2);
  CHECK(record.fields[1].value == "a \"b\"");
  CHECK(record.time_ns == 1'000'000'000);
  Record other{.text = "no fields here"};
  parser.parse(other);
  CHECK(other.fields.empty());
  CHECK(parser.counters().unparsed == 1);
}

TEST_CASE("a pattern's named groups are fields, those that took part") {
  FieldParser parser = made("regex:^(?<who>\\w+) (?:(?<ms>\\d+)ms|-)", "ms");
  Record record{.text = "ada 12ms"};
  parser.parse(record);
  REQUIRE(record.fields.size() == 2);
  CHECK(record.fields[0].name == "who");
  CHECK(record.fields[0].value == "ada");
  CHECK(record.fields[1].value == "12");
  CHECK(record.time_ns == 12'000'000'000);
  Record fewer{.text = "bob -"};
  parser.parse(fewer);
  REQUIRE(fewer.fields.size() == 1);
  Record none{.text = "?"};
  parser.parse(none);
  CHECK(none.fields.empty());
  CHECK(parser.counters().unparsed == 1);
}

TEST_CASE("a text that hits the pattern's limit stays text and is counted") {
  FieldParser parser = made("regex:(?<x>(x+)+y$)");
  const std::string text = std::string(5000, 'x') + "yz";
  Record record{.text = text};
  parser.parse(record);
  CHECK(record.fields.empty());
  CHECK(parser.counters().limits == 1);
  CHECK(parser.counters().unparsed == 1);
}

TEST_CASE("what cannot be parsed by is refused") {
  CHECK(refusal("xml").find("not one of none, json, logfmt, regex:PATTERN") != std::string::npos);
  CHECK(refusal("regex:(").find("missing closing parenthesis") != std::string::npos);
  CHECK(refusal("regex:(a)").find("names no field") != std::string::npos);
  CHECK(refusal("none", "ts").find("needs fields") != std::string::npos);
  CHECK(made("none").empty());
}
