#include "roles/gather/metrics.hpp"

#include <algorithm>

namespace consort::gather {
namespace {

constexpr std::string_view kCoverageRanges[] = {"100", "99-90", "89-50", "49-1", "0"};

Labels with(const std::string& route, std::string key, std::string_view value) {
  return {{"route", route}, {std::move(key), std::string(value)}};
}

}  // namespace

std::string_view to_string(LimitHit limit) {
  switch (limit) {
    case LimitHit::none:
      return "none";
    case LimitHit::inflight:
      return "max_inflight";
    case LimitHit::fanout:
      return "max_fanout";
    case LimitHit::replica:
      return "max_inflight_per_replica";
    case LimitHit::leaf_body:
      return "max_leaf_body";
    case LimitHit::total_body:
      return "max_total_body";
    case LimitHit::memory:
      return "max_memory";
    case LimitHit::request_body:
      return "max_request_body";
    case LimitHit::header_bytes:
      return "max_header_bytes";
  }
  return "none";
}

RouteMetrics::RouteMetrics(Registry& registry, const std::string& route)
    : leaf_calls(registry.counter("consort_gather_leaf_calls_total",
                                  "Calls to leaves: first tries, failovers and hedges.",
                                  {{"route", route}})),
      hedges_won(registry.counter("consort_gather_hedges_total",
                                  "Second copies to be faster, and those that were not sent.",
                                  with(route, "result", "won"))),
      hedges_lost(
          registry.counter("consort_gather_hedges_total", "", with(route, "result", "lost"))),
      hedges_no_replica(
          registry.counter("consort_gather_hedges_total", "", with(route, "result", "no_replica"))),
      retries_sent(registry.counter("consort_gather_retries_total", "Failovers to another replica.",
                                    with(route, "result", "sent"))),
      retries_no_budget(
          registry.counter("consort_gather_retries_total", "", with(route, "result", "no_budget"))),
      clients_gone(registry.counter("consort_gather_clients_gone_total",
                                    "Requests whose client left before the answer.",
                                    {{"route", route}})),
      request_seconds(registry.histogram("consort_gather_request_seconds",
                                         "From the request's last byte to the answer.",
                                         {{"route", route}})),
      leaf_seconds(registry.histogram("consort_gather_leaf_seconds", "Of calls that were answered.",
                                      {{"route", route}})),
      merge_seconds(registry.histogram("consort_gather_merge_seconds",
                                       "From the last leaf to the merged answer.",
                                       {{"route", route}})),
      hedge_balance(registry.gauge("consort_gather_budget_balance",
                                   "Copies and failovers that the budgets would allow now.",
                                   with(route, "budget", "hedge"))),
      retry_balance(
          registry.gauge("consort_gather_budget_balance", "", with(route, "budget", "retry"))) {
  constexpr std::string_view kCodes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i] = &registry.counter("consort_gather_requests_total", "Requests by answer.",
                                    with(route, "code", kCodes[i]));
  }
  for (std::size_t i = 0; i < leaf_results.size(); ++i) {
    leaf_results[i] = &registry.counter(
        "consort_gather_leaf_results_total", "What became of each shard of each request.",
        with(route, "outcome", to_string(static_cast<LeafVerdict>(i))));
  }
  for (std::size_t i = 0; i < hedges_refused.size(); ++i) {
    const auto answer = static_cast<HedgePolicy::Answer>(i);
    const std::string_view name =
        answer == HedgePolicy::Answer::go ? std::string_view("sent") : to_string(answer);
    hedges_refused[i] =
        &registry.counter("consort_gather_hedges_total", "", with(route, "result", name));
  }
  for (std::size_t i = 0; i < coverage.size(); ++i) {
    coverage[i] = &registry.counter("consort_gather_coverage_total",
                                    "Answers by how many percent of the leaves are in them.",
                                    with(route, "percent", kCoverageRanges[i]));
  }
}

void RouteMetrics::count_answer(int status) {
  const auto first = static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1);
  requests[first]->add();
}

void RouteMetrics::count_coverage(double percent) {
  const std::size_t range = percent >= 100  ? 0
                            : percent >= 90 ? 1
                            : percent >= 50 ? 2
                            : percent > 0   ? 3
                                            : 4;
  coverage[range]->add();
}

RootMetrics::RootMetrics(Registry& registry)
    : inflight(registry.gauge("consort_gather_inflight", "Requests being answered.")),
      queued(registry.gauge("consort_gather_queued", "Requests that wait for their turn.")),
      memory_bytes(registry.gauge("consort_gather_memory_bytes", "Leaves' answers in memory.")),
      shards(registry.gauge("consort_gather_shards", "Shards of the topology.")),
      shards_without_replica(registry.gauge("consort_gather_shards_without_replica",
                                            "Shards of which no replica is usable.")),
      topology_epoch(registry.gauge("consort_gather_topology_epoch", "Of the topology in use.")),
      topology_changes(registry.counter("consort_gather_topology_changes_total",
                                        "Topologies that were taken over.")),
      topology_failures(registry.counter("consort_gather_topology_failures_total",
                                         "Topologies that could not be had or read.")),
      malformed_deadlines(registry.counter("consort_gather_malformed_deadlines_total",
                                           "Deadline headers that were ignored.")),
      expired_deadlines(registry.counter("consort_gather_expired_deadlines_total",
                                         "Requests that came too late to be begun.")),
      loops(registry.counter("consort_gather_loops_total",
                             "Requests that had been here already, or came from too deep.")),
      returns(registry.counter("consort_gather_returns_total",
                               "Replicas that are used again after an ejection.")) {
  for (std::size_t i = 1; i < limits.size(); ++i) {
    limits[i] =
        &registry.counter("consort_gather_limits_total", "What a limit of this root has ended.",
                          {{"limit", std::string(to_string(static_cast<LimitHit>(i)))}});
  }
  for (std::size_t i = 0; i < ejections.size(); ++i) {
    ejections[i] = &registry.counter(
        "consort_gather_ejections_total", "Replicas left out for a while, by reason.",
        {{"reason", std::string(to_string(static_cast<EjectReason>(i)))}});
  }
}

}  // namespace consort::gather
