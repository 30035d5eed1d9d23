#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/random.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/json_record.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

using test::facts_of;
using test::record_of;

constexpr std::int64_t kTime = 1'714'565'045'123'456'789;

std::string written(const Record& record, JsonRecordRules rules = {},
                    std::string members = R"("file":"/a")") {
  TailFacts facts;
  facts.id = "4f2a-17";
  facts.json_members = std::move(members);
  std::string out;
  JsonRecordWriter writer(rules);
  writer.append(out, record, facts);
  return out;
}

std::string text_of(std::string_view text, InvalidUtf8 invalid = InvalidUtf8::replace) {
  std::string out;
  append_json_text(out, text, invalid);
  return out;
}

TEST_CASE("an object keeps its bytes behind our members") {
  CHECK(written(record_of(R"({"level":"info","n":1.50e3})", 4711)) ==
        R"({"offset":4711,"file":"/a","level":"info","n":1.50e3})");
  CHECK(written(record_of(R"({ "a" : 1 })")) == R"({"offset":0,"file":"/a","a" : 1 })");
}

TEST_CASE("an empty object and no members make no stray comma") {
  CHECK(written(record_of("{}")) == R"({"offset":0,"file":"/a"})");
  CHECK(written(record_of("{ \t}")) == R"({"offset":0,"file":"/a"})");
  CHECK(written(record_of("{}"), {}, "") == R"({"offset":0})");
  CHECK(written(record_of(R"({"a":1})"), {}, "") == R"({"offset":0,"a":1})");
}

TEST_CASE("an object of several lines becomes one line") {
  CHECK(written(record_of("{\n\"a\":1,\r\n\"b\":2\n}")) ==
        "{\"offset\":0,\"file\":\"/a\",\"a\":1,  \"b\":2 }");
}

TEST_CASE("text becomes the message, with time, stream and mark in their order") {
  Record record = record_of("a \"b\"\n\tc", 7);
  record.time_ns = kTime;
  record.stream = "stderr";
  record.is_cut = true;
  JsonRecordRules rules;
  rules.has_id = true;
  CHECK(written(record, rules) ==
        R"({"consort.id":"4f2a-17-7","time":"2024-05-01T12:04:05.123456789Z","file":"/a",)"
        R"("stream":"stderr","cut":true,"message":"a \"b\"\n\tc"})");
  rules.has_id = false;
  CHECK(written(record, rules, "") ==
        R"({"offset":7,"time":"2024-05-01T12:04:05.123456789Z","stream":"stderr","cut":true,)"
        R"("message":"a \"b\"\n\tc"})");
}

TEST_CASE("a time that the object has itself is not said twice") {
  Record record = record_of(R"({"a":1,"time":"10:04"})");
  record.time_ns = kTime;
  CHECK(written(record) == R"({"offset":0,"file":"/a","a":1,"time":"10:04"})");
  Record deeper = record_of(R"({"a":{"time":1}})");
  deeper.time_ns = kTime;
  CHECK(written(deeper) ==
        R"({"offset":0,"time":"2024-05-01T12:04:05.123456789Z","file":"/a","a":{"time":1}})");
}

TEST_CASE("fields become members instead of the text") {
  Record record = record_of("level=info msg=hi");
  const std::vector<Field> fields = {{"level", "info"}, {"m\"sg", "hi"}};
  record.fields = fields;
  CHECK(written(record) == R"({"offset":0,"file":"/a","level":"info","m\"sg":"hi"})");
}

TEST_CASE("with unique names ours give way to theirs") {
  JsonRecordRules rules;
  rules.unique_names = true;
  rules.time_name = "@timestamp";
  Record record = record_of(R"({"offset":"x","\u0040timestamp":1,"file":null,"b":2})");
  record.time_ns = kTime;
  CHECK(written(record, rules, R"("file":"/a","host":"h")") ==
        R"({"host":"h","offset":"x","\u0040timestamp":1,"file":null,"b":2})");
  CHECK(written(record_of(R"({"b":2})"), rules) == R"({"offset":0,"file":"/a","b":2})");
  CHECK(written(record_of("x"), rules, R"("message":"label")") == R"({"offset":0,"message":"x"})");
}

TEST_CASE("bytes that are not UTF-8 are replaced or shown") {
  CHECK(text_of("a\xFF\xC3(\xE4\xB8\xAD\xF0\x9F\x98\x80") ==
        "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xE4\xB8\xAD\xF0\x9F\x98\x80\"");
  CHECK(text_of("a\xFF\xED\xA0\x80", InvalidUtf8::escape) == R"("a\\xff\\xed\\xa0\\x80")");
  CHECK(text_of(std::string_view("\0\x1F\x7F\b", 4)) == "\"\\u0000\\u001f\x7F\\u0008\"");
  CHECK(text_of("") == "\"\"");
}

TEST_CASE("any bytes make one valid line that reads back") {
  Random random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const std::size_t size = random.below(80);
    for (std::size_t i = 0; i < size; ++i) {
      const bool is_ascii = random.below(3) > 0;
      text += static_cast<char>(is_ascii ? 0x20 + random.below(0x5F) : random.below(256));
    }
    Record record = record_of("x");
    record.text = text;
    const std::string line = written(record);
    CAPTURE(line);
    REQUIRE(is_json(line));
    REQUIRE(line.find('\n') == line.npos);
    const std::string json = text_of(text);
    const std::string back = unescape_json_string(json.substr(1, json.size() - 2));
    if (text_of(text, InvalidUtf8::escape).find("\\\\x") == std::string::npos) {
      REQUIRE(back == text);
    }
  }
}

}  // namespace
}  // namespace consort::logsaver
