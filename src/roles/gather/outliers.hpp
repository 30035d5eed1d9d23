// Decides which replicas are left out for a while because they fail, or because they are far slower
// than their peers, and when they come back.
//
// The rules and constants are Envoy's (api/envoy/config/cluster/v3/outlier_detection.proto), and
// the last one is ours, since Envoy names the axis but has no detector for it:
//   consecutive_errors   5 failures in a row of any kind
//   consecutive_gateway  5 in a row of 502, 503, 504, refused, reset or timed out. Whatever this
//                        counts the rule above counts too, so it acts only with another threshold.
//   success_rate         below mean - 1.9 x standard deviation of all replicas; with at least 5
//                        replicas that had 100 calls each in the interval
//   failure_percent      85 % of the interval's calls failed; same, with 50 calls each
//   latency              its median over the last 10 to 20 s is more than 5 times that of its
//                        shard's other replicas, and more than 50 ms; with 10 samples each. Below
//                        50 ms adaptive choice avoids it well enough without any ejection.
//
// The first two act at the next tick, the others when the interval of 10 s ends. An ejection lasts
// 30 s x times ejected in a row, at most 300 s; each interval in which the replica was never out
// takes one off. At most 10 % of all replicas are out at a time, but one may always be.
// Never out is the last usable replica of a shard, whatever it does.
//
// A probe (replica_choice.hpp) that succeeds brings a replica back early; one that was ejected for
// its latency must also answer within 5 times its peers' median.
//
// Cost: a tick looks at each replica once, a few ns each; once per interval 1 us each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "roles/gather/replica_stats.hpp"

namespace consort::gather {

std::string_view to_string(EjectReason reason);

struct OutlierOptions {
  bool enabled = true;
  std::uint32_t consecutive_errors = 5;   ///< 0: never
  std::uint32_t consecutive_gateway = 5;  ///< 0: never
  std::uint64_t interval_ms = 10'000;
  std::uint64_t base_ejection_ms = 30'000;
  std::uint64_t max_ejection_ms = 300'000;
  std::uint32_t max_ejection_percent = 10;
  double success_rate_deviations = 1.9;
  std::uint32_t success_rate_replicas = 5;
  std::uint32_t success_rate_calls = 100;
  std::uint32_t failure_percent = 85;
  std::uint32_t failure_percent_replicas = 5;
  std::uint32_t failure_percent_calls = 50;
  double latency_factor = 5;
  std::uint64_t latency_min_us = 50'000;
  std::uint64_t latency_samples = 10;
};

/// For a log line and a counter.
struct OutlierEvent {
  enum class Kind : std::uint8_t { ejected, returned };
  Kind kind;
  ReplicaStats* replica;
  EjectReason reason;    ///< returned: of the ejection that ends
  std::uint64_t for_ms;  ///< ejected: how long
};

/// Belongs to one loop, and alone judges the replicas it is shown: one for all routes.
class OutlierDetector {
 public:
  /// The replicas of one shard. A replica may be in several.
  using Group = std::span<ReplicaStats* const>;

  explicit OutlierDetector(OutlierOptions options = {}) : options_(options) {}

  /// True when a failure has just brought the replica to a limit that acts at once (or to twice it,
  /// and so on): then tick now. Cheap enough to ask after every failure.
  bool is_suspect(const ReplicaStats& replica, std::uint64_t now_ms) const;

  /// Ejects and brings back; call it at least once per second. What it gives is valid until the
  /// next call. A replica that leaves the topology needs no farewell.
  std::span<const OutlierEvent> tick(std::uint64_t now_ms, std::span<const Group> groups);

 private:
  using Groups = std::span<const Group>;

  void list_replicas(Groups groups);
  void count_usable(std::uint64_t now_ms, Groups groups);
  void announce_returns(std::uint64_t now_ms);
  void eject_consecutive(std::uint64_t now_ms, Groups groups);
  void eject_by_success_rate(std::uint64_t now_ms, Groups groups);
  void eject_by_failure_percent(std::uint64_t now_ms, Groups groups);
  void eject_by_latency(std::uint64_t now_ms, Groups groups);
  void end_interval(std::uint64_t now_ms);
  void eject(ReplicaStats& replica, std::uint64_t now_ms, EjectReason reason, Groups groups,
             std::uint64_t probe_limit_us = UINT64_MAX);

  OutlierOptions options_;
  std::uint64_t interval_end_ms_ = 0;
  std::uint64_t ticks_ = 0;
  std::size_t ejected_ = 0;
  std::vector<ReplicaStats*> replicas_;  ///< each once
  std::vector<std::uint64_t> medians_;
  std::vector<OutlierEvent> events_;
};

}  // namespace consort::gather
