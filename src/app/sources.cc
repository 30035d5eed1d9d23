#include "app/sources.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace consort {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

// Read until the end rather than by size: pipes and /proc have none.
Result<std::string> read_whole_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail(Error::from_errno(errno, path));
  std::string text;
  char block[16 * 1024];
  while (true) {
    const ssize_t got = ::read(file.get(), block, sizeof block);
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Error::from_errno(errno, path));
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > kMaxDocumentBytes) {
      return fail(Errc::limit,
                  path + ": larger than " + Text<ByteSize>::print(ByteSize{kMaxDocumentBytes}));
    }
  }
}

ConfigSources process_sources(std::vector<Flag> flags) {
  ConfigSources sources;
  sources.flags = std::move(flags);
  sources.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  sources.read_file = read_whole_file;
  return sources;
}

}  // namespace consort
