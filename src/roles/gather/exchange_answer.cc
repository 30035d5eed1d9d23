// An exchange after its leaves are in: what the client gets, and what is told of it.

#include <algorithm>
#include <utility>

#include "base/json_writer.hpp"
#include "roles/gather/exchange.hpp"
#include "roles/gather/timeline.hpp"
#include "wire/json_scan.hpp"
#include "wire/server_timing.hpp"

namespace consort::gather {
namespace {

struct LimitProblem {
  int status;
  ProblemType type;
};

LimitProblem problem_of(LimitHit limit) {
  switch (limit) {
    case LimitHit::leaf_body:
      return {502, problems::kLeafBodyTooLarge};
    case LimitHit::total_body:
      return {502, problems::kTotalBodyTooLarge};
    case LimitHit::memory:
      return {503, problems::kMemoryLimit};
    case LimitHit::replica:
      return {503, problems::kReplicaLimit};
    default:
      return {502, problems::kInsufficientCoverage};
  }
}

std::chrono::microseconds micros(std::uint64_t from_ns, std::uint64_t to_ns) {
  return std::chrono::microseconds(to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0);
}

bool is_good(LeafVerdict verdict) {
  return verdict == LeafVerdict::ok || verdict == LeafVerdict::empty;
}

}  // namespace

Demand Root::Exchange::demand() const {
  Demand wanted;
  wanted.min_coverage = route_->config.min_coverage;
  wanted.handling = preferences_.handling;
  return wanted;
}

Task<http::Response> Root::Exchange::gather() {
  results_ = fanout_->results();
  coverage_ = fanout_->coverage();
  if (merge_ && merge_->state() == Merge::State::impossible) {
    Problem vote;
    vote.type = problems::kNoQuorum;
    const std::string why = merge_->why();
    vote.detail = why;
    co_return problem(vote);
  }
  Demand wanted = demand();
  if (route_->config.mode.kind != Mode::Kind::all || fanout_->is_satisfied()) {
    // These modes say themselves how much is enough.
    wanted.handling.reset();
    wanted.min_coverage = fanout_->is_satisfied() ? 0 : 100;
  }
  const Decision decision = decide(results_, coverage_, wanted);
  switch (decision.kind) {
    case Decision::Kind::pass_through:
      co_return pass_through(decision.pass_index);
    case Decision::Kind::problem:
      co_return no_coverage(decision);
    case Decision::Kind::merge:
      break;
  }
  if (merge_) co_return merge_inside();
  co_return co_await merge_outside();
}

http::Response Root::Exchange::merge_inside() {
  MergedBody merged = merge_->finish();
  http::Response response;
  response.content_type =
      merged.content_type.empty() ? "application/octet-stream" : std::move(merged.content_type);
  response.body = std::move(merged.body);
  merged_ns_ = root_.state_.services.loop.now_ns();
  route_->metrics.merge_seconds.observe_ns(merged_ns_ - scattered_ns_);
  return response;
}

MergeRequest Root::Exchange::merge_request(const std::string& coverage) const {
  MergeRequest wanted;
  wanted.id = id_;
  wanted.method = request_.method;
  wanted.path = request_.path;
  wanted.query = request_.query;
  wanted.headers = &request_.headers;
  wanted.coverage_json = coverage;
  wanted.total = static_cast<std::uint32_t>(fanout_->leaves().size());
  for (const Fanout::Leaf& leaf : fanout_->leaves()) {
    MergePart& part = wanted.parts.emplace_back();
    part.shard = leaf.id();
    part.index = leaf.index;
    part.ok = is_good(leaf.verdict);
    part.status = leaf.status;
    part.content_type = leaf.content_type;
    part.ms = static_cast<double>(micros(fanout_->started_ns(), leaf.ended_ns).count()) / 1000;
    part.body = leaf.body;
    if (!part.ok) part.error = leaf.error ? to_string(*leaf.error) : to_string(leaf.verdict);
    if (part.ok) ++wanted.ok;
  }
  return wanted;
}

Task<http::Response> Root::Exchange::merge_outside() {
  const std::string coverage = coverage_.to_json();
  MergeRequest wanted = merge_request(coverage);
  const Deadline deadline{deadline_ms_};
  MergeResult merged = co_await route_->merge->merge(std::move(wanted), deadline);
  merged_ns_ = root_.state_.services.loop.now_ns();
  const std::uint64_t took_us = (merged_ns_ - scattered_ns_) / 1000;
  route_->merge_times.record(took_us, root_.state_.services.loop.now_ms());
  route_->metrics.merge_seconds.observe_ns(merged_ns_ - scattered_ns_);
  http::Response response;
  if (merged) {
    response.status = merged->status;
    response.content_type = std::move(merged->content_type);
    response.headers = std::move(merged->headers);
    response.body = std::move(merged->body);
    co_return response;
  }
  root_.state_.services.log.warn("merge.failed", {{"route", route_->config.name},
                                                  {"merge", route_->merge->describe()},
                                                  {"request", id_},
                                                  {"reason", merged.error().why}});
  if (route_->config.merge_fallback.spec) {
    merge_ = make_merge(*route_->config.merge_fallback.spec,
                        static_cast<std::uint32_t>(fanout_->leaves().size()),
                        route_->config.merge_fallback.spec->k_default);
    std::uint32_t index = 0;
    for (Fanout::Leaf& leaf : fanout_->leaves()) {
      PartBody part;
      part.index = index++;
      part.shard = leaf.id();
      part.content_type = leaf.content_type;
      part.body = std::move(leaf.body);
      // A body that this merge cannot take is left out: it is only a stand-in.
      if (leaf.verdict == LeafVerdict::ok) (void)merge_->feed(std::move(part));
    }
    response = merge_inside();
    response.headers.emplace_back("Consort-Merge", "fallback");
    co_return response;
  }
  Problem failed;
  failed.status = merged.error().timed_out ? 504 : 502;
  failed.type = merged.error().timed_out ? problems::kMergeTimeout : problems::kMergeFailed;
  failed.detail = merged.error().why;
  response = problem(failed);
  const std::string_view reason =
      merged.error().timed_out ? "http_response_timeout" : "http_response_incomplete";
  response.headers.emplace_back("Proxy-Status",
                                "consort; error=" + std::string(reason) + "; details=\"merge\"");
  co_return response;
}

http::Response Root::Exchange::pass_through(std::size_t leaf) {
  Fanout::Leaf& first = fanout_->leaves()[leaf];
  http::Response response;
  response.status = first.status;
  response.content_type = std::move(first.content_type);
  response.headers = std::move(first.refusal_headers);
  response.body = std::move(first.body);
  return response;
}

http::Response Root::Exchange::no_coverage(const Decision& decision) {
  Problem missing;
  missing.status = decision.status;
  if (fanout_->saw_loop()) {
    missing.status = 502;
    missing.type = problems::kLoopDetected;
  } else if (fanout_->limit_hit() != LimitHit::none && decision.status != 504) {
    const LimitProblem limit = problem_of(fanout_->limit_hit());
    missing.status = limit.status;
    missing.type = limit.type;
  }
  http::Response response = problem(missing);
  if (missing.status == 503) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(decision.retry_after_s.value_or(kRetryAfterS)));
  }
  return response;
}

http::Response Root::Exchange::problem(const Problem& what) {
  Problem named = what;
  named.request_id = id_;
  http::Response response;
  response.status = what.status;
  response.content_type = kProblemMediaType;
  response.body = problem_json(named, coverage_, results_);
  const bool is_busy = what.status == 503 && !fanout_;
  if (is_busy) response.headers.emplace_back("Retry-After", std::to_string(kRetryAfterS));
  return response;
}

void Root::Exchange::add_gather_headers(http::Response& response) {
  auto& headers = response.headers;
  // Without a fan-out nobody knows of how many leaves.
  if (fanout_) headers.emplace_back(std::string(Coverage::kHeader), coverage_.to_header());
  const bool has_status = std::any_of(headers.begin(), headers.end(), [](const auto& header) {
    return header.first == "Proxy-Status";
  });
  std::string statuses = proxy_status_header(results_);
  if (!statuses.empty() && !has_status) headers.emplace_back("Proxy-Status", std::move(statuses));
  // A cache must not keep what is there only because a leaf was slow.
  if (response.status == 200 && !coverage_.complete()) {
    headers.emplace_back("Cache-Control", "no-store");
  }
  if (!fanout_) return;
  std::string timing;
  append_timing(timing, "scatter", micros(started_ns_, scattered_ns_));
  if (const Fanout::Leaf* slowest = slowest_leaf(*fanout_); slowest != nullptr) {
    append_timing(timing, "slowest", micros(fanout_->started_ns(), slowest->ended_ns),
                  slowest->id());
  }
  append_timing(timing, "merge", micros(scattered_ns_, merged_ns_));
  headers.emplace_back("Server-Timing", std::move(timing));
}

http::Response Root::Exchange::finish(http::Response response) {
  const std::uint64_t now_ns = root_.state_.services.loop.now_ns();
  if (merged_ns_ == 0) merged_ns_ = now_ns;
  if (scattered_ns_ == 0) scattered_ns_ = now_ns;
  response.headers.emplace_back("Consort-Request-Id", id_);
  add_gather_headers(response);
  Preferences honoured;
  // The other modes say themselves how much is enough.
  const bool is_all = route_ != nullptr && route_->config.mode.kind == Mode::Kind::all;
  if (fanout_ && is_all) honoured.handling = preferences_.handling;
  if (wait_counted_) honoured.wait_s = preferences_.wait_s;
  std::string applied = preference_applied(honoured);
  if (!applied.empty()) response.headers.emplace_back("Preference-Applied", std::move(applied));

  is_answered_ = true;
  if (route_ == nullptr) return response;
  const std::uint64_t total_us = (now_ns - started_ns_) / 1000;
  route_->metrics.count_answer(response.status);
  route_->metrics.request_seconds.observe_ns(now_ns - started_ns_);
  if (root_.access_log_) log_access(response.status, total_us);
  if (!fanout_) return response;
  route_->metrics.count_coverage(coverage_.percent());
  for (const LeafResult& result : results_) {
    route_->metrics.leaf_results[static_cast<std::size_t>(result.verdict)]->add();
  }
  const std::uint64_t now_ms = root_.state_.services.loop.now_ms();
  const TimelineFacts facts{.id = id_,
                            .method = request_.method,
                            .target = request_.target,
                            .route = route_->config.name,
                            .epoch = epoch_->generation->topology->epoch,
                            .status = response.status,
                            .started_ns = started_ns_,
                            .scattered_ns = scattered_ns_,
                            .merged_ns = merged_ns_,
                            .coverage = coverage_};
  if (root_.recorder_.wants(total_us, now_ms)) {
    root_.recorder_.add(total_us, now_ms,
                        timeline_json(facts, *fanout_, FlightRecorder::kMostLeaves));
  }
  if (wants_explanation()) {
    std::string answer = explain_json(response);
    response.body = timeline_json(facts, *fanout_, kMaxTimelineLeaves, answer) + "\n";
    response.content_type = "application/json";
    response.status = 200;
  }
  return response;
}

bool Root::Exchange::wants_explanation() const {
  if (request_.header("consort-explain") != "1") return false;
  return root_.explain_ || request_.peer.is_loopback || request_.peer.is_unix;
}

/// The answer that the client would have had, inside the explanation.
std::string Root::Exchange::explain_json(const http::Response& response) const {
  JsonWriter json;
  json.begin_object();
  json.key("status").value(response.status);
  json.key("content_type").value(response.content_type);
  if (auto value = check_json(response.body); value) {
    json.key("body").raw(*value);
  } else {
    json.key("text").value(response.body);
  }
  json.end_object();
  return json.take();
}

void Root::Exchange::log_access(int status, std::uint64_t total_us) {
  const Fanout::Leaf* slowest = fanout_ ? slowest_leaf(*fanout_) : nullptr;
  const std::string percent = fanout_ ? coverage_.to_header() : std::string();
  root_.state_.services.log.info(
      "request",
      {{"id", id_},
       {"trace", trace_.trace_id()},
       {"peer", request_.peer.text},
       {"method", request_.method},
       {"target", request_.target},
       {"route", route_->config.name},
       {"status", status},
       {"us", total_us},
       {"scatter_us", micros(started_ns_, scattered_ns_).count()},
       {"merge_us", micros(scattered_ns_, merged_ns_).count()},
       {"slowest", slowest == nullptr ? std::string_view() : slowest->id()},
       {"slowest_us",
        slowest == nullptr ? 0 : micros(fanout_->started_ns(), slowest->ended_ns).count()},
       {"coverage", percent}});
}

}  // namespace consort::gather
