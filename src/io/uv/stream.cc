#include "io/uv/stream.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/check.hpp"

namespace consort::io {

/// One call from the loop. Handlers may destroy the stream, so each of their calls is followed by a
/// look at gone(). Wishes that change meanwhile are settled once, at the end.
class UvStream::EventScope {
 public:
  explicit EventScope(UvStream& stream) : stream_(stream) {
    CHECK(stream.gone_ == nullptr);
    stream.gone_ = &gone_;
  }
  ~EventScope() {
    if (gone_) return;
    stream_.gone_ = nullptr;
    stream_.update_wish();
  }
  EventScope(const EventScope&) = delete;
  EventScope& operator=(const EventScope&) = delete;
  bool gone() const { return gone_; }

 private:
  UvStream& stream_;
  bool gone_ = false;
};

UvStream::UvStream(UvLoop& loop)
    : loop_(loop),
      watcher_([](void* self, Readiness ready) { static_cast<UvStream*>(self)->on_ready(ready); },
               this),
      later_(loop.timers(), [](void* self) { static_cast<UvStream*>(self)->on_later(); }, this) {}

UvStream::~UvStream() {
  if (gone_ != nullptr) *gone_ = true;
}

Result<> UvStream::adopt(Fd fd) {
  fd_ = std::move(fd);
  return watcher_.open(loop_, fd_.get());
}

void UvStream::connect(const Address& address, StreamHandler& handler, ConnectOptions options) {
  handler_ = &handler;
  state_ = State::connecting;
  auto started = start_connect(address, options);
  if (started) {
    update_wish();
  } else {
    fail_later(std::move(started.error()).in("connect"));
  }
}

Result<> UvStream::start_connect(const Address& address, ConnectOptions options) {
  auto to = SocketAddress::of(address, "127.0.0.1");
  if (!to) return fail(std::move(to.error()));
  fd_.reset(::socket(to->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return fail(Error::from_errno(errno, ""));
  if (!address.is_unix()) {
    int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.keep_alive) ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (::connect(fd_.get(), to->get(), to->length) != 0 && errno != EINPROGRESS) {
    return fail(Error::from_errno(errno, ""));
  }
  return watcher_.open(loop_, fd_.get());
}

void UvStream::set_handler(StreamHandler& handler) {
  handler_ = &handler;
  if (failure_) later_.arm_at(loop_.now_ms());
  update_wish();
}

Result<std::size_t> UvStream::try_write(std::string_view bytes) {
  if (state_ == State::connecting || bytes.empty()) return std::size_t{0};
  if (state_ == State::dead || failure_) return fail(Errc::closed, "write", EPIPE);
  for (;;) {
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    Error why = Error::from_errno(errno, "write");
    fail_later(why.clone());
    return fail(std::move(why));
  }
}

void UvStream::want_writable() {
  wants_writable_ = true;
  update_wish();
}

void UvStream::pause_reading() {
  reading_ = false;
  update_wish();
}

void UvStream::resume_reading() {
  reading_ = true;
  update_wish();
}

void UvStream::shutdown_write() {
  if (state_ == State::open || state_ == State::read_ended) ::shutdown(fd_.get(), SHUT_WR);
}

Peer UvStream::peer() const {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getpeername(fd_.get(), address.get(), &address.length) != 0) address = SocketAddress{};
  return address.describe();
}

std::size_t UvStream::unconfirmed_bytes() const {
  int bytes = 0;
  return ::ioctl(fd_.get(), SIOCOUTQ, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

void UvStream::on_ready(Readiness ready) {
  EventScope scope(*this);
  if (state_ == State::connecting) {
    finish_connect();
    return;
  }
  if (ready.readable && reading_ && state_ == State::open) read_some(scope);
  if (scope.gone() || state_ == State::dead) return;
  if (ready.writable && wants_writable_) {
    wants_writable_ = false;
    handler_->on_writable();
  }
}

void UvStream::finish_connect() {
  int why = 0;
  socklen_t length = sizeof why;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &why, &length) != 0) why = errno;
  if (why != 0) {
    end(State::dead, Error::from_errno(why, "connect"));
    return;
  }
  state_ = State::open;
  handler_->on_open();
}

void UvStream::read_some(const EventScope& scope) {
  char* buffer = loop_.read_buffer();
  for (int i = 0; i < kReadsPerEventMax; ++i) {
    ssize_t n = ::recv(fd_.get(), buffer, UvLoop::kReadBufferBytes, MSG_DONTWAIT);
    if (n == 0) {
      end(State::read_ended, Error(Errc::closed, "the peer closed the connection"));
      return;
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      end(State::dead, Error::from_errno(errno, "read"));
      return;
    }
    handler_->on_data({buffer, static_cast<std::size_t>(n)});
    if (scope.gone() || !reading_ || state_ != State::open) return;
    if (static_cast<std::size_t>(n) < UvLoop::kReadBufferBytes) return;
  }
}

void UvStream::fail_later(Error why) {
  failure_ = std::move(why);
  later_.arm_at(loop_.now_ms());
}

void UvStream::on_later() {
  if (handler_ == nullptr) return;  // set_handler() comes back to it
  EventScope scope(*this);
  // The peer's last words ("ERR max number of clients reached") often wait behind the failed write.
  if (reading_ && state_ == State::open) {
    read_some(scope);
    if (scope.gone()) return;
  }
  // Reading may have found an end of its own; on_end comes once.
  bool told = state_ == State::dead || state_ == State::read_ended;
  if (told) {
    state_ = State::dead;
    watcher_.close();
  } else {
    Error why = failure_->clone();  // the handler may destroy the stream, and failure_ with it
    end(State::dead, why);
  }
}

void UvStream::end(State state, const Error& why) {
  state_ = state;
  if (state == State::dead) watcher_.close();
  handler_->on_end(why);
}

void UvStream::update_wish() {
  if (gone_ != nullptr) return;  // the event under way settles it at its end
  Readiness wish;
  if (state_ == State::connecting) {
    wish.writable = true;
  } else if (handler_ != nullptr && state_ != State::dead) {
    wish.readable = reading_ && state_ == State::open;
    wish.writable = wants_writable_;
  }
  watcher_.want(wish);
}

}  // namespace consort::io
