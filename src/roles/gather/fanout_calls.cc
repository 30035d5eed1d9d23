// The calls of a fan-out: which replica, what its answer means, and what comes after a failure.

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "roles/gather/fanout.hpp"
#include "wire/http1_text.hpp"
#include "wire/retry_after.hpp"
#include "wire/server_timing.hpp"

namespace consort::gather {
namespace {

// Without them a client cannot act on a 401, a 405 or a 429.
constexpr std::string_view kRefusalHeaders[] = {"www-authenticate", "allow", "retry-after"};
constexpr std::string_view kLoopMark = "proxy_loop_detected";

LeafReport report_of(const http::Call& call) {
  LeafReport report;
  report.service_ms = first_duration_ms(call.header("server-timing"));
  const std::string_view queue = call.header("consort-queue");
  double waiting = 0;
  const auto [end, error] = std::from_chars(queue.data(), queue.data() + queue.size(), waiting);
  if (error == std::errc{} && end == queue.data() + queue.size() && waiting >= 0) {
    report.queue = waiting;
  }
  return report;
}

/// gRPC's servers say so when a second try would only do harm (proposal A6).
bool forbids_retry(const http::Call& call) {
  const std::string_view value = call.header("grpc-retry-pushback-ms");
  if (value.empty()) return false;
  const http1::Headers headers{{"grpc-retry-pushback-ms", std::string(value)}};
  const auto pushback = pushback_of(headers, 0);
  return pushback && pushback->never;
}

/// Whether another replica may do better.
bool may_help_elsewhere(ProxyError reason) {
  return reason != ProxyError::http_response_body_size &&
         reason != ProxyError::connection_limit_reached;
}

/// What a leaf is told is less than what it has: one that is a root and waits to its end must be
/// heard here before ours.
std::uint64_t margin_us(std::uint64_t left_us) {
  constexpr std::uint64_t kLeastUs = 2000;
  constexpr std::uint64_t kPercent = 4;
  return std::max(kLeastUs, left_us * kPercent / 100);
}

bool is_bad_gateway(int status) {
  return status == 502 || status == 503 || status == 504;
}

}  // namespace

Fanout::Attempt::Attempt(Fanout& of, Leaf& of_leaf, Backend& at)
    : Call(of), fanout(of), leaf(of_leaf), backend(at) {}

void Fanout::Attempt::on_place() {
  fanout.now_ns_ = fanout.root_.services.loop.now_ns();
  fanout.begin_call(*this);
}

bool Fanout::has_running(const Leaf& leaf) const {
  return std::any_of(leaf.attempts.begin(), leaf.attempts.end(), [](const Attempt& attempt) {
    return attempt.is_running || attempt.is_waiting();
  });
}

std::uint64_t Fanout::elapsed_us(const Attempt& attempt) const {
  return now_ns_ > attempt.started_ns ? (now_ns_ - attempt.started_ns) / 1000 : 0;
}

// ---- choosing and starting ----

std::optional<std::uint32_t> Fanout::pick(Leaf& leaf, ReplicaChoice::For what) {
  std::array<std::uint32_t, 8> tried{};
  const std::size_t count = std::min(leaf.attempts.size(), tried.size());
  for (std::size_t i = 0; i < count; ++i) tried[i] = leaf.attempts[i].replica;
  const auto picked =
      shards_.choices[leaf.index].pick(leaf.shard->stats, std::span(tried).first(count),
                                       root_.services.loop.now_ms(), root_.services.random, what);
  if (!picked) return std::nullopt;
  return static_cast<std::uint32_t>(*picked);
}

/// The replica with the shortest line, when all that could be used have their limit in flight;
/// one that is new and has its probes, when there is no other; an ejected one last.
std::optional<std::uint32_t> Fanout::pick_busy(Leaf& leaf) const {
  std::optional<std::uint32_t> best;
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  const auto rank = [&](std::uint32_t replica) {
    Backend& backend = *leaf.shard->replicas[replica];
    return std::tuple(backend.stats().is_ejected(now_ms), backend.has_place(), backend.waiting());
  };
  for (std::uint32_t i = 0; i < leaf.shard->replicas.size(); ++i) {
    Backend& backend = *leaf.shard->replicas[i];
    const bool was_tried =
        std::any_of(leaf.attempts.begin(), leaf.attempts.end(),
                    [i](const Attempt& attempt) { return attempt.replica == i; });
    if (was_tried || backend.stats().is_drained()) continue;
    if (!best || rank(i) < rank(*best)) best = i;
  }
  return best;
}

/// False when there is nobody to ask.
bool Fanout::start_next(Leaf& leaf) {
  auto replica = pick(leaf, ReplicaChoice::For::call);
  if (!replica) replica = pick_busy(leaf);
  if (!replica) return false;
  start_attempt(leaf, *replica, false);
  return true;
}

void Fanout::start_attempt(Leaf& leaf, std::uint32_t replica, bool is_hedge) {
  Backend& backend = *leaf.shard->replicas[replica];
  Attempt& attempt = leaf.attempts.add(*this, leaf, backend);
  attempt.replica = replica;
  attempt.number = static_cast<std::uint32_t>(leaf.attempts.size());
  attempt.is_hedge = is_hedge;
  attempt.asked_ns = now_ns_;
  if (backend.has_place()) {
    begin_call(attempt);
  } else {
    backend.wait(attempt);
  }
}

void Fanout::begin_call(Attempt& attempt) {
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  attempt.started_ns = now_ns_;
  attempt.is_running = true;
  attempt.backend.stats().on_start(now_ms);
  plan_.route.metrics.leaf_calls.add();

  Leaf& leaf = attempt.leaf;
  const bool may_repeat = plan_.request.is_idempotent() || plan_.route.config.idempotent;
  const bool may_hedge = plan_.request.is_read() || plan_.route.config.idempotent;
  if (attempt.number == 1 && may_hedge) {
    const auto delay_us = plan_.route.hedges.delay_us(now_ms);
    if (delay_us) {
      leaf.hedge_at_us = attempt.started_ns / 1000 + *delay_us;
      // A call that had to wait in line begins when the timer is armed already.
      const std::uint64_t at_ms = (leaf.hedge_at_us + 999) / 1000;
      if (timer_.armed() && at_ms < timer_.at()) timer_.arm_at(at_ms);
    }
  }
  const std::uint64_t left_us = (plan_.deadline_ms - std::min(now_ms, plan_.deadline_ms)) * 1000;
  http::CallRequest request;
  request.method = plan_.request.method();
  request.head = head_of(attempt, left_us);
  request.body = plan_.request.body();
  request.may_repeat = may_repeat;
  attempt.backend.pool().start(attempt, request);
}

/// Kept until all calls have ended: a connection that died while idle has it sent again.
std::string_view Fanout::head_of(const Attempt& attempt, std::uint64_t left_us) {
  const LeafRequest::Attempt facts{.url = attempt.backend.url(),
                                   .shard = attempt.leaf.id(),
                                   .index = attempt.leaf.index,
                                   .number = attempt.number,
                                   .deadline_lines = deadline_lines(left_us)};
  std::string& head = root_.scratch;
  head.clear();
  plan_.request.append_head(head, facts, root_.services.random);
  // They are of about one length: the first says what all need.
  const std::size_t all = heads_.bytes() == 0 ? (head.size() + 16) * leaves_.size() : 0;
  const std::size_t before = heads_.bytes();
  const std::string_view kept = heads_.keep(head, all);
  root_.memory.force(heads_.bytes() - before);
  held_bytes_ += heads_.bytes() - before;
  return kept;
}

/// All calls of a turn are told the same.
std::string_view Fanout::deadline_lines(std::uint64_t left_us) {
  std::uint64_t told_us = left_us - std::min(left_us / 2, margin_us(left_us));
  // Whole milliseconds, so that both headers say the same.
  if (told_us > 1000) told_us -= told_us % 1000;
  if (deadline_lines_.empty() || told_us != told_left_us_) {
    told_left_us_ = told_us;
    deadline_lines_.clear();
    append_deadline(deadline_lines_, std::chrono::microseconds(told_us));
  }
  return deadline_lines_;
}

/// The books of one call; the leaf is the caller's business.
void Fanout::end_attempt(Attempt& attempt, AttemptEnd end) {
  attempt.is_running = false;
  attempt.end = end;
  attempt.ended_ns = now_ns_;
  const bool is_late = attempt.leaf.is_hedged && !attempt.is_hedge;
  if (attempt.is_hedge) {
    (end == AttemptEnd::won ? plan_.route.metrics.hedges_won : plan_.route.metrics.hedges_lost)
        .add();
  }
  // Timeouts teach the percentile, and so do lost calls once they were late (hedge_policy.hpp).
  if (end == AttemptEnd::timed_out || (end == AttemptEnd::superseded && is_late)) teach(attempt);
}

void Fanout::teach(const Attempt& attempt) {
  plan_.route.hedges.record(elapsed_us(attempt), root_.services.loop.now_ms());
}

void Fanout::give_up(Attempt& attempt, AttemptEnd end, bool is_replicas_fault) {
  attempt.cancel();
  ReplicaStats& stats = attempt.backend.stats();
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  if (is_replicas_fault) {
    stats.on_failure(now_ms, elapsed_us(attempt), ReplicaFailure::timeout);
    root_.note_failure(stats, now_ms);
  } else {
    stats.on_superseded(now_ms, elapsed_us(attempt));
  }
  end_attempt(attempt, end);
  forget_body(attempt);
  attempt.backend.call_ended();
}

// ---- answers ----

void Fanout::on_response(http::Call& call) {
  auto& attempt = static_cast<Attempt&>(call);
  Leaf& leaf = attempt.leaf;
  now_ns_ = call.times().last_byte_ns;
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  ReplicaStats& stats = attempt.backend.stats();
  const int status = call.status();
  attempt.status_seen = status;
  const bool is_ok = plan_.route.is_ok(status);
  const bool is_empty = plan_.route.is_empty(status);
  const bool is_answer = is_ok || is_empty || status < 500;
  if (is_answer) {
    stats.on_success(now_ms, elapsed_us(attempt), report_of(call));
    plan_.route.metrics.leaf_seconds.observe_ns(elapsed_us(attempt) * 1000);
  } else {
    stats.on_failure(
        now_ms, elapsed_us(attempt),
        is_bad_gateway(status) ? ReplicaFailure::gateway : ReplicaFailure::server_error);
    root_.note_failure(stats, now_ms);
  }
  end_attempt(attempt, is_answer ? AttemptEnd::won : AttemptEnd::failed);
  // Not a quick refusal: it would pull the percentile down.
  if (is_ok || is_empty) teach(attempt);
  leaf.status = status;
  leaf.covered.reset();
  if (const std::string_view covered = call.header(Coverage::kHeader); !covered.empty()) {
    leaf.covered = Coverage::parse(covered);
    // A root that refused before it asked anybody knows of no leaves.
    if (leaf.covered && leaf.covered->total == 0 && !is_ok && !is_empty) leaf.covered.reset();
  }
  has_children_ = has_children_ || leaf.covered.has_value();
  if (leaf.covered || is_ok) {
    leaf.shard->last_total = leaf.covered ? std::max<std::uint64_t>(leaf.covered->total, 1) : 1;
  }
  if (is_ok || is_empty) {
    take_good(attempt, is_empty ? LeafVerdict::empty : LeafVerdict::ok);
  } else if (status >= 400 && status < 500) {
    take_refusal(attempt);
  } else {
    take_bad_status(attempt);
  }
  attempt.backend.call_ended();
  settle();
}

void Fanout::take_good(Attempt& attempt, LeafVerdict verdict) {
  Leaf& leaf = attempt.leaf;
  leaf.error.reset();
  const std::string_view coding = attempt.header("content-encoding");
  const bool is_plain = coding.empty() || http1::equals_ignoring_case(coding, "identity");
  if (verdict == LeafVerdict::empty) {
    forget_body(attempt);
    if (plan_.merge != nullptr) {
      plan_.merge->lost(static_cast<std::uint32_t>(&leaf - leaves_.data()));
    }
  } else if (!is_plain && plan_.merge != nullptr) {
    forget_body(attempt);
    fail_leaf(leaf, ProxyError::http_response_content_coding,
              "the answer is encoded (" + std::string(coding) + "), but identity was asked for");
    return;
  } else if (plan_.merge != nullptr) {
    if (!feed(attempt)) return;
  } else {
    leaf.content_type = attempt.header("content-type");
    leaf.body = attempt.take_body();
    attempt.body_bytes = 0;  // counted until the request has its answer
  }
  end_leaf(leaf, verdict);
}

/// False when the merge has refused the body, and the leaf is lost.
bool Fanout::feed(Attempt& attempt) {
  Leaf& leaf = attempt.leaf;
  PartBody part;
  part.index = static_cast<std::uint32_t>(&leaf - leaves_.data());
  part.shard = leaf.id();
  part.content_type = attempt.header("content-type");
  part.body = attempt.take_body();
  const Result<> fed = plan_.merge->feed(std::move(part));
  forget_body(attempt);
  const std::uint64_t now_held = plan_.merge->held_bytes();
  if (now_held > merge_bytes_) {
    root_.memory.force(now_held - merge_bytes_);
    held_bytes_ += now_held - merge_bytes_;
  } else {
    root_.memory.give(merge_bytes_ - now_held);
    held_bytes_ -= merge_bytes_ - now_held;
  }
  merge_bytes_ = now_held;
  if (fed) return true;
  attempt.why = fed.error().text();
  attempt.end = AttemptEnd::failed;
  lose_leaf(leaf, LeafVerdict::failed, fed.error().text());
  return false;
}

/// A 4xx: kept, for it becomes the client's answer when all leaves say the same.
void Fanout::take_refusal(Attempt& attempt) {
  Leaf& leaf = attempt.leaf;
  leaf.content_type = attempt.header("content-type");
  for (const std::string_view name : kRefusalHeaders) {
    const std::string_view value = attempt.header(name);
    if (!value.empty()) leaf.refusal_headers.emplace_back(name, value);
  }
  leaf.body = attempt.take_body();
  attempt.body_bytes = 0;
  lose_leaf(leaf, LeafVerdict::client_error, "answered " + std::to_string(leaf.status));
}

void Fanout::take_bad_status(Attempt& attempt) {
  Leaf& leaf = attempt.leaf;
  attempt.why = "status " + std::to_string(leaf.status);
  forget_body(attempt);
  const bool is_loop = attempt.header("proxy-status").find(kLoopMark) != std::string_view::npos;
  if (is_loop) {
    saw_loop_ = true;
    fail_leaf(leaf, ProxyError::proxy_loop_detected, "the leaf leads back to this root");
    return;
  }
  const bool may_resend = plan_.request.is_idempotent() || plan_.route.config.idempotent;
  const bool may_retry = is_bad_gateway(leaf.status) && may_resend && !forbids_retry(attempt);
  if (has_running(leaf) || (may_retry && try_next(leaf))) return;
  if (leaf.status == 504) {
    fail_leaf(leaf, ProxyError::http_response_timeout, "answered 504");
  } else {
    lose_leaf(leaf, LeafVerdict::failed, "answered " + std::to_string(leaf.status));
  }
}

void Fanout::forget_body(Attempt& attempt) {
  attempt.take_body().clear();
  root_.memory.give(attempt.body_bytes);
  held_bytes_ -= attempt.body_bytes;
  attempt.body_bytes = 0;
}

// ---- failures ----

void Fanout::on_call_failed(http::Call& call, http::CallFailure failure) {
  auto& attempt = static_cast<Attempt&>(call);
  Leaf& leaf = attempt.leaf;
  now_ns_ = root_.services.loop.now_ns();
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  ReplicaStats& stats = attempt.backend.stats();
  // Limits of ours (descriptors too): the replica may be as healthy as can be.
  if (failure.reason == ProxyError::connection_limit_reached) {
    stats.on_superseded(now_ms, elapsed_us(attempt));
  } else if (failure.reason == ProxyError::http_response_body_size) {
    stats.on_superseded(now_ms, elapsed_us(attempt));
    if (limit_hit_ == LimitHit::none) limit_hit_ = LimitHit::leaf_body;
    root_.metrics.limits[static_cast<std::size_t>(limit_hit_)]->add();
  } else {
    const bool is_slow = failure.reason == ProxyError::connection_timeout;
    stats.on_failure(now_ms, elapsed_us(attempt),
                     is_slow ? ReplicaFailure::timeout : ReplicaFailure::gateway);
    root_.note_failure(stats, now_ms);
  }
  attempt.why = failure.text;
  end_attempt(attempt, AttemptEnd::failed);
  forget_body(attempt);
  const bool may_resend =
      plan_.request.is_idempotent() || plan_.route.config.idempotent || !failure.was_sent;
  const bool is_over =
      has_running(leaf) || (may_resend && may_help_elsewhere(failure.reason) && try_next(leaf));
  if (!is_over) fail_leaf(leaf, failure.reason, std::move(failure.text));
  attempt.backend.call_ended();
  settle();
}

bool Fanout::on_body_bytes(http::Call& call, std::size_t more) {
  auto& attempt = static_cast<Attempt&>(call);
  if (arrived_bytes_ + more > root_.limits.total_body.bytes) {
    limit_hit_ = LimitHit::total_body;
    return false;
  }
  if (!root_.memory.take(more)) {
    limit_hit_ = LimitHit::memory;
    return false;
  }
  arrived_bytes_ += more;
  held_bytes_ += more;
  attempt.body_bytes += more;
  return true;
}

/// The next replica, at once: a failure is not a hedge.
bool Fanout::try_next(Leaf& leaf) {
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  if (leaf.attempts.size() >= plan_.route.config.attempts || now_ms >= wait_until_ms_) return false;
  if (leaf.shard->replicas.size() <= leaf.attempts.size()) return false;
  if (!plan_.route.retries.withdraw(now_ms)) {
    plan_.route.metrics.retries_no_budget.add();
    return false;
  }
  if (!start_next(leaf)) return false;
  plan_.route.metrics.retries_sent.add();
  return true;
}

// ---- hedges ----

void Fanout::hedge_late() {
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  const auto delay_us = plan_.route.hedges.delay_us(now_ms);
  if (!delay_us) {
    for (Leaf& leaf : leaves_) leaf.hedge_at_us = UINT64_MAX;
    return;
  }
  const auto late = static_cast<std::uint32_t>(
      std::count_if(leaves_.begin(), leaves_.end(), [&](const Leaf& leaf) {
        return !leaf.is_done && !leaf.attempts.empty() && leaf.attempts[0].started_ns > 0 &&
               leaf.attempts[0].started_ns / 1000 + *delay_us <= now_ms * 1000;
      }));
  for (Leaf& leaf : leaves_) {
    if (leaf.hedge_at_us <= now_ms * 1000) hedge(leaf, *delay_us, std::max(late, 1U));
  }
}

void Fanout::hedge(Leaf& leaf, std::uint64_t delay_us, std::uint32_t late) {
  leaf.hedge_at_us = UINT64_MAX;
  RouteMetrics& metrics = plan_.route.metrics;
  const bool is_one_running = leaf.attempts.size() == 1 && leaf.attempts[0].is_running;
  if (!is_one_running || plan_.route.config.attempts < 2) return;
  const auto replica =
      leaf.shard->replicas.size() > 1 ? pick(leaf, ReplicaChoice::For::hedge) : std::nullopt;
  if (!replica) {
    leaf.hedge_note = "no_replica";
    metrics.hedges_no_replica.add();
    return;
  }
  const std::uint64_t now_ms = root_.services.loop.now_ms();
  const std::uint64_t now_us = now_ms * 1000;
  HedgePolicy::Moment moment;
  moment.width = static_cast<std::uint32_t>(leaves_.size());
  moment.late = late;
  const ReplicaStats& target = *leaf.shard->stats[*replica];
  moment.target_inflight = target.inflight();
  moment.target_usual = target.median_inflight();
  const auto answer = plan_.route.hedges.may_hedge(now_ms, moment, plan_.route.retries);
  metrics.hedge(answer).add();
  switch (answer) {
    case HedgePolicy::Answer::go:
      leaf.is_hedged = true;
      leaf.hedge_note = "sent";
      start_attempt(leaf, *replica, true);
      break;
    case HedgePolicy::Answer::systemic:
    case HedgePolicy::Answer::target_busy:
      leaf.hedge_note = to_string(answer);
      leaf.hedge_at_us = now_us + std::max<std::uint64_t>(delay_us, 1000);
      break;
    case HedgePolicy::Answer::no_budget:
      leaf.hedge_note = to_string(answer);
      break;
  }
}

}  // namespace consort::gather
