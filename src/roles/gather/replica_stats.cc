#include "roles/gather/replica_stats.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace consort::gather {
namespace {

/// However close the samples come, each moves the mean by this much: it follows within 32 calls.
constexpr double kMeanShare = 1.0 / 32;
/// How much of the peak counts, in means.
constexpr double kMaxPeak = 2;
constexpr double kOutcomeShare = 1.0 / 16;
constexpr double kNegligible = 1e-4;
/// Elasticsearch's, for all three of C3's averages.
constexpr double kReportShare = 0.3;
/// What a leaf may claim; beyond, it is nonsense that must not drown the rank.
constexpr double kMaxQueue = 1e6;
/// A service time of zero would make the queue count for nothing.
constexpr double kMinServiceMs = 0.001;

/// How much of a value is left that was true at `then`.
double fade(std::uint64_t then, std::uint64_t now) {
  if (now <= then) return 1;
  const double age = static_cast<double>(now - then) / ReplicaStats::kDecayMs;
  // Between calls that come close together the tangent will do, for a fifth of the time.
  return age < 0.01 ? 1 - age : std::exp(-age);
}

void follow(double& average, double sample, double share) {
  average += share * (sample - average);
}

}  // namespace

ReplicaStats::ReplicaStats(Place place) : place_(place) {}

void ReplicaStats::on_start(std::uint64_t) {
  ++inflight_;
  // A streaming median (Ma et al., "Frugal Streaming", 2013): as many steps up as down.
  const double step = 0.05 * median_inflight_;
  const auto seen = static_cast<double>(inflight_);
  if (seen > median_inflight_) {
    median_inflight_ = std::min(seen, median_inflight_ + step);
  } else {
    median_inflight_ = std::max(seen, median_inflight_ - step);
  }
}

void ReplicaStats::on_success(std::uint64_t now_ms, std::uint64_t elapsed_us, LeafReport report) {
  latencies_.record(elapsed_us, now_ms);
  learn(now_ms, static_cast<double>(elapsed_us));
  learn_report(now_ms, static_cast<double>(elapsed_us) / 1'000, report);
  learn_outcome(now_ms, false);
  if (samples_ < UINT32_MAX) ++samples_;
  tally_.consecutive_errors = 0;
  tally_.consecutive_gateway = 0;
  if (is_probing_ && elapsed_us <= probe_limit_us_) restore();
  end_call();
}

void ReplicaStats::on_failure(std::uint64_t now_ms, std::uint64_t elapsed_us,
                              ReplicaFailure failure) {
  if (failure == ReplicaFailure::timeout) learn_at_least(now_ms, elapsed_us);
  learn_outcome(now_ms, true);
  ++tally_.consecutive_errors;
  if (failure == ReplicaFailure::server_error) {
    tally_.consecutive_gateway = 0;
  } else {
    ++tally_.consecutive_gateway;
  }
  end_call();
}

void ReplicaStats::on_superseded(std::uint64_t now_ms, std::uint64_t elapsed_us) {
  learn_at_least(now_ms, elapsed_us);
  end_call();
}

std::uint32_t ReplicaStats::median_inflight() const {
  return static_cast<std::uint32_t>(std::lround(median_inflight_));
}

double ReplicaStats::cost_us(std::uint64_t now_ms) const {
  if (mean_us_ <= 0) return 0;
  const double peak = std::min(peak_us_ / mean_us_, kMaxPeak);
  return mean_us_ * std::sqrt(peak) * fade(last_sample_ms_, now_ms);
}

double ReplicaStats::peak_ewma_us(std::uint64_t now_ms) const {
  return peak_us_ * fade(last_sample_ms_, now_ms);
}

double ReplicaStats::mean_us(std::uint64_t now_ms) const {
  return mean_us_ * fade(last_sample_ms_, now_ms);
}

double ReplicaStats::failure_share(std::uint64_t now_ms) const {
  if (failure_share_ <= 0) return 0;  // the usual case, without an exp
  return failure_share_ * fade(last_outcome_ms_, now_ms);
}

double ReplicaStats::c3_rank() const {
  const double weight = std::max(1U, place_.weight);
  const double queue = 1 + static_cast<double>(inflight_) / weight + queue_;
  return response_ms_ - service_ms_ + queue * queue * queue * service_ms_;
}

void ReplicaStats::eject(std::uint64_t now_ms, std::uint64_t for_ms, EjectReason reason,
                         std::uint64_t probe_limit_us) {
  ejected_until_ms_ = now_ms + for_ms;
  next_probe_ms_ = now_ms + kProbeEveryMs;
  probe_limit_us_ = probe_limit_us;
  is_probing_ = false;
  eject_reason_ = reason;
  tally_.was_ejected = true;
  tally_.was_out = true;
}

void ReplicaStats::restore() {
  ejected_until_ms_ = 0;
  is_probing_ = false;
  samples_ = 0;
  // What led to the ejection must not lead to the next one.
  latencies_.clear();
  tally_.consecutive_errors = 0;
  tally_.consecutive_gateway = 0;
  tally_.interval_calls = 0;
  tally_.interval_failures = 0;
}

void ReplicaStats::end_call() {
  // A loser of a hedge that is ended twice would make a busy replica look idle for good.
  CONSORT_CHECK(inflight_ > 0);
  --inflight_;
  is_probing_ = false;
}

void ReplicaStats::learn(std::uint64_t now_ms, double us) {
  us = std::max(us, 1.0);
  const double left = fade(last_sample_ms_, now_ms);
  peak_us_ = std::max(us, peak_us_ * left);
  if (mean_us_ > 0) {
    follow(mean_us_, us, std::max(1 - left, kMeanShare));
  } else {
    mean_us_ = us;
  }
  last_sample_ms_ = now_ms;
}

void ReplicaStats::learn_at_least(std::uint64_t now_ms, std::uint64_t elapsed_us) {
  const auto us = static_cast<double>(elapsed_us);
  if (us <= cost_us(now_ms)) return;
  latencies_.record(elapsed_us, now_ms);
  learn(now_ms, us);
}

void ReplicaStats::learn_report(std::uint64_t now_ms, double elapsed_ms, const LeafReport& report) {
  if (!report.service_ms || !std::isfinite(*report.service_ms)) return;
  // A leaf cannot have served longer than the whole call took.
  const double service =
      std::clamp(*report.service_ms, kMinServiceMs, std::max(elapsed_ms, kMinServiceMs));
  double queue = report.queue.value_or(0);
  queue = std::isfinite(queue) ? std::clamp(queue, 0.0, kMaxQueue) : 0;
  const double share = has_report(now_ms) ? kReportShare : 1;
  follow(response_ms_, elapsed_ms, share);
  follow(service_ms_, service, share);
  follow(queue_, queue, share);
  last_report_ms_ = now_ms;
}

void ReplicaStats::learn_outcome(std::uint64_t now_ms, bool failed) {
  failure_share_ = failure_share(now_ms);
  follow(failure_share_, failed ? 1 : 0, kOutcomeShare);
  if (failure_share_ < kNegligible) failure_share_ = 0;
  last_outcome_ms_ = now_ms;
  ++tally_.interval_calls;
  if (failed) ++tally_.interval_failures;
}

}  // namespace consort::gather
