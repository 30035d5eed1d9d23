// The real disk: system calls on the loop's thread, syncs on the pool, changes from inotify.
//
// Cost: stat() is one statx; a read is one pread, and another that proves the end where it gets
// less than was asked for; open() is five small calls (what is there, open, who it is). A directory
// under watch costs nothing while nothing happens in it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/uv/directory_watch.hpp"
#include "io/uv/disk_syncs.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/open_file.hpp"

namespace consort::io {

/// Its end waits for syncs that are under way, so it must not come in a callback of the loop.
class UvFileSystem final : public FileSystem {
 public:
  static constexpr std::size_t kEntriesMax = 256 * 1024;  ///< of one directory; then Errc::limit

  explicit UvFileSystem(UvLoop& loop) : syncs_(loop), watches_(loop) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenFor how) override;
  Result<FileStat> stat(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Result<std::string> resolve(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> remove(const std::string& path) override;
  Result<> make_directory(const std::string& path) override;
  Task<Result<>> sync_directory(const std::string& directory) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;
  bool needs_polling(const std::string& directory) override;
  Result<std::unique_ptr<DirectoryWatch>> watch(const std::string& directory,
                                                DirectoryHandler& handler) override;

  const DirectoryWatches& watches() const { return watches_; }
  const DiskSyncs& syncs() const { return syncs_; }

 private:
  FileSystemIds ids_;
  DiskSyncs syncs_;
  DirectoryWatches watches_;
};

}  // namespace consort::io
