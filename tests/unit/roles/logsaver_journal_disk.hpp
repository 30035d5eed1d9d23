// A disk for the tests of the journal, which knows what a power cut leaves of it.
//
//   JournalDisk disk;
//   disk.space = 100;                  // bytes that can still be written
//   disk.holds_syncs = true;           // until finish_syncs()
//   disk.dies_at = disk.steps + 3;     // the third effect from now and all later ones fail
//   disk.power_cut(random);            // what was not synced is there in part, or not at all
//
// Files have a size and bytes in the page cache and on the platter, and names likewise. A sync that
// fails makes the kernel take the pages for clean without having written them, as Linux does.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "base/random.hpp"
#include "io/file_system.hpp"

namespace consort::logsaver::test {

class JournalDisk final : public io::FileSystem {
 public:
  static constexpr std::size_t kPageBytes = 16;  ///< small, so that frames lie on several
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  struct Node {
    std::string cache;
    std::string platter;
    std::set<std::size_t> dirty;  ///< pages that the platter does not have
    std::uint64_t inode = 0;
    bool is_locked = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;

  std::uint64_t space = kNever;
  std::uint64_t steps = 0;
  std::uint64_t dies_at = kNever;
  int failing_syncs = 0;  ///< so many, from now on, fail with EIO
  bool holds_syncs = false;
  std::string failing_path;  ///< what is done to it fails with failing_sys
  int failing_sys = EIO;
  int failing_rename = 0;  ///< the errno of all that come
  std::vector<std::string> log;

  bool is_dead() const { return steps >= dies_at; }
  bool has(const std::string& path) const { return names_.contains(path); }
  std::string& bytes(const std::string& path) { return names_.at(path)->cache; }
  /// A file that was there for long.
  void put(const std::string& path, std::string bytes) {
    auto node = std::make_shared<Node>();
    node->cache = node->platter = std::move(bytes);
    node->inode = ++last_inode_;
    names_[path] = durable_names_[path] = std::move(node);
  }
  std::size_t held_syncs() const { return held_.size(); }
  /// Those that were held until now.
  void finish_syncs() {
    for (Held* held : std::exchange(held_, {})) held->event.set();
  }
  /// The machine stops and starts again. Of the pages and names that were not synced some are
  /// there, as `random` says.
  void power_cut(Random& random) {
    // A rename that landed keeps the file that it names; the other name may be there or not.
    Names names = durable_names_;
    if (random.below(2) == 0) names = names_;
    for (auto& [path, node] : names) lose(*node, random);
    names_ = durable_names_ = names;
    revive();
  }
  /// The process alone stopped.
  void revive() {
    for (auto& [path, node] : names_) node->is_locked = false;
    dies_at = kNever;
    space = kNever;
    failing_syncs = 0;
    held_.clear();
  }

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenFor how) override {
    const bool is_there = names_.contains(path);
    if (how == io::OpenFor::writing_new && is_there) return error(EEXIST, path);
    if (!is_there) {
      if (how == io::OpenFor::reading) return error(ENOENT, path);
      if (auto done = step("create", path); !done) return fail(std::move(done.error()));
      names_[path] = std::make_shared<Node>();
      names_[path]->inode = ++last_inode_;
    } else if (path == failing_path) {
      return error(failing_sys, path);
    }
    return std::make_unique<OpenFile>(*this, path, names_[path]);
  }
  Result<io::FileStat> stat(const std::string& path) override {
    if (directories_.contains(path)) return io::FileStat();
    if (!names_.contains(path)) return error(ENOENT, path);
    return stat_of(*names_[path]);
  }
  Result<std::vector<io::DirectoryEntry>> list(const std::string& directory) override {
    return error(ENOSYS, directory);
  }
  Result<std::string> resolve(const std::string& path) override { return path; }
  Result<> rename(const std::string& from, const std::string& to) override {
    if (auto done = step("rename", to); !done) return done;
    if (failing_rename != 0) return error(failing_rename, to);
    names_[to] = names_.at(from);
    names_.erase(from);
    return {};
  }
  Result<> remove(const std::string& path) override {
    if (!names_.contains(path)) return error(ENOENT, path);
    if (auto done = step("remove", path); !done) return done;
    names_.erase(path);
    return {};
  }
  Result<> make_directory(const std::string& path) override {
    if (auto done = step("mkdir", path); !done) return done;
    directories_.insert(path);
    return {};
  }
  Task<Result<>> sync_directory(const std::string& directory) override {
    const std::string path = directory;
    if (holds_syncs) {
      Held held(*this);
      co_await held.event.wait();
    }
    if (auto done = step("syncdir", path); !done) co_return done;
    if (take_failing_sync()) co_return error(EIO, path);
    durable_names_ = names_;
    co_return Result<>();
  }
  Result<std::uint64_t> free_bytes(const std::string& /*path*/) override { return space; }
  bool needs_polling(const std::string& /*directory*/) override { return false; }
  Result<std::unique_ptr<io::DirectoryWatch>> watch(const std::string& directory,
                                                    io::DirectoryHandler& /*handler*/) override {
    return error(ENOSYS, directory);
  }

 private:
  struct Held {
    explicit Held(JournalDisk& owner) : disk(owner) { disk.held_.push_back(this); }
    ~Held() { std::erase(disk.held_, this); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    JournalDisk& disk;
    Event event;
  };

  class OpenFile final : public io::File {
   public:
    OpenFile(JournalDisk& disk, std::string path, std::shared_ptr<Node> node)
        : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
    ~OpenFile() override {
      if (has_lock_) node_->is_locked = false;
    }
    Result<io::FileStat> stat() override { return stat_of(*node_); }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      if (offset >= node_->cache.size()) return 0;
      const std::size_t count = std::min<std::size_t>(into.size(), node_->cache.size() - offset);
      std::memcpy(into.data(), node_->cache.data() + offset, count);
      return count;
    }
    Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
      if (auto done = disk_.step("write", path_); !done) return done;
      const auto fits =
          static_cast<std::size_t>(std::min<std::uint64_t>(disk_.space, bytes.size()));
      if (disk_.space != kNever) disk_.space -= fits;
      write(offset, bytes.substr(0, fits));
      if (fits < bytes.size()) return error(ENOSPC, path_);
      return {};
    }
    Result<> truncate(std::uint64_t size) override {
      if (auto done = disk_.step("truncate", path_); !done) return done;
      node_->cache.resize(size);
      if (size > 0) node_->dirty.insert((size - 1) / kPageBytes);
      return {};
    }
    Result<std::uint64_t> data_from(std::uint64_t offset) override { return offset; }
    Task<Result<>> sync() override { return sync_node(disk_, path_, node_); }
    Result<> lock() override {
      if (node_->is_locked && !has_lock_) return fail(Errc::unavailable, path_, EWOULDBLOCK);
      has_lock_ = node_->is_locked = true;
      return {};
    }

   private:
    void write(std::uint64_t offset, std::string_view bytes) {
      if (bytes.empty()) return;
      if (node_->cache.size() < offset + bytes.size()) node_->cache.resize(offset + bytes.size());
      node_->cache.replace(offset, bytes.size(), bytes);
      const std::size_t last = (offset + bytes.size() - 1) / kPageBytes;
      for (std::size_t page = offset / kPageBytes; page <= last; ++page) node_->dirty.insert(page);
    }
    static Task<Result<>> sync_node(JournalDisk& disk, std::string path,
                                    std::shared_ptr<Node> node) {
      const std::string bytes = node->cache;  // later ones may come too late
      const std::set<std::size_t> dirty = std::exchange(node->dirty, {});
      if (disk.holds_syncs) {
        Held held(disk);
        co_await held.event.wait();
      }
      if (auto done = disk.step("sync", path); !done) co_return done;
      if (disk.take_failing_sync()) co_return error(EIO, path);
      node->platter.resize(bytes.size());
      for (const std::size_t page : dirty) land(*node, bytes, page);
      co_return Result<>();
    }

    JournalDisk& disk_;
    std::string path_;
    std::shared_ptr<Node> node_;
    bool has_lock_ = false;
  };

  static tl::unexpected<Error> error(int sys, const std::string& path) {
    return fail(Error::from_errno(sys, path));
  }
  static io::FileStat stat_of(const Node& node) {
    io::FileStat stat;
    stat.identity.inode = node.inode;
    stat.kind = io::FileKind::regular;
    stat.size = node.cache.size();
    return stat;
  }
  static void land(Node& node, const std::string& bytes, std::size_t page) {
    const std::size_t start = page * kPageBytes;
    if (start >= bytes.size()) return;
    const std::string_view data = std::string_view(bytes).substr(start, kPageBytes);
    if (node.platter.size() < start + data.size()) node.platter.resize(start + data.size());
    node.platter.replace(start, data.size(), data);
  }
  static void lose(Node& node, Random& random) {
    if (node.cache.size() < node.platter.size() && random.below(2) == 0) {
      node.platter.resize(node.cache.size());
    }
    for (const std::size_t page : node.dirty) {
      if (random.below(2) == 0) land(node, node.cache, page);
    }
    node.cache = node.platter;
    node.dirty.clear();
  }
  Result<> step(const char* what, const std::string& path) {
    if (is_dead()) return error(EIO, path);
    ++steps;
    log.push_back(std::string(what) + " " + path);
    if (path == failing_path) return error(failing_sys, path);
    return {};
  }
  bool take_failing_sync() { return failing_syncs > 0 && failing_syncs-- > 0; }

  Names names_;
  Names durable_names_;
  std::set<std::string> directories_{"/", "/var"};
  std::vector<Held*> held_;
  std::uint64_t last_inode_ = 0;
};

}  // namespace consort::logsaver::test
