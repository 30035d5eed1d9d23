// Waiting for the disk without stopping the loop: fdatasync and fsync on libuv's pool of threads.
//
//   sync() awaited --> queued --> a pool thread: fdatasync --> the loop: the waiting task goes on
//                         \---- the task is dropped: the work goes on, nobody is told
//
// The work holds the descriptor, so that its file may be closed meanwhile. At most as many syncs
// are under way as tasks wait or have been dropped waiting; four run at a time (libuv's pool).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "async/task.hpp"
#include "base/error.hpp"
#include "io/fd.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

enum class SyncKind : std::uint8_t {
  data,   ///< fdatasync: the bytes, and the size that is needed to find them
  names,  ///< fsync of a directory. Fine where the file system has none for directories (EINVAL)
};

/// Belongs to the loop's thread. Destroying it, which must not happen in a callback of the loop,
/// waits for what is under way: the loop could not be closed before.
class DiskSyncs {
 public:
  explicit DiskSyncs(UvLoop& loop) : loop_(loop) {}
  ~DiskSyncs();
  DiskSyncs(const DiskSyncs&) = delete;
  DiskSyncs& operator=(const DiskSyncs&) = delete;

  /// Begins when it is awaited. Errors name the path.
  Task<Result<>> sync(std::shared_ptr<const Fd> file, SyncKind kind, std::string path);
  std::size_t under_way() const { return under_way_; }

 private:
  struct Waiter;
  struct Work;

  UvLoop& loop_;
  std::size_t under_way_ = 0;
};

}  // namespace consort::io
