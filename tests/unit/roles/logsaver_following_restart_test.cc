// What happens to log files and destinations while the process is killed, stopped or kept from its
// work: nothing lost, nothing twice.
#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "unit/roles/logsaver_world.hpp"
#include "wire/gzip.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::lines;
using test::LogsaverWorld;

void check_all(LogsaverWorld& world, const std::string& written, std::size_t store = 0) {
  INFO(world.log_text());
  CHECK(difference(world.saved(store), written) == "");
  CHECK(world.store(store).different_bodies == 0);
  CHECK(world.store(store).different_places == 0);
}

TEST_CASE("a file that was renamed, truncated or replaced while nobody ran") {
  for (const char* glob : {"/log/*.log*", "/log/*.log"}) {
    CAPTURE(glob);
    LogsaverWorld world(1, {glob});
    for (const char* name : {"/log/renamed.log", "/log/copied.log", "/log/cut.log",
                             "/log/replaced.log", "/log/same.log"}) {
      world.disk.append(name, lines(name, 1, 300));
    }
    world.start();
    world.run_for(3000);
    world.kill();
    world.loop.run_for(60'000);
    world.disk.append("/log/renamed.log", lines("/log/renamed.log", 301, 310));
    REQUIRE(world.disk.rename("/log/renamed.log", "/log/renamed.log.1"));
    world.disk.append("/log/renamed.log", lines("/log/renamed.log", 311, 320));
    world.disk.append("/log/copied.log", lines("/log/copied.log", 301, 310));
    world.disk.copy("/log/copied.log", "/log/copied.log.1");
    world.disk.truncate("/log/copied.log", 0);
    world.disk.append("/log/copied.log", lines("/log/copied.log", 311, 320));
    world.disk.truncate("/log/cut.log", 0);
    world.disk.append("/log/cut.log", lines("/log/cut.log", 301, 700));
    world.disk.unlink("/log/replaced.log");
    world.disk.append("/log/replaced.log", lines("/log/replaced.log", 301, 700));
    world.start();
    world.run_for(30'000);
    check_all(world, lines("/log/renamed.log", 1, 320) + lines("/log/copied.log", 1, 320) +
                         lines("/log/cut.log", 1, 700) + lines("/log/replaced.log", 1, 700) +
                         lines("/log/same.log", 1, 300));
    CHECK(world.lost() == 0);
  }
}

TEST_CASE("a partial last line over a restart is sent once, when it is whole") {
  LogsaverWorld world;
  world.disk.append("/log/a.log", "one\ntw");
  world.start();
  world.run_for(3000);
  world.restart();
  world.run_for(3000);
  world.disk.append("/log/a.log", "o\nth");
  world.kill();
  world.disk.append("/log/a.log", "ree\n");
  world.start();
  world.run_for(3000);
  check_all(world, "one\ntwo\nthree\n");
}

TEST_CASE("a file that is deleted unread survives kills by the spool") {
  for (const std::uint64_t kill_ms : {2U, 10U, 200U, 2000U, 9000U}) {
    CAPTURE(kill_ms);
    LogsaverWorld world;
    world.store().traits.batch_bytes = {4000};
    world.store().traits.in_flight_max = 1;
    world.store().before_ms = 1000;
    world.disk.append("/log/a.log", lines("a", 1, 20'000) + "and no end");
    world.start();
    world.run_for(5);
    world.disk.unlink("/log/a.log");
    world.run_for(kill_ms);
    if (kill_ms > 2) CHECK(world.saver().follower().unsafe_bytes() == 0);
    for (int i = 0; i < 5; ++i) {
      world.restart();
      world.run_for(kill_ms + 700);
    }
    world.run_for(240'000);
    check_all(world, lines("a", 1, 20'000) + "and no end\n");
    CHECK(world.saver().follower().tails().empty());
    CHECK(world.names_in("/state/spool") == 0);
  }
}

TEST_CASE("a file that was packed while nobody ran is read on from its .gz") {
  for (const bool is_other_first : {false, true}) {
    LogsaverWorld world(1, {"/log/*.log"});
    world.disk.append("/log/0.log", lines("same", 1, 200) + lines("a", 1, 1000));
    world.start();
    world.run_for(3000);
    world.disk.append("/log/0.log", lines("a", 1001, 2000));
    world.kill();
    const auto pack = [&](const std::string& text, const std::string& path) {
      std::string packed;
      make_gzip_compressor(1)->add(text, packed);
      world.disk.append(path, packed);
    };
    // It begins alike, and is another one.
    if (is_other_first) {
      pack(lines("same", 1, 200) + lines("x", 1, 3000), "/log/0.log.20260101.gz");
    }
    pack(world.disk.read("/log/0.log"), "/log/0.log.20260102.gz");
    world.disk.unlink("/log/0.log");
    world.disk.append("/log/0.log", lines("a", 2001, 2100));
    world.start();
    world.run_for(5000);
    world.restart();
    world.run_for(60'000);
    check_all(world, lines("same", 1, 200) + lines("a", 1, 2100));
    CHECK(world.names_in("/state/spool") == 0);
  }
}

TEST_CASE("an inode that was used again while nobody ran is another file") {
  for (const bool tells_births : {true, false}) {
    LogsaverWorld world;
    world.disk.traits.tells_births = tells_births;
    world.disk.append("/log/a.log", lines("a", 1, 30));
    world.start();
    world.run_for(3000);
    world.kill();
    world.disk.unlink("/log/a.log");
    world.disk.append("/log/a.log", lines("b", 1, 50));
    world.start();
    world.run_for(3000);
    check_all(world, lines("a", 1, 30) + lines("b", 1, 50));
  }
}

TEST_CASE("what may not be opened after a restart is not forgotten") {
  for (const bool is_directory : {false, true}) {
    LogsaverWorld world;
    world.disk.append("/log/a.log", lines("a", 1, 30));
    world.start();
    world.run_for(3000);
    world.disk.append("/log/a.log", lines("a", 31, 40));
    world.kill();
    world.disk.deny("/log/a.log");
    if (is_directory) world.disk.calls.fail(sim::DiskCall::stat, "/log/a.log", EACCES);
    world.start();
    world.run_for(60'000);
    world.disk.calls.heal();
    world.run_for(30'000);
    check_all(world, lines("a", 1, 40));
  }
}

TEST_CASE("what was promised and cannot be read again for a while is not given up") {
  LogsaverWorld world;
  world.store().is_down = true;
  world.disk.append("/log/a.log", lines("a", 1, 30));
  world.start();
  world.run_for(3000);
  world.kill();
  world.disk.deny("/log/a.log");
  world.start();
  world.store().is_down = false;
  world.run_for(60'000);
  CHECK(world.saved() == "");
  world.disk.calls.heal();
  world.run_for(30'000);
  check_all(world, lines("a", 1, 30));
  CHECK(world.lost() == 0);
}

TEST_CASE("a batch whose first file is gone comes again under the name that it had") {
  LogsaverWorld world(1, {"/log/a.log*"});
  world.store().traits.one_file_each = true;
  world.store().traits.batch_time = Millis{5000};
  world.store().lost_answers = 1;
  world.disk.append("/log/a.log", lines("a", 1, 30));
  world.start();
  world.run_for(1000);
  REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
  world.disk.append("/log/a.log", lines("a", 31, 40));
  world.run_for(6000);
  REQUIRE(world.store().places.size() == 1);
  CHECK(world.saved() == lines("a", 1, 40));
  world.kill();
  world.disk.unlink("/log/a.log.1");
  world.store().lost_answers = 0;
  const std::uint64_t arrivals = world.store().arrivals;
  world.start();
  world.run_for(6000);
  CHECK(world.store().arrivals > arrivals);
  CHECK(world.store().different_places == 0);
  CHECK(world.lost() == lines("a", 1, 30).size());
}

TEST_CASE(
    "of files that were there at the first start, only what comes later, also over restarts") {
  LogsaverWorld world;
  world.follow.from_end = true;
  world.disk.append("/log/a.log", lines("a", 1, 30));
  world.start();
  world.run_for(3000);
  world.restart();
  world.run_for(3000);
  world.disk.append("/log/a.log", lines("a", 31, 40));
  world.disk.append("/log/b.log", lines("b", 1, 3));
  world.run_for(3000);
  world.restart();
  world.run_for(3000);
  check_all(world, lines("a", 31, 40) + lines("b", 1, 3));
}

TEST_CASE("a kill while a copy is being made: it is known as one all the same") {
  for (const bool is_truncated_meanwhile : {false, true}) {
    LogsaverWorld world(1, {"/log/*.log*"});
    world.disk.append("/log/a.log", lines("a", 1, 3000));
    world.start();
    world.run_for(3000);
    world.disk.copy("/log/a.log", "/log/a.log.1");
    world.run_for(20);
    world.kill();
    if (is_truncated_meanwhile) world.disk.truncate("/log/a.log", 0);
    world.start();
    world.run_for(20);
    if (!is_truncated_meanwhile) world.disk.truncate("/log/a.log", 0);
    world.disk.append("/log/a.log", lines("a", 3001, 3010));
    world.run_for(30'000);
    check_all(world, lines("a", 1, 3010));
  }
}

TEST_CASE("a full disk under the journal stops, and all goes on when there is room") {
  LogsaverWorld world;
  world.disk.append("/log/a.log", lines("a", 1, 30));
  world.start();
  world.run_for(3000);
  world.disk.set_free(0);
  const auto append_for_free = [&](const std::string& path, const std::string& text) {
    world.disk.append(path, text);
    world.disk.set_free(0);
  };
  append_for_free("/log/a.log", lines("a", 31, 40));
  append_for_free("/log/b.log", lines("b", 1, 10));
  world.run_for(15'000);
  CHECK(!world.saver().deliveries()[0]->journal_error().empty());
  world.disk.set_free(60);  // for one small entry, not for a large one
  world.disk.append("/log/c.log", lines("c", 1, 10));
  world.run_for(5000);
  world.disk.set_free(1 << 20);
  world.disk.append("/log/d.log", lines("d", 1, 10));
  world.run_for(30'000);
  check_all(world, lines("a", 1, 40) + lines("b", 1, 10) + lines("c", 1, 10) + lines("d", 1, 10));
  world.restart();
  world.run_for(30'000);
  check_all(world, lines("a", 1, 40) + lines("b", 1, 10) + lines("c", 1, 10) + lines("d", 1, 10));
}

TEST_CASE("a destination that is down for ten minutes, with rotations of 3 kept files") {
  LogsaverWorld world(1, {"/log/a.log*"});
  std::string written;
  world.start();
  world.store().is_down = true;
  for (int i = 0; i < 10; ++i) {
    world.disk.append("/log/a.log", lines("a", 5000 * i + 1, 5000 * i + 5000));
    written += lines("a", 5000 * i + 1, 5000 * i + 5000);
    world.run_for(60'000);
    if (world.disk.exists("/log/a.log.3")) world.disk.unlink("/log/a.log.3");
    for (int kept = 3; kept >= 1; --kept) {
      const std::string from = "/log/a.log" + (kept > 1 ? "." + std::to_string(kept - 1) : "");
      if (world.disk.exists(from)) {
        REQUIRE(world.disk.rename(from, "/log/a.log." + std::to_string(kept)));
      }
    }
    world.run_for(100);
    if (i % 3 == 2) world.restart();
  }
  world.run_for(1000);
  CHECK(world.saver().follower().unsafe_bytes() == 0);
  world.restart();
  world.store().is_down = false;
  world.run_for(120'000);
  check_all(world, written);
  CHECK(world.lost() == 0);
  CHECK(world.names_in("/state/spool") == 0);
}

TEST_CASE("a slow destination does not hold up a fast one, and both have everything") {
  LogsaverWorld world(1, {"/log/*.log*"});
  world.add_store();
  for (auto& store : world.stores) {
    store->traits.batch_bytes = {2000};
    store->traits.in_flight_max = 1;
  }
  world.store(1).before_ms = 500;
  world.disk.append("/log/a.log", lines("a", 1, 5000));
  world.start();
  world.run_for(2000);
  CHECK(difference(world.saved(0), lines("a", 1, 5000)) == "");
  CHECK(world.saved(1).size() < world.saved(0).size());
  world.disk.copy("/log/a.log", "/log/a.log.1");
  world.disk.truncate("/log/a.log", 0);
  world.disk.append("/log/a.log", lines("a", 5001, 5010));
  world.run_for(3000);
  world.disk.unlink("/log/a.log.1");
  world.run_for(3000);
  world.restart();
  world.run_for(60'000);
  check_all(world, lines("a", 1, 5010), 0);
  check_all(world, lines("a", 1, 5010), 1);
}

TEST_CASE("steps of the wall clock change nothing") {
  LogsaverWorld world;
  world.start();
  std::string written;
  for (int i = 0; i < 20; ++i) {
    world.wall_step_ms = (i % 3 - 1) * 3'600'000;
    world.disk.append("/log/a.log", lines("a", 10 * i + 1, 10 * i + 10));
    written += lines("a", 10 * i + 1, 10 * i + 10);
    world.run_for(300);
    if (i % 5 == 4) world.restart();
  }
  world.run_for(3000);
  check_all(world, written);
}

}  // namespace
}  // namespace consort::logsaver
