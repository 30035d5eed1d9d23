// What the delivery decides itself: the times of batches, the waits between tries, whose turn it
// is. Following, records and restarts: logsaver_following*_test.cc.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::FakeStore;
using test::lines;
using test::LogsaverWorld;
using test::split_lines;

TEST_CASE("no two batches have the same time, however fast they come and over restarts") {
  LogsaverWorld world;
  world.store().traits.batch_bytes = {1024};
  world.store().before_ms = world.store().after_ms = 0;
  world.store().traits.in_flight_max = 64;
  world.disk.append("/log/a.log", lines("a", 1, 20'000));
  world.start();
  world.run_for(50);
  world.restart();
  world.run_for(5'000);
  CHECK(difference(world.saved(), lines("a", 1, 20'000)) == "");
  CHECK(world.store().objects.size() > 30);
  CHECK(world.store().equal_times == 0);
  // They run ahead of the clock, but not for long.
  CHECK(world.store().times.rbegin()->first < world.wall_ms());
}

TEST_CASE("after a clock that was set back far batches have the time of now") {
  LogsaverWorld world;
  world.start();
  world.disk.append("/log/a.log", "one\n");
  world.run_for(1000);
  world.wall_step_ms = -3'600'000;
  world.disk.append("/log/a.log", "two\n");
  world.run_for(1000);
  REQUIRE(world.store().times.size() == 2);
  CHECK(world.store().times.begin()->first <= world.wall_ms());
}

TEST_CASE("waits grow while nothing arrives, and begin small again when some of it does") {
  LogsaverWorld world;
  world.store().is_down = true;
  world.start();
  world.disk.append("/log/a.log", "one\n");
  world.run_for(120'000);
  const std::uint64_t tries_without = world.store().deliveries;
  CHECK(tries_without < 40);
  world.store().down.is_progress = true;
  world.run_for(60'000);
  CHECK(world.store().deliveries - tries_without > 200);
  world.store().is_down = false;
  world.run_for(1000);
  CHECK(world.saved() == "one\n");
}

TEST_CASE("the parts of a line that is longer than records are not mixed with other files' lines") {
  for (const bool is_plain : {true, false}) {
    CAPTURE(is_plain);
    LogsaverWorld world;
    world.rules.assembler.record_bytes_max = 1000;
    if (!is_plain) world.rules.assembler.multiline.kinds = {MultilineKind::java};
    world.store().traits.batch_bytes = {4096};
    const std::string long_line = std::string(50'000, 'x') + "\n";
    for (const char* name : {"a", "b", "c"}) {
      const std::string path = std::string("/log/") + name + ".log";
      world.disk.append(path, lines(name, 1, 500) + long_line + lines(name, 501, 1000));
    }
    world.start();
    world.run_for(20'000);
    std::string written;
    for (const char* name : {"a", "b", "c"}) written += lines(name, 1, 1000) + long_line;
    CHECK(difference(world.saved(), written) == "");
  }
}

TEST_CASE("what another file's lines follow within a batch ends there, also when it comes again") {
  for (const bool is_plain : {true, false}) {
    CAPTURE(is_plain);
    LogsaverWorld world;
    world.rules.assembler.record_bytes_max = 1000;
    if (!is_plain) world.rules.assembler.multiline.kinds = {MultilineKind::java};
    world.store().traits.batch_time = Millis{5'000};
    world.store().lost_answers = 1;
    world.start();
    // Its writer is in the middle of it.
    world.disk.append("/log/a.log", "one\n" + std::string(1'002, 'x'));
    world.run_for(100);
    world.disk.append("/log/b.log", lines("b", 1, 3));
    world.run_for(100);
    world.disk.append("/log/a.log", std::string(100, 'y') + "\n");
    world.run_for(6'000);
    REQUIRE(world.store().objects.size() == 1);
    world.restart();
    world.store().lost_answers = 0;
    world.run_for(10'000);
    CHECK(world.store().different_bodies == 0);
    CHECK(world.store().arrivals > 1);
    const std::vector<std::string> saved = split_lines(world.saved());
    for (const std::string& line : split_lines(lines("b", 1, 3))) {
      CHECK(std::ranges::count(saved, line) == 1);
    }
    std::size_t bytes = 0;
    for (const std::string& line : saved) bytes += line.size();
    CHECK(bytes == 3 + 1'102 + 3 * 7);
  }
}

}  // namespace
}  // namespace consort::logsaver
