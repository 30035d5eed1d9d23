#include "base/log.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/log_format.hpp"

namespace consort {
namespace {

/// 2024-05-01T12:04:05.123Z
constexpr std::int64_t kNoonMs = 1'714'565'045'123;

/// A sink and a clock that a test can look at and turn.
struct TestWorld {
  static void write(void* context, std::string_view line) {
    static_cast<TestWorld*>(context)->lines.emplace_back(line);
  }
  static std::int64_t wall_ms(void* context) { return static_cast<TestWorld*>(context)->now_ms; }
  Logger::World world() { return {&TestWorld::write, &TestWorld::wall_ms, this}; }

  std::vector<std::string> lines;
  std::int64_t now_ms = kNoonMs;
};

Logger::Options options(LogFormat format) {
  return {.level = LogLevel::info, .format = format, .color = false, .role = "elect", .name = "a"};
}

std::string one_line(LogFormat format, std::string_view event,
                     std::initializer_list<LogField> fields) {
  TestWorld world;
  Logger log(world.world(), options(format));
  log.info(event, fields);
  REQUIRE(world.lines.size() == 1);
  return world.lines[0];
}

TEST_CASE("a line in each format") {
  CHECK(one_line(LogFormat::json, "leader.changed", {{"term", 7}, {"from", "b"}}) ==
        "{\"ts\":\"2024-05-01T12:04:05.123Z\",\"level\":\"info\",\"role\":\"elect\",\"name\":\"a\","
        "\"msg\":\"leader.changed\",\"term\":7,\"from\":\"b\"}\n");
  CHECK(one_line(LogFormat::logfmt, "leader.changed", {{"term", 7}, {"from", "b"}}) ==
        "ts=2024-05-01T12:04:05.123Z level=info role=elect name=a msg=leader.changed term=7 "
        "from=b\n");
  CHECK(one_line(LogFormat::pretty, "leader.changed", {{"term", 7}, {"from", "b"}}) ==
        "12:04:05.123 INFO  leader.changed term=7 from=b\n");
}

TEST_CASE("numbers of every kind keep their value") {
  CHECK(one_line(LogFormat::pretty, "n",
                 {{"low", std::numeric_limits<std::int64_t>::min()},
                  {"high", std::numeric_limits<std::uint64_t>::max()},
                  {"flag", true},
                  {"share", 0.25},
                  {"none", std::nan("")}}) ==
        "12:04:05.123 INFO  n low=-9223372036854775808 high=18446744073709551615 flag=true "
        "share=0.25 none=null\n");
}

TEST_CASE("nothing a peer sends makes a second line, a second field or broken text") {
  const std::string evil = "x\ny=1 \"\\\x1b[2J\xff";
  const std::string quoted = "\"x\\ny=1 \\\"\\\\\\u001b[2J\xEF\xBF\xBD\"";
  CHECK(one_line(LogFormat::logfmt, "in", {{"text", evil}}) ==
        "ts=2024-05-01T12:04:05.123Z level=info role=elect name=a msg=in text=" + quoted + "\n");
  CHECK(one_line(LogFormat::pretty, "in", {{"text", evil}}) ==
        "12:04:05.123 INFO  in text=" + quoted + "\n");
  CHECK(one_line(LogFormat::json, "in", {{"text", evil}}).ends_with("\"text\":" + quoted + "}\n"));
  CHECK(one_line(LogFormat::pretty, "two words", {{"a b=\n", ""}}) ==
        "12:04:05.123 INFO  \"two words\" a_b__=\"\"\n");
}

TEST_CASE("a field cannot take the place of the line's own keys") {
  CHECK(one_line(LogFormat::json, "up", {{"name", "s1"}, {"level", 3}})
            .ends_with("\"msg\":\"up\",\"name_\":\"s1\",\"level_\":3}\n"));
  CHECK(one_line(LogFormat::logfmt, "up", {{"msg", "s1"}}).ends_with(" msg=up msg_=s1\n"));
}

TEST_CASE("a null pointer is an empty text") {
  const char* nothing = nullptr;
  CHECK(one_line(LogFormat::pretty, "e", {{"k", nothing}}) == "12:04:05.123 INFO  e k=\"\"\n");
}

TEST_CASE("levels are shown, coloured on request, and filter") {
  TestWorld world;
  Logger::Options with_color = options(LogFormat::pretty);
  with_color.color = true;
  Logger log(world.world(), with_color);
  log.debug("hidden");
  CHECK(world.lines.empty());
  CHECK_FALSE(log.enabled(LogLevel::debug));
  log.set_level(LogLevel::trace);
  log.trace("t");
  log.warn("w");
  log.error("e");
  REQUIRE(world.lines.size() == 3);
  CHECK(world.lines[0] == "12:04:05.123 \x1b[90mTRACE\x1b[0m t\n");
  CHECK(world.lines[1] == "12:04:05.123 \x1b[33mWARN \x1b[0m w\n");
  CHECK(world.lines[2] == "12:04:05.123 \x1b[31mERROR\x1b[0m e\n");
  CHECK(log.tail(1) == std::vector<std::string>{"12:04:05.123 ERROR e"});
}

TEST_CASE("a repeated line is counted until something else comes") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  for (int i = 0; i < 813; ++i) log.warn("server.down", {{"server", "a"}});
  CHECK(world.lines.size() == 1);
  world.now_ms += 10;
  log.warn("server.down", {{"server", "b"}});
  REQUIRE(world.lines.size() == 3);
  CHECK(world.lines[1] == "12:04:05.123 WARN  server.down server=a repeated=812\n");
  CHECK(world.lines[2] == "12:04:05.133 WARN  server.down server=b\n");
}

TEST_CASE("the same text at another level is another line") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  log.warn("x");
  log.error("x");
  CHECK(world.lines.size() == 2);
}

TEST_CASE("flush prints the count once") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::json));
  log.info("x");
  log.flush();
  CHECK(world.lines.size() == 1);
  log.info("x");
  world.now_ms += 100;
  log.info("x");
  log.flush();
  log.flush();
  REQUIRE(world.lines.size() == 2);
  CHECK(world.lines[1].ends_with("\"msg\":\"x\",\"repeated\":2}\n"));
  CHECK(world.lines[1].starts_with("{\"ts\":\"2024-05-01T12:04:05.223Z\""));
}

TEST_CASE("a storm costs one line per second") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  for (int i = 0; i < 5000; ++i) {
    log.info("storm");
    ++world.now_ms;
  }
  CHECK(world.lines.size() == 5);
  CHECK(world.lines[1] == "12:04:06.123 INFO  storm repeated=1000\n");
}

TEST_CASE("a line that comes again after a while is printed with its own time") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  log.info("x");
  world.now_ms += 500;
  log.info("x");
  world.now_ms += 5000;
  log.info("x");
  REQUIRE(world.lines.size() == 3);
  CHECK(world.lines[1] == "12:04:05.623 INFO  x repeated=1\n");
  CHECK(world.lines[2] == "12:04:10.623 INFO  x\n");
}

TEST_CASE("a clock that is set back does not hold lines") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  log.info("x");
  world.now_ms -= 3'600'000;
  log.info("x");
  CHECK(world.lines.size() == 2);
}

TEST_CASE("long lines are cut to the limit with a mark, whatever they are made of") {
  for (const LogFormat format : {LogFormat::json, LogFormat::logfmt, LogFormat::pretty}) {
    for (const char* unit : {"a", "\n", "\xff", "\xE2\x82\xAC", "\""}) {
      for (const std::size_t bytes : {15'000U, 16'300U, 17'000U, 200'000U}) {
        std::string text;
        while (text.size() < bytes) text += unit;
        const std::string line = one_line(format, "big", {{"text", text}, {"after", 1}});
        CAPTURE(line.size());
        CHECK(line.size() <= Logger::kMaxLine);
        const bool whole = line.find("after") != std::string::npos;
        const bool marked = line.find("truncated") != std::string::npos;
        CHECK(whole != marked);
        CHECK(line.find("\n") == line.size() - 1);
        if (format == LogFormat::json && marked) CHECK(line.ends_with(",\"truncated\":true}\n"));
        if (bytes > Logger::kMaxLine) CHECK(marked);
      }
    }
  }
}

TEST_CASE("a huge event, key or name is cut too") {
  const std::string huge(100'000, 'k');
  for (const LogFormat format : {LogFormat::json, LogFormat::logfmt, LogFormat::pretty}) {
    CHECK(one_line(format, huge, {{"a", 1}}).size() <= Logger::kMaxLine);
    const std::string line = one_line(format, "e", {{"a", 1}, {huge, "v"}, {"b", 1}});
    CHECK(line.size() <= Logger::kMaxLine);
    CHECK(line.find("truncated") != std::string::npos);
    TestWorld world;
    Logger::Options named = options(format);
    named.name = std::string(100'000, '\x01');
    named.role = named.name;
    Logger log(world.world(), named);
    log.info("e", {{"text", huge}});
    CHECK(world.lines[0].size() <= Logger::kMaxLine);
  }
}

TEST_CASE("the ring keeps the newest lines within its two limits") {
  TestWorld world;
  Logger log(world.world(), options(LogFormat::pretty));
  for (int i = 0; i < 1500; ++i) log.info("n", {{"i", i}});
  CHECK(log.tail(5000).size() == Logger::kRingLines);
  CHECK(log.tail(2) ==
        std::vector<std::string>{"12:04:05.123 INFO  n i=1498", "12:04:05.123 INFO  n i=1499"});
  CHECK(log.tail(0).empty());
  const std::string text(10'000, 'x');
  for (int i = 0; i < 100; ++i) log.info("n", {{"i", i}, {"text", text}});
  std::size_t bytes = 0;
  for (const std::string& line : log.tail(5000)) bytes += line.size();
  CHECK(bytes <= Logger::kRingBytes);
  CHECK(bytes > Logger::kRingBytes - 2 * text.size());
}

TEST_CASE("a logger without a sink still keeps its ring, and automatic means json") {
  TestWorld world;
  Logger::World silent = world.world();
  silent.write = nullptr;
  Logger log(silent, options(LogFormat::automatic));
  log.info("x");
  REQUIRE(log.tail(1).size() == 1);
  CHECK(log.tail(1)[0].starts_with("{\"ts\":"));
}

TEST_CASE("times before 1970 and in leap years are right") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(rfc3339(951'782'400'000) == "2000-02-29T00:00:00.000Z");
  CHECK(rfc3339(4'107'542'399'999) == "2100-02-28T23:59:59.999Z");
}

}  // namespace
}  // namespace consort
