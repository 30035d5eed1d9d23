#include "roles/gather/outliers.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

namespace consort::gather {
namespace {

bool is_usable(const ReplicaStats& replica, std::uint64_t now_ms) {
  return !replica.is_drained() && !replica.is_ejected(now_ms);
}

double success_rate(const ReplicaStats::Tally& tally) {
  return 1 - static_cast<double>(tally.interval_failures) / tally.interval_calls;
}

/// The counter has just arrived at a multiple of its threshold.
bool has_reached(std::uint32_t count, std::uint32_t threshold) {
  return threshold > 0 && count > 0 && count % threshold == 0;
}

std::optional<std::uint64_t> median_us(ReplicaStats& replica, std::uint64_t now_ms,
                                       std::uint64_t min_samples) {
  if (!is_usable(replica, now_ms) || replica.recent_samples(now_ms) < min_samples) {
    return std::nullopt;
  }
  return replica.percentile_us(0.5, now_ms);
}

}  // namespace

std::string_view to_string(EjectReason reason) {
  switch (reason) {
    case EjectReason::consecutive_errors:
      return "consecutive_errors";
    case EjectReason::consecutive_gateway:
      return "consecutive_gateway";
    case EjectReason::success_rate:
      return "success_rate";
    case EjectReason::failure_percent:
      return "failure_percent";
    case EjectReason::latency:
      return "latency";
  }
  return "unknown";
}

bool OutlierDetector::is_suspect(const ReplicaStats& replica, std::uint64_t now_ms) const {
  if (!options_.enabled || replica.is_ejected(now_ms)) return false;
  const ReplicaStats::Tally& tally = replica.tally();
  return has_reached(tally.consecutive_errors, options_.consecutive_errors) ||
         has_reached(tally.consecutive_gateway, options_.consecutive_gateway);
}

std::span<const OutlierEvent> OutlierDetector::tick(std::uint64_t now_ms, Groups groups) {
  events_.clear();
  list_replicas(groups);
  announce_returns(now_ms);
  if (!options_.enabled) return events_;
  ejected_ = static_cast<std::size_t>(std::ranges::count_if(
      replicas_, [&](const ReplicaStats* replica) { return replica->is_ejected(now_ms); }));
  count_usable(now_ms, groups);
  eject_consecutive(now_ms, groups);
  if (interval_end_ms_ == 0) interval_end_ms_ = now_ms + options_.interval_ms;
  if (now_ms < interval_end_ms_) return events_;
  interval_end_ms_ = now_ms + options_.interval_ms;
  eject_by_success_rate(now_ms, groups);
  eject_by_failure_percent(now_ms, groups);
  eject_by_latency(now_ms, groups);
  end_interval(now_ms);
  return events_;
}

void OutlierDetector::list_replicas(Groups groups) {
  replicas_.clear();
  ++ticks_;
  for (Group group : groups) {
    for (ReplicaStats* replica : group) {
      if (replica->tally().listed_at == ticks_) continue;
      replica->tally().listed_at = ticks_;
      replicas_.push_back(replica);
    }
  }
}

void OutlierDetector::announce_returns(std::uint64_t now_ms) {
  for (ReplicaStats* replica : replicas_) {
    ReplicaStats::Tally& tally = replica->tally();
    if (!tally.was_ejected || (replica->is_ejected(now_ms) && options_.enabled)) continue;
    tally.was_ejected = false;
    tally.was_out = true;
    // A probe has restored it already, and again does no harm.
    replica->restore();
    events_.push_back({.kind = OutlierEvent::Kind::returned,
                       .replica = replica,
                       .reason = replica->eject_reason().value_or(EjectReason::consecutive_errors),
                       .for_ms = 0});
  }
}

void OutlierDetector::count_usable(std::uint64_t now_ms, Groups groups) {
  for (ReplicaStats* replica : replicas_) replica->tally().fewest_usable = UINT32_MAX;
  for (Group group : groups) {
    const auto usable = static_cast<std::uint32_t>(std::ranges::count_if(
        group, [&](const ReplicaStats* replica) { return is_usable(*replica, now_ms); }));
    for (ReplicaStats* replica : group) {
      std::uint32_t& fewest = replica->tally().fewest_usable;
      fewest = std::min(fewest, usable);
    }
  }
}

void OutlierDetector::eject_consecutive(std::uint64_t now_ms, Groups groups) {
  for (ReplicaStats* replica : replicas_) {
    const ReplicaStats::Tally& tally = replica->tally();
    auto is_over = [](std::uint32_t count, std::uint32_t limit) {
      return limit > 0 && count >= limit;
    };
    if (is_over(tally.consecutive_errors, options_.consecutive_errors)) {
      eject(*replica, now_ms, EjectReason::consecutive_errors, groups);
    } else if (is_over(tally.consecutive_gateway, options_.consecutive_gateway)) {
      eject(*replica, now_ms, EjectReason::consecutive_gateway, groups);
    }
  }
}

void OutlierDetector::eject_by_success_rate(std::uint64_t now_ms, Groups groups) {
  double sum = 0;
  double squares = 0;
  std::uint32_t judged = 0;
  auto counts = [&](const ReplicaStats& replica) {
    const std::uint32_t calls = replica.tally().interval_calls;
    return is_usable(replica, now_ms) && calls > 0 && calls >= options_.success_rate_calls;
  };
  for (const ReplicaStats* replica : replicas_) {
    if (!counts(*replica)) continue;
    const double rate = success_rate(replica->tally());
    sum += rate;
    squares += rate * rate;
    ++judged;
  }
  if (judged == 0 || judged < options_.success_rate_replicas) return;
  const double mean = sum / judged;
  const double deviation = std::sqrt(std::max(0.0, squares / judged - mean * mean));
  const double limit = mean - options_.success_rate_deviations * deviation;
  // The sums are rounded: without a margin replicas that are all alike could fall below the mean.
  constexpr double kRounding = 1e-6;
  for (ReplicaStats* replica : replicas_) {
    if (!counts(*replica) || success_rate(replica->tally()) >= limit - kRounding) continue;
    eject(*replica, now_ms, EjectReason::success_rate, groups);
  }
}

void OutlierDetector::eject_by_failure_percent(std::uint64_t now_ms, Groups groups) {
  auto counts = [&](const ReplicaStats* replica) {
    const std::uint32_t calls = replica->tally().interval_calls;
    return is_usable(*replica, now_ms) && calls > 0 && calls >= options_.failure_percent_calls;
  };
  const auto judged = std::ranges::count_if(replicas_, counts);
  if (judged < static_cast<std::ptrdiff_t>(options_.failure_percent_replicas)) return;
  for (ReplicaStats* replica : replicas_) {
    const ReplicaStats::Tally& tally = replica->tally();
    const std::uint64_t failures = tally.interval_failures;
    const std::uint64_t calls = tally.interval_calls;
    if (!counts(replica) || failures * 100 < calls * options_.failure_percent) continue;
    eject(*replica, now_ms, EjectReason::failure_percent, groups);
  }
}

void OutlierDetector::eject_by_latency(std::uint64_t now_ms, Groups groups) {
  for (Group group : groups) {
    medians_.clear();
    for (ReplicaStats* replica : group) {
      if (auto median = median_us(*replica, now_ms, options_.latency_samples)) {
        medians_.push_back(*median);
      }
    }
    if (medians_.size() < 2) continue;
    std::ranges::sort(medians_);
    for (ReplicaStats* replica : group) {
      const auto median = median_us(*replica, now_ms, options_.latency_samples);
      if (!median || *median <= options_.latency_min_us) continue;
      // The median of the others: without this one, which stands in the upper half.
      const std::uint64_t peers = medians_[(medians_.size() - 2) / 2];
      const double limit = static_cast<double>(peers) * options_.latency_factor;
      if (static_cast<double>(*median) <= limit) continue;
      const auto probe_limit = static_cast<std::uint64_t>(limit);
      eject(*replica, now_ms, EjectReason::latency, groups,
            std::max(probe_limit, options_.latency_min_us));
    }
  }
}

void OutlierDetector::end_interval(std::uint64_t now_ms) {
  for (ReplicaStats* replica : replicas_) {
    ReplicaStats::Tally& tally = replica->tally();
    tally.interval_calls = 0;
    tally.interval_failures = 0;
    if (!tally.was_out && tally.times_ejected > 0) --tally.times_ejected;
    tally.was_out = replica->is_ejected(now_ms);
  }
}

void OutlierDetector::eject(ReplicaStats& replica, std::uint64_t now_ms, EjectReason reason,
                            Groups groups, std::uint64_t probe_limit_us) {
  const std::size_t allowed =
      std::max<std::size_t>(1, replicas_.size() * options_.max_ejection_percent / 100);
  if (ejected_ >= allowed) return;
  if (!is_usable(replica, now_ms) || replica.tally().fewest_usable < 2) return;
  ReplicaStats::Tally& tally = replica.tally();
  if (tally.times_ejected < UINT32_MAX) ++tally.times_ejected;
  const std::uint64_t for_ms =
      std::min(options_.base_ejection_ms * tally.times_ejected, options_.max_ejection_ms);
  replica.eject(now_ms, for_ms, reason, probe_limit_us);
  events_.push_back({.kind = OutlierEvent::Kind::ejected,
                     .replica = &replica,
                     .reason = reason,
                     .for_ms = for_ms});
  ++ejected_;
  // Linear in replicas, but at most for a tenth of them.
  count_usable(now_ms, groups);
}

}  // namespace consort::gather
