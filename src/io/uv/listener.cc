#include "io/uv/listener.hpp"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/uv/socket_address.hpp"
#include "io/uv/stream.hpp"

namespace consort::io {

namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

void set_option(const Fd& fd, int level, int name, int value) {
  ::setsockopt(fd.get(), level, name, &value, sizeof value);
}

/// A taken address cannot become right by waiting for it here: the user has to change something.
Error bind_error(int sys) {
  if (sys == EADDRINUSE) return {Errc::invalid, "", sys};
  return Error::from_errno(sys, "");
}

/// Whether somebody accepts connections there; the answer does not block.
int probe_unix(const SocketAddress& at) {
  Fd probe(::socket(AF_UNIX, kSocketFlags, 0));
  if (!probe) return errno;
  return ::connect(probe.get(), at.get(), at.length) == 0 ? 0 : errno;
}

}  // namespace

UvListener::UvListener(UvLoop& loop, AcceptHandler& handler)
    : loop_(loop),
      handler_(handler),
      watcher_([](void* self, Readiness) { static_cast<UvListener*>(self)->accept_some(); }, this),
      retry_(loop.timers(), [](void* self) { static_cast<UvListener*>(self)->resume(); }, this) {}

UvListener::~UvListener() {
  if (gone_ != nullptr) *gone_ = true;
  struct stat now{};
  if (owns_path_ && ::lstat(address_.path.c_str(), &now) == 0 && now.st_dev == path_device_ &&
      now.st_ino == path_inode_) {
    ::unlink(address_.path.c_str());
  }
}

Result<> UvListener::listen(const Address& address, const ListenOptions& options) {
  address_ = address;
  auto opened = open(options);
  if (!opened) return fail(std::move(opened.error()).in("listen on " + address.to_string()));
  watcher_.want({.readable = true, .writable = false});
  return {};
}

Result<> UvListener::open(const ListenOptions& options) {
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it loses sight of errors in a Result.
  auto bound = address_.is_unix() ? bind_unix() : bind_tcp(options);
  if (!bound) return bound;
  if (::listen(fd_.get(), options.backlog) != 0) return fail(bind_error(errno));
  return watcher_.open(loop_, fd_.get());
}

Result<> UvListener::bind_tcp(const ListenOptions& options) {
  auto bound = address_.host.empty() ? bind_every_interface(options) : bind_to(address_, options);
  if (!bound) return bound;
  SocketAddress actual;
  actual.length = sizeof actual.storage;
  if (::getsockname(fd_.get(), actual.get(), &actual.length) != 0) return fail(bind_error(errno));
  address_.port = actual.port();
  return {};
}

/// One dual-stack socket, or IPv4 alone on hosts without IPv6.
Result<> UvListener::bind_every_interface(const ListenOptions& options) {
  Address any = address_;
  any.host = "::";
  auto bound = bind_to(any, options);
  if (bound) return bound;
  int sys = bound.error().sys();
  if (sys != EAFNOSUPPORT && sys != EADDRNOTAVAIL && sys != EPROTONOSUPPORT) return bound;
  any.host = "0.0.0.0";
  return bind_to(any, options);
}

Result<> UvListener::bind_to(const Address& address, const ListenOptions& options) {
  auto at = SocketAddress::of(address, "0.0.0.0");
  if (!at) return fail(std::move(at.error()));
  fd_.reset(::socket(at->family(), kSocketFlags, 0));
  if (!fd_) return fail(bind_error(errno));
  set_option(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) set_option(fd_, SOL_SOCKET, SO_REUSEPORT, 1);
  // Accepted sockets inherit these, which saves a system call for each.
  set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keep_alive) set_option(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
  // "::" serves IPv4 too when it stands for every interface; "[::]" as written means IPv6 alone.
  if (at->family() == AF_INET6) {
    set_option(fd_, IPPROTO_IPV6, IPV6_V6ONLY, address_.host.empty() ? 0 : 1);
  }
  if (::bind(fd_.get(), at->get(), at->length) != 0) return fail(bind_error(errno));
  return {};
}

Result<> UvListener::bind_unix() {
  auto at = SocketAddress::of(address_, "");
  if (!at) return fail(std::move(at.error()));
  fd_.reset(::socket(AF_UNIX, kSocketFlags, 0));
  if (!fd_) return fail(bind_error(errno));
  bool is_path = address_.kind == Address::Kind::unix_path;
  if (::bind(fd_.get(), at->get(), at->length) == 0) return is_path ? take_path() : Result<>{};
  if (errno != EADDRINUSE || !is_path) return fail(bind_error(errno));

  struct stat there{};
  if (::lstat(address_.path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    return fail(Errc::invalid, "the path exists and is not a socket", EADDRINUSE);
  }
  int answer = probe_unix(*at);
  if (answer != ECONNREFUSED && answer != ENOENT) {
    return fail(Errc::invalid, "another process answers there", EADDRINUSE);
  }
  // Left behind by a process that is dead.
  if (::unlink(address_.path.c_str()) != 0 && errno != ENOENT) return fail(bind_error(errno));
  if (::bind(fd_.get(), at->get(), at->length) != 0) return fail(bind_error(errno));
  return take_path();
}

/// Between bind and listen nobody can connect, so the mode needs no umask (which is the process's).
Result<> UvListener::take_path() {
  struct stat made{};
  if (::lstat(address_.path.c_str(), &made) != 0) return fail(bind_error(errno));
  owns_path_ = true;
  path_device_ = made.st_dev;
  path_inode_ = made.st_ino;
  if (address_.mode != 0 && ::chmod(address_.path.c_str(), address_.mode) != 0) {
    return fail(bind_error(errno));
  }
  return {};
}

/// Between the last accept and close() a client could still get in, to be reset at once: of ten
/// stops under load one lost a request that way. The last packet of a handshake that has begun must
/// pass all the same: without it the client alone thinks that it is connected.
void UvListener::shut_out() {
  if (address_.is_unix()) {
    ::shutdown(fd_.get(), SHUT_RD);  // connect() is refused; who waits stays
    return;
  }
  // A filter (socket(7)) that sees TCP's header first and takes all but SYN. Who tries is refused
  // when he tries again, a second later.
  constexpr std::uint32_t kFlagsAt = 13;  // RFC 9293 section 3.1
  constexpr std::uint32_t kSyn = 0x02;
  constexpr std::uint32_t kWhole = 0xffff'ffff;
  std::array<sock_filter, 4> no_syn{{
      {.code = BPF_LD | BPF_B | BPF_ABS, .jt = 0, .jf = 0, .k = kFlagsAt},
      {.code = BPF_JMP | BPF_JSET | BPF_K, .jt = 1, .jf = 0, .k = kSyn},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = kWhole},
      {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0},
  }};
  const sock_fprog program{.len = no_syn.size(), .filter = no_syn.data()};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void UvListener::accept_last() {
  if (!is_shut_) shut_out();
  is_shut_ = true;
  // From now on only this call accepts: of a shut Unix socket, or one that lacks descriptors, epoll
  // would tell for ever.
  watcher_.want({});
  retry_.cancel();
  while (accept_some()) {
  }
}

bool UvListener::accept_some() {
  bool gone = false;
  bool may_be_more = true;
  gone_ = &gone;
  for (int i = 0; i < kAcceptsPerEventMax; ++i) {
    Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      // The client left while it waited (or a firewall said no): the next may be fine.
      if (errno == ECONNABORTED || errno == EINTR || errno == EPERM) continue;
      const bool is_empty = errno == EAGAIN || errno == EWOULDBLOCK || is_shut_;
      if (!is_empty) pause(Error::from_errno(errno, "accept"));
      may_be_more = false;
      break;
    }
    auto stream = std::make_unique<UvStream>(loop_);
    auto adopted = stream->adopt(std::move(fd));
    if (!adopted) {
      pause(std::move(adopted.error()));
      may_be_more = false;
      break;
    }
    pause_ms_ = 0;
    handler_.on_accept(std::move(stream));
    if (gone) return false;
  }
  gone_ = nullptr;
  return may_be_more;
}

void UvListener::pause(Error why) {
  watcher_.want({});
  bool first = pause_ms_ == 0;
  pause_ms_ = first ? kPauseMs : std::min(2 * pause_ms_, kPauseMsMax);
  retry_.arm_at(loop_.now_ms() + pause_ms_);
  if (first) handler_.on_accept_paused(why);
}

void UvListener::resume() {
  watcher_.want({.readable = true, .writable = false});
}

}  // namespace consort::io
