// Decides when a leaf call that is late gets a second copy at another replica, and when better not.
//
// Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): a second copy after the 95th percentile
// costs at most 5 % more calls and cuts the tail off. Three bounds keep it from making things
// worse:
//   - the percentile is taken from what calls of this kind really took in the last 30 s, refreshed
//     every 3 s (Finagle's BackupRequestFilter), so when everything is slow the delay grows too
//   - a budget: hedges <= max_extra x calls within 10 s, with Finagle's reserve of 10 per second;
//     and of every 10 000 calls never more than max_extra + 1 %, however slowly they come
//   - the moment: when a fifth of a request's shards are late the cause is systemic, and a target
//     that is busier than usual would only pass its slowness on (LAEDGE, Primorac et al., NSDI'21)
//
// One policy for each route and shard group, never for each replica: a replica's own percentile
// would justify its own slowness.
//
//   call starts:  on_original(now); at = delay_us(now) ? start + *delay : never
//   at that time: may_hedge(..) go           -> start the copy
//                               systemic     -> ask again one delay later: most late calls are only
//                               target_busy     just late, and are gone by then
//                               no_budget    -> wait for the original
//   call ends:    record(us) of a success or a timeout, and of an attempt that lost or was cut off
//                 once it was late. Never of a fast failure: it would pull the percentile down, and
//                 a leaf that refuses connections would cause a storm of hedges. Nor of a copy cut
//                 off young, which says nothing.
//
// Cost: record() and on_original() 4 ns, delay_us() 2 ns, may_hedge() 6 ns; no allocation after the
// first sample. 7.5 KiB each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/options.hpp"
#include "base/windowed_histogram.hpp"
#include "net/token_budget.hpp"

namespace consort::gather {

/// Text form: "off", or up to three parts in any order, separated by ":": the percentile (p50 ..
/// p99.9), the extra load (0.1% .. 100%), a fixed delay. "p95:5%", "p99:1%:20ms", "10ms", "5%".
/// "min=2ms" beside them is the least delay.
struct HedgeOptions {
  bool enabled = false;
  double percentile = 0.95;  ///< 0: none, always the fixed delay
  double max_extra = 0.05;   ///< hedges per call
  Millis min_delay{1};
  std::optional<Millis> delay;  ///< until there are 100 samples; without it no hedge until then

  /// A duration without a percentile is always the delay. Without either the percentile is
  /// 1 - extra load, and the extra load 5 % when it is not given.
  static Result<HedgeOptions> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const HedgeOptions&, const HedgeOptions&) = default;
};

/// Belongs to one loop. Time is given and should not run backwards.
class HedgePolicy {
 public:
  static constexpr std::uint64_t kMinSamples = 100;
  static constexpr std::uint64_t kRefreshMs = 3'000;
  static constexpr std::uint32_t kReservePerSecond = 10;
  /// Of this many calls at most max_extra + 1 % are hedged.
  static constexpr std::uint32_t kBlockCalls = 10'000;

  explicit HedgePolicy(HedgeOptions options = {});

  void record(std::uint64_t us, std::uint64_t now_ms);
  /// None: do not hedge (off, too few samples, or so slow that nothing is late).
  std::optional<std::uint64_t> delay_us(std::uint64_t now_ms);
  void on_original(std::uint64_t now_ms);

  enum class Answer : std::uint8_t { go, no_budget, systemic, target_busy };
  struct Moment {
    std::uint32_t late = 1;   ///< shards of this request past their delay now, this one included
    std::uint32_t width = 1;  ///< shards of this request
    std::uint32_t target_inflight = 0;  ///< of the replica that would get the copy
    std::uint32_t target_usual = 1;     ///< its ReplicaStats::median_inflight()
  };
  /// "go" has taken the tokens, from this budget and from the one that retries share: then the copy
  /// must be sent. Any other answer has taken nothing.
  Answer may_hedge(std::uint64_t now_ms, const Moment& moment, TokenBudget& shared_retries);

  const HedgeOptions& options() const { return options_; }
  /// Hedges that the budget would allow now.
  double balance(std::uint64_t now_ms) { return budget_.balance(now_ms); }

 private:
  void refresh(std::uint64_t now_ms);
  bool has_allowance() const;

  HedgeOptions options_;
  TokenBudget budget_;
  WindowedHistogram latencies_;
  std::uint64_t next_refresh_ms_ = 0;
  std::optional<std::uint64_t> percentile_us_;
  std::uint32_t block_calls_ = 0;
  std::uint32_t block_hedges_ = 0;
};

std::string_view to_string(HedgePolicy::Answer answer);

}  // namespace consort::gather

template <>
struct consort::Text<consort::gather::HedgeOptions> : PlainText<consort::gather::HedgeOptions> {
  static constexpr std::string_view kind = "hedge";
  static Result<gather::HedgeOptions> parse(std::string_view text) {
    return gather::HedgeOptions::parse(text);
  }
  static std::string print(const gather::HedgeOptions& value) { return value.to_string(); }
};
