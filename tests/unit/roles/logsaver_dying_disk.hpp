// The disk of one process that may be killed at any of its calls: from then on nothing that it does
// has an effect, as kill -9 between two of its system calls.
//
//   DyingDisk disk(world.disk);
//   disk.die_in = 7;         // the seventh call that would change something, and all after it,
//   fail if (disk.is_dead) ...    // the process is to be destroyed at the end of the turn
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"

namespace consort::logsaver::test {

class DyingDisk final : public io::FileSystem {
 public:
  explicit DyingDisk(io::FileSystem& disk) : disk_(disk) {}

  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t die_in = kNever;
  std::uint64_t changes = 0;
  bool is_dead = false;

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenFor how) override {
    if (how == io::OpenFor::reading ? is_dead : dies()) return dead(path);
    auto file = disk_.open(path, how);
    if (!file) return fail(std::move(file.error()));
    return std::make_unique<Opened>(*this, std::move(*file), path);
  }
  Result<io::FileStat> stat(const std::string& path) override {
    if (is_dead) return dead(path);
    return disk_.stat(path);
  }
  Result<std::vector<io::DirectoryEntry>> list(const std::string& directory) override {
    if (is_dead) return dead(directory);
    return disk_.list(directory);
  }
  Result<std::string> resolve(const std::string& path) override {
    if (is_dead) return dead(path);
    return disk_.resolve(path);
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (dies()) return dead(from);
    return disk_.rename(from, to);
  }
  Result<> remove(const std::string& path) override {
    if (dies()) return dead(path);
    return disk_.remove(path);
  }
  Result<> make_directory(const std::string& path) override {
    if (dies()) return dead(path);
    return disk_.make_directory(path);
  }
  Task<Result<>> sync_directory(const std::string& directory) override {
    if (dies()) co_return dead(directory);
    co_return co_await disk_.sync_directory(directory);
  }
  Result<std::uint64_t> free_bytes(const std::string& path) override {
    return disk_.free_bytes(path);
  }
  bool needs_polling(const std::string& directory) override {
    return disk_.needs_polling(directory);
  }
  Result<std::unique_ptr<io::DirectoryWatch>> watch(const std::string& directory,
                                                    io::DirectoryHandler& handler) override {
    if (is_dead) return dead(directory);
    return disk_.watch(directory, handler);
  }

 private:
  class Opened final : public io::File {
   public:
    Opened(DyingDisk& disk, std::unique_ptr<io::File> file, std::string path)
        : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}
    Result<io::FileStat> stat() override {
      if (disk_.is_dead) return dead(path_);
      return file_->stat();
    }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      if (disk_.is_dead) return dead(path_);
      return file_->read_at(offset, into);
    }
    Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
      if (disk_.dies()) return dead(path_);
      return file_->write_at(offset, bytes);
    }
    Result<> truncate(std::uint64_t size) override {
      if (disk_.dies()) return dead(path_);
      return file_->truncate(size);
    }
    Result<std::uint64_t> data_from(std::uint64_t offset) override {
      if (disk_.is_dead) return dead(path_);
      return file_->data_from(offset);
    }
    Task<Result<>> sync() override {
      if (disk_.dies()) return nothing(path_);
      return file_->sync();
    }
    Result<> lock() override { return file_->lock(); }

   private:
    DyingDisk& disk_;
    const std::unique_ptr<io::File> file_;
    const std::string path_;
  };

  static Task<Result<>> nothing(std::string path) { co_return dead(path); }
  static tl::unexpected<Error> dead(const std::string& path) {
    return fail(Error::from_errno(EIO, path + ": the process is dead"));
  }
  bool dies() {
    ++changes;
    if (!is_dead && die_in != kNever && die_in-- == 0) is_dead = true;
    return is_dead;
  }

  io::FileSystem& disk_;
};

}  // namespace consort::logsaver::test
