#include "manage/config_watch.hpp"

#include <doctest/doctest.h>

#include "unit/manage/support.hpp"

using namespace consort;
using test::Bench;

namespace {

bool has_line(const Bench& bench, const std::string& line) {
  return bench.metrics_text().find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("a file that changes is taken over after 100 ms of quiet") {
  Bench bench;
  bench.begin();
  bench.file = "greeting: good day\n";
  bench.world.files.touch("test.yaml");
  bench.world.loop.run_for(99);
  CHECK(bench.role.greeting == "hello");
  bench.world.loop.run_for(1);
  CHECK(bench.role.greeting == "good day");
  CHECK(bench.config.get()->generation == 2);
  CHECK(bench.logged("file changed: test.yaml"));
  CHECK(has_line(bench, "consort_config_reloads_total{result=\"applied\"} 1"));
  CHECK(has_line(bench, "consort_config_reloads_total{result=\"refused\"} 0"));
}

TEST_CASE("a file with the same bytes is not taken over again") {
  Bench bench;
  bench.begin();
  bench.write_file("greeting: hello\n");
  CHECK(bench.config.get()->generation == 1);
  bench.write_file("greeting: good day\n");
  bench.write_file("greeting: good day\n");
  CHECK(bench.config.get()->generation == 2);
  bench.file = "greeting: good evening\n";
  bench.supervisor->reload("signal HUP", {});
  bench.world.loop.settle();
  bench.write_file("greeting: good evening\n");
  CHECK(bench.config.get()->generation == 3);
}

TEST_CASE("an invalid file is refused, counted, and complained of once per content") {
  Bench bench;
  bench.begin();
  for (int i = 0; i < 3; ++i) bench.write_file("greting: x\n");
  CHECK(bench.role.greeting == "hello");
  CHECK(bench.times_logged("config.reload_refused") == 1);
  CHECK(bench.checks.worst(false) == Health::warn);
  bench.write_file("{{{{");
  CHECK(bench.times_logged("config.reload_refused") == 2);
  CHECK(has_line(bench, "consort_config_reloads_total{result=\"refused\"} 2"));
  CHECK(bench.state() == State::ready);

  // Back to what is in effect: the warning goes.
  bench.write_file("greeting: hello\n");
  CHECK(bench.checks.worst(false) == Health::pass);
  CHECK(bench.config.get()->generation == 2);
}

TEST_CASE("a file that changed before it was watched is noticed") {
  Bench bench;
  bench.file = "greeting: good day\n";
  bench.begin();
  CHECK(bench.role.greeting == "good day");
  CHECK(bench.logged("file changed: test.yaml"));
}

TEST_CASE("a file that changes during the start is taken over once that is done") {
  Bench bench;
  bench.role.start_time = Millis{5000};
  bench.begin();
  bench.write_file("greeting: good day\n");
  CHECK(bench.role.greeting == "hello");
  CHECK_FALSE(bench.logged("config.reload_refused"));
  bench.world.loop.run_for(5000);
  CHECK(bench.state() == State::ready);
  CHECK(bench.role.greeting == "good day");
}

TEST_CASE("a process that ends does not look at its files any more") {
  Bench bench;
  bench.begin();
  bench.role.drain_time = Millis{5000};
  (void)bench.supervisor->stop("signal TERM", Millis{30'000});
  bench.world.loop.settle();
  bench.write_file("greeting: good day\n");
  CHECK(bench.role.greeting == "hello");
  CHECK_FALSE(bench.logged("config.reload_refused"));
}

TEST_CASE("watching can be switched off") {
  Bench bench({{.name = "watch-config", .value = "false"}});
  bench.begin();
  CHECK_FALSE(bench.world.files.is_watched("test.yaml"));
  bench.write_file("greeting: good day\n");
  CHECK(bench.role.greeting == "hello");
}

TEST_CASE("every file of the configuration is watched") {
  Bench bench({{.name = "config", .value = "base.yaml"}});
  bench.begin();
  CHECK(bench.world.files.is_watched("base.yaml"));
  CHECK(bench.world.files.is_watched("test.yaml"));
  // Both change at once, as in one ConfigMap: one reload.
  bench.file = "greeting: good day\n";
  bench.world.files.touch("base.yaml");
  bench.world.files.touch("test.yaml");
  bench.world.loop.run_for(100);
  CHECK(bench.role.greeting == "good day");
  CHECK(bench.config.get()->generation == 2);
}

TEST_CASE("a watch that the kernel does not help is warned of and counted") {
  Bench bench;
  bench.world.files.degrade("no inotify");
  bench.begin();
  CHECK(bench.logged("config.watch_degraded"));
  CHECK(has_line(bench, "consort_config_files_polled 1"));
}
