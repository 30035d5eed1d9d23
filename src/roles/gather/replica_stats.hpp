// Everything that a root knows about one replica (one URL): calls in flight, how fast and how well
// it answers, and whether it is drained, ejected or new.
//
//                  20 samples
//      new -----------------------> warm
//       ^                            |  OutlierDetector
//       |  probe succeeds, or        v
//       +-------- time is over --- ejected (a probe every 5 s)
//
// A call is started once and ended once, by exactly one of on_success, on_failure, on_superseded.
// An attempt that lost against its hedge, or that was cancelled, is superseded: it took at least
// the time elapsed so far. Such a lower bound raises what we believe, and never lowers it.
//
// Two averages make up cost_us(): the mean of some 32 calls or 10 s, whichever is less, and the
// peak-EWMA of Finagle (a sample above the average replaces it, else it falls by a third in 4 s).
// The peak counts at most twice the mean, and with its root: where one answer in a hundred takes
// 100 ms everywhere, every peak is 100 ms, and by peaks alone a replica that is ten times slower
// gets a third of the calls (by simulation: 1 to 4 % with this rule). Both fade while no samples
// come, to a third within 10 s, so that a replica that was punished is tried again. So does the
// share of failures, which is kept apart: a server that fails fast must not look fast.
//
// Cost: on_start and on_success together 13 ns, no allocation after the first sample. 1.7 KiB each.
#pragma once

#include <cstdint>
#include <optional>

#include "base/windowed_histogram.hpp"

namespace consort::gather {

/// How an attempt failed, for the outlier rules. A 4xx is an answer: on_success.
enum class ReplicaFailure : std::uint8_t {
  server_error,  ///< a 5xx other than the gateway's
  gateway,       ///< 502, 503, 504, refused, reset, a garbled answer: nothing learnt about speed
  timeout,       ///< counts as gateway, and the time it took is a lower bound for its latency
};

/// What a leaf may tell about itself beside its answer: Server-Timing's dur and Consort-Queue.
struct LeafReport {
  std::optional<double> service_ms;
  std::optional<double> queue;  ///< requests waiting at the leaf
};

enum class EjectReason : std::uint8_t {
  consecutive_errors,
  consecutive_gateway,
  success_rate,
  failure_percent,
  latency,
};

/// Belongs to one loop; the same object for a URL wherever it is a replica. Time is given.
class ReplicaStats {
 public:
  static constexpr std::uint32_t kWarmSamples = 20;
  static constexpr double kDecayMs = 10'000;
  static constexpr std::uint64_t kFreshMs = 10'000;
  static constexpr std::uint64_t kProbeEveryMs = 5'000;

  /// From the topology. Of a shard's replicas only those of the lowest tier that has usable ones
  /// are chosen: 0 for the best priority, 1 and up for the others.
  struct Place {
    std::uint32_t weight = 1;  ///< 0 counts as drained
    std::uint8_t tier = 0;
  };

  ReplicaStats() : ReplicaStats(Place{}) {}
  explicit ReplicaStats(Place place);

  void on_start(std::uint64_t now_ms);
  void on_success(std::uint64_t now_ms, std::uint64_t elapsed_us, LeafReport report = {});
  void on_failure(std::uint64_t now_ms, std::uint64_t elapsed_us, ReplicaFailure failure);
  void on_superseded(std::uint64_t now_ms, std::uint64_t elapsed_us);

  const Place& place() const { return place_; }
  void set_place(Place place) { place_ = place; }
  bool is_drained() const { return is_drained_ || place_.weight == 0; }
  void set_drained(bool is_drained) { is_drained_ = is_drained; }

  std::uint32_t inflight() const { return inflight_; }
  /// The usual number in flight as a call starts, itself included; so at least 1. Follows within
  /// some tens of calls.
  std::uint32_t median_inflight() const;

  /// Successes since the start or since it returned; above kWarmSamples they need not be exact.
  std::uint32_t samples() const { return samples_; }
  bool is_warm() const { return samples_ >= kWarmSamples; }
  bool is_fresh(std::uint64_t now_ms) const {
    return mean_us_ > 0 && now_ms < last_sample_ms_ + kFreshMs;
  }

  /// Enough samples, and recent ones: its cost can be taken at its word.
  bool is_well_known(std::uint64_t now_ms) const { return is_warm() && is_fresh(now_ms); }

  /// What one call is believed to cost, see above; 0 before the first sample.
  double cost_us(std::uint64_t now_ms) const;
  double peak_ewma_us(std::uint64_t now_ms) const;
  double mean_us(std::uint64_t now_ms) const;
  /// Share of calls that failed lately, 0..1.
  double failure_share(std::uint64_t now_ms) const;
  /// The leaf tells its service time and has done so lately: c3_rank() means something.
  bool has_report(std::uint64_t now_ms) const {
    return service_ms_ > 0 && now_ms < last_report_ms_ + kFreshMs;
  }
  /// C3's rank, lower is better (Suresh et al., NSDI'15, in Elasticsearch's form: ms, alpha 0.3).
  double c3_rank() const;

  /// Over the last 10 to 20 s; none without samples.
  std::optional<std::uint64_t> percentile_us(double p, std::uint64_t now_ms) {
    return latencies_.percentile_us(p, now_ms);
  }
  std::uint64_t recent_samples(std::uint64_t now_ms) { return latencies_.count(now_ms); }

  // Ejection. OutlierDetector decides; this only remembers.
  bool is_ejected(std::uint64_t now_ms) const { return now_ms < ejected_until_ms_; }
  std::uint64_t ejected_until_ms() const { return ejected_until_ms_; }
  std::optional<EjectReason> eject_reason() const { return eject_reason_; }
  /// A probe that takes longer than `probe_limit_us` does not end the ejection.
  void eject(std::uint64_t now_ms, std::uint64_t for_ms, EjectReason reason,
             std::uint64_t probe_limit_us = UINT64_MAX);
  /// Ends an ejection. The replica is new again, so that its return is not a flood.
  void restore();
  /// While ejected: no probe is under way and the last one is 5 s old.
  bool is_probe_due(std::uint64_t now_ms) const {
    return is_ejected(now_ms) && inflight_ == 0 && now_ms >= next_probe_ms_;
  }
  /// The next call is a probe: its success ends the ejection. Calls that were in flight before it
  /// prove nothing, and no probe starts while there are any.
  void on_probe(std::uint64_t now_ms) {
    next_probe_ms_ = now_ms + kProbeEveryMs;
    is_probing_ = true;
  }

  /// What the outlier rules count.
  struct Tally {
    std::uint32_t consecutive_errors = 0;   ///< any failure; a success clears it
    std::uint32_t consecutive_gateway = 0;  ///< a success or another failure clears it
    std::uint32_t interval_calls = 0;
    std::uint32_t interval_failures = 0;
    std::uint32_t times_ejected = 0;  ///< in a row: an interval without takes one off
    bool was_out = false;             ///< for a part of this interval
    bool was_ejected = false;         ///< its return is not announced yet
    std::uint32_t fewest_usable = 0;  ///< usable replicas in its smallest shard, itself included
    std::uint64_t listed_at = 0;      ///< number of the tick that has seen it
  };
  Tally& tally() { return tally_; }
  const Tally& tally() const { return tally_; }

 private:
  void end_call();
  void learn(std::uint64_t now_ms, double us);
  void learn_at_least(std::uint64_t now_ms, std::uint64_t elapsed_us);
  void learn_report(std::uint64_t now_ms, double elapsed_ms, const LeafReport& report);
  void learn_outcome(std::uint64_t now_ms, bool failed);

  Place place_;
  bool is_drained_ = false;
  std::uint32_t inflight_ = 0;
  double median_inflight_ = 1;
  std::uint32_t samples_ = 0;
  std::uint64_t last_sample_ms_ = 0;
  double peak_us_ = 0;
  double mean_us_ = 0;
  double failure_share_ = 0;
  std::uint64_t last_outcome_ms_ = 0;
  std::uint64_t last_report_ms_ = 0;
  double response_ms_ = 0;
  double service_ms_ = 0;
  double queue_ = 0;
  std::uint64_t ejected_until_ms_ = 0;
  std::uint64_t next_probe_ms_ = 0;
  std::uint64_t probe_limit_us_ = 0;
  bool is_probing_ = false;
  std::optional<EjectReason> eject_reason_;
  Tally tally_;
  WindowedHistogram latencies_{{.count = 2, .each_ms = 10'000}};
};

}  // namespace consort::gather
