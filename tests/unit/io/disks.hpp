// Disks that a test of io::FileSystem runs on: a real one in /tmp, one in /dev/shm (tmpfs), and the
// simulated one. Paths in tests are below disk.root; what other processes do has the same words.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "async/task.hpp"
#include "io/file_system.hpp"
#include "io/uv/file_system.hpp"
#include "io/uv/loop.hpp"
#include "sim/file_system.hpp"
#include "sim/loop.hpp"
#include "uv_support.hpp"

namespace consort::test {

class RealDisk {
 public:
  explicit RealDisk(const std::string& parent = "/tmp") {
    std::string pattern = parent + "/consort-disk-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root = pattern;
  }
  ~RealDisk() { std::filesystem::remove_all(root); }
  RealDisk(const RealDisk&) = delete;
  RealDisk& operator=(const RealDisk&) = delete;

  std::string operator/(const std::string& name) const { return root + "/" + name; }
  bool until(std::function<bool()> done) { return run_until(loop, std::move(done)); }

  void append(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::app) << text;
  }
  void write_at(const std::string& path, std::uint64_t offset, std::string_view text) {
    std::fstream file(path);
    file.seekp(static_cast<std::streamoff>(offset)) << text;
  }
  void truncate(const std::string& path, std::uint64_t size) {
    std::filesystem::resize_file(path, size);
  }
  void rename(const std::string& from, const std::string& to) { std::filesystem::rename(from, to); }
  void unlink(const std::string& path) { std::filesystem::remove(path); }
  void link(const std::string& from, const std::string& to) {
    std::filesystem::create_hard_link(from, to);
  }
  void symlink(const std::string& target, const std::string& path) {
    std::filesystem::create_symlink(target, path);
  }
  void make_other(const std::string& path) { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
  std::string read(const std::string& path) const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string root;
  io::UvLoop loop;
  io::UvFileSystem fs{loop};
};

/// tmpfs, where there is one.
class MemoryDisk : public RealDisk {
 public:
  MemoryDisk() : RealDisk(::access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp") {}
};

class SimulatedDisk {
 public:
  SimulatedDisk() { (void)fs.make_directory(root); }

  std::string operator/(const std::string& name) const { return root + "/" + name; }
  bool until(const std::function<bool()>& done) { return loop.run_until(done, 5000); }

  void append(const std::string& path, std::string_view text) { fs.append(path, text); }
  void write_at(const std::string& path, std::uint64_t offset, std::string_view text) {
    fs.write_at(path, offset, text);
  }
  void truncate(const std::string& path, std::uint64_t size) { fs.truncate(path, size); }
  void rename(const std::string& from, const std::string& to) { REQUIRE(fs.rename(from, to)); }
  void unlink(const std::string& path) { fs.unlink(path); }
  void link(const std::string& from, const std::string& to) { fs.link(from, to); }
  void symlink(const std::string& target, const std::string& path) { fs.symlink(target, path); }
  void make_other(const std::string& path) { fs.make_other(path); }
  std::string read(const std::string& path) const { return fs.read(path); }

  std::string root = "/tmp/disk";
  sim::SimLoop loop;
  sim::SimFileSystem fs{loop};
};

/// What a watch told, as "came a;went b;changed c;overflow;gone;".
struct Seen final : io::DirectoryHandler {
  void on_event(io::DirectoryEvent event, std::string_view name) override {
    constexpr std::string_view kWords[] = {"came ", "went ", "changed "};
    add(std::string(kWords[static_cast<std::size_t>(event)]) + std::string(name));
  }
  void on_overflow() override { add("overflow"); }
  void on_gone() override { add("gone"); }
  bool has(const std::string& what) const { return count(what) > 0; }
  int count(const std::string& what) const {
    int found = 0;
    for (const std::string& each : events) found += each == what ? 1 : 0;
    return found;
  }
  /// All, with those that follow an equal one left out.
  std::string words() const {
    std::string all;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (i == 0 || events[i] != events[i - 1]) all += events[i] + ";";
    }
    return all;
  }

  std::vector<std::string> events;
  std::function<void()> on_told;

 private:
  void add(std::string event) {
    events.push_back(std::move(event));
    if (on_told) on_told();
  }
};

/// A task that runs on its own, and what it came to.
class Running {
 public:
  explicit Running(Task<Result<>> task) { scope_.spawn(follow(*this, std::move(task))); }
  bool has_ended() const { return result_.has_value(); }
  bool is_good() const { return result_ && result_->has_value(); }
  const Error& error() const { return result_->error(); }
  void drop() { scope_.cancel(); }

 private:
  static Task<> follow(Running& self, Task<Result<>> task) {
    Result<> result = co_await std::move(task);
    self.result_ = std::move(result);
  }
  std::optional<Result<>> result_;
  TaskScope scope_;
};

template <class Disk>
std::unique_ptr<io::File> must_open(Disk& disk, const std::string& path,
                                    io::OpenFor how = io::OpenFor::reading) {
  auto opened = disk.fs.open(path, how);
  REQUIRE_MESSAGE(opened, path);
  return std::move(*opened);
}

inline std::string read_all(io::File& file, std::uint64_t from = 0) {
  std::string into(100'000, '\0');
  const Result<std::size_t> got = file.read_at(from, into);
  return got ? into.substr(0, *got) : "error";
}

}  // namespace consort::test
