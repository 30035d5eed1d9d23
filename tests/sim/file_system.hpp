// A disk in memory, in virtual time: what the code under test does to it, and what happens there.
//
//   sim::SimFileSystem disk(loop);           // world.disk; the code gets it as io::FileSystem&
//   disk.append("/log/a", "one\n");          // another process; missing directories appear
//   disk.rename("/log/a", "/log/a.1");
//   CHECK(disk.read("/out/a") == "one\n");
//   auto app = disk.writer("/log/a");        // keeps it open over renaming and removing
//   disk.traits.tells_changes = false;       // DiskTraits: NFS, tmpfs, slow syncs, few watches
//   disk.calls.fail(DiskCall::read, "/log/a", EIO);  // DiskCalls: faults and counts
//   disk.set_free(1000);                     // then ENOSPC, for the code only
//   code.reset();  disk.crash();             // what the code has not synced is gone
//
// What the test writes is on the disk at once, except into a file that the code writes too; so are
// renamed and removed names, unless traits.names_lost_below. rename() and make_directory() are both
// the code's and the test's. Paths begin at the root. An inode number is free again when its file's
// last name and opener are.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/event.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"
#include "sim/disk_calls.hpp"
#include "sim/disk_state.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// A file that another process has open for writing; end it before its disk.
class SimWriter {
 public:
  SimWriter(DiskState& disk, std::shared_ptr<SimName> name) : disk_(disk), name_(std::move(name)) {}
  /// At the end, wherever that is by now (O_APPEND).
  void append(std::string_view text) { write_at(name_->inode->content.size(), text); }
  /// As one without O_APPEND does: after a truncation there is a hole before it.
  void write_at(std::uint64_t offset, std::string_view text) {
    name_->inode->write(offset, text);
    disk_.changed(*name_);
  }

 private:
  DiskState& disk_;
  std::shared_ptr<SimName> name_;
};

class SimFile final : public io::File {
 public:
  SimFile(DiskState& disk, std::shared_ptr<SimName> name, std::string path, std::string place,
          bool is_writable)
      : disk_(disk),
        name_(std::move(name)),
        path_(std::move(path)),
        place_(std::move(place)),
        is_writable_(is_writable) {
    ++disk_.open_files;
    // Nothing of a new file was synced yet; of another one what is there.
    if (is_writable_) inode().content.keep_history();
  }
  ~SimFile() override {
    --disk_.open_files;
    if (inode().locked_by == this) inode().locked_by = nullptr;
    if (is_writable_) disk_.tell(*name_, SimNotice::closed_after_writing);
  }

  Result<io::FileStat> stat() override {
    if (const int error = note(DiskCall::look)) return failed(error, "look at");
    return disk_.stat_of(inode(), true);
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    if (const int error = note(DiskCall::read, offset, into.size())) return failed(error, "read");
    return inode().content.read(offset, into);
  }
  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    int error = note(DiskCall::write, offset, bytes.size());
    if (!is_writable_) error = EBADF;
    if (error != 0) return failed(error, "write");
    const std::uint64_t size = inode().content.size();
    const std::uint64_t room = size + disk_.free_bytes();  // the file may grow up to here
    if (offset + bytes.size() > size && offset + bytes.size() > room) error = ENOSPC;
    // As much as fits is written all the same.
    const std::uint64_t fits = room > offset ? room - offset : 0;
    if (error != 0) bytes = bytes.substr(0, static_cast<std::size_t>(fits));
    inode().write(offset, bytes);
    if (!bytes.empty()) disk_.changed(*name_);
    if (error != 0) return failed(error, "write");
    return {};
  }
  Result<> truncate(std::uint64_t size) override {
    int error = note(DiskCall::truncate, size);
    if (!is_writable_) error = EINVAL;
    if (error != 0) return failed(error, "truncate");
    inode().truncate(size);
    disk_.changed(*name_);
    return {};
  }
  Result<std::uint64_t> data_from(std::uint64_t offset) override {
    if (const int error = note(DiskCall::data_from, offset)) return failed(error, "find data of");
    const FileContent& content = inode().content;
    if (!disk_.traits.knows_holes && offset < content.size()) return offset;
    return content.data_from(offset);
  }
  Task<Result<>> sync() override { return sync(disk_, name_->inode, path_, place_); }
  Result<> lock() override {
    if (const int error = note(DiskCall::lock)) return failed(error, "lock");
    const void*& owner = inode().locked_by;
    if (owner != nullptr && owner != this) {
      return fail(Errc::unavailable, path_ + ": another process has it");
    }
    owner = this;
    return {};
  }

 private:
  struct Pending {
    Event done;
    int error = 0;
  };

  /// The end of a sync is for the disk, whoever still waits for it.
  static Task<Result<>> sync(DiskState& disk, std::shared_ptr<SimInode> inode, std::string path,
                             std::string place) {
    auto pending = std::make_shared<Pending>();
    pending->error = disk.calls.note({.call = DiskCall::sync, .path = path}, place);
    const std::uint64_t number = inode->content.begin_sync();
    disk.loop.after(disk.traits.sync_ms, [&disk, pending, inode, number, life = disk.power_cuts] {
      if (life != disk.power_cuts) return;
      if (pending->error == 0) inode->content.end_sync(number);
      pending->done.set();
    });
    inode.reset();
    co_await pending->done.wait();
    if (pending->error == 0) co_return {};
    co_return fail(Error::from_errno(pending->error, "sync " + path));
  }

  SimInode& inode() const { return *name_->inode; }
  int note(DiskCall call, std::uint64_t offset = 0, std::uint64_t bytes = 0) {
    return disk_.calls.note({.call = call, .path = path_, .offset = offset, .bytes = bytes},
                            place_);
  }
  tl::unexpected<Error> failed(int error, std::string_view doing) const {
    return fail(Error::from_errno(error, std::string(doing) + " " + path_));
  }

  DiskState& disk_;
  const std::shared_ptr<SimName> name_;
  const std::string path_;   ///< as the code named it
  const std::string place_;  ///< without links
  const bool is_writable_;
};

class SimFileSystem final : public io::FileSystem {
 public:
  explicit SimFileSystem(SimLoop& loop)
      : state_(loop), traits(state_.traits), calls(state_.calls) {}

 private:
  DiskState state_;  // before those who refer to it

 public:
  DiskTraits& traits;
  DiskCalls& calls;

  // ---- what happens on the disk without the code's doing --------------------------------------

  void append(const std::string& path, std::string_view text) { writer(path).append(text); }
  void write_at(const std::string& path, std::uint64_t offset, std::string_view text) {
    writer(path).write_at(offset, text);
  }
  void truncate(const std::string& path, std::uint64_t size) {
    const std::shared_ptr<SimName> name = state_.name_at(path);
    name->inode->truncate(size);
    state_.changed(*name);
  }
  /// Makes the file, and the directories above it, when they are missing.
  SimWriter writer(const std::string& path) { return {state_, file_at(path)}; }
  /// Also an empty directory. Who has the file open keeps it.
  void unlink(const std::string& path) {
    const std::shared_ptr<SimName> name = state_.name_at(path, false);
    if (!name->inode->names.empty()) DiskState::die(path + ": the directory is not empty");
    state_.remove_name(name);
  }
  /// As cp does: another inode, or the one that is there with other content.
  void copy(const std::string& from, const std::string& to) {
    const std::string text = read(from);
    const std::shared_ptr<SimName> name = file_at(to);
    if (name->inode->content.size() > 0) name->inode->truncate(0);
    name->inode->write(0, text);
    state_.changed(*name);
    state_.tell(*name, SimNotice::closed_after_writing);
  }
  /// A hard link.
  void link(const std::string& from, const std::string& to) {
    state_.add_name(free_place(to), state_.name_at(from, false)->inode, SimNotice::created);
  }
  /// A symbolic link; it may lead nowhere.
  void symlink(const std::string& target, const std::string& path) {
    const auto inode = state_.make_inode(io::FileKind::link);
    inode->target = target;
    state_.add_name(free_place(path), inode, SimNotice::created);
  }
  /// Something that is neither a file nor a directory nor a link: a FIFO, a device.
  void make_other(const std::string& path) { state_.create(free_place(path), io::FileKind::other); }
  /// Empty when there is no such file.
  std::string read(const std::string& path) const {
    const Result<SimPlace> at = state_.walk(path);
    return at && at->found ? at->found->inode->content.text() : "";
  }
  bool exists(const std::string& path) const {
    const Result<SimPlace> at = state_.walk(path, false);
    return at && at->found;
  }
  /// Events were lost: whoever watches is told in the next turn.
  void overflow() { state_.notices.overflow(); }
  /// Files may grow by so many bytes, all together.
  void set_free(std::uint64_t bytes) { state_.capacity = state_.used_bytes() + bytes; }
  /// The path may not be opened, listed or watched (EACCES).
  void deny(const std::string& path) {
    for (const DiskCall call : {DiskCall::open, DiskCall::list, DiskCall::watch}) {
      calls.fail(call, path, EACCES);
    }
  }
  void allow(const std::string& path) {
    for (const DiskCall call : {DiskCall::open, DiskCall::list, DiskCall::watch}) {
      calls.heal(call, path);
    }
  }
  /// A power cut, after the code was destroyed: of what it wrote, what it synced is left, and
  /// keep_bytes of what it appended to each file after that (a torn tail).
  void crash(std::uint64_t keep_bytes = 0) { state_.cut_power(keep_bytes); }
  int open_files() const { return state_.open_files; }
  std::size_t watches() const { return state_.notices.watches(); }

  // ---- what the code does ----------------------------------------------------------------------

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenFor how) override {
    Result<SimPlace> at = find(DiskCall::open, path);
    if (!at) return fail(std::move(at.error()));
    const bool is_new = at->found == nullptr;
    if (is_new && how == io::OpenFor::reading) return failed(ENOENT, path);
    if (!is_new && how == io::OpenFor::writing_new) return fail(Errc::invalid, path, EEXIST);
    if (is_new) at->found = state_.create(*at, io::FileKind::regular);
    if (at->found->inode->kind != io::FileKind::regular) {
      return fail(Errc::invalid, path + ": no regular file");
    }
    return std::make_unique<SimFile>(state_, at->found, path, at->path,
                                     how != io::OpenFor::reading);
  }
  Result<io::FileStat> stat(const std::string& path) override {
    Result<SimPlace> at = find_present(DiskCall::stat, path);
    if (!at) return fail(std::move(at.error()));
    return state_.stat_of(*at->found->inode, false);
  }
  Result<std::vector<io::DirectoryEntry>> list(const std::string& directory) override {
    Result<SimPlace> at = find_present(DiskCall::list, directory);
    if (!at) return fail(std::move(at.error()));
    if (at->found->inode->kind != io::FileKind::directory) return failed(ENOTDIR, directory);
    std::vector<io::DirectoryEntry> entries;
    for (const auto& [key, name] : at->found->inode->names) {
      entries.push_back({.name = key, .kind = name->inode->kind});
    }
    return entries;
  }
  Result<std::string> resolve(const std::string& path) override {
    Result<SimPlace> at = find_present(DiskCall::resolve, path);
    if (!at) return fail(std::move(at.error()));
    return at->path;
  }
  Result<> rename(const std::string& from, const std::string& to) override {
    Result<SimPlace> at = find_present(DiskCall::rename, from, false);
    if (!at) return fail(std::move(at.error()));
    Result<SimPlace> target = state_.walk(to, false);
    if (!target) return fail(std::move(target.error()));
    if (target->found && target->found->inode == at->found->inode) return {};
    if (target->found && target->found->inode->kind == io::FileKind::directory) {
      return failed(EISDIR, "rename " + from + " to " + to);
    }
    state_.move_name(at->found, *target);
    return {};
  }
  Result<> remove(const std::string& path) override {
    Result<SimPlace> at = find_present(DiskCall::remove, path, false);
    if (!at) return fail(std::move(at.error()));
    if (at->found->inode->kind == io::FileKind::directory) return failed(EISDIR, path);
    state_.remove_name(at->found);
    return {};
  }
  Result<> make_directory(const std::string& path) override {
    if (const int error = calls.note({.call = DiskCall::make_directory, .path = path}, path)) {
      return failed(error, "make the directory " + path);
    }
    for (std::size_t end = 0; end != std::string::npos;) {
      end = path.find('/', end + 1);
      Result<SimPlace> at = state_.walk(path.substr(0, end));
      if (!at) return fail(std::move(at.error()));
      if (!at->found) {
        state_.create(*at, io::FileKind::directory);
      } else if (at->found->inode->kind != io::FileKind::directory) {
        return failed(ENOTDIR, "make the directory " + path);
      }
    }
    return {};
  }
  Task<Result<>> sync_directory(const std::string& directory) override {
    return sync_names(state_, directory);
  }
  Result<std::uint64_t> free_bytes(const std::string& path) override {
    Result<SimPlace> at = find_present(DiskCall::free_bytes, path);
    if (!at) return fail(std::move(at.error()));
    return state_.free_bytes();
  }
  bool needs_polling(const std::string&) override { return !traits.tells_changes; }
  Result<std::unique_ptr<io::DirectoryWatch>> watch(const std::string& directory,
                                                    io::DirectoryHandler& handler) override {
    Result<SimPlace> at = find_present(DiskCall::watch, directory);
    if (!at) return fail(std::move(at.error()));
    if (at->found->inode->kind != io::FileKind::directory) return failed(ENOTDIR, directory);
    if (watches() >= traits.watches_max) {
      return fail(Errc::limit, "watch " + directory + ": the limit is reached");
    }
    return std::make_unique<SimWatch>(state_.notices, at->found->inode, handler);
  }

 private:
  static tl::unexpected<Error> failed(int error, const std::string& what) {
    return fail(Error::from_errno(error, what));
  }
  Result<SimPlace> find(DiskCall call, const std::string& path, bool follow_last = true) {
    Result<SimPlace> at = state_.walk(path, follow_last);
    if (const int error = calls.note({.call = call, .path = path}, at ? at->path : path)) {
      return failed(error, path);
    }
    return at;
  }
  Result<SimPlace> find_present(DiskCall call, const std::string& path, bool follow_last = true) {
    Result<SimPlace> at = find(call, path, follow_last);
    if (at && !at->found) return failed(ENOENT, path);
    return at;
  }
  static Task<Result<>> sync_names(DiskState& state, std::string directory) {
    struct Pending {
      Event done;
    };
    Result<SimPlace> at = state.walk(directory);
    const int error = state.calls.note({.call = DiskCall::sync_directory, .path = directory},
                                       at ? at->path : directory);
    if (error != 0) co_return failed(error, "sync " + directory);
    if (!at || !at->found) co_return failed(ENOENT, "sync " + directory);
    auto pending = std::make_shared<Pending>();
    const std::shared_ptr<SimInode> inode = at->found->inode;
    state.loop.after(state.traits.sync_ms, [&state, pending, inode, life = state.power_cuts] {
      if (life != state.power_cuts) return;
      // Names that came while it ran are kept too: the simulator forgives them.
      inode->synced_names.reset();
      pending->done.set();
    });
    co_await pending->done.wait();
    co_return {};
  }

  void make_above(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return;
    const std::string above = path.substr(0, slash);
    if (exists(above)) return;
    make_above(above);
    state_.create(state_.place(above), io::FileKind::directory);
  }
  SimPlace free_place(const std::string& path) {
    make_above(path);
    SimPlace at = state_.place(path, false);
    if (at.found) DiskState::die(path + ": there already");
    return at;
  }
  std::shared_ptr<SimName> file_at(const std::string& path) {
    make_above(path);
    const SimPlace at = state_.place(path);
    return at.found ? at.found : state_.create(at, io::FileKind::regular);
  }
};

}  // namespace consort::sim
