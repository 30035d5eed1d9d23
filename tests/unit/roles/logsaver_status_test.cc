// What operators see: checks, metrics and pages of a saver in a simulated world.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "roles/logsaver/admin_pages.hpp"
#include "roles/logsaver/status.hpp"
#include "unit/roles/logsaver_world.hpp"

using namespace consort;
using namespace consort::logsaver;
using namespace consort::logsaver::test;

namespace {

struct Watched {
  explicit Watched(LogsaverWorld& of) : world(of) { world.start(); }

  void look(Status::Others others = {}) {
    if (!status) status.emplace(checks, registry, world.saver(), world.rules);
    status->update(world.loop.now_ms(), others);
  }
  /// The series' value as text; empty when there is no such series.
  std::string metric(const std::string& series) const {
    const std::string text = "\n" + registry.render(Registry::Format::prometheus_text);
    const std::size_t at = text.find("\n" + series + " ");
    if (at == text.npos) return "";
    const std::size_t from = at + series.size() + 2;
    return text.substr(from, text.find('\n', from) - from);
  }
  std::string of_sink(const std::string& name) const {
    return metric("consort_logsaver_" + name + "{sink=\"fake:1\"}");
  }
  /// "warn: text"; empty when there is no such check.
  std::string check(std::string_view name) const {
    for (const Check& each : checks.all()) {
      if (each.name != name) continue;
      CHECK_FALSE(each.gates_readiness);
      return (each.health == Health::pass ? "pass: " : "warn: ") + each.text;
    }
    return "";
  }

  LogsaverWorld& world;
  CheckBoard checks;
  Registry registry;
  std::optional<Status> status;
};

}  // namespace

TEST_CASE("metrics tell what was read, and what of it arrived, waits, was rejected or lost") {
  LogsaverWorld world;
  Watched seen(world);
  world.disk.append("/log/a.log", lines("a", 1, 100));
  world.run_for(2'000);
  seen.look();
  CHECK_EQ(seen.of_sink("read_bytes_total"), "800");
  CHECK_EQ(seen.of_sink("acknowledged_bytes_total"), "800");
  CHECK_EQ(seen.of_sink("records_sent_total"), "100");
  CHECK_EQ(seen.of_sink("waiting_bytes"), "0");
  CHECK_EQ(seen.of_sink("lost_bytes_total"), "0");
  CHECK_EQ(seen.of_sink("sink_ok"), "1");
  CHECK_EQ(seen.of_sink("adds_up"), "1");
  CHECK_EQ(seen.of_sink("oldest_unacknowledged_seconds"), "0");
  CHECK_EQ(seen.metric("consort_logsaver_files"), "1");
  CHECK_EQ(seen.metric("consort_logsaver_unread_bytes"), "0");

  world.store().is_down = true;
  world.disk.append("/log/a.log", lines("a", 101, 200));
  world.run_for(5'000);
  seen.look();
  CHECK_EQ(seen.of_sink("read_bytes_total"), "1600");
  CHECK_EQ(seen.of_sink("waiting_bytes"), "800");
  CHECK_EQ(seen.of_sink("in_flight_batches"), "1");
  CHECK_EQ(seen.of_sink("sink_ok"), "0");
  CHECK_GT(std::stod(seen.of_sink("oldest_unacknowledged_seconds")), 4.0);
  CHECK_GT(std::stoi(seen.of_sink("retries_total")), 0);
  CHECK_EQ(seen.check("sink fake:1"), "warn: it is down");

  world.store().is_down = false;
  world.run_for(60'000);
  seen.look();
  CHECK_EQ(seen.of_sink("acknowledged_bytes_total"), "1600");
  CHECK_EQ(seen.check("sink fake:1"), "pass: ok");
}

TEST_CASE("a sink that needs a person says so in its check and its gauge") {
  LogsaverWorld world;
  world.store().is_down = true;
  world.store().down = Outcome::stuck("403");
  Watched seen(world);
  world.disk.append("/log/a.log", "one\n");
  world.run_for(1'000);
  seen.look();
  CHECK_EQ(seen.of_sink("sink_held"), "1");
  CHECK_EQ(seen.check("sink fake:1"), "warn: held, tried each 30 s: 403");
}

TEST_CASE("what is quiet is not counted again each second, and still is not missed") {
  LogsaverWorld world;
  Watched seen(world);
  // No line end: it stays unread, and the saver is idle.
  world.disk.append("/log/a.log", "half");
  world.run_for(2'000);
  seen.look();
  CHECK_EQ(seen.metric("consort_logsaver_unread_bytes"), "4");
  world.disk.append("/log/a.log", " a line");
  world.run_for(1'000);
  seen.look();
  world.run_for(10'000);
  seen.look();
  CHECK_EQ(seen.metric("consort_logsaver_unread_bytes"), "11");
}

TEST_CASE("bytes of a deleted file are told while they are in the spool, and while they are not") {
  LogsaverWorld world;
  world.store().is_down = true;
  world.follow.spool_bytes_max = 0;
  Watched seen(world);
  world.disk.append("/log/a.log", lines("a", 1, 100));
  world.run_for(1'000);
  world.disk.unlink("/log/a.log");
  world.run_for(12'000);
  seen.look();
  CHECK_EQ(seen.metric("consort_logsaver_unsafe_bytes"), "800");
  CHECK_EQ(seen.metric("consort_logsaver_spool_bytes"), "0");
  CHECK_EQ(seen.check("spool"), "warn: 800 bytes of deleted files would not survive a restart");
}

TEST_CASE("the spool's bytes are counted") {
  LogsaverWorld world;
  world.store().is_down = true;
  Watched seen(world);
  world.disk.append("/log/a.log", lines("a", 1, 100));
  world.run_for(1'000);
  world.disk.unlink("/log/a.log");
  world.run_for(12'000);
  seen.look();
  CHECK_EQ(seen.metric("consort_logsaver_spool_bytes"), "800");
  CHECK_EQ(seen.metric("consort_logsaver_unsafe_bytes"), "0");
  CHECK_EQ(seen.check("spool"), "");
}

TEST_CASE("redactions, limits and throttling have series of their own") {
  LogsaverWorld world;
  auto redaction = Redaction::make(std::vector<std::string>{"email", "id=ID-[0-9]+"});
  REQUIRE(redaction);
  world.rules.redaction = std::move(*redaction);
  Watched seen(world);
  world.disk.append("/log/a.log", "a@b.example and ID-1\n");
  world.run_for(2'000);
  seen.look({.throttled_ms = 1'500});
  CHECK_EQ(seen.metric("consort_logsaver_redactions_total{rule=\"email\"}"), "1");
  CHECK_EQ(seen.metric("consort_logsaver_redactions_total{rule=\"id\"}"), "1");
  CHECK_EQ(seen.metric("consort_logsaver_redaction_limits_total{rule=\"id\"}"), "0");
  CHECK_EQ(seen.metric("consort_logsaver_scavenger_throttled_seconds_total"), "1.5");
}

TEST_CASE("both pages say whether the sums are right") {
  LogsaverWorld world;
  Watched seen(world);
  world.disk.append("/log/a.log", lines("a", 1, 100));
  world.run_for(2'000);
  const std::string files = files_page(world.saver(), world.loop.now_ms()).body;
  CHECK(files.find("\"adds_up\": true") != files.npos);
  CHECK(files.find("\"unread_bytes\": 0") != files.npos);
  const std::string sinks = sinks_page(world.saver(), world.loop.now_ms()).body;
  CHECK(sinks.find("\"adds_up\": true") != sinks.npos);
  seen.look();
  CHECK_EQ(seen.check("sums"), "");
}
