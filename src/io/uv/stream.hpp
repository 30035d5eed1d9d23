// A connected TCP or unix socket on a UvLoop.
//
//   connecting --kernel says yes--> open --peer's FIN--> read_ended (may still write)
//       |                            |                       |
//       +---------- failure ---------+---------> dead <------+   (silent after on_end)
//
// Cost of one echo in steady state: one recv and one send beside the loop's epoll_wait. A read that
// does not fill the buffer ends the round, so there is no second recv just to hear EAGAIN.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "async/timer.hpp"
#include "io/fd.hpp"
#include "io/stream.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/socket_address.hpp"

namespace consort::io {

class UvStream final : public Stream {
 public:
  /// Full buffers read from one stream before the others get their turn.
  static constexpr int kReadsPerEventMax = 4;

  explicit UvStream(UvLoop& loop);
  ~UvStream() override;
  UvStream(const UvStream&) = delete;
  UvStream& operator=(const UvStream&) = delete;

  /// Takes an accepted socket; quiet until set_handler().
  Result<> adopt(Fd fd);
  /// Failures of any kind reach the handler later.
  void connect(const Address& address, StreamHandler& handler, ConnectOptions options);

  void set_handler(StreamHandler& handler) override;
  Result<std::size_t> try_write(std::string_view bytes) override;
  void want_writable() override;
  void pause_reading() override;
  void resume_reading() override;
  void shutdown_write() override;
  Peer peer() const override;
  std::size_t unconfirmed_bytes() const override;

 private:
  enum class State : std::uint8_t { connecting, open, read_ended, dead };
  class EventScope;

  Result<> start_connect(const Address& address, ConnectOptions options);
  void on_ready(Readiness ready);
  void finish_connect();
  void read_some(const EventScope& scope);
  void fail_later(Error why);
  void on_later();
  void end(State state, const Error& why);
  void update_wish();

  UvLoop& loop_;
  StreamHandler* handler_ = nullptr;
  Fd fd_;
  FdWatcher watcher_;  // after fd_: it must let go before the descriptor closes
  Timer later_;
  std::optional<Error> failure_;  // told by later_
  bool* gone_ = nullptr;          // set by the destructor for the event under way
  State state_ = State::open;
  bool reading_ = true;
  bool wants_writable_ = false;
};

}  // namespace consort::io
