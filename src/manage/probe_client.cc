#include "manage/probe_client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "io/fd.hpp"
#include "io/uv/socket_address.hpp"
#include "manage/clock.hpp"
#include "wire/http1.hpp"

namespace consort {

namespace {

class Socket {
 public:
  explicit Socket(std::uint64_t deadline_ms) : deadline_ms_(deadline_ms) {}

  Result<> connect(const io::SocketAddress& address) {
    fd_.reset(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) return fail(Error::from_errno(errno, "socket"));
    if (::connect(fd_.get(), address.get(), address.length) == 0) return {};
    // EAGAIN: the backlog of a unix socket is full; unlike TCP it does not queue us.
    if (errno != EINPROGRESS) return fail(Error::from_errno(errno, "connect"));
    if (Result<> ready = wait(POLLOUT); !ready) return ready;
    int why = 0;
    socklen_t size = sizeof why;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &why, &size);
    if (why != 0) return fail(Error::from_errno(why, "connect"));
    return {};
  }

  Result<> write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (Result<> ready = wait(POLLOUT); !ready) return ready;
      } else if (errno != EINTR) {
        return fail(Error::from_errno(errno, "send"));
      }
    }
    return {};
  }

  /// 0 at the end of the stream.
  Result<std::size_t> read(std::array<char, 16 * 1024>& buffer) {
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EAGAIN) {
        Result<> ready = wait(POLLIN);
        if (!ready) return fail(std::move(ready.error()));
      } else if (errno != EINTR) {
        return fail(Error::from_errno(errno, "receive"));
      }
    }
  }

 private:
  Result<> wait(short events) {
    for (;;) {
      const std::uint64_t now_ms = system_moment().mono_ms;
      if (now_ms >= deadline_ms_) return fail(Errc::timed_out, "no answer in time");
      pollfd entry{.fd = fd_.get(), .events = events, .revents = 0};
      const int ready = ::poll(&entry, 1, static_cast<int>(deadline_ms_ - now_ms));
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) return fail(Error::from_errno(errno, "poll"));
    }
  }

  io::Fd fd_;
  std::uint64_t deadline_ms_;
};

Result<ProbeAnswer> read_answer(Socket& socket) {
  http1::Limits limits;
  limits.body_bytes = kMaxProbeBody;
  http1::ResponseParser parser(limits, "GET");
  std::array<char, 16 * 1024> buffer{};
  for (;;) {
    Result<std::size_t> got = socket.read(buffer);
    if (!got) return fail(std::move(got.error()));
    const auto progress =
        *got == 0 ? parser.finish() : parser.parse(std::string_view(buffer.data(), *got)).progress;
    if (progress == http1::Progress::error) return fail(parser.error().clone());
    if (progress == http1::Progress::done) {
      http1::Message message = parser.take();
      return ProbeAnswer{.status = message.status, .body = std::move(message.body)};
    }
  }
}

}  // namespace

Result<ProbeAnswer> http_get(const Address& address, const std::string& host_header,
                             const std::string& path, std::chrono::milliseconds timeout) {
  // poll() takes an int; a day is more than any probe waits.
  const auto wait_ms = std::clamp<std::int64_t>(timeout.count(), 1, 86'400'000);
  const std::uint64_t deadline_ms = system_moment().mono_ms + static_cast<std::uint64_t>(wait_ms);
  Result<io::SocketAddress> target = io::SocketAddress::of(address, "127.0.0.1");
  if (!target) return fail(std::move(target.error()));
  Socket socket(deadline_ms);
  if (Result<> open = socket.connect(*target); !open) return fail(std::move(open.error()));
  std::string request;
  const http1::RequestView view{.method = "GET",
                                .target = path,
                                .host = host_header,
                                .headers = nullptr,
                                .body = {},
                                .close = true};
  if (Result<> made = http1::append_request(request, view); !made) {
    return fail(std::move(made.error()));
  }
  if (Result<> sent = socket.write_all(request); !sent) return fail(std::move(sent.error()));
  return read_answer(socket);
}

}  // namespace consort
