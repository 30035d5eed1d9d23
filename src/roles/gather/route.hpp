// What a running root keeps per route, and for all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/loop.hpp"
#include "net/token_budget.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/external_merge.hpp"
#include "roles/gather/hedge_policy.hpp"
#include "roles/gather/leaf_request.hpp"
#include "roles/gather/metrics.hpp"

namespace consort::gather {

/// Bytes of leaves' answers, of all requests together.
class MemoryBudget {
 public:
  MemoryBudget(std::uint64_t bytes_max, Gauge& gauge) : bytes_max_(bytes_max), gauge_(gauge) {}
  /// False, and nothing taken, when it would be too much.
  bool take(std::uint64_t bytes) {
    if (bytes > bytes_max_ - std::min(used_, bytes_max_)) return false;
    force(bytes);
    return true;
  }
  /// What has been copied already, however much it is.
  void force(std::uint64_t bytes) {
    used_ += bytes;
    gauge_.set(static_cast<std::int64_t>(used_));
  }
  void give(std::uint64_t bytes) {
    used_ -= bytes;
    gauge_.set(static_cast<std::int64_t>(used_));
  }
  void set_max(std::uint64_t bytes_max) { bytes_max_ = bytes_max; }

 private:
  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
  Gauge& gauge_;
};

/// One route while the root runs. Requests hold it: a reload makes new ones.
struct RouteState {
  RouteState(const Services& services, RouteConfig route, std::string_view instance);

  /// Good by the route's lists.
  bool is_ok(int status) const;
  bool is_empty(int status) const;
  /// How long merging is expected to take, kept free at the end of the request's time.
  std::uint64_t merge_reserve_ms(std::uint64_t now_ms);

  const RouteConfig config;
  ScatterTemplates templates;
  const std::string via;
  HedgePolicy hedges;
  TokenBudget retries;
  WindowedHistogram merge_times;
  std::unique_ptr<ExternalMerge> merge;  ///< null: a built-in one
  RouteMetrics metrics;
};

/// What all requests of a root share.
struct RootState {
  RootState(const Services& services_, const Limits& limits_);

  const Services services;
  Limits limits;
  RootMetrics metrics;
  MemoryBudget memory;
  std::string scratch;  ///< for what is put together and copied in one go
  OutlierDetector outliers;
  /// After a failure: a replica that may have come over a limit is looked at soon.
  void note_failure(const ReplicaStats& replica, std::uint64_t now_ms) {
    if (on_suspect && outliers.is_suspect(replica, now_ms)) on_suspect();
  }
  std::function<void()> on_suspect;
};

}  // namespace consort::gather
