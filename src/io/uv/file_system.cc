#include "io/uv/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "io/uv/changed_elsewhere.hpp"

namespace consort::io {
namespace {

constexpr mode_t kDirectoryMode = 0750;

struct CloseDirectory {
  void operator()(DIR* list) const { ::closedir(list); }
};
struct Free {
  void operator()(char* text) const { std::free(text); }
};

FileKind kind_of(unsigned char type) {
  switch (type) {
    case DT_REG:
      return FileKind::regular;
    case DT_DIR:
      return FileKind::directory;
    case DT_LNK:
      return FileKind::link;
    default:
      return FileKind::other;  // also DT_UNKNOWN, of old file systems
  }
}

bool is_directory(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

Task<Result<>> failed(Error error) {
  co_return fail(std::move(error));
}

}  // namespace

Result<std::unique_ptr<File>> UvFileSystem::open(const std::string& path, OpenFor how) {
  return UvFile::open(path, how, ids_, syncs_);
}

Result<FileStat> UvFileSystem::stat(const std::string& path) {
  return stat_path(path, ids_);
}

Result<std::vector<DirectoryEntry>> UvFileSystem::list(const std::string& directory) {
  const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(directory.c_str()));
  if (!stream) return fail(Error::from_errno(errno, directory));
  std::vector<DirectoryEntry> entries;
  errno = 0;  // readdir says only so whether it has failed or ended
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entries.size() == kEntriesMax) {
      return fail(Errc::limit,
                  directory + ": more than " + std::to_string(kEntriesMax) + " entries");
    }
    entries.push_back({.name = std::string(name), .kind = kind_of(entry->d_type)});
    errno = 0;
  }
  if (errno != 0) return fail(Error::from_errno(errno, "list " + directory));
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

Result<std::string> UvFileSystem::resolve(const std::string& path) {
  const std::unique_ptr<char, Free> found(::realpath(path.c_str(), nullptr));
  if (!found) return fail(Error::from_errno(errno, path));
  return std::string(found.get());
}

Result<> UvFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return fail(Error::from_errno(errno, "rename " + from + " to " + to));
}

Result<> UvFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return {};
  return fail(Error::from_errno(errno, "remove " + path));
}

Result<> UvFileSystem::make_directory(const std::string& path) {
  if (is_directory(path)) return {};
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    // What fails here shows at the end; a directory that is there may refuse in many ways.
    (void)::mkdir(path.substr(0, end).c_str(), kDirectoryMode);
  }
  if (::mkdir(path.c_str(), kDirectoryMode) == 0) return {};
  const int error = errno;
  if (is_directory(path)) return {};
  return fail(Error::from_errno(error == EEXIST ? ENOTDIR : error, "make the directory " + path));
}

Task<Result<>> UvFileSystem::sync_directory(const std::string& directory) {
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failed(Error::from_errno(errno, "sync " + directory));
  return syncs_.sync(std::make_shared<const Fd>(std::move(fd)), SyncKind::names, directory);
}

Result<std::uint64_t> UvFileSystem::free_bytes(const std::string& path) {
  struct statvfs found{};
  if (::statvfs(path.c_str(), &found) != 0) return fail(Error::from_errno(errno, path));
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

bool UvFileSystem::needs_polling(const std::string& directory) {
  return is_changed_elsewhere(directory);
}

Result<std::unique_ptr<DirectoryWatch>> UvFileSystem::watch(const std::string& directory,
                                                            DirectoryHandler& handler) {
  return watches_.watch(directory, handler);
}

}  // namespace consort::io
