// Chooses which replica of a shard gets the next attempt.
//
//   all replicas -- drained, tried, full, ejected, over the probe cap --> left out
//                -- lowest tier that has any ---------------------------> candidates
//                -- SelectPolicy ---------------------------------------> one
//
// adaptive        Power of two choices (Mitzenmacher, 2001): one candidate is drawn by weight; a
//                 second one, drawn from the rest, replaces it when it is clearly better, that is
//                 when its cost x (in flight / weight + 1) / share of successes is 1.25 times
//                 lower. So replicas that are alike share by weight, and a slow one is left alone
//                 until its cost has faded. When both report their service time, C3's rank is
//                 compared instead.
// round_robin     in turn, each as often as its weight says
// random          by weight
// least_inflight  the fewest calls in flight per weight; a draw is decided by weight
//
// No news is not good news. A replica with fewer than 20 samples, or none in the last 10 s, is
// never believed to be better than its best well-known peer; and while there is such a peer, a new
// one has at most `probe_inflight` calls in flight, whatever the policy (elasticsearch#144937).
//
// An ejected replica gets one first attempt every 5 s as a probe. Beyond that it is called only
// when no other replica is left to try, since doubtful is better than certainly nothing; never for
// a hedge, which has the original still running.
//
// Limits: of a shard with more than 64 replicas each pick looks at 64 neighbours from a random
// place. Cost: 40 ns for two replicas, 6 ns for each further one; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/options.hpp"
#include "base/random.hpp"
#include "roles/gather/replica_stats.hpp"

namespace consort::gather {

enum class SelectPolicy : std::uint8_t { adaptive, round_robin, random, least_inflight };

/// Belongs to one loop. One for each shard: round_robin counts its own turns.
class ReplicaChoice {
 public:
  static constexpr std::size_t kMaxLookedAt = 64;

  struct Options {
    SelectPolicy policy = SelectPolicy::adaptive;
    std::uint32_t max_inflight = 64;   ///< per replica
    std::uint32_t probe_inflight = 2;  ///< of a new replica beside well-known ones
  };

  ReplicaChoice() : ReplicaChoice(Options{}) {}
  explicit ReplicaChoice(Options options) : options_(options) {}

  enum class For : std::uint8_t { call /* the first attempt, or a failover */, hedge };

  /// The index of the replica to call, none when nothing is left. The caller makes the call
  /// (on_start) before the next pick. `tried` are the indices this shard call has used already.
  std::optional<std::size_t> pick(std::span<ReplicaStats* const> replicas,
                                  std::span<const std::uint32_t> tried, std::uint64_t now_ms,
                                  Random& random, For purpose = For::call);

 private:
  Options options_;
  std::uint32_t turn_ = 0;
};

}  // namespace consort::gather

template <>
struct consort::Choices<consort::gather::SelectPolicy> {
  static constexpr std::string_view names[] = {"adaptive", "round-robin", "random",
                                               "least-inflight"};
};
