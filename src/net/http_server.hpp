// An HTTP/1.1 server: one coroutine per connection, limits on everything a client can do.
//
// Keep-alive and pipelining (answers in order). A client that is too slow, too large or too many is
// cut off with the status that says so. Belongs to one loop.
//
//   open --> idle --first byte--> receiving --whole request--> handling --> answering --+
//             ^  \                   |                             |          |         |
//             |   \ idle_timeout,    | 4xx, 5xx: answer, close     | client   | write_timeout
//             |    \ stop: close     v header_timeout: 408, close  | gone:    v close   |
//             |                                                    v drop task          |
//             +---------------------------- keep-alive ---------------------------------+
//
// While a request is handled, at most kReadAheadBytes (and one delivery) of what follows it are
// read; a client that sends more than that is noticed to have left only after its answer. A client
// that shuts down its sending half counts as gone: answers that are ready by then still reach it.
// When all connections are taken, one that waits between requests (the longest) makes room for a
// new one: idle clients cannot lock a probe out.
//
// Closing after an error waits up to a second for the client to read the answer (lingering), since
// closing on unread bytes would make the kernel take the answer back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "async/task.hpp"
#include "base/address.hpp"
#include "base/error.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "net/http_message.hpp"

namespace consort::http {

/// The application behind a server. Calls of different connections interleave at each co_await;
/// a request whose client leaves has its task dropped.
class Handler {
 public:
  virtual Task<Response> handle(Request request) = 0;
  /// What a client gets whose request did not come to be: 400, 408, 413, 414, 417, 431, 501, 505,
  /// or 503 when there are too many connections.
  virtual Response refuse(int status, std::string_view text) { return make_error(status, text); }
  /// The system refuses connections for a while; told once per pause, accepting goes on by itself.
  virtual void on_accept_paused(const Error& why) { (void)why; }

 protected:
  ~Handler() = default;
};

/// Bytes of later requests that a connection holds while it handles one.
inline constexpr std::size_t kReadAheadBytes = 16 * 1024;

struct Limits {
  std::size_t header_bytes = 16 * 1024;              ///< request line and headers: 431
  std::size_t body_bytes = 1024 * 1024;              ///< 413
  std::size_t connections = 64;                      ///< above: the idlest makes room, or 503
  std::chrono::milliseconds header_timeout{10'000};  ///< whole request must be in by then: 408
  std::chrono::milliseconds idle_timeout{60'000};    ///< between requests: silent close
  std::chrono::milliseconds write_timeout{10'000};   ///< a client that does not read: cut off
};

/// A stopping server waits so long for the end of handshakes that have begun. Who comes meanwhile
/// hears nothing and is refused by TCP's next try, so it is short.
inline constexpr std::chrono::milliseconds kHandshake{20};
/// A stopping server waits so long for the first request of a connection.
inline constexpr std::chrono::milliseconds kFirstRequest{100};

/// Since the server was made; for metrics.
struct Counters {
  std::uint64_t accepted = 0;       ///< connections, those over the limit included
  std::uint64_t over_limit = 0;     ///< connections sent away with 503
  std::uint64_t displaced = 0;      ///< idle connections closed to make room for new ones
  std::uint64_t accept_pauses = 0;  ///< the system ran out of descriptors or memory
  std::uint64_t requests = 0;       ///< handed to the handler
  std::uint64_t refused = 0;        ///< requests answered with an error without being handled
  std::uint64_t abandoned = 0;      ///< requests whose client left, or read too slowly
};

/// Loop, network and handler must outlive it. Not to be destroyed by a handler's task.
class Server final : public io::AcceptHandler {
 public:
  Server(io::Loop& loop, io::Network& network, Handler& handler, Limits limits);
  ~Server();

  /// May be called for several addresses. Address::port 0 is replaced by the kernel's choice.
  Result<Address> listen(const Address& address);
  /// No new connections, beside those that the kernel has begun to accept already; each open one
  /// ends after its current answer ("Connection: close"), those between requests at once, and those
  /// that have not had a request yet after kFirstRequest. is_drained() when all have ended.
  void stop_accepting();
  std::size_t connections() const;
  /// Nobody is connected, and nobody can be any more.
  bool is_drained() const;
  const Counters& counters() const;

  void on_accept(std::unique_ptr<io::Stream> stream) override;
  void on_accept_paused(const Error& why) override;

 private:
  class Connection;
  struct State;
  enum class Fresh : bool { stay, too };
  void displace_idlest();

  std::unique_ptr<State> state_;
};

}  // namespace consort::http
