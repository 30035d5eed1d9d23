// Many HTTP/1.1 requests to one server over connections that are kept: the hot path of everything
// that asks HTTP servers all the time.
//
//   http::Pool pool(loop, network, dns, url, options);
//   http::Call call(owner);                       // a member of whoever asks
//   pool.start(call, {.method = "GET", .head = head, .may_repeat = true});
//   ... owner.on_response(call): call.status(), call.header("content-type"), call.take_body()
//   ... or owner.on_call_failed(call, failure)
//
// A call under way has one connection to itself; there is no pipelining:
//
//   start() --idle connection--------------------------> busy --answer--> idle (the newest is used
//      |                                                  ^ |              first) or closed
//      +--none--> resolving --> connecting ---------------+ +--~Call--> draining --> idle, or
//      closed
//                     +-------------+--> on_call_failed <-+
//
// Ownership. The caller owns the Call, which allocates nothing itself and may be used again and
// again; its address and the bytes of its request must stay until it has ended. The pool may die
// before its calls: those under way end without a callback. Loop, network, dns and TLS client
// outlive the pool. All of it belongs to the loop's thread.
//
// Callbacks. Each start() ends with exactly one of on_response and on_call_failed, never within
// start(), unless the call or the pool is destroyed first. Both may destroy the call, any other
// call and the pool, and may start calls: one started in on_response gets the connection that has
// just become idle. on_body_bytes may do none of this.
//
// Cancellation. Destroying a Call (or cancel()) that is under way gives it up. The connection is
// closed at once, so that the server sees it, but for one case: with the head in and at most
// kDrainBytesMax of a known length to come, the rest is read and forgotten for at most kDrainTime,
// since that is cheaper for both sides than a new connection.
//
// The idle race: a server may close a kept connection in the moment in which we use it. When such a
// connection ends without a byte of an answer, the request goes out once more, silently, on a fresh
// connection, provided that it may be repeated or that none of it has left.
//
// There is no deadline beyond connecting: whoever asks has one for all that it does and destroys
// the call. There is no back-off and no limit on connections: who chooses among servers does that.
// Cost in steady state: 1 write, 1 read, 0 allocations per call beyond the body's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/options.hpp"
#include "io/dns.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "net/url.hpp"
#include "wire/http1_response.hpp"
#include "wire/proxy_error.hpp"

namespace consort::io {
class TlsClient;
}

namespace consort::http {

struct PoolOptions {
  Millis connect_timeout{100};  ///< resolving the name included
  /// A server's "Keep-Alive: timeout=N" shortens it to N - 1 seconds.
  Millis idle_timeout{60'000};
  std::uint32_t idle_max = 64;                   ///< connections kept while nobody uses them
  std::size_t header_bytes_max = 32 * 1024;      ///< of an answer, interim answers included
  std::size_t body_bytes_max = 8 * 1024 * 1024;  ///< of an answer
  io::TlsClient* tls = nullptr;                  ///< needed for https
  Millis dns_ttl_min{1000};                      ///< what a name's TTL is raised to
  Millis dns_ttl_max{60'000};                    ///< what a name's TTL is cut to
};

/// The bytes must stay until the call has ended.
struct CallRequest {
  std::string_view method;  ///< an answer to HEAD has no body
  std::string_view head;    ///< first line and headers as sent, to the empty line; not looked at
  std::string_view body{};  ///< its length stands in the head
  bool may_repeat = false;  ///< idempotent: the idle race is retried
};

/// io::Loop::now_ns(); 0: it did not happen. After a retry: of the last try, but for started_ns.
struct CallTimes {
  std::uint64_t started_ns = 0;
  std::uint64_t connected_ns = 0;  ///< 0 on a connection that was kept
  std::uint64_t sent_ns = 0;       ///< the kernel has the last byte of the request
  std::uint64_t first_byte_ns = 0;
  std::uint64_t last_byte_ns = 0;
  bool reused = false;  ///< a kept connection
};

struct CallFailure {
  ProxyError reason = ProxyError::proxy_internal_error;
  std::string text;        ///< for people: what happened, at which address
  bool was_sent = false;   ///< a byte of the request may have left: the server may have acted
  bool saw_bytes = false;  ///< of an answer
};

namespace detail {
class PooledConnection;
class PoolCore;
}  // namespace detail

/// One request and its answer.
class Call {
 public:
  class Owner {
   public:
    /// The whole answer, whatever its status. The headers last until this returns.
    virtual void on_response(Call& call) = 0;
    virtual void on_call_failed(Call& call, CallFailure failure) = 0;
    /// More bytes of the body are about to be kept; false gives the call up with
    /// http_response_body_size. Must not start, cancel or destroy anything.
    virtual bool on_body_bytes(Call& /*call*/, std::size_t /*more*/) { return true; }

   protected:
    ~Owner() = default;
  };

  explicit Call(Owner& owner) : owner_(&owner) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  /// Gives it up without a callback; does nothing when it is not under way.
  void cancel();
  bool in_flight() const { return connection_ != nullptr; }

  /// 200..999; 0 before the head has come.
  int status() const { return status_; }
  /// The first value of that name in any case of letters, empty when absent. Only in on_response.
  std::string_view header(std::string_view name) const { return head().find(name); }
  /// All of the head. Only in on_response.
  const http1::ResponseHead& head() const;
  const std::string& body() const { return body_; }
  std::string take_body() { return std::move(body_); }
  const CallTimes& times() const { return times_; }
  /// Of all tries, heads included.
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  friend class detail::PooledConnection;
  friend class detail::PoolCore;

  Owner* owner_;
  detail::PooledConnection* connection_ = nullptr;
  detail::PoolCore* answering_ = nullptr;  ///< during on_response: who holds the head
  CallRequest request_;
  std::string body_;
  CallTimes times_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  int status_ = 0;
  bool was_sent_ = false;
  bool saw_bytes_ = false;
};

class Pool {
 public:
  /// What an early end of interest may cost: see Cancellation above.
  static constexpr std::size_t kDrainBytesMax = 64 * 1024;
  static constexpr Millis kDrainTime{1000};
  /// A request up to this length (beside its head) leaves in one write.
  static constexpr std::size_t kOneWriteBytes = 16 * 1024;
  /// Reserved for a body before any of it has come, whatever its length claims.
  static constexpr std::size_t kReserveBytesMax = 1024 * 1024;

  struct Stats {
    std::size_t idle = 0;
    std::size_t busy = 0;  ///< connections with a call or the rest of one; connecting ones too
    std::uint64_t connects_total = 0;  ///< connections that stood
    std::uint64_t connect_failures_total = 0;
    std::uint64_t calls_total = 0;
    std::uint64_t reused_total = 0;    ///< calls that began on a kept connection
    std::uint64_t repeated_total = 0;  ///< idle races that were retried
    std::uint64_t cancelled_total = 0;
    std::uint64_t drained_total = 0;  ///< cancelled calls whose connection was kept
  };

  Pool(io::Loop& loop, io::Network& network, io::Dns& dns, Url url, PoolOptions options);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  /// The call must not be under way (else CHECK).
  void start(Call& call, const CallRequest& request);
  Stats stats() const;
  /// Closes the connections that nobody uses.
  void close_idle();
  /// For good: closes them, and keeps none from now on. Calls go on and may still be started.
  void drain();

  const Url& url() const;
  io::Loop& loop() const;
  const PoolOptions& options() const;

 private:
  std::unique_ptr<detail::PoolCore> core_;
};

}  // namespace consort::http
