// Directories under watch, by inotify(7).
//
//   inotify --64 KiB--> watch descriptor --> every watch of that directory --> its handler
//              |            \-- gone (deleted, moved, unmounted) --> on_gone, forgotten
//              \-- the kernel's queue was full --> on_overflow of all
//
// One inotify descriptor serves all watches (a user has 128 by default) and is opened for the first
// one. The kernel gives two watches of one directory the same descriptor, by whatever path: they
// share it here. IN_EXCL_UNLINK: writes to files that were deleted while open are not told.
//
//   waiting --readable, read--> resting --kRestMs, read--> resting --kRestMs, nothing--> waiting
//
// Cost: nothing while nothing happens; a batch of events is one read, each event one look-up in a
// map. At most kBatchesMax batches a turn, lest a busy directory starve the rest of the loop. What
// comes while we rest waits in the kernel, which merges equal events and wakes nobody: a writer of
// 50,000 lines per second would else pay for as many wake-ups.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/timer.hpp"
#include "base/error.hpp"
#include "io/fd.hpp"
#include "io/file_system.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// Belongs to the loop's thread and outlives its watches.
class DirectoryWatches {
 public:
  static constexpr std::size_t kBatchBytes = 64 * 1024;
  static constexpr int kBatchesMax = 16;  ///< per turn; the rest in the next one
  static constexpr std::uint64_t kRestMs = 2;

  explicit DirectoryWatches(UvLoop& loop);
  ~DirectoryWatches();
  DirectoryWatches(const DirectoryWatches&) = delete;
  DirectoryWatches& operator=(const DirectoryWatches&) = delete;

  /// See FileSystem::watch.
  Result<std::unique_ptr<DirectoryWatch>> watch(const std::string& directory,
                                                DirectoryHandler& handler);
  /// What the kernel holds for us.
  std::size_t directories() const { return directories_.size(); }

 private:
  class Watch;
  struct Directory {
    /// Null: destroyed while handlers were told, swept afterwards.
    std::vector<Watch*> watches;
    bool is_gone = false;  ///< the kernel has let go of it
  };
  using Directories = std::map<int, Directory>;

  Result<> open();
  void on_readable();
  void on_rested();
  bool read_events();
  void tell_batch(std::string_view batch);
  void tell(int descriptor, std::uint32_t mask, std::string_view name);
  void tell_moved(int descriptor, std::string_view to);
  void tell_gone(Directories::iterator found, std::uint32_t mask);
  void tell_overflow();
  void end(Watch& watch);
  void sweep();

  UvLoop& loop_;
  Fd inotify_;
  FdWatcher readable_;
  Timer rested_;
  std::unique_ptr<char[]> batch_;
  Directories directories_;  ///< by watch descriptor, which the kernel does not use again
  /// The first half of a renaming, whose second half has the same cookie (inotify(7)).
  struct Moved {
    int descriptor = -1;
    std::uint32_t cookie = 0;
    std::string name;
  };
  Moved moved_;
  bool is_telling_ = false;
  bool is_untidy_ = false;  ///< there is something to sweep
};

}  // namespace consort::io
