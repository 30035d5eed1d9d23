// What every io::FileSystem tells of directories under watch.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "disks.hpp"

using namespace consort;
using namespace consort::test;

#define DISKS RealDisk, MemoryDisk, SimulatedDisk

namespace {

/// A directory under watch.
template <class Disk>
struct Watched {
  Watched() : Watched("") {}
  explicit Watched(const std::string& below) {
    const std::string path = below.empty() ? disk.root : disk / below;
    REQUIRE(disk.fs.make_directory(path));
    watch = begin(path, seen);
  }
  std::unique_ptr<io::DirectoryWatch> begin(const std::string& path, Seen& told) {
    auto made = disk.fs.watch(path, told);
    REQUIRE(made);
    return std::move(*made);
  }
  /// Until all that has happened so far was told.
  void settle() {
    const std::string mark = "mark" + std::to_string(++marks);
    Seen marked;
    REQUIRE(disk.fs.make_directory(disk / "marks"));
    auto marking = begin(disk / "marks", marked);
    disk.append(disk / ("marks/" + mark), "");
    REQUIRE(disk.until([&] { return marked.has("came " + mark); }));
  }
  std::string told() {
    settle();
    return seen.words();
  }

  Disk disk;
  Seen seen;
  int marks = 0;
  std::unique_ptr<io::DirectoryWatch> watch;
};

}  // namespace

TEST_CASE_TEMPLATE("a file that comes, changes and goes is told in order", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  disk.append(disk / "logs/a", "one");
  CHECK(world.told() == "came a;changed a;");
  disk.append(disk / "logs/a", "two");
  disk.rename(disk / "logs/a", disk / "logs/a.1");
  disk.append(disk / "logs/a.1", "late");
  disk.truncate(disk / "logs/a.1", 0);
  disk.unlink(disk / "logs/a.1");
  CHECK(world.told() == "came a;changed a;went a;came a.1;changed a.1;went a.1;");
}

TEST_CASE_TEMPLATE("a file that moves between directories goes here and comes there", Disk, DISKS) {
  Watched<Disk> world("from");
  Disk& disk = world.disk;
  REQUIRE(disk.fs.make_directory(disk / "to"));
  Seen there;
  auto watch = world.begin(disk / "to", there);
  disk.append(disk / "from/a", "");
  disk.append(disk / "to/b", "");
  disk.rename(disk / "from/a", disk / "to/b");  // replaces
  disk.link(disk / "to/b", disk / "from/c");
  disk.symlink("c", disk / "from/d");
  REQUIRE(disk.fs.make_directory(disk / "from/e"));
  const std::string told = world.told();
  CHECK(told.find("went a;came c;came d;came e;") != std::string::npos);
  CHECK(there.events.back() == "came b");
}

TEST_CASE_TEMPLATE("what was written before the watch is not told", Disk, DISKS) {
  Watched<Disk> world("logs");
  world.watch.reset();
  world.disk.append(world.disk / "logs/a", "");
  world.settle();
  world.watch = world.begin(world.disk / "logs", world.seen);
  world.disk.append(world.disk / "logs/b", "");
  const std::string told = world.told();
  CHECK(told.starts_with("came b;"));
  CHECK_FALSE(world.seen.has("came a"));
}

TEST_CASE_TEMPLATE("two watches of one directory, by different paths, hear the same", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  disk.symlink("logs", disk / "way");
  Seen other;
  auto second = world.begin(disk / "way", other);
  disk.append(disk / "logs/a", "x");
  CHECK(world.told() == "came a;changed a;");
  CHECK(other.words() == "came a;changed a;");
  second.reset();
  disk.unlink(disk / "logs/a");
  CHECK(world.told() == "came a;changed a;went a;");
  CHECK(other.words() == "came a;changed a;");
}

TEST_CASE_TEMPLATE("a handler may destroy its own watch and others", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  Seen other;
  auto second = world.begin(disk / "logs", other);
  Seen third;
  auto elsewhere = world.begin(disk.root, third);
  world.seen.on_told = [&] {
    world.watch.reset();
    second.reset();
    elsewhere.reset();
  };
  disk.append(disk / "logs/a", "x");
  disk.append(disk / "b", "x");
  CHECK(world.told() == "came a;");
  CHECK(other.events.empty());
  CHECK_FALSE(third.has("came b"));
}

TEST_CASE_TEMPLATE("a handler may begin watches, of its own directory too", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  Seen again;
  std::unique_ptr<io::DirectoryWatch> second;
  world.seen.on_told = [&] {
    world.watch.reset();
    if (!second) second = world.begin(disk / "logs", again);
  };
  disk.append(disk / "logs/a", "");
  CHECK(world.told() == "came a;");
  disk.append(disk / "logs/b", "");
  world.settle();
  CHECK(again.has("came b"));
}

TEST_CASE_TEMPLATE("a directory that is removed or moved away is told once, and then no more", Disk,
                   DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  REQUIRE(disk.fs.make_directory(disk / "other"));
  Seen moved;
  auto watch = world.begin(disk / "other", moved);
  Seen parent;
  auto above = world.begin(disk.root, parent);
  disk.unlink(disk / "logs");
  disk.rename(disk / "other", disk / "renamed");
  disk.append(disk / "renamed/a", "");
  CHECK(world.told() == "gone;");
  CHECK(moved.words() == "gone;");
  CHECK(parent.has("went logs"));
  CHECK(parent.has("came renamed"));
  // A new directory in the place is another one.
  REQUIRE(disk.fs.make_directory(disk / "logs"));
  disk.append(disk / "logs/b", "");
  CHECK(world.told() == "gone;");
  world.watch = world.begin(disk / "logs", world.seen);
  disk.append(disk / "logs/c", "");
  world.settle();
  CHECK(world.seen.has("came c"));
}

TEST_CASE_TEMPLATE("a handler whose directory went may look for the new one at once", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  std::unique_ptr<io::DirectoryWatch> next;
  Seen again;
  world.seen.on_told = [&] {
    world.watch.reset();
    next = world.begin(disk / "logs", again);
  };
  disk.rename(disk / "logs", disk / "logs.old");
  REQUIRE(disk.fs.make_directory(disk / "logs"));
  CHECK(world.told() == "gone;");
  disk.append(disk / "logs/a", "");
  world.settle();
  CHECK(again.has("came a"));
}

TEST_CASE_TEMPLATE("only directories that are there can be watched", Disk, DISKS) {
  Disk disk;
  disk.append(disk / "file", "");
  Seen seen;
  CHECK(disk.fs.watch(disk / "none", seen).error().code() == Errc::not_found);
  const auto file = disk.fs.watch(disk / "file", seen);
  CHECK(file.error().code() == Errc::not_found);
  CHECK(file.error().text().find(disk / "file") != std::string::npos);
}

TEST_CASE_TEMPLATE("writes to a file that was removed while open are not told", Disk, DISKS) {
  Watched<Disk> world("logs");
  Disk& disk = world.disk;
  auto file = must_open(disk, disk / "logs/a", io::OpenFor::writing);
  disk.unlink(disk / "logs/a");
  CHECK(world.told() == "came a;went a;");
  REQUIRE(file->write_at(0, "unseen"));
  CHECK(world.told() == "came a;went a;");
}
