#include "manage/supervisor.hpp"

#include <doctest/doctest.h>

#include "unit/manage/support.hpp"

using namespace consort;
using test::Bench;

namespace {
constexpr Millis kGrace{30'000};
}

TEST_CASE("a role that starts is READY and stays so") {
  Bench bench;
  bench.begin();
  bench.world.loop.run_for(60'000);
  CHECK(bench.way() == "INITIALIZING STARTING READY");
  CHECK_FALSE(bench.world.loop.stopped());
}

TEST_CASE("a role that cannot start is FAILED with exit code 69") {
  Bench bench;
  bench.role.start_fails = true;
  bench.begin();
  CHECK(bench.way() == "INITIALIZING STARTING FAILED");
  CHECK(bench.supervisor->exit_code() == 69);
  CHECK_FALSE(bench.role.role_lives);
  CHECK(bench.logged("listen on :1: taken"));
}

TEST_CASE("a role that fails while it starts slowly ends too") {
  Bench bench;
  bench.role.start_fails = true;
  bench.role.start_time = Millis{500};
  bench.begin();
  CHECK(bench.state() == State::starting);
  bench.world.loop.run_for(1000);
  CHECK(bench.world.loop.stopped());
  CHECK(bench.supervisor->exit_code() == 69);
}

TEST_CASE("work that is done ends the process with exit code 0") {
  Bench bench;
  bench.begin();
  bench.role.over.set();
  bench.world.loop.settle();
  CHECK(bench.way() == "INITIALIZING STARTING READY STOPPING STOPPED");
  CHECK(bench.supervisor->exit_code() == 0);
  CHECK(bench.world.loop.stopped());
  CHECK(bench.role.drains == 0);
}

TEST_CASE("a role that fails later is FAILED with exit code 1") {
  Bench bench;
  bench.begin();
  bench.role.run_fails = true;
  bench.role.over.set();
  bench.world.loop.settle();
  CHECK(bench.state() == State::failed);
  CHECK(bench.supervisor->exit_code() == 1);
  CHECK(bench.lifecycle.current().cause == "the disk is gone");
}

TEST_CASE("a stop drains, then ends with exit code 0 as soon as the drain is done") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{700};
  const std::uint64_t asked_ms = bench.world.loop.now_ms();
  OrderReply reply = bench.supervisor->stop("signal TERM", kGrace);
  CHECK(reply.accepted);
  CHECK(bench.state() == State::draining);  // at once, before the loop has turned
  CHECK(bench.lifecycle.current().cause == "signal TERM");
  CHECK(reply.deadline_mono_ms == asked_ms + 30'000);
  CHECK(bench.end_by == asked_ms + 30'000);
  bench.world.loop.run_for(60'000);
  CHECK(bench.world.loop.stopped());
  CHECK(bench.world.loop.now_ms() == asked_ms + 700);
  CHECK(bench.role.drain_finished);
  CHECK(bench.way() == "INITIALIZING STARTING READY DRAINING STOPPING STOPPED");
  CHECK(bench.supervisor->exit_code() == 0);
}

TEST_CASE("a drain that does not end is dropped one reserve before the deadline") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{3'600'000};
  const std::uint64_t asked_ms = bench.world.loop.now_ms();
  (void)bench.supervisor->stop("signal TERM", kGrace);
  bench.world.loop.run_for(100'000);
  CHECK(bench.world.loop.now_ms() == asked_ms + 29'000);
  CHECK(bench.role.drain_deadline_ms == asked_ms + 29'000);
  CHECK_FALSE(bench.role.drain_finished);
  CHECK(bench.supervisor->exit_code() == 0);
  CHECK(bench.logged("drain.unfinished"));
}

TEST_CASE("the reserve of a short grace period is a tenth of it") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{3'600'000};
  const std::uint64_t asked_ms = bench.world.loop.now_ms();
  (void)bench.supervisor->stop("signal TERM", Millis{2000});
  bench.world.loop.run_for(100'000);
  CHECK(bench.world.loop.now_ms() == asked_ms + 1800);
}

TEST_CASE("a grace period of nothing ends at once") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{10'000};
  (void)bench.supervisor->stop("signal TERM", Millis{0});
  bench.world.loop.settle();
  CHECK(bench.state() == State::stopped);
}

TEST_CASE("the shutdown delay comes before the drain") {
  Bench bench({{.name = "shutdown-delay", .value = "3s"}});
  bench.begin();
  (void)bench.supervisor->stop("signal TERM", kGrace);
  bench.world.loop.run_for(2999);
  CHECK(bench.role.drains == 0);
  CHECK(bench.state() == State::draining);
  bench.world.loop.run_for(1);
  CHECK(bench.role.drains == 1);
  CHECK(bench.state() == State::stopped);
}

TEST_CASE("a second order to stop skips the waits") {
  Bench bench({{.name = "shutdown-delay", .value = "3s"}});
  bench.begin();
  bench.role.drain_time = Millis{20'000};
  (void)bench.supervisor->stop("signal TERM", kGrace);
  SUBCASE("during the delay") {
    bench.world.loop.run_for(1000);
  }
  SUBCASE("during the drain") {
    bench.world.loop.run_for(5000);
  }
  CHECK(bench.state() == State::draining);
  bench.supervisor->hurry();
  bench.world.loop.settle();
  CHECK(bench.state() == State::stopped);
  CHECK(bench.supervisor->exit_code() == 0);
}

TEST_CASE("a stop during the start drops the start and drains nothing") {
  Bench bench;
  bench.role.start_time = Millis{5000};
  bench.begin();
  (void)bench.supervisor->stop("signal TERM", kGrace);
  bench.world.loop.settle();
  CHECK(bench.way() == "INITIALIZING STARTING DRAINING STOPPING STOPPED");
  CHECK(bench.role.drains == 0);
  CHECK(bench.supervisor->exit_code() == 0);
}

TEST_CASE("a stop that comes before the start ends in good order") {
  Bench bench;
  CHECK(bench.supervisor->stop("signal TERM", kGrace).accepted);
  bench.begin();
  CHECK(bench.way() == "INITIALIZING DRAINING STOPPING STOPPED");
  CHECK(bench.supervisor->exit_code() == 0);
}

TEST_CASE("orders are idempotent") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{1000};
  OrderReply first = bench.supervisor->stop("POST one", kGrace);
  OrderReply second = bench.supervisor->stop("POST two", Millis{1});
  OrderReply third = bench.supervisor->drain("POST three");
  CHECK(first.accepted);
  CHECK_FALSE(second.accepted);
  CHECK_FALSE(third.accepted);
  CHECK(second.state.seq == first.state.seq);
  CHECK(second.deadline_mono_ms == first.deadline_mono_ms);
  CHECK(bench.lifecycle.current().cause == "POST one");
}

TEST_CASE("a drain without a stop finishes the work and stays until the stop") {
  Bench bench;
  bench.begin();
  OrderReply drained = bench.supervisor->drain("POST drain");
  CHECK(drained.accepted);
  bench.world.loop.run_for(600'000);
  CHECK(bench.state() == State::draining);
  CHECK(bench.role.drains == 1);
  CHECK(bench.role.role_lives);
  CHECK_FALSE(bench.end_by);
  CHECK(bench.supervisor->stop("signal TERM", kGrace).accepted);
  bench.world.loop.settle();
  CHECK(bench.state() == State::stopped);
  CHECK(bench.role.drains == 1);
}

TEST_CASE("a role that fails while it drains still ends as failed") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{1000};
  bench.role.run_fails = true;
  (void)bench.supervisor->stop("signal TERM", kGrace);
  bench.world.loop.settle();
  bench.role.over.set();
  bench.world.loop.run_for(2000);
  CHECK(bench.state() == State::failed);
  CHECK(bench.supervisor->exit_code() == 1);
}

TEST_CASE("readiness follows the checks that gate it") {
  Bench bench;
  bench.begin();
  bench.checks.set("upstream", Health::fail, "refused");
  bench.supervisor->refresh();
  CHECK(bench.state() == State::unready);
  CHECK(bench.lifecycle.current().cause == "check upstream: refused");
  bench.checks.set("upstream", Health::warn, "slow");
  bench.supervisor->refresh();
  CHECK(bench.state() == State::ready);
  bench.checks.set("disk", Health::fail, "full", false);
  bench.supervisor->refresh();
  CHECK(bench.state() == State::ready);
}

TEST_CASE("turns of the loop look at the checks by themselves") {
  Bench bench;
  bench.begin();
  bench.world.loop.after(500, [&] { bench.checks.set("upstream", Health::fail, "refused"); });
  bench.world.loop.run_for(500);
  CHECK(bench.state() == State::unready);
}

TEST_CASE("an ending process does not become ready again") {
  Bench bench;
  bench.begin();
  bench.checks.set("upstream", Health::fail, "refused");
  bench.supervisor->refresh();
  bench.role.drain_time = Millis{1000};
  (void)bench.supervisor->stop("signal TERM", kGrace);
  bench.checks.set("upstream", Health::pass, "");
  bench.supervisor->refresh();
  CHECK(bench.state() == State::draining);
}

TEST_CASE("an idle role lets the loop sleep") {
  Bench bench;
  bench.begin();
  const std::uint64_t turns = bench.world.loop.turns();
  bench.world.loop.run_for(3'600'000);
  CHECK(bench.world.loop.turns() - turns <= 1);
}

TEST_CASE("a reload is taken over whole and lists what needs a restart") {
  Bench bench;
  bench.begin();
  bench.file = "greeting: good day\nnote: changed\nlog_level: debug\n";
  std::optional<ReloadReport> report;
  bench.supervisor->reload("signal HUP", [&](ReloadReport made) { report = std::move(made); });
  CHECK_FALSE(report);
  bench.world.loop.settle();
  REQUIRE(report);
  CHECK(report->applied);
  CHECK(report->generation == 2);
  CHECK(report->needs_restart == std::vector<std::string>{"note"});
  CHECK(bench.role.greeting == "good day");
  CHECK(bench.log.level() == LogLevel::debug);
  CHECK(bench.config.get()->generation == 2);

  // What needs a restart needs it until then, also when the next reload changes nothing.
  bench.supervisor->reload("signal HUP", [&](ReloadReport made) { report = std::move(made); });
  bench.world.loop.settle();
  CHECK(report->generation == 3);
  CHECK(report->changed.empty());
  CHECK(report->needs_restart == std::vector<std::string>{"note"});
}

TEST_CASE("orders to reload that wait together are one reload") {
  Bench bench;
  bench.begin();
  int reports = 0;
  auto count = [&reports](const ReloadReport& report) { reports += report.applied ? 1 : 0; };
  for (int i = 0; i < 1000; ++i) bench.supervisor->reload("signal HUP", {});
  bench.supervisor->reload("POST /reload", count);
  bench.supervisor->reload("POST /reload", count);
  bench.world.loop.settle();
  CHECK(reports == 2);
  CHECK(bench.config.get()->generation == 2);
  bench.supervisor->reload("POST /reload", count);
  bench.world.loop.settle();
  CHECK(reports == 3);
  CHECK(bench.config.get()->generation == 3);
}

TEST_CASE("a crowd that waits for a reload is bounded") {
  Bench bench;
  bench.begin();
  int refused = 0;
  int applied = 0;
  auto count = [&](const ReloadReport& report) { ++(report.applied ? applied : refused); };
  for (int i = 0; i < 100; ++i) bench.supervisor->reload("POST /reload", count);
  CHECK(refused == 36);
  bench.world.loop.settle();
  CHECK(refused == 36);
  CHECK(applied == 64);
}

TEST_CASE("an invalid reload changes nothing and warns") {
  Bench bench;
  bench.begin();
  SUBCASE("unknown key") {
    bench.file = "greting: x\n";
  }
  SUBCASE("no YAML at all") {
    bench.file = "{{{{";
  }
  SUBCASE("the role refuses") {
    bench.file = "greeting: other\nlog_level: debug\n";
    bench.role.reload_fails = true;
  }
  std::optional<ReloadReport> report;
  bench.supervisor->reload("signal HUP", [&](ReloadReport made) { report = std::move(made); });
  bench.world.loop.settle();
  REQUIRE(report);
  CHECK_FALSE(report->applied);
  CHECK_FALSE(report->problems.empty());
  CHECK(report->generation == 1);
  CHECK(bench.role.greeting == "hello");
  CHECK(bench.log.level() == LogLevel::info);
  CHECK(bench.config.get()->generation == 1);
  CHECK(bench.state() == State::ready);
  CHECK(bench.checks.worst(false) == Health::warn);
  CHECK(bench.logged("config.reload_refused"));
  const std::string text = bench.metrics.render(Registry::Format::prometheus_text);
  CHECK(text.find("\nconsort_config_last_reload_successful 0\n") != std::string::npos);

  bench.role.reload_fails = false;
  bench.file = "greeting: right\n";
  bench.supervisor->reload("signal HUP", {});
  bench.world.loop.settle();
  CHECK(bench.role.greeting == "right");
  CHECK(bench.checks.worst(false) == Health::pass);
}

TEST_CASE("there is no reload before the start is over or after the end began") {
  Bench bench;
  bench.role.start_time = Millis{1000};
  bench.begin();
  std::optional<ReloadReport> report;
  bench.supervisor->reload("signal HUP", [&](ReloadReport made) { report = std::move(made); });
  bench.world.loop.settle();
  REQUIRE(report);
  CHECK_FALSE(report->applied);
  CHECK(report->problems.front() == "cannot reload while STARTING");
}
