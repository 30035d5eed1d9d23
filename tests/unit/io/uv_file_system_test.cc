// What only a real disk shows: limits of the kernel, its costs, times of access. The rest is in
// file_system_contract_test.cc and directory_watch_contract_test.cc.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "disks.hpp"
#include "io/fd.hpp"
#include "io/uv/directory_watch.hpp"

using namespace consort;
using namespace consort::test;
using io::OpenFor;

namespace {

/// No further descriptor can be opened as long as it lives.
struct NoDescriptors {
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const io::Fd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(lowest.get());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

std::int64_t accessed_s(const std::string& path) {
  struct stat found{};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_atim.tv_sec;
}

/// A time of access before the last change, which every read would bring up to date.
void set_accessed(const std::string& path, std::int64_t at_s) {
  const timespec times[] = {{at_s, 0}, {at_s + 1000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

/// What all inotify descriptors of this process watch (proc(5), fdinfo).
int kernel_watches() {
  int watches = 0;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(each.path());
    for (std::string line; std::getline(info, line);) watches += line.starts_with("inotify wd:");
  }
  return watches;
}

}  // namespace

TEST_CASE("a FIFO is not even opened: its writers would believe in a reader") {
  RealDisk disk;
  disk.make_other(disk / "fifo");
  const io::Fd opens(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  REQUIRE(::inotify_add_watch(opens.get(), (disk / "fifo").c_str(), IN_OPEN) >= 0);
  CHECK_FALSE(disk.fs.open(disk / "fifo", OpenFor::reading));
  CHECK_FALSE(disk.fs.open(disk / "fifo", OpenFor::writing));
  char event[512];
  CHECK(::read(opens.get(), event, sizeof event) < 0);
}

TEST_CASE("reading leaves no trace in the time of access") {
  RealDisk disk;
  disk.append(disk / "a", "text");
  set_accessed(disk / "a", 1'000'000);
  auto file = must_open(disk, disk / "a");
  CHECK(read_all(*file) == "text");
  CHECK(accessed_s(disk / "a") == 1'000'000);
}

TEST_CASE("a file is made for its owner to write and its group to read") {
  RealDisk disk;
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  REQUIRE(disk.fs.make_directory(disk / "b/c"));
  struct stat found{};
  REQUIRE(::stat((disk / "a").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777 & ~0640U) == 0);
  CHECK((found.st_mode & 0600) == 0600);
  REQUIRE(::stat((disk / "b/c").c_str(), &found) == 0);
  CHECK((found.st_mode & 07777 & ~0750U) == 0);
}

TEST_CASE("a file that gets the inode of a removed one is another file") {
  RealDisk disk;
  std::set<io::FileIdentity> seen;
  constexpr int kFiles = 20;
  for (int i = 0; i < kFiles; ++i) {
    disk.append(disk / "a", "x");
    seen.insert(must_open(disk, disk / "a")->stat()->identity);
    disk.unlink(disk / "a");
  }
  struct statfs found{};
  REQUIRE(::statfs(disk.root.c_str(), &found) == 0);
  // Elsewhere births of one tick may be equal, and there is no generation.
  if (found.f_type == EXT4_SUPER_MAGIC) CHECK(seen.size() == kFiles);
}

TEST_CASE("the generation is what the file system says") {
  RealDisk disk;
  disk.append(disk / "a", "x");
  const io::Fd fd(::open((disk / "a").c_str(), O_RDONLY | O_CLOEXEC));
  int version[2] = {0, 77};
  const bool has_one = ::ioctl(fd.get(), FS_IOC_GETVERSION, version) == 0;
  const std::uint32_t told = must_open(disk, disk / "a")->stat()->identity.generation;
  CHECK(told == (has_one ? static_cast<std::uint32_t>(version[0]) : 0));
  CHECK(version[1] == 77);  // the kernel writes an int, whatever the request's number says
}

TEST_CASE("the file system's number is that of statfs, for paths and open files") {
  RealDisk disk;
  MemoryDisk memory;
  struct statfs found{};
  REQUIRE(::statfs(disk.root.c_str(), &found) == 0);
  std::uint64_t id = 0;
  std::memcpy(&id, &found.f_fsid, sizeof id);
  disk.append(disk / "a", "x");
  CHECK(disk.fs.stat(disk / "a")->identity.file_system == id);
  CHECK(must_open(disk, disk / "a")->stat()->identity.file_system == id);
  struct statfs of_memory{};
  REQUIRE(::statfs(memory.root.c_str(), &of_memory) == 0);
  std::memcpy(&id, &of_memory.f_fsid, sizeof id);
  CHECK(disk.fs.stat(memory.root)->identity.file_system == id);
}

TEST_CASE("without descriptors, opening and watching say which limit to raise") {
  RealDisk disk;
  disk.append(disk / "a", "x");
  Seen seen;
  {
    const NoDescriptors none;
    const auto file = disk.fs.open(disk / "a", OpenFor::reading);
    REQUIRE_FALSE(file);
    CHECK(file.error().code() == Errc::limit);
    CHECK(file.error().text().find("limit of open files") != std::string::npos);
    const auto watch = disk.fs.watch(disk.root, seen);
    REQUIRE_FALSE(watch);
    CHECK(watch.error().code() == Errc::limit);
    CHECK(watch.error().text().find("max_user_instances") != std::string::npos);
    CHECK(watch.error().text().find(disk.root) != std::string::npos);
  }
  // Later there are some: nothing is kept of the failure.
  auto watch = disk.fs.watch(disk.root, seen);
  REQUIRE(watch);
  disk.append(disk / "b", "");
  CHECK(disk.until([&] { return seen.has("came b"); }));
}

TEST_CASE("a thousand idle files and their watch do not wake the loop") {
  RealDisk disk;
  for (int i = 0; i < 1000; ++i) disk.append(disk / ("f" + std::to_string(i)), "x");
  Seen seen;
  auto watch = disk.fs.watch(disk.root, seen);
  REQUIRE(watch);
  disk.append(disk / "f7", "more");
  REQUIRE(disk.until([&] { return seen.has("changed f7"); }));
  run_for(disk.loop, 20);  // the watch's rests, until there are no more events
  const std::uint64_t before = disk.loop.turns();
  run_for(disk.loop, 100);
  // The limit's timer and the stop cost two or three.
  CHECK(disk.loop.turns() - before <= 4);
  CHECK_FALSE(seen.has("came f7"));
}

TEST_CASE("events that follow each other closely wait for the end of a rest") {
  struct Chain final : io::DirectoryHandler {
    explicit Chain(RealDisk& below) : disk(below) {}
    void on_event(io::DirectoryEvent event, std::string_view) override {
      if (event != io::DirectoryEvent::came) return;
      if (++told < 20) disk.append(disk / ("f" + std::to_string(told)), "");
    }
    void on_overflow() override {}
    void on_gone() override {}
    RealDisk& disk;
    int told = 0;
  };
  RealDisk disk;
  Chain chain(disk);
  auto watch = disk.fs.watch(disk.root, chain);
  REQUIRE(watch);
  disk.append(disk / "f0", "");
  const std::uint64_t began_ms = disk.loop.now_ms();
  REQUIRE(disk.until([&] { return chain.told >= 20; }));
  // All but the first one came while its maker was told.
  CHECK(disk.loop.now_ms() - began_ms >= 18 * io::DirectoryWatches::kRestMs);
}

TEST_CASE("thousands of events come in order and in few turns") {
  RealDisk disk;
  Seen seen;
  auto watch = disk.fs.watch(disk.root, seen);
  REQUIRE(watch);
  constexpr int kFiles = 4000;  // two events each, more than three batches
  for (int i = 0; i < kFiles; ++i) {
    disk.append(disk / ("a-file-with-a-rather-long-name-" + std::to_string(i)), "");
  }
  const std::uint64_t before = disk.loop.turns();
  const std::string last = "came a-file-with-a-rather-long-name-" + std::to_string(kFiles - 1);
  REQUIRE(disk.until([&] { return seen.has(last); }));
  CHECK(disk.loop.turns() - before <= 4);
  int next = 0;
  for (const std::string& event : seen.events) {
    if (!event.starts_with("came ")) continue;
    CHECK(event == "came a-file-with-a-rather-long-name-" + std::to_string(next));
    ++next;
  }
  CHECK(next == kFiles);
}

TEST_CASE("all watches are told when the kernel's queue was full") {
  int queued_max = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> queued_max;
  if (queued_max <= 0 || queued_max > 200'000) return;  // not here
  RealDisk disk;
  REQUIRE(disk.fs.make_directory(disk / "busy"));
  REQUIRE(disk.fs.make_directory(disk / "quiet"));
  Seen busy;
  Seen quiet;
  auto first = disk.fs.watch(disk / "busy", busy);
  auto second = disk.fs.watch(disk / "quiet", quiet);
  REQUIRE((first && second));
  disk.append(disk / "busy/a", "");
  for (int i = 0; i < queued_max / 4 + 2; ++i) {  // two events each, none like the one before
    disk.rename(disk / "busy/a", disk / "busy/b");
    disk.rename(disk / "busy/b", disk / "busy/a");
  }
  REQUIRE(disk.until([&] { return quiet.has("overflow"); }));
  CHECK(busy.count("overflow") == 1);
  CHECK(quiet.words() == "overflow;");
  disk.append(disk / "quiet/c", "");
  CHECK(disk.until([&] { return quiet.has("came c"); }));
}

TEST_CASE("the kernel lets go of a directory with its last watch") {
  RealDisk disk;
  Seen seen;
  const int before = kernel_watches();
  auto first = disk.fs.watch(disk.root, seen);
  auto second = disk.fs.watch(disk.root + "/.", seen);
  REQUIRE((first && second));
  CHECK(disk.fs.watches().directories() == 1);
  CHECK(kernel_watches() == before + 1);
  first->reset();
  CHECK(kernel_watches() == before + 1);
  second->reset();
  CHECK(disk.fs.watches().directories() == 0);
  CHECK(kernel_watches() == before);
}

TEST_CASE("the kernel lets go of a directory that was moved away") {
  RealDisk disk;
  Seen seen;
  const int before = kernel_watches();
  REQUIRE(disk.fs.make_directory(disk / "a"));
  auto watch = disk.fs.watch(disk / "a", seen);
  disk.rename(disk / "a", disk / "b");
  REQUIRE(disk.until([&] { return seen.has("gone"); }));
  CHECK(kernel_watches() == before);
}

TEST_CASE("the end of a file system waits for syncs that are under way") {
  RealDisk disk;
  auto fs = std::make_unique<io::UvFileSystem>(disk.loop);
  auto opened = fs->open(disk / "a", OpenFor::writing);
  REQUIRE(opened);
  REQUIRE((*opened)->write_at(0, std::string(1 << 20, 'x')));
  std::vector<std::unique_ptr<Running>> syncs;
  for (int i = 0; i < 10; ++i) syncs.push_back(std::make_unique<Running>((*opened)->sync()));
  CHECK(fs->syncs().under_way() == 10);
  syncs.resize(5);  // dropped
  opened->reset();
  fs.reset();
  for (const auto& each : syncs) CHECK(each->is_good());
}

TEST_CASE("a full disk is an error that says so") {
  RealDisk disk;
  disk.symlink("/dev/full", disk / "full");
  CHECK(disk.fs.open(disk / "full", OpenFor::writing).error().code() == Errc::invalid);
  // The limit of a file's size stands for it: the same path through write_at.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto file = must_open(disk, disk / "a", OpenFor::writing);
  const rlimit small{.rlim_cur = 10, .rlim_max = before.rlim_max};
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Result<> written = file->write_at(0, "more than ten bytes");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old);
  REQUIRE_FALSE(written);
  CHECK(written.error().sys() == EFBIG);
  CHECK(written.error().text() == "write " + disk / "a");
  CHECK(disk.read(disk / "a") == "more than ");
}
