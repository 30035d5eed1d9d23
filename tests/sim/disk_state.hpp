// A simulated disk without its calls: the tree, the clock, events, and what a power cut leaves.
// SimFileSystem (file_system.hpp) and its open files work on it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "io/file_system.hpp"
#include "sim/directory_events.hpp"
#include "sim/disk_calls.hpp"
#include "sim/file_tree.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// How the file system and its kernel behave: the defaults are those of ext4.
struct DiskTraits {
  bool reuses_inodes = true;              ///< the last freed comes first; false: tmpfs
  bool tells_births = true;               ///< false: born_ns is 0
  bool has_generations = true;            ///< false: overlayfs, tmpfs
  std::int64_t time_tick_ns = 4'000'000;  ///< of births and modifications
  bool knows_holes = true;                ///< false: data_from() gives its offset back
  bool tells_changes = true;              ///< false: NFS; also to write once as mmap does
  std::uint64_t sync_ms = 0;              ///< how long a sync takes
  std::uint64_t event_delay_ms = 0;       ///< how late events come
  std::size_t events_max = 16384;         ///< fs.inotify.max_queued_events
  std::size_t watches_max = 192'536;      ///< fs.inotify.max_user_watches
  /// Names in the directories below are lost in a power cut unless the directory was synced.
  /// Empty: none are. While set, inodes of removed files there come back only after that sync.
  std::string names_lost_below;
};

class DiskState {
 public:
  static constexpr std::uint64_t kFileSystemId = 0x5eed;
  static constexpr std::int64_t kEpochNs = 1'700'000'000'000'000'000;

  explicit DiskState(SimLoop& on) : loop(on), notices(on) {
    root_ = std::make_shared<SimName>();
    root_->inode = make_inode(io::FileKind::directory);
    root_->inode->links = 1;
  }

  DiskTraits traits;
  DiskCalls calls;
  SimLoop& loop;
  SimNotices notices;
  std::optional<std::uint64_t> capacity;  ///< of all files' sizes together
  int open_files = 0;
  std::uint64_t power_cuts = 0;

  Result<SimPlace> walk(const std::string& path, bool follow_last = true) const {
    return SimWalk(root_).to(path, follow_last);
  }
  /// For the test's own doing: what does not work is a mistake in the test.
  SimPlace place(const std::string& path, bool follow_last = true) const {
    Result<SimPlace> found = walk(path, follow_last);
    if (!found) die(found.error().message());
    return std::move(*found);
  }
  std::shared_ptr<SimName> name_at(const std::string& path, bool follow_last = true) const {
    SimPlace found = place(path, follow_last);
    if (found.found == nullptr) die(path + ": not there");
    return found.found;
  }
  [[noreturn]] static void die(const std::string& why) {
    std::fprintf(stderr, "simulation: disk: %s\n", why.c_str());
    std::abort();
  }

  std::int64_t now_ns() const {
    const std::int64_t now = kEpochNs + static_cast<std::int64_t>(loop.now_ns());
    return now - now % std::max<std::int64_t>(traits.time_tick_ns, 1);
  }
  std::uint64_t free_bytes() const {
    if (!capacity) return std::uint64_t{1} << 40;
    return *capacity > inodes_->used_bytes ? *capacity - inodes_->used_bytes : 0;
  }
  std::uint64_t used_bytes() const { return inodes_->used_bytes; }

  io::FileStat stat_of(const SimInode& inode, bool is_open) const {
    return {.identity = {.file_system = kFileSystemId,
                         .inode = inode.number,
                         .born_ns = inode.born_ns,
                         .generation = is_open ? inode.generation : 0},
            .kind = inode.kind,
            .size = inode.kind == io::FileKind::regular ? inode.content.size() : 4096,
            .modified_ns = inode.modified_ns,
            .links = inode.links};
  }

  std::shared_ptr<SimInode> make_inode(io::FileKind kind) {
    auto inode =
        std::make_shared<SimInode>(inodes_, inodes_->take_number(traits.reuses_inodes), kind);
    inode->generation = traits.has_generations ? inodes_->next_generation++ : 0;
    inode->born_ns = traits.tells_births ? now_ns() : 0;
    inode->modified_ns = now_ns();
    return inode;
  }
  std::shared_ptr<SimName> add_name(const SimPlace& at, std::shared_ptr<SimInode> inode,
                                    SimNotice why) {
    auto name = std::make_shared<SimName>();
    name->name = at.name;
    name->inode = std::move(inode);
    attach(name, at, why);
    return name;
  }
  std::shared_ptr<SimName> create(const SimPlace& at, io::FileKind kind) {
    return add_name(at, make_inode(kind), SimNotice::created);
  }
  void remove_name(const std::shared_ptr<SimName>& name) {
    detach(name, SimNotice::removed);
    if (name->inode->kind == io::FileKind::directory) tell_gone(*name->inode);
  }
  /// Keeps the SimName: whoever has the file open goes on telling under the new one.
  void move_name(const std::shared_ptr<SimName>& name, const SimPlace& to) {
    if (to.found) detach(to.found, std::nullopt);
    detach(name, SimNotice::moved_away);
    name->name = to.name;
    attach(name, to, SimNotice::moved_here);
    if (name->inode->kind == io::FileKind::directory) tell_gone(*name->inode);
  }
  void tell(const SimName& name, SimNotice what) {
    if (name.directory != nullptr) emit(*name.directory, what, name.name);
  }
  void changed(const SimName& name) {
    name.inode->modified_ns = now_ns();
    tell(name, SimNotice::modified);
  }

  /// What was not synced is gone: contents of files that were written through io::File, and names
  /// where traits.names_lost_below says so.
  void cut_power(std::uint64_t keep_bytes) {
    if (open_files > 0 || notices.watches() > 0) die("destroy the code before the power cut");
    ++power_cuts;
    restore(*root_->inode, keep_bytes);
    count_links(*root_->inode);
  }

 private:
  void emit(SimInode& directory, SimNotice what, const std::string& name) {
    if (!traits.tells_changes) return;
    notices.delay_ms = traits.event_delay_ms;
    notices.queued_max = traits.events_max;
    notices.emit(directory, what, name);
  }
  void tell_gone(SimInode& directory) { emit(directory, SimNotice::gone, ""); }

  void attach(const std::shared_ptr<SimName>& name, const SimPlace& at, SimNotice why) {
    note_names(*at.directory, at.path);
    name->directory = at.directory.get();
    at.directory->names[at.name] = name;
    at.directory->modified_ns = now_ns();
    ++name->inode->links;
    emit(*at.directory, why, at.name);
  }
  void detach(const std::shared_ptr<SimName>& name, std::optional<SimNotice> why) {
    SimInode& directory = *name->directory;
    note_names(directory, path_of(*root_->inode, "", directory) + "/" + name->name);
    directory.names.erase(name->name);
    directory.modified_ns = now_ns();
    name->directory = nullptr;
    --name->inode->links;
    if (why) emit(directory, *why, name->name);
  }

  /// Before the first change since the directory's last sync.
  void note_names(SimInode& directory, const std::string& path) const {
    const std::string& below = traits.names_lost_below;
    if (below.empty() || !path.starts_with(below + "/") || directory.synced_names) return;
    directory.synced_names.emplace();
    for (const auto& [key, name] : directory.names) (*directory.synced_names)[key] = name->inode;
  }
  std::string path_of(const SimInode& from, const std::string& path, const SimInode& wanted) const {
    if (traits.names_lost_below.empty() || &from == &wanted) return path;
    for (const auto& [key, name] : from.names) {
      std::string found = path_of(*name->inode, path + "/" + key, wanted);
      if (!found.empty()) return found;
    }
    return "";
  }

  static void restore(SimInode& inode, std::uint64_t keep_bytes) {
    inode.links = 0;
    inode.locked_by = nullptr;
    inode.lose(keep_bytes);
    if (inode.synced_names) {
      inode.names.clear();
      for (const auto& [key, kept] : *inode.synced_names) {
        auto name = std::make_shared<SimName>();
        name->directory = &inode;
        name->name = key;
        name->inode = kept;
        inode.names[key] = std::move(name);
      }
      inode.synced_names.reset();
    }
    for (const auto& [key, name] : inode.names) restore(*name->inode, keep_bytes);
  }
  static void count_links(SimInode& inode) {
    ++inode.links;
    for (const auto& [key, name] : inode.names) count_links(*name->inode);
  }

  const std::shared_ptr<SimInodes> inodes_ = std::make_shared<SimInodes>();
  std::shared_ptr<SimName> root_;
};

}  // namespace consort::sim
