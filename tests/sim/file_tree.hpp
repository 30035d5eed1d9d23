// The names and inodes of a simulated disk: directories, hard and symbolic links, who may be found.
//
//   SimName  one entry of a directory: a rename moves it, so whoever opened it sees its new place
//   SimInode what it leads to; dies (and gives its number back) with its last name and opener
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "io/file_system.hpp"
#include "sim/file_content.hpp"

namespace consort::sim {

struct SimInode;
struct SimWatch;

/// What all inodes of a disk share. Theirs too: a sync that nobody waited for holds its inode until
/// the loop ends, which may be after the disk.
struct SimInodes {
  /// The number that was freed last comes first, as on ext4; else each is new, as on tmpfs.
  std::uint64_t take_number(bool reuse) {
    if (!reuse || freed.empty()) return next_number++;
    const std::uint64_t number = freed.back();
    freed.pop_back();
    return number;
  }
  std::vector<std::uint64_t> freed;
  std::uint64_t next_number = 2;
  std::uint32_t next_generation = 1001;
  std::uint64_t used_bytes = 0;  ///< the sizes of all files, also of those without a name
};

struct SimName {
  SimInode* directory = nullptr;  ///< null once it is removed, and for the root
  std::string name;
  std::shared_ptr<SimInode> inode;
};

struct SimInode {
  SimInode(std::shared_ptr<SimInodes> all, std::uint64_t taken, io::FileKind what)
      : inodes(std::move(all)), number(taken), kind(what) {}
  SimInode(const SimInode&) = delete;
  SimInode& operator=(const SimInode&) = delete;
  ~SimInode() {
    inodes->used_bytes -= content.size();
    inodes->freed.push_back(number);
  }

  void write(std::uint64_t offset, std::string_view text) {
    inodes->used_bytes -= content.size();
    content.write(offset, text);
    inodes->used_bytes += content.size();
  }
  void truncate(std::uint64_t size) {
    inodes->used_bytes -= content.size();
    content.truncate(size);
    inodes->used_bytes += content.size();
  }
  void lose(std::uint64_t keep_bytes) {
    inodes->used_bytes -= content.size();
    content.lose(keep_bytes);
    inodes->used_bytes += content.size();
  }

  const std::shared_ptr<SimInodes> inodes;
  const std::uint64_t number;
  const io::FileKind kind;
  std::uint32_t generation = 0;
  std::int64_t born_ns = 0;
  std::int64_t modified_ns = 0;
  std::uint32_t links = 0;
  FileContent content;                                    ///< of a regular file
  std::string target;                                     ///< of a symbolic link
  std::map<std::string, std::shared_ptr<SimName>> names;  ///< of a directory
  /// Of a directory whose names may be lost: as they were synced last, once they differ.
  std::optional<std::map<std::string, std::shared_ptr<SimInode>>> synced_names;
  std::vector<SimWatch*> watches;   ///< of a directory
  const void* locked_by = nullptr;  ///< the open file that has the lock
};

/// Where a path leads.
struct SimPlace {
  std::shared_ptr<SimInode> directory;  ///< null for the root
  std::string name;
  std::string path;                ///< without links, dots and doubled slashes
  std::shared_ptr<SimName> found;  ///< null when nothing is there
};

/// Follows a path from the root; relative ones too, as if the root were the working directory.
class SimWalk {
 public:
  static constexpr int kLinksMax = 40;

  explicit SimWalk(std::shared_ptr<SimName> root) { stack_.push_back(std::move(root)); }

  /// An errno when the way there does not exist. follow_last: a link at the end is followed too.
  Result<SimPlace> to(const std::string& path, bool follow_last) {
    push(path);
    SimPlace place{.directory = nullptr, .name = "", .path = "/", .found = stack_.back()};
    while (!pending_.empty()) {
      const std::string part = std::move(pending_.front());
      pending_.pop_front();
      if (place.found == nullptr) return fail(Error::from_errno(ENOENT, path));
      if (stack_.back()->inode->kind != io::FileKind::directory) {
        return fail(Error::from_errno(ENOTDIR, path));
      }
      if (part == ".") continue;
      if (part == "..") {
        if (stack_.size() > 1) stack_.pop_back();
        place.found = stack_.back();
        continue;
      }
      place = step(part);
      const bool is_link = place.found && place.found->inode->kind == io::FileKind::link;
      if (is_link && (follow_last || !pending_.empty())) {
        if (++links_ > kLinksMax) return fail(Error::from_errno(ELOOP, path));
        if (place.found->inode->target.starts_with('/')) stack_.resize(1);
        push(place.found->inode->target);
        place.found = stack_.back();
      } else if (place.found) {
        stack_.push_back(place.found);
      }
    }
    // A path that ended in dots, or in a link to such.
    if (place.found == stack_.back()) place = here();
    return place;
  }

 private:
  void push(const std::string& path) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < path.size();) {
      const std::size_t end = std::min(path.find('/', at), path.size());
      if (end > at) parts.push_back(path.substr(at, end - at));
      at = end + 1;
    }
    pending_.insert(pending_.begin(), parts.begin(), parts.end());
  }
  SimPlace step(const std::string& part) const {
    const std::shared_ptr<SimInode>& directory = stack_.back()->inode;
    const auto found = directory->names.find(part);
    return {.directory = directory,
            .name = part,
            .path = path_of_stack() + "/" + part,
            .found = found == directory->names.end() ? nullptr : found->second};
  }
  SimPlace here() const {
    const std::string path = path_of_stack();
    return {.directory = stack_.size() > 1 ? stack_[stack_.size() - 2]->inode : nullptr,
            .name = stack_.back()->name,
            .path = path.empty() ? "/" : path,
            .found = stack_.back()};
  }
  std::string path_of_stack() const {
    std::string path;
    for (std::size_t i = 1; i < stack_.size(); ++i) path += "/" + stack_[i]->name;
    return path;
  }

  std::vector<std::shared_ptr<SimName>> stack_;  ///< from the root to where we are
  std::deque<std::string> pending_;
  int links_ = 0;
};

}  // namespace consort::sim
