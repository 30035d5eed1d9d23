// Records of several lines and parts, over rotations and restarts; what following costs.
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::lines;
using test::LogsaverWorld;

std::string cri(std::string_view rest) {
  return "2016-10-06T00:17:09.669794202Z stdout " + std::string(rest) + "\n";
}

void check_saved(LogsaverWorld& world, const std::string& written) {
  INFO(world.log_text());
  CHECK(world.saved() == written);
  CHECK(world.store().different_bodies == 0);
}

TEST_CASE("parts of a CRI line on both sides of a rotation are one line") {
  for (const std::uint64_t pause_ms : {0U, 5U, 300U}) {
    for (const bool is_down : {false, true}) {
      for (const bool is_killed : {false, true}) {
        CAPTURE(pause_ms);
        CAPTURE(is_down);
        CAPTURE(is_killed);
        LogsaverWorld world(1, {"/log/0.log"});
        world.rules.assembler.format = AssemblerRules::Format::cri;
        world.store().traits.batch_bytes = {200};
        world.store().is_down = is_down;
        world.disk.append("/log/other", "");  // the directory is watched already
        world.start();
        world.disk.append("/log/0.log", cri("F zero") + lines("x", 1, 30) + cri("P one-"));
        world.run_for(pause_ms);
        REQUIRE(world.disk.rename("/log/0.log", "/log/0.log.1"));
        world.run_for(pause_ms);
        world.disk.append("/log/0.log", cri("P two-"));
        world.run_for(pause_ms);
        world.disk.append("/log/0.log", cri("F three") + cri("F four"));
        world.run_for(5000);
        if (is_killed) world.restart();
        world.store().is_down = false;
        world.run_for(60'000);
        if (is_killed) world.restart();
        world.run_for(10'000);
        check_saved(world, "zero\n" + lines("x", 1, 30) + "one-two-three\nfour\n");
      }
    }
  }
}

TEST_CASE("a rotation while nobody runs does not part a CRI line") {
  LogsaverWorld world(1, {"/log/0.log"});
  world.rules.assembler.format = AssemblerRules::Format::cri;
  world.start();
  world.disk.append("/log/0.log", cri("F zero") + cri("P one-"));
  world.run_for(300);
  world.kill();
  REQUIRE(world.disk.rename("/log/0.log", "/log/0.log.1"));
  world.disk.append("/log/0.log", cri("F two") + cri("F three"));
  world.start();
  world.run_for(10'000);
  check_saved(world, "zero\none-two\nthree\n");
}

TEST_CASE("a record that silence ended is not ended anew by a restart") {
  for (const std::uint64_t kill_ms : {500U, 1001U, 1050U, 1101U, 1200U, 3000U}) {
    CAPTURE(kill_ms);
    LogsaverWorld world;
    world.rules.assembler.multiline.kinds = {MultilineKind::java};
    world.store().lost_answers = kill_ms > 1000 ? 1 : 0;
    world.start();
    const std::string trace = "java.lang.Exception: no\n    at a.b(c.java:1)\n";
    world.disk.append("/log/a.log", "before\n" + trace);
    world.run_for(kill_ms);
    world.restart();
    world.store().lost_answers = 0;
    world.run_for(3000);
    world.disk.append("/log/a.log", "    at d.e(f.java:2)\nafter\n");
    world.run_for(3000);
    world.restart();
    world.run_for(3000);
    check_saved(world, "before\n" + trace + "    at d.e(f.java:2)\nafter\n");
  }
}

TEST_CASE("records that are longer than what a batch may still take") {
  for (const int frames : {50, 300, 3000}) {
    LogsaverWorld world;
    world.rules.assembler.multiline.kinds = {MultilineKind::java};
    world.store().traits.batch_bytes = {8 * 1024};
    std::string written;
    for (int i = 0; i < 5; ++i) {
      written += lines("x", 1, 100) + "java.lang.Exception: no\n";
      for (int frame = 0; frame < frames; ++frame) written += "    at a.b(c.java:1)\n";
    }
    world.start();
    world.disk.append("/log/a.log", written);
    world.run_for(10'000);
    check_saved(world, written);
  }
}

TEST_CASE("parts of lines that are longer than records may be come again as they were") {
  for (const bool is_plain : {true, false}) {
    for (const std::size_t size : {std::size_t{3000}, std::size_t{2000}, std::size_t{4321}}) {
      CAPTURE(is_plain);
      CAPTURE(size);
      LogsaverWorld world;
      world.rules.assembler.record_bytes_max = 1000;
      if (!is_plain) world.rules.assembler.multiline.kinds = {MultilineKind::java};
      world.store().traits.batch_bytes = {1500};
      world.store().traits.in_flight_max = 1;
      world.store().lost_answers = 1;
      world.start();
      std::string written = lines("a", 1, 10);
      for (char each = 'a'; each < 'g'; ++each) written += std::string(size, each) + "\n";
      written += std::string(1000, 'z');
      for (std::size_t at = 0; at < written.size(); at += 1111) {
        world.disk.append("/log/a.log", written.substr(at, 1111));
        world.run_for(200);
        world.restart();
      }
      world.store().lost_answers = 0;
      for (int i = 0; i < 60; ++i) {
        world.run_for(500);
        world.restart();
      }
      world.disk.unlink("/log/a.log");
      world.run_for(60'000);
      INFO(world.log_text());
      CHECK(world.store().different_bodies == 0);
      const std::string saved = world.saved();
      CHECK(saved.substr(0, written.size()) == written);
    }
  }
}

TEST_CASE("who has nothing to do does nothing but look every ten seconds") {
  LogsaverWorld world;
  for (int i = 0; i < 100; ++i) {
    world.disk.append("/log/" + std::to_string(i) + ".log", lines("a", 1, 3) + "no end");
  }
  world.start();
  world.run_for(60'000);
  world.disk.calls.take();
  const std::uint64_t turns = world.loop.turns();
  world.step_ms = 100'000;
  world.run_for(100'000);
  CHECK(world.loop.turns() - turns < 25);
  CHECK(world.disk.calls.count(sim::DiskCall::read) == 0);
  CHECK(world.disk.calls.count(sim::DiskCall::stat) < 10 * 210);
}

TEST_CASE("a destination that is down costs no time, whatever is written meanwhile") {
  for (const bool one_file_each : {false, true}) {
    LogsaverWorld world;
    world.store().is_down = true;
    world.store().traits.one_file_each = one_file_each;
    world.store().traits.in_flight_max = 1;
    world.store().traits.batch_bytes = {2000};
    world.start();
    for (int i = 0; i < 20; ++i) {
      world.disk.append("/log/" + std::to_string(i) + ".log", lines("a", 1, 1000));
    }
    world.run_for(10'000);
    world.step_ms = 100'000;
    const std::uint64_t turns = world.loop.turns();
    world.run_for(100'000);
    CHECK(world.loop.turns() - turns < 200);
  }
}

TEST_CASE("ten thousand files that come, rotate and go take no time that grows with their square") {
  for (const bool one_file_each : {false, true}) {
    LogsaverWorld world;
    world.store().traits.one_file_each = one_file_each;
    world.store().traits.batch_bytes = {1 << 20};
    world.step_ms = 1000;
    const auto name = [](int i) { return "/log/" + std::to_string(i) + ".log"; };
    std::string written;
    for (int i = 0; i < 10'000; ++i) {
      world.disk.append(name(i), lines(name(i), 1, 1));
      written += lines(name(i), 1, 1);
    }
    world.start();
    world.run_for(20'000);
    for (int i = 0; i < 10'000; ++i) {
      world.disk.append(name(i), lines(name(i), 2, 2));
      written += lines(name(i), 2, 2);
    }
    world.run_for(20'000);
    world.restart();
    world.run_for(5000);
    for (int i = 0; i < 10'000; ++i) world.disk.unlink(name(i));
    world.run_for(60'000);
    CHECK(difference(world.saved(), written) == "");
    CHECK(world.saver().follower().tails().empty());
  }
}

}  // namespace
}  // namespace consort::logsaver
