// An open file of the real disk, and what statx(2) tells of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "io/fd.hpp"
#include "io/file_system.hpp"
#include "io/uv/disk_syncs.hpp"

namespace consort::io {

/// f_fsid by device number, so that looking at a path is one system call. A number may belong to
/// another file system after a mount: every open() asks anew.
class FileSystemIds {
 public:
  static constexpr std::size_t kMax = 256;  ///< then all are forgotten

  /// 0 where it is not known.
  std::uint64_t of(std::uint64_t device, const std::string& path);
  std::uint64_t renew(std::uint64_t device, int fd);

 private:
  std::uint64_t keep(std::uint64_t device, std::uint64_t id);
  std::map<std::uint64_t, std::uint64_t> ids_;
};

/// Of the path (links followed), without the generation.
Result<FileStat> stat_path(const std::string& path, FileSystemIds& ids);

class UvFile final : public File {
 public:
  /// See FileSystem::open. Of a path that is no regular file nothing is opened: a process that
  /// waits for a FIFO's reader would believe to have found one.
  static Result<std::unique_ptr<File>> open(const std::string& path, OpenFor how,
                                            FileSystemIds& ids, DiskSyncs& syncs);

  UvFile(std::string path, Fd fd, DiskSyncs& syncs)
      : path_(std::move(path)), fd_(std::make_shared<const Fd>(std::move(fd))), syncs_(syncs) {}

  Result<FileStat> stat() override;
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override;
  Result<> write_at(std::uint64_t offset, std::string_view bytes) override;
  Result<> truncate(std::uint64_t size) override;
  Result<std::uint64_t> data_from(std::uint64_t offset) override;
  Task<Result<>> sync() override;
  Result<> lock() override;

 private:
  /// What stays the same as long as it is open.
  Result<> identify(FileSystemIds& ids);
  Error failed(std::string_view doing) const;

  const std::string path_;
  const std::shared_ptr<const Fd> fd_;  ///< a sync under way holds it too
  DiskSyncs& syncs_;
  std::uint64_t file_system_ = 0;
  std::uint32_t generation_ = 0;
};

}  // namespace consort::io
