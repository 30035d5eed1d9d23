#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/body_shape.hpp"
#include "roles/logsaver/sinks/es_encoding.hpp"
#include "roles/logsaver/sinks/line_encodings.hpp"
#include "roles/logsaver/sinks/loki_encoding.hpp"
#include "roles/logsaver/sinks/otlp_encoding.hpp"
#include "roles/logsaver/sinks/syslog_encoding.hpp"

namespace consort::logsaver {
namespace {

using test::encode;
using test::facts_of;
using test::record_of;

constexpr std::int64_t kTime = 1'714'565'045'123'456'789;

/// A record with a time and a stream.
Record told(std::string_view text, std::uint64_t offset, std::int64_t time_ns = kTime,
            std::string_view stream = "stdout") {
  Record record = record_of(text, offset);
  record.time_ns = time_ns;
  record.stream = stream;
  return record;
}

/// take_apart and put_together of a body, all of it and in two pieces.
void check_round_trip(const BodyShape& shape, const std::string& body, std::size_t records) {
  const auto parts = shape.take_apart(body);
  REQUIRE(parts);
  REQUIRE(parts->size() == records);
  std::string whole;
  shape.put_together(*parts, whole);
  CHECK(whole == body);
  for (std::size_t cut = 0; cut <= records; ++cut) {
    std::string first;
    std::string second;
    shape.put_together(std::span(*parts).first(cut), first);
    shape.put_together(std::span(*parts).subspan(cut), second);
    const auto left = shape.take_apart(first);
    const auto right = shape.take_apart(second);
    REQUIRE(left);
    REQUIRE(right);
    CHECK(left->size() == cut);
    CHECK(right->size() == records - cut);
  }
}

TEST_CASE("raw is what was written, and pieces of a long line are one line again") {
  RawEncoding raw;
  Record cut = record_of("begin ");
  cut.is_cut = true;
  const TailFacts facts = facts_of("/var/log/app.log");
  CHECK(encode(raw, {record_of("a\xFF"), cut, record_of("end"), record_of("b")}, facts) ==
        "a\xFF\nbegin end\nb\n");
  cut.stream = "stdout";
  CHECK(encode(raw, {cut, record_of("other")}, facts) == "begin \nother\n");
  CHECK(raw.is_plain());
}

TEST_CASE("NDJSON is a line for each record") {
  NdjsonEncoding ndjson({.has_id = true});
  const TailFacts facts = facts_of("/var/log/app.log");
  const std::string body = encode(ndjson, {record_of("a", 0), record_of(R"({"b":1})", 2)}, facts);
  CHECK(body ==
        R"({"consort.id":"4f2a-17-0","file":"/var/log/app.log","host":"web-1","message":"a"})"
        "\n"
        R"({"consort.id":"4f2a-17-2","file":"/var/log/app.log","host":"web-1","b":1})"
        "\n");
  CHECK_FALSE(ndjson.is_plain());
  check_round_trip(LineShape(), body, 2);
}

TEST_CASE("_bulk is two lines for each record, with an id and always a time") {
  EsEncoding es(InvalidUtf8::replace);
  const TailFacts facts = facts_of("/a");
  const std::string body = encode(es, {told("x", 5), record_of(R"({"file":1})", 9)}, facts);
  CHECK(body ==
        R"({"create":{"_id":"4f2a-17-5"}})"
        "\n"
        R"({"offset":5,"@timestamp":"2024-05-01T12:04:05.123456789Z","file":"/a","host":"web-1",)"
        R"("stream":"stdout","message":"x"})"
        "\n"
        R"({"create":{"_id":"4f2a-17-9"}})"
        "\n"
        R"({"offset":9,"@timestamp":"2024-05-01T12:04:05.123000000Z","host":"web-1","file":1})"
        "\n");
  const LineShape shape(2);
  check_round_trip(shape, body, 2);
  CHECK(shape.shown((*shape.take_apart(body))[1]) ==
        R"({"offset":9,"@timestamp":"2024-05-01T12:04:05.123000000Z","host":"web-1","file":1})");
}

TEST_CASE("Loki gets a stream for each set of labels") {
  LokiEncoding loki({{"team", "shop"}, {"9-x", "y"}, {"file", "mine"}}, InvalidUtf8::replace);
  const TailFacts facts = facts_of("/a");
  const std::string body =
      encode(loki, {record_of("a"), told("b", 2), told(R"({"c":1})", 4, kTime + 5)}, facts);
  CHECK(
      body ==
      R"({"streams":[{"stream":{"file":"/a","host":"web-1","team":"shop","_9_x":"y","file_":"mine"},)"
      R"("values":[["1714565045123000000","a"]]},)"
      R"({"stream":{"file":"/a","stream":"stdout","host":"web-1","team":"shop","_9_x":"y","file_":"mine"},)"
      R"("values":[["1714565045123456789","b"],["1714565045123456794","{\"c\":1}"]]}]})");
  CHECK(is_json(body));
  const LokiShape shape;
  check_round_trip(shape, body, 3);
  CHECK(shape.shown((*shape.take_apart(body))[2]) == R"({"c":1})");
}

TEST_CASE("Loki's lines without a time get the batch's, and rise") {
  LokiEncoding loki({}, InvalidUtf8::replace);
  const std::string body =
      encode(loki, {record_of("x"), record_of("x"), record_of("x")}, facts_of("/a"));
  CHECK(body.find(R"("values":[["1714565045123000000","x"],["1714565045123000001","x"],)"
                  R"(["1714565045123000002","x"]])") != body.npos);
}

TEST_CASE("a record that began in another file has that file's labels") {
  LokiEncoding loki({}, InvalidUtf8::replace);
  const TailFacts one = facts_of("/a");
  const TailFacts two = facts_of("/b");
  std::string body;
  loki.begin({}, body);
  loki.begin_extent(one, body);
  loki.record(record_of("1"), one, body);
  loki.end_extent(body);
  loki.begin_extent(two, body);
  loki.record(record_of("2"), one, body);
  loki.record(record_of("3"), two, body);
  loki.end_extent(body);
  loki.begin_extent(two, body);  // nothing in it
  loki.end_extent(body);
  loki.end(body);
  CHECK(body == R"({"streams":[{"stream":{"file":"/a","host":"web-1"},"values":[["0","1"]]},)"
                R"({"stream":{"file":"/a","host":"web-1"},"values":[["1","2"]]},)"
                R"({"stream":{"file":"/b","host":"web-1"},"values":[["2","3"]]}]})");
}

TEST_CASE("an encoding may be used again, and a body without records is whole") {
  const TailFacts facts = facts_of("/a");
  LokiEncoding loki({}, InvalidUtf8::replace);
  const std::string once = encode(loki, {told("a", 0), told("b", 2)}, facts);
  CHECK(encode(loki, {told("a", 0), told("b", 2)}, facts) == once);
  CHECK(encode(loki, {}, facts) == R"({"streams":[]})");
  OtlpEncoding otlp({}, InvalidUtf8::replace);
  const std::string first = encode(otlp, {told("a", 0)}, facts);
  CHECK(encode(otlp, {told("a", 0)}, facts) == first);
  CHECK(encode(otlp, {}, facts) == R"({"resourceLogs":[]})");
}

TEST_CASE("a body may be handed on between records") {
  // The encoder must not look back at what it wrote before: that may be compressed already.
  const TailFacts facts = facts_of("/a");
  LokiEncoding loki({}, InvalidUtf8::replace);
  OtlpEncoding otlp({}, InvalidUtf8::replace);
  EsEncoding es(InvalidUtf8::replace);
  for (Encoding* encoding : std::vector<Encoding*>{&loki, &otlp, &es}) {
    const std::vector<Record> records = {told("a", 0), told("b", 2, kTime, "stderr"), told("c", 4)};
    const std::string whole = encode(*encoding, records, facts);
    std::string sum;
    std::string piece;
    const auto hand_on = [&] { sum += std::exchange(piece, {}); };
    encoding->begin({.number = 1, .created_ms = test::kCreatedMs}, piece);
    hand_on();
    encoding->begin_extent(facts, piece);
    for (const Record& record : records) {
      encoding->record(record, facts, piece);
      hand_on();
    }
    encoding->end_extent(piece);
    hand_on();
    encoding->end(piece);
    hand_on();
    CHECK(sum == whole);
  }
}

TEST_CASE("times are distinct and stay as they were where they can") {
  DistinctTimes times;
  const auto all = [&](const std::vector<std::int64_t>& wanted) {
    times.clear();
    std::vector<std::int64_t> given;
    for (const std::int64_t each : wanted) given.push_back(times.take(each));
    CHECK(std::set<std::int64_t>(given.begin(), given.end()).size() == given.size());
    return given;
  };
  CHECK(all({1, 5, 9}) == std::vector<std::int64_t>{1, 5, 9});
  CHECK(all({5, 5, 5, 6, 9}) == std::vector<std::int64_t>{5, 6, 7, 8, 9});
  CHECK(all({9, 5, 9, 5, 7}) == std::vector<std::int64_t>{9, 5, 10, 6, 7});
  CHECK(all({0, 0, -1, 0}) == std::vector<std::int64_t>{0, 1, -1, 2});
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int64_t> wanted;
    for (int i = 0; i < 60; ++i) wanted.push_back(static_cast<std::int64_t>(random.below(40)));
    all(wanted);
  }
}

TEST_CASE("OTLP gets a resource for each file and integers as text") {
  OtlpEncoding otlp({{"team", "shop"}}, InvalidUtf8::replace);
  const TailFacts facts = facts_of("/a");
  Record cut = record_of("b", 2);
  cut.is_cut = true;
  const std::vector<Field> fields = {{"k", "v"}};
  cut.fields = fields;
  const std::string body = encode(otlp, {told("a", 0), cut}, facts);
  CHECK(body ==
        R"({"resourceLogs":[{"resource":{"attributes":[)"
        R"({"key":"log.file.path","value":{"stringValue":"/a"}},)"
        R"({"key":"host","value":{"stringValue":"web-1"}},)"
        R"({"key":"team","value":{"stringValue":"shop"}}]},)"
        R"("scopeLogs":[{"scope":{"name":"consort"},"logRecords":[)"
        R"({"timeUnixNano":"1714565045123456789","observedTimeUnixNano":"1714565045123000000",)"
        R"("body":{"stringValue":"a"},"attributes":[)"
        R"({"key":"log.record.uid","value":{"stringValue":"4f2a-17-0"}},)"
        R"({"key":"consort.offset","value":{"intValue":"0"}},)"
        R"({"key":"log.iostream","value":{"stringValue":"stdout"}}]},)"
        R"({"observedTimeUnixNano":"1714565045123000000",)"
        R"("body":{"stringValue":"b"},"attributes":[)"
        R"({"key":"log.record.uid","value":{"stringValue":"4f2a-17-2"}},)"
        R"({"key":"consort.offset","value":{"intValue":"2"}},)"
        R"({"key":"consort.cut","value":{"boolValue":true}},)"
        R"({"key":"k","value":{"stringValue":"v"}}]}]}]}]})");
  CHECK(is_json(body));
  const OtlpShape shape;
  check_round_trip(shape, body, 2);
  CHECK(shape.shown((*shape.take_apart(body))[0]) == "a");
}

TEST_CASE("bodies that are none are told, not read") {
  CHECK_FALSE(LokiShape().take_apart("{}"));
  CHECK_FALSE(LokiShape().take_apart(R"({"streams":[{"stream":{}}]})"));
  CHECK_FALSE(OtlpShape().take_apart("nonsense"));
  CHECK_FALSE(OtlpShape().take_apart(R"({"resourceLogs":[{}]})"));
}

TEST_CASE("syslog counts octets and says where the line came from") {
  SyslogEncoding syslog("");
  const TailFacts facts = facts_of("/var/log/app.log");
  const std::string message =
      R"(<14>1 2024-05-01T12:04:05.123456Z web-1 app - - [consort@32473 f="/var/log/app.log" o="7"] a b)";
  CHECK(encode(syslog, {told("a b", 7)}, facts) == std::to_string(message.size()) + " " + message);
}

TEST_CASE("syslog's priority, time, BOM and limits") {
  TailFacts facts = facts_of("/x\"]\\\xFF/" + std::string(2000, 'y') + "/0.log");
  facts.labels = {{"host", std::string(300, 'h')}, {"container", "my app\xFF"}};
  SyslogEncoding syslog("");
  const std::string body = encode(syslog, {told("\xC3\xA4", 1, Record::kNoTime, "stderr")}, facts);
  CHECK(body.find(" <11>1 2024-05-01T12:04:05.123000Z " + std::string(255, 'h') +
                  " my_app_ - - [consort@32473 f=\"/x\\\"\\]\\\\\xEF\xBF\xBD/yyy") != body.npos);
  CHECK(body.ends_with("] \xEF\xBB\xBF\xC3\xA4"));
  CHECK(body.size() < 1600);
  CHECK(encode(syslog, {told("\xC3", 1)}, facts).ends_with("\"] \xC3"));
  SyslogEncoding named(std::string(60, 'n'));
  const TailFacts plain = facts_of("/a");
  CHECK(encode(named, {told("x", 1)}, plain).find(" " + std::string(48, 'n') + " - ") !=
        std::string::npos);
}

}  // namespace
}  // namespace consort::logsaver
