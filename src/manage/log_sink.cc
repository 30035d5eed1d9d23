#include "manage/log_sink.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "manage/clock.hpp"

namespace consort {

void LogSink::write(std::string_view line) {
  // Atomic as long as it is short: lines of several processes on one pipe do not mix.
  const bool is_written = (!is_cut_ || write_all("\n")) && write_all(line);
  if (!is_written) {
    lost_.add();
    return;
  }
  const std::uint64_t missing = lost() - std::exchange(told_, lost());
  if (missing > 0 && recovered_) recovered_(missing);
}

bool LogSink::write_all(std::string_view bytes) {
  const std::size_t whole = bytes.size();
  while (!bytes.empty()) {
    if (!wait_writable()) break;
    const ssize_t wrote = ::write(fd_, bytes.data(), std::min(bytes.size(), kChunkBytes));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (wrote <= 0) break;  // nobody is left to tell
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (bytes.size() < whole) is_cut_ = !bytes.empty();
  return bytes.empty();
}

bool LogSink::wait_writable() {
  const auto patience_ms = is_stuck_ ? 0 : static_cast<std::uint64_t>(patience_.count());
  const std::uint64_t until_ms = system_moment().mono_ms + patience_ms;
  for (;;) {
    const std::uint64_t now_ms = system_moment().mono_ms;
    const int left_ms = now_ms < until_ms ? static_cast<int>(until_ms - now_ms) : 0;
    pollfd entry{.fd = fd_, .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&entry, 1, left_ms);
    if (ready < 0 && errno == EINTR) continue;
    // An error shows as ready too; write() tells which.
    is_stuck_ = ready == 0;
    return ready != 0;
  }
}

}  // namespace consort
