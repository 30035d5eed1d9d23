// The private connections of a pool: leased to clients, handed back clean, bounded in number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "async/timer.hpp"
#include "roles/shard_proxy/private_link.hpp"

namespace consort::shard_proxy {

class Pool;

/// An idle connection is kept for the next client for kIdleMs, newest first, so that a transaction
/// does not cost a connection. Not more than private_connections are open at a time, idle ones
/// included; idle ones make room.
class PrivateLinks final : private PrivateLink::Owner {
 public:
  static constexpr std::uint64_t kIdleMs = 30'000;

  explicit PrivateLinks(Pool& pool);
  ~PrivateLinks();

  /// Null when the limit is reached.
  std::unique_ptr<PrivateLink> lease(Upstream& upstream, Lane lane, PrivateLink::Owner& owner);
  /// Whoever gets it next must find it as if it were new: no WATCH, no subscription, nothing under
  /// way. A dead one may be given too.
  void give_back(std::unique_ptr<PrivateLink> link);
  /// Closes it: its state is anybody's guess.
  void discard(std::unique_ptr<PrivateLink> link);
  /// The server leaves the pool.
  void drop_idle(const Upstream& upstream);
  std::size_t open() const { return open_; }

 private:
  struct Idle {
    std::unique_ptr<PrivateLink> link;
    std::uint64_t since_ms;
  };

  void on_private_idle(PrivateLink&) override {}
  void on_private_lost(PrivateLink& link, const std::string& reason) override;
  void on_timer();

  Pool& pool_;
  std::vector<Idle> idle_;  ///< oldest first
  std::size_t open_ = 0;
  Timer timer_;
};

}  // namespace consort::shard_proxy
