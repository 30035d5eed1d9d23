#include "roles/gather/fanout.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace consort::gather {

std::string_view to_string(AttemptEnd end) {
  switch (end) {
    case AttemptEnd::none:
      return "none";
    case AttemptEnd::won:
      return "won";
    case AttemptEnd::failed:
      return "failed";
    case AttemptEnd::superseded:
      return "superseded";
    case AttemptEnd::timed_out:
      return "timed_out";
  }
  return "none";
}

Fanout::Fanout(RootState& root, Plan plan)
    : root_(root),
      plan_(std::move(plan)),
      shards_(plan_.generation->routes[plan_.route_index]),
      leaves_(plan_.shards.size()),
      timer_(
          root.services.loop.timers(), [](void* self) { static_cast<Fanout*>(self)->on_timer(); },
          this),
      wait_until_ms_(plan_.deadline_ms),
      pending_(static_cast<std::uint32_t>(plan_.shards.size())) {
  for (std::size_t i = 0; i < leaves_.size(); ++i) {
    leaves_[i].index = plan_.shards[i];
    leaves_[i].shard = &plan_.generation->shards[plan_.shards[i]];
    has_children_ = has_children_ || leaves_[i].shard->last_total != 1;
  }
}

Fanout::~Fanout() {
  // The client is gone: what is still under way is nobody's fault.
  if (!is_finished_) now_ns_ = root_.services.loop.now_ns();
  finish();
  root_.memory.give(held_bytes_);
}

void Fanout::start() {
  started_ns_ = now_ns_ = root_.services.loop.now_ns();
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  for (Leaf& leaf : leaves_) {
    plan_.route.hedges.on_original(now_ms);
    plan_.route.retries.deposit(now_ms);
    if (!start_next(leaf)) {
      fail_leaf(leaf, ProxyError::destination_unavailable, "every replica is drained");
    }
  }
  settle();
}

void Fanout::arm_timer() {
  std::uint64_t next_us = wait_until_ms_ * 1000;
  for (const Leaf& leaf : leaves_) next_us = std::min(next_us, leaf.hedge_at_us);
  // Timers have milliseconds: a hedge is up to one later than asked, never earlier.
  timer_.arm_at((next_us + 999) / 1000);
}

void Fanout::on_timer() {
  now_ns_ = root_.services.loop.now_ns();
  if (root_.services.loop.now_ms() >= wait_until_ms_) {
    expire();
    settle();
    return;
  }
  hedge_late();
  arm_timer();
}

/// Everything that is still open has had its time.
void Fanout::expire() {
  const bool is_adaptive = wait_until_ms_ < plan_.deadline_ms;
  const bool is_replicas_fault = !is_adaptive && !plan_.deadline_is_clients;
  leave_lines();
  for (Leaf& leaf : leaves_) {
    if (leaf.is_done) continue;
    bool was_asked = false;
    for (Attempt& attempt : leaf.attempts) {
      was_asked = was_asked || attempt.is_running || attempt.end != AttemptEnd::none;
      if (attempt.is_running) give_up(attempt, AttemptEnd::timed_out, is_replicas_fault);
    }
    if (!was_asked) {
      limit_hit_ = LimitHit::replica;
      root_.metrics.limits[static_cast<std::size_t>(LimitHit::replica)]->add();
      fail_leaf(leaf, ProxyError::connection_limit_reached,
                "no place at a replica became free in time (max_inflight_per_replica)");
    } else {
      fail_leaf(leaf, ProxyError::http_response_timeout,
                is_adaptive ? "coverage sufficed, and the last leaves were not waited for longer"
                            : "no answer in time");
    }
  }
}

void Fanout::end_leaf(Leaf& leaf, LeafVerdict verdict) {
  leaf.is_done = true;
  leaf.verdict = verdict;
  leaf.hedge_at_us = UINT64_MAX;
  leaf.ended_ns = now_ns_;
  --pending_;
  if (verdict == LeafVerdict::ok || verdict == LeafVerdict::empty) ++good_;
  if (verdict == LeafVerdict::client_error) ++refusals_;
  for (Attempt& attempt : leaf.attempts) attempt.leave_line();
  for (Attempt& attempt : leaf.attempts) {
    if (attempt.is_running) give_up(attempt, AttemptEnd::superseded, false);
  }
}

void Fanout::fail_leaf(Leaf& leaf, ProxyError error, std::string details) {
  leaf.error = error;
  lose_leaf(leaf, verdict_for(error), std::move(details));
}

void Fanout::lose_leaf(Leaf& leaf, LeafVerdict verdict, std::string details) {
  leaf.details = std::move(details);
  if (plan_.merge != nullptr) {
    plan_.merge->lost(static_cast<std::uint32_t>(&leaf - leaves_.data()));
  }
  end_leaf(leaf, verdict);
}

std::uint32_t Fanout::needed() const {
  const auto width = static_cast<std::uint32_t>(leaves_.size());
  switch (plan_.route.config.mode.kind) {
    case Mode::Kind::all:
    case Mode::Kind::quorum:
      return width;
    case Mode::Kind::first:
      return std::min(1U, width);
    case Mode::Kind::first_n:
      return std::min(plan_.route.config.mode.n, width);
    case Mode::Kind::majority:
      return width / 2 + 1;
  }
  return width;
}

bool Fanout::is_satisfied() const {
  if (plan_.merge != nullptr && plan_.merge->state() == Merge::State::satisfied) return true;
  return plan_.route.config.mode.kind != Mode::Kind::all &&
         plan_.route.config.mode.kind != Mode::Kind::quorum && good_ >= needed();
}

/// No outcome of the open shards can make an answer. Only for reads: whoever writes wants to know
/// what became of each shard.
bool Fanout::is_hopeless() const {
  if (plan_.merge != nullptr && plan_.merge->state() == Merge::State::impossible) return true;
  if (!plan_.request.is_read()) return false;
  const auto width = static_cast<std::uint32_t>(leaves_.size());
  // As long as all are 4xx the client may get that as its answer.
  if (refusals_ == width - pending_) return false;
  const std::uint32_t reachable = good_ + pending_;
  switch (plan_.route.config.mode.kind) {
    case Mode::Kind::all:
      return !plan_.accepts_partial && plan_.min_coverage >= 100 && reachable < width;
    case Mode::Kind::quorum:
      return false;
    default:
      return reachable < needed();
  }
}

/// After every change: done, or what to wait for next. Nothing of this object may be touched after.
void Fanout::settle() {
  if (is_finished_) return;
  if (pending_ > 0 && !is_satisfied() && !is_hopeless()) {
    adapt_wait();
    // Too early is harmless: it looks and arms again. So an answer costs no look at all leaves.
    if (!timer_.armed() || wait_until_ms_ < timer_.at()) arm_timer();
    return;
  }
  finish();
  done_.set();
}

/// Whether min_coverage would be reached if nothing more came.
bool Fanout::suffices() const {
  const auto width = static_cast<double>(leaves_.size());
  if (!has_children_) return good_ >= std::ceil(width * plan_.min_coverage / 100);
  Coverage so_far;
  for (const Leaf& leaf : leaves_) {
    so_far += coverage_by(leaf, leaf.is_done ? leaf.verdict : LeafVerdict::timed_out);
  }
  return so_far.percent() >= plan_.min_coverage;
}

void Fanout::adapt_wait() {
  const bool may_miss = plan_.min_coverage < 100 && plan_.route.config.mode.kind == Mode::Kind::all;
  // With min_coverage 0 nothing suffices as well, but an answer is worth waiting for.
  if (!may_miss || good_ == 0 || !suffices()) return;
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  if (!adaptive_ms_) adaptive_ms_ = plan_.deadline_ms - std::min(now_ms, plan_.deadline_ms);
  const auto left = static_cast<double>(*adaptive_ms_);
  const double least = left * plan_.route.config.wait_factor.least;
  const double most = left * plan_.route.config.wait_factor.most;
  const auto width = static_cast<double>(leaves_.size());
  const double miss_width = (100 - plan_.min_coverage) * width / 100 - 1;
  double wait = least;
  if (pending_ > 1 && miss_width > 0) {
    // Of leaves that are roots more may be missing than the formula knows.
    wait += (most - least) * std::min(1.0, static_cast<double>(pending_ - 1) / miss_width);
  }
  // The deadline only ever shrinks.
  wait_until_ms_ = std::min(wait_until_ms_, now_ms + static_cast<std::uint64_t>(wait));
}

void Fanout::finish() {
  if (is_finished_) return;
  is_finished_ = true;
  timer_.cancel();
  leave_lines();
  for (Leaf& leaf : leaves_) {
    for (Attempt& attempt : leaf.attempts) {
      if (attempt.is_running) give_up(attempt, AttemptEnd::superseded, false);
    }
  }
  root_.memory.give(heads_.bytes());
  held_bytes_ -= heads_.bytes();
  heads_.clear();
}

/// Before calls are given up: each makes place for the next one in its line, which may be ours.
void Fanout::leave_lines() {
  for (Leaf& leaf : leaves_) {
    for (Attempt& attempt : leaf.attempts) attempt.leave_line();
  }
}

std::vector<LeafResult> Fanout::results() const {
  std::vector<LeafResult> results;
  results.reserve(leaves_.size());
  for (const Leaf& leaf : leaves_) {
    LeafResult& result = results.emplace_back();
    result.shard = leaf.id();
    result.verdict = leaf.verdict;
    result.status = leaf.status;
    result.error = leaf.error;
    result.details = leaf.details;
    result.weight = leaf.covered ? leaf.covered->total : leaf.shard->last_total;
  }
  return results;
}

Coverage Fanout::coverage_by(const Leaf& leaf, LeafVerdict verdict) {
  if (leaf.covered && verdict == LeafVerdict::ok) return *leaf.covered;
  return coverage_of(verdict, leaf.covered ? leaf.covered->total : leaf.shard->last_total);
}

Coverage Fanout::coverage() const {
  Coverage sum;
  for (const Leaf& leaf : leaves_) {
    Coverage one = coverage_by(leaf, leaf.verdict);
    if (leaf.is_hedged) ++one.hedged;
    sum += one;
  }
  return sum;
}

}  // namespace consort::gather
