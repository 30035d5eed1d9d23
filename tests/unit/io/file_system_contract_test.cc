// What every io::FileSystem does, so that what is proved in the simulator holds on a real disk.
#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "disks.hpp"

using namespace consort;
using namespace consort::test;
using io::DirectoryEntry;
using io::FileKind;
using io::FileStat;
using io::OpenFor;

#define DISKS RealDisk, MemoryDisk, SimulatedDisk

TEST_CASE_TEMPLATE("a file is made, written and read back at any offset", Disk, DISKS) {
  Disk disk;
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  REQUIRE(file->write_at(0, "hello world"));
  REQUIRE(file->write_at(6, "there"));
  CHECK(disk.read(disk / "a") == "hello there");
  CHECK(read_all(*file) == "hello there");
  CHECK(read_all(*file, 9) == "re");
  CHECK(read_all(*file, 11) == "");
  CHECK(read_all(*file, 1000) == "");
  auto reader = must_open(disk, disk / "a");
  disk.append(disk / "a", "!");
  CHECK(read_all(*reader, 6) == "there!");
  CHECK(reader->stat()->size == 12);
  CHECK(reader->stat()->kind == FileKind::regular);
  CHECK_FALSE(reader->write_at(0, "x"));
  CHECK_FALSE(reader->truncate(0));
  CHECK(disk.read(disk / "a") == "hello there!");
}

TEST_CASE_TEMPLATE("opening makes nothing that it should not, and touches no FIFO", Disk, DISKS) {
  Disk disk;
  disk.make_other(disk / "fifo");
  disk.append(disk / "file", "x");
  auto code = [&](const std::string& name, OpenFor how) {
    const auto opened = disk.fs.open(disk / name, how);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().text().find(disk / name) != std::string::npos);
    return opened.error().code();
  };
  CHECK(code("missing", OpenFor::reading) == Errc::not_found);
  CHECK(code("missing/file", OpenFor::writing) == Errc::not_found);
  CHECK(code("file/below", OpenFor::reading) == Errc::not_found);
  CHECK(code("fifo", OpenFor::reading) == Errc::invalid);
  CHECK(code("fifo", OpenFor::writing) == Errc::invalid);
  CHECK(code("", OpenFor::reading) == Errc::invalid);
  CHECK(code("file", OpenFor::writing_new) == Errc::invalid);
  CHECK(disk.fs.open(disk / "file", OpenFor::writing_new).error().sys() == EEXIST);
  CHECK(must_open(disk, disk / "new", OpenFor::writing_new)->stat()->size == 0);
  CHECK(disk.fs.list(disk.root)->size() == 3);
}

TEST_CASE_TEMPLATE("an open file survives its renaming and its removal", Disk, DISKS) {
  Disk disk;
  disk.append(disk / "a", "one");
  auto file = must_open(disk, disk / "a");
  disk.rename(disk / "a", disk / "b");
  disk.append(disk / "b", "two");
  CHECK(read_all(*file) == "onetwo");
  CHECK(file->stat()->links == 1);
  disk.link(disk / "b", disk / "c");
  CHECK(file->stat()->links == 2);
  CHECK(disk.fs.stat(disk / "c")->links == 2);
  disk.unlink(disk / "b");
  CHECK(file->stat()->links == 1);
  disk.unlink(disk / "c");
  CHECK(file->stat()->links == 0);
  CHECK(read_all(*file) == "onetwo");
}

TEST_CASE_TEMPLATE("a file keeps its identity under any name, and no other file has it", Disk,
                   DISKS) {
  Disk disk;
  disk.append(disk / "a", "same");
  io::FileIdentity first = must_open(disk, disk / "a")->stat()->identity;
  CHECK(first.inode != 0);
  disk.rename(disk / "a", disk / "b");
  disk.symlink("b", disk / "way");
  CHECK(must_open(disk, disk / "way")->stat()->identity == first);
  // Without opening it, the generation is not known.
  const io::FileIdentity seen = disk.fs.stat(disk / "way")->identity;
  CHECK(seen.generation == 0);
  CHECK(seen.inode == first.inode);
  CHECK(seen.born_ns == first.born_ns);
  CHECK(seen.file_system == first.file_system);
  disk.append(disk / "other", "same");
  CHECK(must_open(disk, disk / "other")->stat()->identity != first);
}

TEST_CASE_TEMPLATE("a truncated file has a hole before what is written behind it", Disk, DISKS) {
  Disk disk;
  disk.append(disk / "a", std::string(100'000, 'x'));
  auto file = must_open(disk, disk / "a");
  CHECK(*file->data_from(0) == 0);
  CHECK(*file->data_from(50'000) == 50'000);
  CHECK(*file->data_from(100'000) == 100'000);
  disk.truncate(disk / "a", 0);
  CHECK(file->stat()->size == 0);
  CHECK(*file->data_from(50) == 0);
  disk.write_at(disk / "a", 90'000, "tail");
  CHECK(file->stat()->size == 90'004);
  // Data begins with the block that holds it: 4096 bytes on all file systems seen.
  CHECK(*file->data_from(0) == 90'000 / 4096 * 4096);
  CHECK(*file->data_from(90'002) == 90'002);
  CHECK(read_all(*file, 89'998) == std::string(2, '\0') + "tail");
  disk.truncate(disk / "a", 95'000);
  CHECK(*file->data_from(94'999) == 95'000);
  CHECK(read_all(*file, 90'000) == "tail" + std::string(4'996, '\0'));
}

TEST_CASE_TEMPLATE("truncating cuts bytes off for good", Disk, DISKS) {
  Disk disk;
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  REQUIRE(file->write_at(0, "journal entry"));
  REQUIRE(file->truncate(7));
  CHECK(disk.read(disk / "a") == "journal");
  REQUIRE(file->truncate(9));
  CHECK(disk.read(disk / "a") == "journal" + std::string(2, '\0'));
}

TEST_CASE_TEMPLATE("a directory lists its entries by name, each with its own kind", Disk, DISKS) {
  Disk disk;
  disk.append(disk / "b", "");
  disk.append(disk / "a", "");
  disk.append(disk / "C", "");
  disk.symlink("a", disk / "d");
  disk.make_other(disk / "e");
  REQUIRE(disk.fs.make_directory(disk / "f"));
  std::string words;
  const Result<std::vector<DirectoryEntry>> listed = disk.fs.list(disk.root + "//.");
  REQUIRE(listed);
  for (const DirectoryEntry& entry : *listed) {
    words += entry.name + std::to_string(static_cast<int>(entry.kind)) + " ";
  }
  CHECK(words == "C0 a0 b0 d2 e3 f1 ");
  CHECK(disk.fs.list(disk / "a").error().code() == Errc::not_found);
  CHECK(disk.fs.list(disk / "none").error().code() == Errc::not_found);
}

TEST_CASE_TEMPLATE("links are followed to where they lead, also in the middle of a path", Disk,
                   DISKS) {
  Disk disk;
  REQUIRE(disk.fs.make_directory(disk / "pods/uid"));
  disk.append(disk / "pods/uid/0.log", "text");
  disk.symlink("pods", disk / "here");
  disk.symlink(disk / "here/uid/0.log", disk / "absolute");
  disk.symlink("nowhere", disk / "dangling");
  disk.symlink("loop", disk / "loop");
  CHECK(*disk.fs.resolve(disk / "absolute") == *disk.fs.resolve(disk.root) + "/pods/uid/0.log");
  CHECK(*disk.fs.resolve(disk / "here//./uid/../uid") == *disk.fs.resolve(disk.root) + "/pods/uid");
  CHECK(disk.fs.stat(disk / "absolute")->size == 4);
  CHECK(disk.fs.stat(disk / "here")->kind == FileKind::directory);
  CHECK(disk.fs.stat(disk / "dangling").error().code() == Errc::not_found);
  CHECK(disk.fs.resolve(disk / "dangling").error().code() == Errc::not_found);
  CHECK(disk.fs.open(disk / "loop", OpenFor::reading).error().sys() == ELOOP);
  CHECK(read_all(*must_open(disk, disk / "here/uid/0.log")) == "text");
}

TEST_CASE_TEMPLATE("directories are made with those above them", Disk, DISKS) {
  Disk disk;
  REQUIRE(disk.fs.make_directory(disk / "a/b/c/"));
  REQUIRE(disk.fs.make_directory(disk / "a/b"));
  CHECK(disk.fs.stat(disk / "a/b/c")->kind == FileKind::directory);
  disk.append(disk / "file", "");
  CHECK_FALSE(disk.fs.make_directory(disk / "file"));
  CHECK_FALSE(disk.fs.make_directory(disk / "file/below"));
}

TEST_CASE_TEMPLATE("a renamed file takes the other's place, and errors name the path", Disk,
                   DISKS) {
  Disk disk;
  disk.append(disk / "new", "new");
  disk.append(disk / "old", "old");
  auto replaced = must_open(disk, disk / "old");
  REQUIRE(disk.fs.rename(disk / "new", disk / "old"));
  CHECK(disk.read(disk / "old") == "new");
  CHECK(replaced->stat()->links == 0);
  CHECK(read_all(*replaced) == "old");
  const Result<> missing = disk.fs.rename(disk / "new", disk / "other");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::not_found);
  CHECK(missing.error().text().find(disk / "new") != std::string::npos);
  REQUIRE(disk.fs.remove(disk / "old"));
  CHECK(disk.fs.remove(disk / "old").error().code() == Errc::not_found);
  CHECK_FALSE(disk.fs.remove(disk.root));
  CHECK(disk.fs.list(disk.root)->empty());
}

TEST_CASE_TEMPLATE("a lock is one's own until its file is closed", Disk, DISKS) {
  Disk disk;
  auto first = must_open(disk, disk / "lock", OpenFor::writing);
  auto second = must_open(disk, disk / "lock", OpenFor::writing);
  CHECK(first->lock());
  CHECK(first->lock());
  CHECK(second->lock().error().code() == Errc::unavailable);
  first.reset();
  CHECK(second->lock());
}

TEST_CASE_TEMPLATE("a sync comes to its end through the loop", Disk, DISKS) {
  Disk disk;
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  REQUIRE(file->write_at(0, "text"));
  Running running(file->sync());
  Running names(disk.fs.sync_directory(disk.root));
  Running none(disk.fs.sync_directory(disk / "none"));
  CHECK_FALSE(running.has_ended());
  file.reset();  // closed meanwhile
  CHECK(disk.until([&] { return running.has_ended() && names.has_ended() && none.has_ended(); }));
  CHECK(running.is_good());
  CHECK(names.is_good());
  CHECK(none.error().code() == Errc::not_found);
}

TEST_CASE_TEMPLATE("a sync may be dropped, before and after it began", Disk, DISKS) {
  Disk disk;
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  {
    const Task<Result<>> unstarted = file->sync();
  }
  Running dropped(file->sync());
  dropped.drop();
  Running other(file->sync());
  CHECK(disk.until([&] { return other.has_ended(); }));
  CHECK(other.is_good());
  CHECK_FALSE(dropped.has_ended());
}

TEST_CASE_TEMPLATE("there is room, and local disks tell of changes", Disk, DISKS) {
  Disk disk;
  CHECK(*disk.fs.free_bytes(disk.root) > 0);
  CHECK_FALSE(disk.fs.needs_polling(disk.root));
  CHECK(disk.fs.free_bytes(disk / "none").error().code() == Errc::not_found);
}
