// One c-ares resolver on our loop: its sockets become watchers, its timeouts one timer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/timer.hpp"
#include "base/error.hpp"
#include "io/uv/loop.hpp"

struct ares_channeldata;

namespace consort::io {

struct CaresOptions {
  /// "10.0.0.2,127.0.0.1:5353"; empty asks the servers of resolv.conf.
  std::string servers;
  std::string resolv_conf = "/etc/resolv.conf";
  /// Where resolv.conf's servers listen.
  std::uint16_t port = 53;
};

/// Each server is asked three times, after 1 s, 2 s and 4 s; resolv.conf's "timeout" and "attempts"
/// do not count, because one lost packet must not cost its usual 5 s. Destroying the channel
/// answers its open questions with ARES_EDESTRUCTION, so never from within a c-ares callback.
class CaresChannel {
 public:
  static constexpr int kTryTimeoutMs = 1000;
  static constexpr int kTries = 3;

  explicit CaresChannel(UvLoop& loop);
  ~CaresChannel();
  CaresChannel(const CaresChannel&) = delete;
  CaresChannel& operator=(const CaresChannel&) = delete;

  Result<> open(const CaresOptions& options);
  ares_channeldata* raw() { return channel_; }
  /// To be called after each new question: c-ares has no other way to tell its next timeout.
  void rearm();

  /// Questions without an answer yet; counted by whoever asks.
  std::size_t pending = 0;

 private:
  struct Socket;

  void on_socket_state(int fd, bool readable, bool writable);
  void process(int readable_fd, int writable_fd);

  UvLoop& loop_;
  ares_channeldata* channel_ = nullptr;
  std::vector<std::unique_ptr<Socket>> sockets_;
  Timer timeout_;
};

}  // namespace consort::io
