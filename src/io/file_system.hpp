// The disk as roles see it that read and write much of it: descriptors, directories, what changes.
//
//   auto file = disk.open("/var/log/app.log", OpenFor::reading);
//   auto watch = disk.watch("/var/log", handler);      // watch first, then list, or files slip by
//   for (const DirectoryEntry& entry : *disk.list("/var/log")) ...
//
// io/uv has the real one, tests/sim one in memory. io::Files (files.hpp) is for small
// configuration files. All calls but sync() block as long as the disk does: for local disks and the
// page cache. Belongs to the loop's thread and outlives its files and watches. Errors name the
// path.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"

namespace consort::io {

/// What tells a file from all others that there are and were. ext4 and overlayfs give a new file
/// the inode that was freed last, so the time of birth belongs to it, and where that is as coarse
/// as a tick the generation too.
struct FileIdentity {
  std::uint64_t file_system = 0;  ///< statfs f_fsid; 0 where there is none
  std::uint64_t inode = 0;
  std::int64_t born_ns = 0;      ///< statx stx_btime; 0 where the file system does not tell
  std::uint32_t generation = 0;  ///< FS_IOC_GETVERSION; only of open files, 0 where there is none

  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

enum class FileKind : std::uint8_t { regular, directory, link, other };

struct FileStat {
  FileIdentity identity;
  FileKind kind = FileKind::other;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::uint32_t links = 0;  ///< 0: nobody can find it any more, only who has it open
};

enum class OpenFor : std::uint8_t {
  reading,      ///< without changing its access time where that is allowed; never waits (FIFOs)
  writing,      ///< made when it is not there (mode 0640); read_at works too
  writing_new,  ///< Errc::invalid with sys() EEXIST when it is there
};

/// An open file. Destroying it closes it.
class File {
 public:
  virtual ~File() = default;
  virtual Result<FileStat> stat() = 0;
  /// Fewer bytes than asked for only at the file's end.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
  /// All of it, or an error; some of it may be there then.
  virtual Result<> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  virtual Result<> truncate(std::uint64_t size) = 0;
  /// Where the next bytes that were written begin, from offset on: a hole reads as NULs. The file's
  /// size when nothing follows, offset itself where the file system knows of no holes.
  virtual Result<std::uint64_t> data_from(std::uint64_t offset) = 0;
  /// What was written survives a power cut (fdatasync, on the pool). Dropping the task does not
  /// stop it; the file may be closed meanwhile.
  virtual Task<Result<>> sync() = 0;
  /// Nobody else has this lock on the file (flock, exclusive), or Errc::unavailable. Ends with the
  /// file or the process.
  virtual Result<> lock() = 0;
};

struct DirectoryEntry {
  std::string name;
  FileKind kind = FileKind::other;  ///< of the entry itself; `other` also when not known
};

/// What happened to a name inside a watched directory.
enum class DirectoryEvent : std::uint8_t {
  came,     ///< made, or moved here
  went,     ///< deleted, or moved away
  changed,  ///< written, truncated, closed after writing, or its attributes changed. Not told of
            ///< another name of the file that came or went elsewhere, nor of writes through mmap
};

class DirectoryHandler {
 public:
  /// Each of these may destroy any watch, its own too, and begin others.
  virtual void on_event(DirectoryEvent event, std::string_view name) = 0;
  /// A file was renamed within the directory. Told between its `went` and its `came`: who has not
  /// met it under its old name learns here what that was.
  virtual void on_moved(std::string_view from, std::string_view to) {
    (void)from;
    (void)to;
  }
  /// Events were lost: list the directory again.
  virtual void on_overflow() = 0;
  /// The directory itself was deleted or moved; nothing more will be told.
  virtual void on_gone() = 0;

 protected:
  ~DirectoryHandler() = default;
};

/// Destroying it ends the watch.
class DirectoryWatch {
 public:
  virtual ~DirectoryWatch() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Errc::invalid for what is no regular file. Symbolic links are followed.
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenFor how) = 0;
  /// Follows symbolic links; without the generation.
  virtual Result<FileStat> stat(const std::string& path) = 0;
  /// Without "." and "..", in order of names.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  /// The path without symbolic links, dots and doubled slashes.
  virtual Result<std::string> resolve(const std::string& path) = 0;
  /// Replaces what is there. Within one file system.
  virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  /// A file or a link; no directory.
  virtual Result<> remove(const std::string& path) = 0;
  /// And those above it that are missing (mode 0750); fine when it is there.
  virtual Result<> make_directory(const std::string& path) = 0;
  /// New, renamed and removed names of the directory survive a power cut (on the pool).
  virtual Task<Result<>> sync_directory(const std::string& directory) = 0;
  /// Bytes that we may still write there.
  virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
  /// The kernel does not tell of changes there (NFS, FUSE, CIFS, 9P, Ceph): look now and then.
  virtual bool needs_polling(const std::string& directory) = 0;
  /// Events come from the next turn of the loop on. Errc::limit (watches or instances of inotify
  /// are used up), not_found, denied: look now and then instead.
  virtual Result<std::unique_ptr<DirectoryWatch>> watch(const std::string& directory,
                                                        DirectoryHandler& handler) = 0;
};

}  // namespace consort::io
