// How many keys change their server when one configuration follows another: `--diff`, the dry run
// of a reload, and the log of a real one. A key that moves is a miss, or lost data where the
// servers are no mere cache.
//
// The share is counted on random keys, always the same ones, through both placements; that is what
// "about" says: 100 000 keys are good for a fifth of a percent, 10 000 for half a one (one standard
// deviation). A server is its address: under another name it has the same data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roles/shard_proxy/config.hpp"

namespace consort::shard_proxy {

/// A pool's settings with the servers that they are applied to: those that a source found too.
struct PlacedPool {
  const PoolConfig& config;
  std::span<const ServerSpec> servers;
};

/// For a question that runs by itself. Costs 15 ms with 8 servers on ketama.
inline constexpr std::uint32_t kReportKeys = 100'000;
/// For one that is answered on the loop that serves clients. Linear in the servers for rendezvous,
/// which with hundreds of them takes tens of milliseconds.
inline constexpr std::uint32_t kLiveKeys = 10'000;

struct PlacementDiff {
  struct Server {
    std::string name;
    std::string address;
    double before = 0;  ///< its share of the keys, 0 to 1
    double after = 0;
    bool is_before = false;
    bool is_after = false;
  };
  double moved = 0;             ///< share of the keys that get another address
  double least = 0;             ///< what any placement with these shares would have had to move
  std::vector<Server> servers;  ///< those of before in their order, then the new ones
};

/// Neither side may be without servers or `random`: see has_places().
PlacementDiff diff_placement(const PlacedPool& before, const PlacedPool& after, std::uint32_t keys);
/// Whether keys have a place there that one can speak of.
bool has_places(const PlacedPool& pool);
/// `moved` alone, of kLiveKeys: 0 without a look when both are the same, 0 without places too.
double moved_share(const PlacedPool& before, const PlacedPool& after);
/// A share as a percentage with one digit after the point, for logs.
double percent(double share);

/// "about 25.1 % of the keys move to another server", or why that cannot be said.
std::string describe_move(const PlacedPool& before, const PlacedPool& after, std::uint32_t keys);
/// What `--diff` prints: every pool of either side, server by server, with warnings.
std::string diff_report(std::span<const PoolConfig> before, std::span<const PoolConfig> after);

}  // namespace consort::shard_proxy
