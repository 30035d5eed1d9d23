// The directories in which files to be followed may be, and what happens in them.
//
//   roots --enter--> watch first, then list --> on_path for each file that is named
//                      |  events                    came, changed, went: one name is looked at
//                      |  overflow                  that directory is listed again
//                      +  every 10 s, and where the kernel tells of nothing every 100 ms to 2 s
//                                                   all of them are listed again
//
// A symbolic link (Kubernetes' /var/log/containers) changes without an event in its own directory:
// the directory of what it leads to is watched too, and its events are told under the link's path.
// A root that is not there is waited for in the directory above it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/options.hpp"
#include "io/file_system.hpp"
#include "io/loop.hpp"
#include "roles/logsaver/follow/selection.hpp"

namespace consort::logsaver {

enum class PollMode : std::uint8_t { automatic, always, never };

class TreeHandler {
 public:
  /// Something that is to be followed is there, and new or looked at again.
  virtual void on_path(const std::string& path) = 0;
  /// It was written, truncated or closed. Of any file in a watched directory.
  virtual void on_changed(const std::string& path) = 0;
  /// A name that is not to be followed came up: a file that we know may have been renamed to it.
  virtual void on_stranger(const std::string& path) = 0;
  virtual void on_gone(const std::string& path) = 0;
  /// What was at `from`, or what the link `from` led to, is now at `to`. Any of both may be
  /// another's business. on_gone() and the like come as well.
  virtual void on_moved(const std::string& from, const std::string& to) = 0;
  /// All directories were listed again: what was not told of is not there.
  virtual void on_scanned() = 0;

 protected:
  ~TreeHandler() = default;
};

/// Belongs to the loop's thread. Disk and handler outlive it.
class WatchedTree {
 public:
  static constexpr std::uint64_t kScanMs = 10'000;
  static constexpr std::uint64_t kPollLeastMs = 100;
  static constexpr std::uint64_t kPollMostMs = 2'000;
  static constexpr std::size_t kDirectoriesMax = 50'000;

  WatchedTree(io::Loop& loop, io::FileSystem& disk, const Selection& selection, PollMode mode,
              TreeHandler& handler);
  ~WatchedTree();

  /// Watches, lists and tells of what is there.
  void start();
  /// Lists all again, now.
  void scan();
  /// Files grew: what polls looks again soon.
  void saw_change();
  bool is_polling() const { return is_polling_; }
  /// Why the kernel's events are not enough, for /health; empty when they are.
  const std::string& degraded() const { return degraded_.empty() ? denied_ : degraded_; }
  std::size_t directories() const { return directories_.size(); }

 private:
  struct Directory;

  void enter_roots();
  void enter(const std::string& path);
  void list(Directory& directory);
  void look(Directory& directory, const std::string& name, io::FileKind kind);
  void look_at_link(const std::string& path);
  void forget_link(const std::string& path);
  void on_event(Directory& directory, io::DirectoryEvent event, std::string_view name);
  void on_moved(Directory& directory, std::string_view from, std::string_view to);
  void leave_soon(const std::string& path);
  void leave(const std::string& path);
  void tell_links(const std::string& target, io::DirectoryEvent event);
  void poll_because(std::string why);
  void arm();

  io::Loop& loop_;
  io::FileSystem& disk_;
  const Selection& selection_;
  const PollMode mode_;
  TreeHandler& handler_;
  std::map<std::string, std::unique_ptr<Directory>> directories_;
  /// Where links lead, and the links that lead there.
  std::map<std::string, std::set<std::string>> links_;
  std::map<std::string, std::string> link_targets_;  ///< the same by link
  std::set<std::string> links_seen_;                 ///< by the last look at all directories
  std::string degraded_;
  std::string denied_;  ///< a directory that cannot be listed now
  bool is_polling_ = false;
  std::uint64_t poll_ms_ = kPollLeastMs;
  Timer timer_;
  /// Outlives posted calls: they see whether we are still there.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace consort::logsaver
