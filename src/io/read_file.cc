#include "io/read_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/options.hpp"
#include "io/fd.hpp"

namespace consort::io {

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(Error::from_errno(errno, path));
  std::string text;
  std::array<char, 16 * 1024> block{};
  for (;;) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Error::from_errno(errno, path));
    text.append(block.data(), static_cast<std::size_t>(got));
    if (text.size() > bytes_max) {
      return fail(Errc::limit, path + ": larger than " + Text<ByteSize>::print({bytes_max}));
    }
  }
}

}  // namespace consort::io
