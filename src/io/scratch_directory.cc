#include "io/scratch_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "io/fd.hpp"

namespace consort::io {

namespace {

/// Directories within each other that are removed; what lies deeper stays.
constexpr int kDepthMax = 16;

std::string parent() {
  const char* wanted = std::getenv("TMPDIR");
  if (wanted != nullptr && *wanted != '\0') return wanted;
  return ::access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

/// Never follows a link out of the directory: what a job made may point anywhere.
void empty(int directory, int depth) {
  DIR* list = ::fdopendir(directory);
  if (list == nullptr) {
    ::close(directory);
    return;
  }
  while (const dirent* entry = ::readdir(list)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(directory, entry->d_name, 0) == 0 || depth == 0) continue;
    const int inner =
        ::openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0) continue;
    empty(inner, depth - 1);
    ::unlinkat(directory, entry->d_name, AT_REMOVEDIR);
  }
  ::closedir(list);
}

}  // namespace

Result<std::unique_ptr<ScratchDirectory>> ScratchDirectory::create() {
  std::string path = parent() + "/consort-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(Error::from_errno(errno, "make a directory in " + parent()));
  }
  return std::unique_ptr<ScratchDirectory>(
      new ScratchDirectory(std::move(path)));  // tidy:allow the constructor is private
}

ScratchDirectory::~ScratchDirectory() {
  const int directory = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory >= 0) empty(directory, kDepthMax);
  ::rmdir(path_.c_str());
}

Result<> ScratchDirectory::write(const std::string& name, std::string_view bytes) const {
  const std::string file = path_ + "/" + name;
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail(Error::from_errno(errno, file));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Error::from_errno(errno, file));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace consort::io
