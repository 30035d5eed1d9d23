#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "io/burst.hpp"
#include "io/uv/files.hpp"
#include "sim/world.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::test;
namespace fs = std::filesystem;

namespace {

struct Directory {
  Directory() {
    std::array<char, 40> pattern{"/tmp/consort-files-XXXXXX"};
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern.data();
  }
  ~Directory() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path / name; }
  fs::path path;
};

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// Counts, and reads the file when told, as a user of the interface does.
struct Reader final : io::FileHandler {
  Reader(io::Files& from, std::string of) : files(from), path(std::move(of)) {
    watch = files.watch(path, *this);
  }
  void on_file_changed() override {
    ++told;
    text = files.read(path, 1000).value_or("none");
    if (on_told) on_told();
  }
  io::Files& files;
  std::string path;
  int told = 0;
  std::string text;
  std::function<void()> on_told;
  std::unique_ptr<io::FileWatch> watch;
};

/// A file under watch whose first telling is over.
struct Watched {
  explicit Watched(std::string path, io::UvFilesOptions options = {})
      : files(loop, options), reader(files, std::move(path)) {
    REQUIRE(run_until(loop, [this] { return reader.told == 1; }));
  }
  bool sees(const std::string& text) {
    return run_until(loop, [&] { return reader.text == text; });
  }
  io::UvLoop loop;
  io::UvFiles files;
  Reader reader;
};

/// As the kubelet does it (atomic_writer.go): new directory, new link, renamed over `..data`.
void publish(const Directory& mount, const std::string& version, const std::string& text) {
  fs::create_directory(mount / version);
  write(mount / version + "/app.yaml", text);
  const fs::path old = fs::is_symlink(mount / "..data") ? fs::read_symlink(mount / "..data") : "";
  fs::create_symlink(version, mount / "..data_tmp");
  fs::rename(mount / "..data_tmp", mount / "..data");
  if (!old.empty()) fs::remove_all(mount / old.string());
}

}  // namespace

TEST_CASE("a watch tells once by itself: what was read before it may be old") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  CHECK(watched.reader.text == "one");
  CHECK(watched.reader.watch->degraded().empty());
  run_for(watched.loop, 2 * io::Burst::kQuietMs);
  CHECK(watched.reader.told == 1);
}

TEST_CASE("writing in place is seen, and a burst of it is told once") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  for (int i = 0; i < 50; ++i) write(directory / "a", "two " + std::to_string(i));
  CHECK(watched.sees("two 49"));
  run_for(watched.loop, 2 * io::Burst::kQuietMs);
  CHECK(watched.reader.told == 2);
}

TEST_CASE("renaming over the file is seen, again and again") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  for (const char* text : {"two", "three", "four"}) {
    write(directory / "a.new", text);
    fs::rename(directory / "a.new", directory / "a");
    CHECK(watched.sees(text));
  }
}

TEST_CASE("a file that goes and comes back is seen both times") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  fs::remove(directory / "a");
  CHECK(watched.sees("none"));
  write(directory / "a", "two");
  CHECK(watched.sees("two"));
}

TEST_CASE("a file is seen to come, however much of its path is missing") {
  Directory directory;
  Watched watched(directory / "x/y/a");
  CHECK(watched.reader.text == "none");
  fs::create_directory(directory / "x");
  run_for(watched.loop, 20);
  fs::create_directory(directory / "x/y");
  write(directory / "x/y/a", "one");
  CHECK(watched.sees("one"));
  fs::remove_all(directory / "x");
  CHECK(watched.sees("none"));
  fs::create_directories(directory / "x/y");
  write(directory / "x/y/a", "two");
  CHECK(watched.sees("two"));
}

TEST_CASE("the directory of the file may be renamed away and replaced") {
  Directory directory;
  fs::create_directory(directory / "conf");
  write(directory / "conf/a", "one");
  Watched watched(directory / "conf/a");
  fs::rename(directory / "conf", directory / "old");
  CHECK(watched.sees("none"));
  fs::create_directory(directory / "conf");
  write(directory / "conf/a", "two");
  CHECK(watched.sees("two"));
}

TEST_CASE("a ConfigMap is published by turning its ..data link") {
  Directory mount;
  publish(mount, "..v1", "one");
  fs::create_symlink("..data/app.yaml", mount / "app.yaml");
  Watched watched(mount / "app.yaml");
  CHECK(watched.reader.text == "one");
  publish(mount, "..v2", "two");
  CHECK(watched.sees("two"));
  publish(mount, "..v3", "three");
  CHECK(watched.sees("three"));
}

TEST_CASE("every link of a chain may be turned, absolute ones too") {
  Directory directory;
  fs::create_directories(directory / "v1");
  fs::create_directories(directory / "v2");
  write(directory / "v1/a", "one");
  write(directory / "v2/a", "two");
  write(directory / "b", "three");
  fs::create_symlink(directory / "v1", directory / "current");
  fs::create_symlink("current/../current/./a", directory / "first");
  fs::create_symlink("first", directory / "second");
  Watched watched(directory / "second");
  CHECK(watched.reader.text == "one");
  fs::create_symlink(directory / "v2", directory / "next");
  fs::rename(directory / "next", directory / "current");
  CHECK(watched.sees("two"));
  fs::remove(directory / "first");
  CHECK(watched.sees("none"));
  fs::create_symlink("b", directory / "first");
  CHECK(watched.sees("three"));
  write(directory / "b", "four");
  CHECK(watched.sees("four"));
}

TEST_CASE("links that lead in a circle end as a missing file") {
  Directory directory;
  fs::create_symlink("b", directory / "a");
  fs::create_symlink("a", directory / "b");
  Watched watched(directory / "a");
  CHECK(watched.reader.text == "none");
  fs::remove(directory / "b");
  write(directory / "b", "one");
  CHECK(watched.sees("one"));
}

TEST_CASE("neighbours of a file are none of its business") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  write(directory / "b", "x");
  write(directory / "aa", "x");
  fs::remove(directory / "b");
  run_for(watched.loop, 2 * io::Burst::kQuietMs);
  CHECK(watched.reader.told == 1);
}

TEST_CASE("a pipe is never told of or read") {
  Directory directory;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  io::UvLoop loop;
  io::UvFiles files(loop);
  Reader reader(files, directory / "pipe");
  run_for(loop, 2 * io::Burst::kQuietMs);
  CHECK(reader.told == 0);
  const Result<std::string> text = files.read(directory / "pipe", 10);
  REQUIRE_FALSE(text);
  CHECK(text.error().message() == (directory / "pipe") + ": no regular file");
}

TEST_CASE("watches of one directory do not disturb each other") {
  Directory directory;
  io::UvLoop loop;
  io::UvFiles files(loop);
  Reader one(files, directory / "one");
  Reader two(files, directory / "two");
  auto again = std::make_unique<Reader>(files, directory / "one");
  run_until(loop, [&] { return one.told + two.told + again->told == 3; });
  again.reset();
  write(directory / "one", "1");
  CHECK(run_until(loop, [&] { return one.text == "1"; }));
  CHECK(two.told == 1);
  one.watch.reset();
  write(directory / "one", "11");
  write(directory / "two", "2");
  CHECK(run_until(loop, [&] { return two.text == "2"; }));
  CHECK(one.text == "1");
}

TEST_CASE("a handler may end its own watch") {
  Directory directory;
  Watched watched(directory / "a");
  watched.reader.on_told = [&] { watched.reader.watch.reset(); };
  write(directory / "a", "one");
  CHECK(watched.sees("one"));
  write(directory / "a", "two");
  run_for(watched.loop, 2 * io::Burst::kQuietMs);
  CHECK(watched.reader.text == "one");
}

TEST_CASE("without the kernel's help the file is looked at, and the watch says so") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a", {.inotify = false, .poll_ms = 10});
  CHECK(watched.reader.watch->degraded() == "inotify is switched off");
  run_for(watched.loop, 50);
  CHECK(watched.reader.told == 1);
  write(directory / "a.new", "two");
  fs::rename(directory / "a.new", directory / "a");
  CHECK(watched.sees("two"));
  fs::remove(directory / "a");
  CHECK(watched.sees("none"));
}

TEST_CASE("an idle watch lets the loop sleep") {
  Directory directory;
  write(directory / "a", "one");
  Watched watched(directory / "a");
  const std::uint64_t turns = watched.loop.turns();
  run_for(watched.loop, 300);
  CHECK(watched.loop.turns() - turns <= 2);
}

TEST_CASE("the simulated files tell as the real ones do") {
  sim::World world;
  world.files.set("a", "one");
  Reader reader(world.files, "a");
  CHECK(reader.told == 0);
  world.loop.settle();
  CHECK(reader.told == 1);
  CHECK(reader.text == "one");
  for (int i = 0; i < 5; ++i) {
    world.files.set("a", "two");
    world.loop.run_for(io::Burst::kQuietMs - 1);
  }
  CHECK(reader.told == 1);
  world.loop.run_for(1);
  CHECK(reader.text == "two");
  CHECK(reader.told == 2);
  // Who never stops writing is heard all the same.
  for (int i = 0; i < 40; ++i) {
    world.files.touch("a");
    world.loop.run_for(50);
  }
  CHECK(reader.told == 4);
  reader.on_told = [&] { reader.watch.reset(); };
  world.files.remove("a");
  world.loop.run_for(1000);
  CHECK(reader.text == "none");
  CHECK_FALSE(world.files.is_watched("a"));
}
