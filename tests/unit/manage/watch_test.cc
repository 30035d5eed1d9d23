#include <doctest/doctest.h>

#include "manage/loop_watch.hpp"
#include "manage/process_metrics.hpp"

using namespace consort;

namespace {

struct FakeLoop {
  std::uint64_t now = 1'000'000'000'000;
  std::uint64_t since = 0;
  std::uint64_t busy = 0;
  LoopGauges gauges() {
    return {.now_ns = [this] { return now; },
            .busy_since_ns = [this] { return since; },
            .busy_ns = [this] { return busy; },
            .turns = [] { return std::uint64_t{1}; }};
  }
};

constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

TEST_CASE("a sleeping loop is not busy and a clock that was read early is no stall") {
  FakeLoop loop;
  LoopWatch watch(loop.gauges());
  CHECK(watch.busy_for().count() == 0);
  loop.since = loop.now + 5;
  CHECK(watch.busy_for().count() == 0);
  loop.since = loop.now - 3 * kSecond;
  CHECK(watch.busy_for().count() == 3000);
}

TEST_CASE("the share of work counts finished turns and the one under way") {
  FakeLoop loop;
  LoopWatch watch(loop.gauges());
  loop.now += 4 * kSecond;
  loop.busy += kSecond;
  CHECK(watch.utilization() == doctest::Approx(0.25));
  loop.now += kSecond / 2;  // too soon for another sample
  CHECK(watch.utilization() == doctest::Approx(0.25));
  loop.now += kSecond / 2;
  loop.since = loop.now - kSecond / 2;
  CHECK(watch.utilization() == doctest::Approx(0.5));
}

TEST_CASE("the share of work never leaves 0..1") {
  FakeLoop loop;
  LoopWatch watch(loop.gauges());
  CHECK(watch.utilization() == 0);
  loop.now += kSecond;
  loop.busy += 3 * kSecond;
  CHECK(watch.utilization() == 1);
  loop.now += kSecond;
  loop.busy -= kSecond;
  CHECK(watch.utilization() == 0);
}

TEST_CASE("proc stat is read also for commands with blanks and parentheses") {
  const std::string stat =
      "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 2 0 5000 8192000 300 1 2\n";
  ProcessFacts facts = parse_proc_stat(stat, 1'000'000, 100, 4096);
  CHECK(facts.cpu_seconds == doctest::Approx(4.0));
  CHECK(facts.start_time_seconds == doctest::Approx(1'000'050));
  CHECK(facts.virtual_bytes == doctest::Approx(8192000));
  CHECK(facts.resident_bytes == doctest::Approx(300 * 4096));
}

TEST_CASE("a proc stat that is cut off gives zeros") {
  const std::string stat = "42 (x) S 1 42 42 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 2 0 5000";
  for (std::size_t size = 0; size < stat.size(); ++size) {
    ProcessFacts facts = parse_proc_stat(stat.substr(0, size), 0, 100, 4096);
    CHECK(facts.resident_bytes == 0);
  }
}

TEST_CASE("the series of every role are all there") {
  Registry metrics;
  Lifecycle life([] { return Moment{}; });
  FakeLoop loop;
  LoopWatch watch(loop.gauges());
  add_process_metrics(metrics);
  add_lifecycle_metrics(metrics, life, watch, "test", "1.2");
  REQUIRE(life.move_to(State::initializing, "go"));
  const std::string text = metrics.render(Registry::Format::prometheus_text);
  CHECK(text.find("consort_state{state=\"INITIALIZING\"} 1\n") != std::string::npos);
  CHECK(text.find("consort_state{state=\"CREATED\"} 0\n") != std::string::npos);
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
        "process_max_fds", "process_start_time_seconds", "consort_build_info",
        "consort_transitions_total", "consort_loop_utilization_ratio"}) {
    CAPTURE(name);
    CHECK(text.find(std::string("\n") + name) != std::string::npos);
  }
}
