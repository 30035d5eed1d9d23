#include "io/uv/open_file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace consort::io {
namespace {

constexpr mode_t kMode = 0640;
constexpr unsigned kAsked = STATX_BASIC_STATS | STATX_BTIME;

std::uint64_t device_of(const struct statx& found) {
  return ::gnu_dev_makedev(found.stx_dev_major, found.stx_dev_minor);
}

std::int64_t in_ns(const statx_timestamp& at) {
  return at.tv_sec * 1'000'000'000 + at.tv_nsec;
}

FileKind kind_of(unsigned mode) {
  if (S_ISREG(mode)) return FileKind::regular;
  if (S_ISDIR(mode)) return FileKind::directory;
  return S_ISLNK(mode) ? FileKind::link : FileKind::other;
}

FileStat stat_of(const struct statx& found, std::uint64_t file_system, std::uint32_t generation) {
  const bool tells_birth = (found.stx_mask & STATX_BTIME) != 0;
  return {.identity = {.file_system = file_system,
                       .inode = found.stx_ino,
                       .born_ns = tells_birth ? in_ns(found.stx_btime) : 0,
                       .generation = generation},
          .kind = kind_of(found.stx_mode),
          .size = found.stx_size,
          .modified_ns = in_ns(found.stx_mtime),
          .links = found.stx_nlink};
}

std::uint64_t id_of(const struct statfs& found) {
  std::uint64_t id = 0;
  static_assert(sizeof found.f_fsid == sizeof id);
  std::memcpy(&id, &found.f_fsid, sizeof id);
  return id;
}

/// 0 where the file system has none (ENOTTY).
std::uint32_t generation_of(int fd) {
  // Declared to write a long, but every file system writes an int into its beginning.
  std::array<std::uint32_t, 2> version{};
  return ::ioctl(fd, FS_IOC_GETVERSION, version.data()) == 0 ? version[0] : 0;
}

int open_path(const char* path, OpenFor how) {
  // Never waits for a FIFO's other end that took a file's place since we looked.
  constexpr int kCommon = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  switch (how) {
    case OpenFor::reading:
      break;
    case OpenFor::writing:
      return ::open(path, O_RDWR | O_CREAT | kCommon, kMode);
    case OpenFor::writing_new:
      return ::open(path, O_RDWR | O_CREAT | O_EXCL | kCommon, kMode);
  }
  const int fd = ::open(path, O_RDONLY | O_NOATIME | kCommon);
  // Only its owner may read a file without a trace.
  return fd < 0 && errno == EPERM ? ::open(path, O_RDONLY | kCommon) : fd;
}

tl::unexpected<Error> no_regular_file(const std::string& path) {
  return fail(Errc::invalid, path + ": no regular file");
}

}  // namespace

std::uint64_t FileSystemIds::of(std::uint64_t device, const std::string& path) {
  if (const auto found = ids_.find(device); found != ids_.end()) return found->second;
  struct statfs found{};
  return ::statfs(path.c_str(), &found) == 0 ? keep(device, id_of(found)) : 0;
}

std::uint64_t FileSystemIds::renew(std::uint64_t device, int fd) {
  struct statfs found{};
  return ::fstatfs(fd, &found) == 0 ? keep(device, id_of(found)) : 0;
}

std::uint64_t FileSystemIds::keep(std::uint64_t device, std::uint64_t id) {
  if (ids_.size() >= kMax) ids_.clear();
  ids_[device] = id;
  return id;
}

Result<FileStat> stat_path(const std::string& path, FileSystemIds& ids) {
  struct statx found{};
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_SYNC_AS_STAT, kAsked, &found) != 0) {
    return fail(Error::from_errno(errno, path));
  }
  return stat_of(found, ids.of(device_of(found), path), 0);
}

Result<std::unique_ptr<File>> UvFile::open(const std::string& path, OpenFor how, FileSystemIds& ids,
                                           DiskSyncs& syncs) {
  if (how != OpenFor::writing_new) {
    struct stat found{};
    const bool is_there = ::stat(path.c_str(), &found) == 0;
    if (is_there && !S_ISREG(found.st_mode)) return no_regular_file(path);
  }
  Fd fd(open_path(path.c_str(), how));
  if (!fd && errno == EEXIST) return fail(Errc::invalid, path, EEXIST);
  if (!fd && errno == EMFILE) {
    return fail(Error::from_errno(EMFILE, path + " (raise the limit of open files)"));
  }
  if (!fd) return fail(Error::from_errno(errno, path));
  auto file = std::make_unique<UvFile>(path, std::move(fd), syncs);
  if (Result<> identified = file->identify(ids); !identified) {
    return fail(std::move(identified.error()));
  }
  return file;
}

Result<> UvFile::identify(FileSystemIds& ids) {
  struct statx found{};
  if (::statx(fd_->get(), "", AT_EMPTY_PATH, kAsked, &found) != 0) return fail(failed("look at"));
  if (!S_ISREG(found.stx_mode)) return no_regular_file(path_);
  file_system_ = ids.renew(device_of(found), fd_->get());
  generation_ = generation_of(fd_->get());
  return {};
}

Result<FileStat> UvFile::stat() {
  struct statx found{};
  if (::statx(fd_->get(), "", AT_EMPTY_PATH, kAsked, &found) != 0) return fail(failed("look at"));
  return stat_of(found, file_system_, generation_);
}

Result<std::size_t> UvFile::read_at(std::uint64_t offset, std::span<char> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(fd_->get(), into.data() + done, into.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failed("read"));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<> UvFile::write_at(std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t got =
        ::pwrite(fd_->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failed("write"));
    if (got == 0) return fail(Errc::io, "write " + path_ + ": the disk took nothing");
    bytes.remove_prefix(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<> UvFile::truncate(std::uint64_t size) {
  while (::ftruncate(fd_->get(), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return fail(failed("truncate"));
  }
  return {};
}

Result<std::uint64_t> UvFile::data_from(std::uint64_t offset) {
  const off_t found = ::lseek(fd_->get(), static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return static_cast<std::uint64_t>(found);
  if (errno == EINVAL || errno == ENOTSUP) return offset;
  if (errno != ENXIO) return fail(failed("find the data of"));
  Result<FileStat> now = stat();
  if (!now) return fail(std::move(now.error()));
  return now->size;
}

Task<Result<>> UvFile::sync() {
  return syncs_.sync(fd_, SyncKind::data, path_);
}

Result<> UvFile::lock() {
  if (::flock(fd_->get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK) return fail(Errc::unavailable, path_ + ": another process has it");
  return fail(failed("lock"));
}

Error UvFile::failed(std::string_view doing) const {
  return Error::from_errno(errno, std::string(doing) + " " + path_);
}

}  // namespace consort::io
