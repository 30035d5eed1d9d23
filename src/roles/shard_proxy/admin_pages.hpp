// GET /servers and GET /explain: what the pools know of their servers, and where a key lies now.
//
//   /servers               {"pools":[{"name":..,"servers":[{"name":..,"state":"up",..}]}]}
//   /explain?key=K[&pool=P]  {"key":"K","pools":[{"pool":..,"hash":..,"server":..}]}
//
// Times are in seconds and latencies in milliseconds; null is what does not apply. A server's state
// is up, down, unknown (nobody has asked it yet) or ejected (down, and its keys are with others).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "manage/role.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/pool_source.hpp"

namespace consort::shard_proxy {

inline constexpr AdminPage kPages[] = {
    {"GET", "/servers", "state, load and latency of each server, pool by pool"},
    {"GET", "/explain", "the server that holds a key now; ?key=KEY[&pool=NAME]"},
};

struct ShownPool {
  Pool& pool;
  const PoolSource* source = nullptr;  ///< when its servers are discovered
};

/// Answers a question for one of kPages. `now_ms` is the loop's clock.
AdminAnswer answer_page(const AdminQuestion& question, std::span<const ShownPool> pools,
                        std::uint64_t now_ms);

}  // namespace consort::shard_proxy
