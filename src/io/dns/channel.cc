#include "io/dns/channel.hpp"

#include <ares.h>
#include <sys/time.h>

#include <algorithm>

#include "io/dns/cares_error.hpp"
#include "io/uv/fd_watcher.hpp"

namespace consort::io {

struct CaresChannel::Socket {
  Socket(CaresChannel& owner, int number) : channel(owner), fd(number), watcher(&on_ready, this) {}

  static void on_ready(void* self, Readiness ready) {
    // Nothing after process(): c-ares may close the socket in it, which destroys this.
    auto* socket = static_cast<Socket*>(self);
    int fd = socket->fd;
    socket->channel.process(ready.readable ? fd : ARES_SOCKET_BAD,
                            ready.writable ? fd : ARES_SOCKET_BAD);
  }

  CaresChannel& channel;
  int fd;
  FdWatcher watcher;
};

CaresChannel::CaresChannel(UvLoop& loop)
    : loop_(loop),
      timeout_(
          loop.timers(),
          [](void* self) {
            static_cast<CaresChannel*>(self)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
          },
          this) {}

CaresChannel::~CaresChannel() {
  if (channel_ != nullptr) ares_destroy(channel_);
}

Result<> CaresChannel::open(const CaresOptions& options) {
  // Once per process, by whichever loop asks first.
  static const int kLibrary = ares_library_init(ARES_LIB_INIT_ALL);
  if (kLibrary != ARES_SUCCESS) return fail(cares_error(kLibrary));

  std::string resolv_conf = options.resolv_conf;
  ares_options wish{};
  wish.timeout = kTryTimeoutMs;
  wish.tries = kTries;
  wish.udp_port = options.port;
  wish.tcp_port = options.port;
  wish.resolvconf_path = resolv_conf.data();
  wish.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<CaresChannel*>(self)->on_socket_state(fd, readable != 0, writable != 0);
  };
  wish.sock_state_cb_data = this;
  int rc = ares_init_options(&channel_, &wish,
                             ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT |
                                 ARES_OPT_TCP_PORT | ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB);
  if (rc != ARES_SUCCESS) {
    channel_ = nullptr;
    return fail(cares_error(rc).in("start the resolver"));
  }
  if (options.servers.empty()) return {};
  rc = ares_set_servers_ports_csv(channel_, options.servers.c_str());
  if (rc != ARES_SUCCESS) return fail(cares_error(rc).in("DNS servers " + options.servers));
  return {};
}

void CaresChannel::on_socket_state(int fd, bool readable, bool writable) {
  auto found = std::find_if(sockets_.begin(), sockets_.end(),
                            [fd](const auto& socket) { return socket->fd == fd; });
  if (!readable && !writable) {
    // c-ares closes the descriptor next.
    if (found != sockets_.end()) sockets_.erase(found);
    return;
  }
  if (found == sockets_.end()) {
    auto socket = std::make_unique<Socket>(*this, fd);
    // Without a watcher the question runs into its timeout, which is what it would say anyway.
    if (!socket->watcher.open(loop_, fd)) return;
    found = sockets_.insert(sockets_.end(), std::move(socket));
  }
  (*found)->watcher.want({readable, writable});
}

void CaresChannel::process(int readable_fd, int writable_fd) {
  ares_process_fd(channel_, readable_fd, writable_fd);
  rearm();
}

void CaresChannel::rearm() {
  timeval wait{};
  if (ares_timeout(channel_, nullptr, &wait) == nullptr) {
    timeout_.cancel();
    return;
  }
  // One more than the truncated milliseconds, or the timer would come just too early and again.
  auto wait_ms = static_cast<std::uint64_t>(wait.tv_sec) * 1000 +
                 static_cast<std::uint64_t>(wait.tv_usec) / 1000 + 1;
  timeout_.arm_at(loop_.now_ms() + wait_ms);
}

}  // namespace consort::io
