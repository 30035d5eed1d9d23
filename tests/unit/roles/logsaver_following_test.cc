// Each way in which log files come to be rotated, truncated and deleted: nothing lost, nothing
// twice. In one process; logsaver_following_restart_test.cc has what happens over a restart.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "unit/roles/logsaver_world.hpp"

namespace consort::logsaver {
namespace {

using test::difference;
using test::lines;
using test::LogsaverWorld;

/// All lines, once; and in that order.
void check_saved(LogsaverWorld& world, const std::string& written, std::size_t store = 0) {
  INFO(world.log_text());
  const std::string saved = world.saved(store);
  CHECK(difference(saved, written) == "");
  CHECK(saved == written);
  CHECK(world.store(store).different_bodies == 0);
}
void check_all(LogsaverWorld& world, const std::string& written, std::size_t store = 0) {
  INFO(world.log_text());
  CHECK(difference(world.saved(store), written) == "");
  CHECK(world.store(store).different_bodies == 0);
}

void copytruncate(LogsaverWorld& world, const std::string& from, const std::string& to) {
  world.disk.copy(from, to);
  world.disk.truncate(from, 0);
}

TEST_CASE("a file that is renamed and made anew is read to its end, then the new one") {
  for (const char* glob : {"/log/*.log*", "/log/*.log"}) {
    LogsaverWorld world(1, {glob});
    world.disk.append("/log/a.log", lines("a", 1, 10));
    world.start();
    world.run_for(1000);
    world.disk.append("/log/a.log", lines("a", 11, 20));
    REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
    world.disk.append("/log/a.log", lines("a", 21, 30));
    world.run_for(5000);
    check_saved(world, lines("a", 1, 30));
    CHECK(world.counted().rotations == 1);
    CHECK(world.counted().truncations == 0);
  }
}

TEST_CASE("a writer may go on writing to the file that was renamed, for as long as it likes") {
  for (const char* glob : {"/log/*.log*", "/log/*.log"}) {
    LogsaverWorld world(1, {glob});
    {
      auto nginx = world.disk.writer("/log/a.log");
      nginx.append(lines("old", 1, 10));
      world.start();
      world.run_for(1000);
      REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
      world.disk.append("/log/a.log", lines("new", 1, 5));
      world.run_for(90'000);
      nginx.append(lines("old", 11, 20));
      world.run_for(90'000);
      nginx.append(lines("old", 21, 30));
    }
    world.run_for(20'000);
    check_all(world, lines("old", 1, 30) + lines("new", 1, 5));
  }
}

TEST_CASE("copytruncate: what was not read is read from the copy, in the glob or not") {
  for (const char* glob : {"/log/*.log*", "/log/*.log"}) {
    for (const bool is_slow : {false, true}) {
      CAPTURE(glob);
      CAPTURE(is_slow);
      LogsaverWorld world(1, {glob});
      world.store().traits.batch_bytes = {2000};
      world.store().traits.in_flight_max = 1;
      if (is_slow) world.store().before_ms = 2000;
      world.disk.append("/log/a.log", lines("a", 1, 2000));
      world.start();
      world.run_for(3000);
      world.disk.append("/log/a.log", lines("a", 2001, 2500));
      copytruncate(world, "/log/a.log", "/log/a.log.1");
      world.disk.append("/log/a.log", lines("a", 2501, 2600));
      world.run_for(120'000);
      check_saved(world, lines("a", 1, 2600));
      CHECK(world.counted().lost_bytes == 0);
    }
  }
}

TEST_CASE("copytruncate, when the copy is made in steps that take longer than it is held back") {
  LogsaverWorld world(1, {"/log/*.log*"});
  const std::string text = lines("a", 1, 3000);
  world.disk.append("/log/a.log", text);
  world.start();
  world.run_for(3000);
  for (std::size_t at = 0; at < text.size(); at += 5000) {
    world.disk.append("/log/a.log.1", text.substr(at, 5000));
    world.run_for(1500);
  }
  world.disk.truncate("/log/a.log", 0);
  world.disk.append("/log/a.log", lines("a", 3001, 3100));
  world.run_for(30'000);
  check_saved(world, lines("a", 1, 3100));
}

TEST_CASE("copytruncate, when the copy is told of before what it was made of") {
  LogsaverWorld world(1, {"/log/*.log*"});
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.start();
  world.run_for(1000);
  REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
  world.disk.append("/log/a.log", lines("a", 11, 20));
  REQUIRE(world.disk.rename("/log/a.log.1", "/log/a.log.2"));
  world.disk.copy("/log/a.log", "/log/a.log.1");
  world.run_for(1000);
  world.disk.truncate("/log/a.log", 0);
  world.disk.append("/log/a.log", lines("a", 21, 21));
  world.run_for(10'000);
  check_all(world, lines("a", 1, 21));
}

TEST_CASE("a file that was truncated and has grown past where it was read is read anew") {
  for (const int before : {20, 200, 2000}) {
    CAPTURE(before);
    LogsaverWorld world;
    world.disk.append("/log/a.log", lines("a", 1, before));
    world.start();
    world.run_for(3000);
    world.disk.truncate("/log/a.log", 0);
    world.disk.append("/log/a.log", lines("b", 1, before + 7));
    world.run_for(3000);
    world.disk.append("/log/a.log", lines("b", before + 8, before + 9));
    world.run_for(3000);
    check_saved(world, lines("a", 1, before) + lines("b", 1, before + 9));
    CHECK(world.counted().truncations == 1);
  }
}

TEST_CASE("the hole that a writer without O_APPEND leaves behind a truncation is not saved") {
  for (const bool knows_holes : {true, false}) {
    LogsaverWorld world;
    world.disk.traits.knows_holes = knows_holes;
    world.disk.append("/log/a.log", lines("a", 1, 2000));
    const std::uint64_t size = lines("a", 1, 2000).size();
    world.start();
    world.run_for(3000);
    world.disk.truncate("/log/a.log", 0);
    world.disk.write_at("/log/a.log", size, lines("a", 2001, 2010));
    world.run_for(3000);
    world.disk.write_at("/log/a.log", size + lines("a", 1, 10).size(), lines("a", 2011, 2020));
    world.run_for(3000);
    check_saved(world, lines("a", 1, 2020));
  }
}

TEST_CASE("thirty rotations at 20 ms with 3 kept lose nothing") {
  for (const char* glob : {"/log/a.log*", "/log/a.log"}) {
    for (const std::uint64_t delay_ms : {0U, 5U, 30U, 50U}) {
      CAPTURE(glob);
      CAPTURE(delay_ms);
      LogsaverWorld world(1, {glob});
      world.disk.traits.event_delay_ms = delay_ms;
      world.step_ms = 1;
      world.disk.append("/log/a.log", lines("a", 1, 10));
      world.start();
      world.run_for(100);
      for (int i = 1; i <= 30; ++i) {
        if (world.disk.exists("/log/a.log.3")) world.disk.unlink("/log/a.log.3");
        for (int kept = 2; kept >= 1; --kept) {
          const std::string from = "/log/a.log." + std::to_string(kept);
          if (world.disk.exists(from)) {
            REQUIRE(world.disk.rename(from, "/log/a.log." + std::to_string(kept + 1)));
          }
        }
        REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
        world.disk.append("/log/a.log", lines("a", 10 * i + 1, 10 * i + 10));
        world.run_for(20);
      }
      world.run_for(30'000);
      check_all(world, lines("a", 1, 310));
    }
  }
}

TEST_CASE("a file that is deleted while it is unread is read through its descriptor") {
  for (const bool is_slow : {false, true}) {
    LogsaverWorld world;
    world.store().traits.batch_bytes = {4000};
    world.store().traits.in_flight_max = 1;
    if (is_slow) world.store().before_ms = 1000;
    world.disk.append("/log/a.log", lines("a", 1, 20'000));
    world.start();
    world.run_for(5);
    world.disk.unlink("/log/a.log");
    world.run_for(180'000);
    check_saved(world, lines("a", 1, 20'000));
    CHECK(world.saver().follower().tails().empty());
    CHECK(world.names_in("/state/spool") == 0);
  }
}

TEST_CASE("lines of a megabyte, and lines that are longer than records may be") {
  LogsaverWorld world;
  world.store().traits.batch_bytes = {256 * 1024};
  std::string written;
  for (const std::size_t size :
       {std::size_t{1} << 20, (std::size_t{1} << 20) - 1, (std::size_t{1} << 20) + 1,
        (std::size_t{1} << 20) + 2, (std::size_t{1} << 20) + 3, std::size_t{5} << 20}) {
    written += std::string(size, static_cast<char>('a' + size % 26)) + "\n" + lines("b", 1, 3);
  }
  world.start();
  for (std::size_t at = 0; at < written.size(); at += 700'001) {
    world.disk.append("/log/a.log", written.substr(at, 700'001));
    world.run_for(50);
  }
  world.run_for(5000);
  const std::string saved = world.saved();
  const auto differs = std::ranges::mismatch(saved, written);
  CHECK(saved.size() == written.size());
  CHECK(differs.in1 - saved.begin() == static_cast<std::ptrdiff_t>(written.size()));
}

TEST_CASE("a last line without its end waits while the file lives, and is sent when it is gone") {
  LogsaverWorld world;
  world.disk.append("/log/a.log", "one\ntw");
  world.start();
  world.run_for(60'000);
  check_saved(world, "one\n");
  world.disk.append("/log/a.log", "o\nthr");
  world.run_for(60'000);
  check_saved(world, "one\ntwo\n");
  world.disk.unlink("/log/a.log");
  world.run_for(5000);
  check_saved(world, "one\ntwo\nthr\n");
  world.run_for(60'000);
  CHECK(world.saver().follower().tails().empty());
}

TEST_CASE("files that begin with the same lines, or are wholly the same, are different files") {
  LogsaverWorld world;
  std::string written;
  world.start();
  for (const char* name : {"/log/a.log", "/log/a-2.log", "/log/a.2.log", "/log/b.log"}) {
    world.disk.append(name, lines("same", 1, 300));
    world.run_for(500);
    written += lines("same", 1, 300);
  }
  world.run_for(10'000);
  for (const char* name : {"/log/a.log", "/log/a-2.log", "/log/a.2.log", "/log/b.log"}) {
    world.disk.append(name, lines(name, 1, 3));
    written += lines(name, 1, 3);
  }
  world.run_for(10'000);
  check_all(world, written);
}

TEST_CASE("an inode that is used again at once, even within one tick, is a new file") {
  for (const bool tells_births : {true, false}) {
    for (const std::uint64_t pause_ms : {0U, 1U, 2000U, 40'000U}) {
      CAPTURE(tells_births);
      CAPTURE(pause_ms);
      LogsaverWorld world;
      world.disk.traits.tells_births = tells_births;
      world.disk.traits.time_tick_ns = 1'000'000'000'000;
      world.follow.open_files_max = 1;
      world.start();
      std::string written;
      for (int i = 0; i < 5; ++i) {
        const std::string text = lines("f" + std::to_string(i), 1, 20 + i);
        world.disk.append("/log/a.log", text);
        world.disk.append("/log/other" + std::to_string(i) + ".log", text);
        written += text + text;
        world.run_for(3000);
        world.disk.unlink("/log/a.log");
        world.run_for(pause_ms);
      }
      world.run_for(60'000);
      check_all(world, written);
    }
  }
}

TEST_CASE("files that live for 300 ms are saved") {
  LogsaverWorld world;
  world.disk.traits.event_delay_ms = 2;
  world.start();
  std::string written;
  for (int i = 0; i < 50; ++i) {
    const std::string path = "/log/job" + std::to_string(i % 7) + ".log";
    if (world.disk.exists(path)) world.disk.unlink(path);
    world.disk.append(path, lines("j" + std::to_string(i), 1, 5));
    written += lines("j" + std::to_string(i), 1, 5);
    world.run_for(300);
  }
  world.run_for(60'000);
  check_all(world, written);
  CHECK(world.saver().follower().tails().size() == 7);
}

TEST_CASE("kubelet's files, followed through links, rotate as often as they like") {
  for (const std::uint64_t delay_ms : {0U, 3U}) {
    LogsaverWorld world(1, {"/log/containers/*.log"});
    world.disk.traits.event_delay_ms = delay_ms;
    world.disk.append("/log/pods/x/0.log", lines("a", 1, 10));
    world.disk.symlink("/log/pods/x/0.log", "/log/containers/x.log");
    world.start();
    world.run_for(1000);
    std::string written = lines("a", 1, 10);
    for (int i = 1; i <= 5; ++i) {
      world.disk.append("/log/pods/x/0.log", lines("a", 100 * i, 100 * i + 10));
      REQUIRE(
          world.disk.rename("/log/pods/x/0.log", "/log/pods/x/0.log.2026-" + std::to_string(i)));
      world.run_for(20);  // the runtime has not opened it again yet
      world.disk.append("/log/pods/x/0.log", lines("a", 100 * i + 11, 100 * i + 20));
      written += lines("a", 100 * i, 100 * i + 20);
      world.run_for(500);
    }
    world.run_for(2000);
    check_saved(world, written);
    // The container starts again: the link leads elsewhere.
    world.disk.unlink("/log/containers/x.log");
    world.disk.append("/log/pods/x/1.log", lines("b", 1, 10));
    world.disk.symlink("/log/pods/x/1.log", "/log/containers/x.log");
    world.run_for(1000);
    world.disk.append("/log/pods/x/1.log", lines("b", 11, 20));
    world.run_for(1000);
    check_saved(world, written + lines("b", 1, 20));
  }
}

TEST_CASE("a directory may come later, go, and come again") {
  LogsaverWorld world(1, {"/var/log/app/**/*.log"});
  world.start();
  world.run_for(1000);
  world.disk.append("/var/log/app/x/a.log", lines("a", 1, 10));
  world.run_for(1000);
  check_saved(world, lines("a", 1, 10));
  world.disk.unlink("/var/log/app/x/a.log");
  world.disk.unlink("/var/log/app/x");
  world.disk.append("/var/log/app/x/a.log", lines("b", 1, 10));
  world.run_for(1000);
  world.disk.append("/var/log/app/x/b.log", lines("c", 1, 10));
  world.run_for(1000);
  check_all(world, lines("a", 1, 10) + lines("b", 1, 10) + lines("c", 1, 10));
}

TEST_CASE("where the kernel tells of nothing, looking now and then is enough") {
  LogsaverWorld world(1, {"/log/*.log*"});
  world.disk.traits.tells_changes = false;
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.start();
  world.run_for(3000);
  check_saved(world, lines("a", 1, 10));
  CHECK(world.saver().follower().tree().is_polling());
  world.disk.append("/log/a.log", lines("a", 11, 20));
  REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
  world.disk.append("/log/a.log", lines("a", 21, 30));
  world.run_for(5000);
  check_saved(world, lines("a", 1, 30));
  copytruncate(world, "/log/a.log", "/log/a.log.2");
  world.disk.append("/log/a.log", lines("a", 31, 40));
  world.run_for(10'000);
  check_saved(world, lines("a", 1, 40));
  world.disk.append("/log/b.log", lines("b", 1, 3));
  world.run_for(2100);
  check_saved(world, lines("a", 1, 40) + lines("b", 1, 3));
}

TEST_CASE("when events were lost the directories are looked at again") {
  LogsaverWorld world(1, {"/log/*.log*"});
  world.disk.traits.events_max = 3;
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.start();
  world.run_for(1000);
  world.disk.append("/log/a.log", lines("a", 11, 20));
  REQUIRE(world.disk.rename("/log/a.log", "/log/a.log.1"));
  world.disk.append("/log/a.log", lines("a", 21, 30));
  world.disk.append("/log/b.log", lines("b", 1, 10));
  world.disk.append("/log/c.log", lines("c", 1, 10));
  world.run_for(1000);
  check_all(world, lines("a", 1, 30) + lines("b", 1, 10) + lines("c", 1, 10));
}

TEST_CASE("a file that may not be read is told of, and read when it may") {
  LogsaverWorld world;
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.disk.deny("/log/a.log");
  world.start();
  world.run_for(15'000);
  CHECK(world.saver().follower().unreadable().size() == 1);
  check_saved(world, "");
  world.disk.allow("/log/a.log");
  world.run_for(15'000);
  CHECK(world.saver().follower().unreadable().empty());
  check_saved(world, lines("a", 1, 10));
}

TEST_CASE("a directory that may not be listed for a while loses nothing and repeats nothing") {
  LogsaverWorld world;
  world.follow.open_files_max = 1;
  world.disk.append("/log/a.log", lines("a", 1, 10));
  world.disk.append("/log/b.log", lines("b", 1, 10));
  world.start();
  world.run_for(1000);
  world.disk.deny("/log");
  for (const char* name : {"/log/a.log", "/log/b.log"}) {
    world.disk.calls.fail(sim::DiskCall::stat, name, EACCES);
  }
  world.run_for(120'000);
  CHECK(!world.saver().follower().tree().degraded().empty());
  world.disk.calls.heal();
  world.disk.append("/log/a.log", lines("a", 11, 20));
  world.run_for(60'000);
  check_all(world, lines("a", 1, 20) + lines("b", 1, 10));
  CHECK(world.saver().follower().tree().degraded().empty());
}

TEST_CASE("unread files do not take all descriptors, and are read nevertheless") {
  LogsaverWorld world;
  world.follow.open_files_max = 8;
  world.store().is_down = true;
  std::string written;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "f" + std::to_string(i);
    written += lines(name, 1, 3);
    world.disk.append("/log/" + name + ".log", lines(name, 1, 3));
  }
  world.start();
  world.run_for(15'000);
  const auto& tails = world.saver().follower().tails();
  CHECK(tails.size() == 300);
  CHECK(std::ranges::count_if(tails,
                              [](const auto& each) { return each.second->file != nullptr; }) < 50);
  world.store().is_down = false;
  world.run_for(120'000);
  check_all(world, written);
}

}  // namespace
}  // namespace consort::logsaver
