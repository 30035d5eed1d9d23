// What the connections of one http::Pool share; only http_pool*.cc use this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/timer.hpp"
#include "base/error.hpp"
#include "io/dns.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "net/http_pool.hpp"
#include "net/http_pool_names.hpp"
#include "net/url.hpp"
#include "wire/http1_response.hpp"

namespace consort::http::detail {

class PoolCore final : private PoolNames::Listener {
 public:
  PoolCore(io::Loop& loop, io::Network& network, io::Dns& dns, Url url, PoolOptions options);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;
  ~PoolCore();

  void start(Call& call, const CallRequest& request);
  void close_idle();
  void drain();
  Pool::Stats stats() const;

  // --- For its connections ---------------------------------------------------------------------
  /// A fresh connection for a call that has none.
  void open(Call& call);
  /// Until when a connection that becomes idle now is kept; 0: not at all.
  std::uint64_t idle_until_ms(const http1::ResponseStream& answer) const;
  void put_idle(PooledConnection& connection);
  /// Out of all lists; whoever gets it decides when it dies.
  std::unique_ptr<PooledConnection> take_out(PooledConnection& connection);
  /// Tells the owner of a call whose connection has let go of it. The pool may be gone afterwards.
  void deliver(Call& call);
  /// During on_response the call is gone.
  void forget_answering() { answering_ = nullptr; }

  io::Loop& loop;
  io::Network& network;
  const Url url;
  const PoolOptions options;
  PoolNames names;
  Pool::Stats counted;         ///< but for idle and busy
  http1::ResponseHead answer;  ///< of the call that is being answered
  std::string scratch;         ///< head and body of a request, side by side
  bool draining = false;

 private:
  void on_names(const Error* failure) override;
  void sweep();

  Timer sweep_timer_;
  Call* answering_ = nullptr;
  bool* gone_ = nullptr;  ///< while deliver() runs: the destructor says so there
  /// In the order in which they became idle: the newest is used first, the oldest dies first.
  std::vector<PooledConnection*> idle_;
  std::vector<std::unique_ptr<PooledConnection>> all_;
};

}  // namespace consort::http::detail
