// What only the simulated disk can do: fail on demand, lose power, tell too late or nothing.
#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "disks.hpp"

using namespace consort;
using namespace consort::test;
using io::OpenFor;
using sim::DiskCall;
using sim::DiskCallRecord;

namespace {

/// Writes through the code's side.
void put(SimulatedDisk& disk, const std::string& path, std::string_view text,
         bool is_synced = false) {
  auto file = must_open(disk, path, OpenFor::writing);
  REQUIRE(file->write_at(file->stat()->size, text));
  if (!is_synced) return;
  Running sync(file->sync());
  disk.loop.run_for(disk.fs.traits.sync_ms);
  REQUIRE(sync.is_good());
}

}  // namespace

TEST_CASE(
    "a freed inode is given to the next file, which is born later or has another generation") {
  SimulatedDisk disk;
  disk.append(disk / "a", "x");
  const io::FileIdentity first = must_open(disk, disk / "a")->stat()->identity;
  disk.unlink(disk / "a");
  disk.append(disk / "b", "x");
  const io::FileIdentity second = must_open(disk, disk / "b")->stat()->identity;
  CHECK(second.inode == first.inode);
  CHECK(second.born_ns == first.born_ns);  // within one tick
  CHECK(second.generation != first.generation);
  disk.loop.run_for(4);
  disk.unlink(disk / "b");
  disk.append(disk / "c", "x");
  CHECK(must_open(disk, disk / "c")->stat()->identity.born_ns > first.born_ns);
  // Not while somebody has it open.
  auto open = must_open(disk, disk / "c");
  disk.unlink(disk / "c");
  disk.append(disk / "d", "x");
  CHECK(disk.fs.stat(disk / "d")->identity.inode != first.inode);
  open.reset();
  disk.append(disk / "e", "x");
  CHECK(disk.fs.stat(disk / "e")->identity.inode == first.inode);
}

TEST_CASE("a sync that nobody waits for may come to its end after its disk") {
  sim::SimLoop loop;
  auto disk = std::make_unique<sim::SimFileSystem>(loop);
  disk->traits.sync_ms = 10;
  auto file = disk->open("/a", OpenFor::writing);
  REQUIRE(file);
  REQUIRE((*file)->write_at(0, "x"));
  {
    const Running sync((*file)->sync());
    file->reset();
  }
  disk.reset();
}

TEST_CASE("a disk can be one without births, generations, reuse and holes") {
  SimulatedDisk disk;
  disk.fs.traits = {.reuses_inodes = false,
                    .tells_births = false,
                    .has_generations = false,
                    .knows_holes = false};
  disk.append(disk / "a", "x");
  disk.write_at(disk / "a", 100'000, "y");
  const auto file = must_open(disk, disk / "a");
  const io::FileIdentity first = file->stat()->identity;
  CHECK(first.born_ns == 0);
  CHECK(first.generation == 0);
  CHECK(*file->data_from(50'000) == 50'000);
  disk.unlink(disk / "a");
  disk.append(disk / "b", "x");
  CHECK(disk.fs.stat(disk / "b")->identity.inode > first.inode);
}

TEST_CASE("equal events in a row are one, as the kernel merges them") {
  SimulatedDisk disk;
  Seen seen;
  auto watch = disk.fs.watch(disk.root, seen);
  for (int i = 0; i < 5; ++i) disk.append(disk / "a", "x");
  disk.append(disk / "b", "x");
  disk.append(disk / "a", "x");
  disk.loop.settle();
  CHECK(seen.events ==
        std::vector<std::string>{"came a", "changed a", "came b", "changed b", "changed a"});
  disk.append(disk / "a", "x");
  disk.append(disk / "a", "x");
  disk.loop.settle();
  CHECK(seen.count("changed a") == 3);
}

TEST_CASE("events can come late, be lost, or not at all") {
  SimulatedDisk disk;
  Seen seen;
  auto watch = disk.fs.watch(disk.root, seen);
  disk.fs.traits.event_delay_ms = 50;
  disk.append(disk / "a", "x");
  disk.loop.run_for(49);
  CHECK(seen.events.empty());
  disk.loop.run_for(1);
  CHECK(seen.words() == "came a;changed a;");

  disk.fs.traits.event_delay_ms = 0;
  disk.fs.traits.events_max = 4;
  for (int i = 0; i < 10; ++i) disk.append(disk / ("f" + std::to_string(i)), "x");
  disk.loop.settle();
  CHECK(seen.words() == "came a;changed a;came f0;changed f0;came f1;changed f1;overflow;");
  disk.fs.overflow();
  disk.loop.settle();
  CHECK(seen.count("overflow") == 2);

  disk.fs.traits.tells_changes = false;
  CHECK(disk.fs.needs_polling(disk.root));
  disk.append(disk / "a", "x");
  disk.loop.settle();
  CHECK(seen.events.back() == "overflow");
}

TEST_CASE("watches are used up") {
  SimulatedDisk disk;
  Seen seen;
  disk.fs.traits.watches_max = 1;
  auto first = disk.fs.watch(disk.root, seen);
  REQUIRE(first);
  CHECK(disk.fs.watch(disk.root, seen).error().code() == Errc::limit);
  first->reset();
  CHECK(disk.fs.watch(disk.root, seen));
}

TEST_CASE("a writer keeps its file over renaming, and its events come under the new name") {
  SimulatedDisk disk;
  auto app = disk.fs.writer(disk / "a.log");
  app.append("one\n");
  disk.rename(disk / "a.log", disk / "a.log.1");
  disk.loop.settle();
  Seen seen;
  auto watch = disk.fs.watch(disk.root, seen);
  app.append("two\n");
  disk.loop.settle();
  CHECK(seen.words() == "changed a.log.1;");
  CHECK(disk.read(disk / "a.log.1") == "one\ntwo\n");
  disk.truncate(disk / "a.log.1", 0);
  app.write_at(8, "three\n");
  CHECK(disk.read(disk / "a.log.1") == std::string(8, '\0') + "three\n");
  disk.fs.copy(disk / "a.log.1", disk / "copy");
  CHECK(disk.read(disk / "copy") == disk.read(disk / "a.log.1"));
  disk.unlink(disk / "a.log.1");
  disk.loop.settle();
  const std::size_t told = seen.events.size();
  app.append("four\n");
  disk.loop.settle();
  CHECK(seen.events.size() == told);
}

TEST_CASE("any call can be made to fail, for one path or all, once or always") {
  SimulatedDisk disk;
  disk.append(disk / "a", "text");
  disk.append(disk / "b", "text");
  disk.symlink("a", disk / "way");
  auto file = must_open(disk, disk / "way");
  disk.fs.calls.fail(DiskCall::read, disk / "a", EIO);
  CHECK(read_all(*file) == "error");
  CHECK(read_all(*must_open(disk, disk / "b")) == "text");
  disk.fs.calls.heal();
  CHECK(read_all(*file) == "text");
  disk.fs.calls.fail(DiskCall::stat, "", EIO, 2);
  CHECK(disk.fs.stat(disk / "a").error().sys() == EIO);
  CHECK(disk.fs.stat(disk / "b").error().sys() == EIO);
  CHECK(disk.fs.stat(disk / "b"));
  disk.fs.deny(disk.root);
  Seen seen;
  CHECK(disk.fs.list(disk.root).error().code() == Errc::denied);
  CHECK(disk.fs.watch(disk.root, seen).error().code() == Errc::denied);
  CHECK(disk.fs.stat(disk.root));
  disk.fs.allow(disk.root);
  CHECK(disk.fs.list(disk.root));
}

TEST_CASE("a full disk takes what fits and gives room back") {
  SimulatedDisk disk;
  put(disk, disk / "a", "12345");
  disk.fs.set_free(4);
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  const Result<> written = file->write_at(5, "67890");
  REQUIRE_FALSE(written);
  CHECK(written.error().sys() == ENOSPC);
  CHECK(disk.read(disk / "a") == "123456789");
  CHECK(*disk.fs.free_bytes(disk.root) == 0);
  CHECK(file->write_at(0, "abcde"));  // no more than is there
  REQUIRE(file->truncate(5));
  CHECK(*disk.fs.free_bytes(disk.root) == 4);
  CHECK(file->write_at(5, "6789"));
  disk.append(disk / "log", "another process finds room");
  CHECK(disk.read(disk / "log") == "another process finds room");
}

TEST_CASE("a sync takes its time, may fail, and then has kept nothing") {
  SimulatedDisk disk;
  disk.fs.traits.sync_ms = 30;
  put(disk, disk / "a", "kept ", true);
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  REQUIRE(file->write_at(5, "lost"));
  disk.fs.calls.fail(DiskCall::sync, "", EIO, 1);
  Running failing(file->sync());
  disk.loop.run_for(29);
  CHECK_FALSE(failing.has_ended());
  disk.loop.run_for(1);
  REQUIRE(failing.has_ended());
  CHECK(failing.error().sys() == EIO);
  file.reset();
  disk.fs.crash();
  CHECK(disk.read(disk / "a") == "kept ");
}

TEST_CASE("a power cut leaves what was synced, and what another process wrote") {
  SimulatedDisk disk;
  disk.append(disk / "log", "the app's\n");
  put(disk, disk / "a", std::string(5000, 'k'), true);
  put(disk, disk / "a", "unsynced");
  put(disk, disk / "new", "unsynced");
  {
    auto file = must_open(disk, disk / "a", OpenFor::writing);
    REQUIRE(file->write_at(10, "over"));
    REQUIRE(file->truncate(4000));
  }
  CHECK(disk.read(disk / "a").size() == 4000);
  disk.fs.crash();
  CHECK(disk.read(disk / "log") == "the app's\n");
  CHECK(disk.read(disk / "a") == std::string(5000, 'k'));
  CHECK(disk.read(disk / "new") == "");
  CHECK(disk.fs.exists(disk / "new"));
  // Once more: what was left is what is there.
  put(disk, disk / "a", "torn tail");
  disk.fs.crash(4);
  CHECK(disk.read(disk / "a") == std::string(5000, 'k') + "torn");
}

TEST_CASE("a sync keeps what was written before it began, and that only") {
  SimulatedDisk disk;
  disk.fs.traits.sync_ms = 30;
  {
    auto file = must_open(disk, disk / "a", OpenFor::writing);
    REQUIRE(file->write_at(0, "one "));
    Running first(file->sync());
    REQUIRE(file->write_at(4, "two "));
    disk.loop.run_for(10);
    Running second(file->sync());
    second.drop();
    REQUIRE(file->write_at(8, "three"));
    disk.loop.run_for(20);
    CHECK(first.is_good());
    SUBCASE("the power goes before the second has ended") {
      file.reset();
      disk.fs.crash();
      CHECK(disk.read(disk / "a") == "one ");
      disk.loop.run_for(100);
      disk.fs.crash();
      CHECK(disk.read(disk / "a") == "one ");
    }
    SUBCASE("the power goes after it, though nobody waited") {
      disk.loop.run_for(10);
      file.reset();
      disk.fs.crash();
      CHECK(disk.read(disk / "a") == "one two ");
    }
  }
}

TEST_CASE("names are lost where the test says so, unless their directory was synced") {
  SimulatedDisk disk;
  disk.fs.traits.names_lost_below = disk.root;
  put(disk, disk / "journal", "old", true);
  Running first(disk.fs.sync_directory(disk.root));
  disk.loop.settle();
  REQUIRE(first.is_good());
  put(disk, disk / "journal.new", "new", true);
  disk.rename(disk / "journal.new", disk / "journal");
  disk.append("/log/a", "x");
  CHECK(disk.read(disk / "journal") == "new");
  SUBCASE("not synced") {
    disk.fs.crash();
    CHECK(disk.read(disk / "journal") == "old");
    CHECK(disk.fs.stat(disk / "journal")->links == 1);
    CHECK_FALSE(disk.fs.exists(disk / "journal.new"));
  }
  SUBCASE("synced") {
    Running second(disk.fs.sync_directory(disk.root));
    disk.loop.settle();
    disk.fs.crash();
    CHECK(disk.read(disk / "journal") == "new");
  }
  CHECK(disk.read("/log/a") == "x");
}

TEST_CASE("calls are counted and remembered in order") {
  SimulatedDisk disk;
  disk.append(disk / "a", "text");
  (void)disk.fs.calls.take();
  auto file = must_open(disk, disk / "a");
  std::string into(3, '\0');
  REQUIRE(file->read_at(1, into));
  (void)disk.fs.stat(disk / "none");
  CHECK(disk.fs.calls.count(DiskCall::read) == 1);
  CHECK(disk.fs.calls.count(DiskCall::stat, disk / "none") == 1);
  CHECK(disk.fs.calls.count(DiskCall::stat, disk / "a") == 0);
  CHECK(disk.fs.calls.take() ==
        std::vector<DiskCallRecord>{
            {.call = DiskCall::open, .path = disk / "a"},
            {.call = DiskCall::read, .path = disk / "a", .offset = 1, .bytes = 3},
            {.call = DiskCall::stat, .path = disk / "none"}});
  CHECK(disk.fs.calls.count(DiskCall::read) == 0);
  CHECK(disk.fs.open_files() == 1);
}
