// nutcracker's statistics under nutcracker's names, for dashboards that were made for it: whoever
// connects to --stats-port gets one JSON object, and the connection is closed.
//
//   {"service":"nutcracker","source":HOST,"version":..,"uptime":S,"timestamp":S,
//    "total_connections":N,"curr_connections":N,
//    POOL:{"client_eof":N,..,"fragments":N, SERVER:{"server_eof":N,..,"out_queue_bytes":N}}}
//
// Names and shape as nutcracker 0.5.0 prints them. Where its numbers have no exact counterpart:
// server_timedout counts requests (its connection dies with the first), server_err connections that
// failed to come about, fragments requests that were split, in_queue and out_queue_bytes stay 0 (a
// request is one buffer until it is written).
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>

#include "async/timer.hpp"
#include "manage/role.hpp"
#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {

/// What the pools do not know themselves.
struct StatsFacts {
  std::string host;
  std::int64_t wall_ms = 0;  ///< since 1970
  std::uint64_t now_ms = 0;  ///< the same moment on the loop's clock
  std::uint64_t started_ms = 0;
  std::uint64_t listeners = 0;  ///< nutcracker counts them as connections
};

std::string nutcracker_stats(const StatsFacts& facts, std::span<Pool* const> pools);

/// The listener. What is asked is made at once and sent as the peer takes it; a peer that takes it
/// too slowly, or does not go, is closed after kPatienceMs, or when newer ones need its place.
class StatsPort final : private io::AcceptHandler {
 public:
  static constexpr std::size_t kMaxPeers = 16;
  static constexpr std::uint64_t kPatienceMs = 5000;

  using Tell = std::function<std::string()>;
  static Result<std::unique_ptr<StatsPort>> open(const Services& services, const Address& address,
                                                 Tell tell);
  /// Does not listen yet: for open().
  StatsPort(const Services& services, const Address& address, Tell tell);
  ~StatsPort();

  const Address& asked_for() const { return asked_for_; }
  std::size_t peers() const { return peers_.size(); }

 private:
  class PeerConnection;

  void on_accept(std::unique_ptr<io::Stream> stream) override;
  void on_accept_paused(const Error& why) override;
  void drop(PeerConnection& peer);
  void on_timer();

  const Services& services_;
  const Address asked_for_;
  const Tell tell_;
  std::list<std::unique_ptr<PeerConnection>> peers_;  ///< oldest first
  Timer timer_;
  std::unique_ptr<io::Listener> listener_;
};

}  // namespace consort::shard_proxy
