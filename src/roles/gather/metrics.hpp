// What a root counts, by route.
#pragma once

#include <array>
#include <string>

#include "base/metrics.hpp"
#include "roles/gather/hedge_policy.hpp"
#include "roles/gather/outcome.hpp"
#include "roles/gather/outliers.hpp"

namespace consort::gather {

/// Where a limit of ours ended something.
enum class LimitHit : std::uint8_t {
  none,
  inflight,
  fanout,
  replica,
  leaf_body,
  total_body,
  memory,
  request_body,
  header_bytes,
};
inline constexpr std::size_t kLimitHits = 9;
std::string_view to_string(LimitHit limit);

/// consort_gather_*: of one route. Series live as long as the registry, so a route that comes back
/// goes on counting.
struct RouteMetrics {
  RouteMetrics(Registry& registry, const std::string& route);

  void count_answer(int status);
  void count_coverage(double percent);
  Counter& hedge(HedgePolicy::Answer answer) {
    return *hedges_refused[static_cast<std::size_t>(answer)];
  }

  std::array<Counter*, 5> requests{};      ///< by the first digit of the status
  std::array<Counter*, 7> leaf_results{};  ///< by LeafVerdict, one per shard and request
  Counter& leaf_calls;
  Counter& hedges_won;
  Counter& hedges_lost;
  Counter& hedges_no_replica;
  std::array<Counter*, 4> hedges_refused{};  ///< by HedgePolicy::Answer; "go" counts those sent
  Counter& retries_sent;
  Counter& retries_no_budget;
  std::array<Counter*, 5> coverage{};
  Counter& clients_gone;
  LatencyHistogram& request_seconds;
  LatencyHistogram& leaf_seconds;
  LatencyHistogram& merge_seconds;
  Gauge& hedge_balance;
  Gauge& retry_balance;
};

/// Of the whole root.
struct RootMetrics {
  explicit RootMetrics(Registry& registry);

  Gauge& inflight;
  Gauge& queued;
  Gauge& memory_bytes;
  Gauge& shards;
  Gauge& shards_without_replica;
  Gauge& topology_epoch;
  Counter& topology_changes;
  Counter& topology_failures;
  Counter& malformed_deadlines;
  Counter& expired_deadlines;
  Counter& loops;
  std::array<Counter*, kLimitHits> limits{};
  std::array<Counter*, 5> ejections{};  ///< by EjectReason
  Counter& returns;
};

}  // namespace consort::gather
