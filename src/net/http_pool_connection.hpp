// One connection of an http::Pool; only http_pool*.cc use this.
//
//   resolving --> connecting --> busy <---> idle        every state but idle and draining has a
//       |             |         |  |         ^ |        call; each ends with the object's death
//       +-------------+-------> |  +-~Call-> draining
//                      doomed --+--> dead <----+
//
// doomed: the failure is known within start() or on the stack of a DNS answer; the call is told in
// the next turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/address.hpp"
#include "base/error.hpp"
#include "io/stream.hpp"
#include "net/http_pool.hpp"
#include "wire/http1_response.hpp"
#include "wire/proxy_error.hpp"

namespace consort::http::detail {

class PooledConnection final : private io::StreamHandler {
 public:
  enum class State : std::uint8_t { resolving, connecting, busy, idle, draining, doomed };

  /// For a call that waits for it from now on.
  PooledConnection(PoolCore& core, Call& call);
  PooledConnection(const PooledConnection&) = delete;
  PooledConnection& operator=(const PooledConnection&) = delete;
  /// Closes it at once. A call that it has ends without a callback.
  ~PooledConnection();

  /// Begins with a known address.
  void connect(const Address& address);
  bool connect_elsewhere(Errc why);
  /// The call is told soon.
  void fail_later(ProxyError reason, std::string text);
  /// An idle connection gets a call.
  void serve(Call& call);
  /// The call is about to die; this object may be gone afterwards.
  void give_up();

  State state() const { return state_; }
  /// Idle only: when it is closed.
  std::uint64_t idle_until_ms() const { return idle_until_ms_; }
  std::size_t index = 0;  ///< among all of the pool

 private:
  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

  void begin();
  void push();
  std::string_view next_piece();
  std::size_t request_bytes() const;
  bool is_sent() const;
  void read(std::string_view bytes);
  bool keep_body(std::string_view piece);
  void note_head();
  void finish(bool has_more);
  void lost(const Error& why);
  void repeat();
  void on_timer();
  void close();
  Call& let_go();
  void fail_now(ProxyError reason, std::string text);
  ProxyError connect_failure(Errc code) const;

  PoolCore& core_;
  Call* call_;
  State state_ = State::resolving;
  std::size_t failed_connects_ = 0;  ///< of the name's addresses
  bool is_reused_ = false;
  std::size_t sent_ = 0;  ///< of the request's head and body
  std::uint64_t idle_until_ms_ = 0;
  http1::ResponseStream answer_;
  Timer timer_;
  std::optional<Address> address_;  ///< while connecting
  std::optional<CallFailure> doom_;
  // Last, so that it is gone before what its events would touch.
  std::unique_ptr<io::Stream> stream_;
};

}  // namespace consort::http::detail
