#include "roles/gather/root.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "roles/gather/exchange.hpp"

namespace consort::gather {
namespace {

BackendSet::Options backend_options(const Config& config) {
  BackendSet::Options options;
  options.pool.idle_timeout = config.pool_idle_timeout;
  options.pool.idle_max = config.pool_idle_max;
  options.pool.connect_timeout = Millis(0);
  options.pool.header_bytes_max = config.limits.header_bytes.bytes;
  options.pool.body_bytes_max = config.limits.leaf_body.bytes;
  for (const RouteConfig& route : config.routes) {
    options.pool.connect_timeout = std::max(options.pool.connect_timeout, route.connect_timeout);
  }
  options.inflight_max = config.limits.inflight_per_replica;
  return options;
}

}  // namespace

Root::Root(const Services& services, const Config& config, std::string instance)
    : state_(services, config.limits),
      instance_(std::move(instance)),
      backends_(state_.services, backend_options(config)),
      admission_(services.loop.timers(), config.limits.inflight, state_.metrics.inflight,
                 state_.metrics.queued),
      epoch_(std::make_shared<Epoch>()),
      access_log_(config.access_log),
      explain_(config.explain) {}

void Root::set_epoch(std::vector<std::shared_ptr<RouteState>> routes,
                     const std::shared_ptr<const Topology>& topology) {
  auto next = std::make_shared<Epoch>();
  next->routes = std::move(routes);
  if (topology != nullptr) {
    std::vector<const RouteConfig*> configs;
    for (const auto& route : next->routes) configs.push_back(&route->config);
    next->generation = backends_.make_generation(topology, configs, epoch_->generation.get());
  }
  epoch_ = std::move(next);
}

void Root::set_routes(std::vector<std::shared_ptr<RouteState>> routes,
                      const std::shared_ptr<const Topology>& topology) {
  if (topology != nullptr) {
    set_epoch(std::move(routes), topology);
    note_topology(*topology);
    return;
  }
  const auto& generation = epoch_->generation;
  set_epoch(std::move(routes), generation ? generation->topology : nullptr);
}

void Root::set_topology(const std::shared_ptr<const Topology>& topology) {
  set_epoch(epoch_->routes, topology);
  note_topology(*topology);
}

void Root::note_topology(const Topology& topology) {
  state_.metrics.topology_changes.add();
  state_.metrics.topology_epoch.set(static_cast<std::int64_t>(topology.epoch));
  state_.metrics.shards.set(static_cast<std::int64_t>(topology.shards.size()));
}

void Root::set_limits(const Limits& limits) {
  state_.limits = limits;
  state_.memory.set_max(limits.memory.bytes);
  admission_.set_max(limits.inflight);
}

void Root::set_flags(bool access_log, bool explain) {
  access_log_ = access_log;
  explain_ = explain;
}

void Root::close() {
  admission_.close();
  backends_.for_each([](Backend& backend) { backend.close(); });
}

Task<http::Response> Root::handle(http::Request request) {
  Exchange exchange(*this, std::move(request));
  co_return co_await exchange.run();
}

void Root::count(LimitHit limit) {
  state_.metrics.limits[static_cast<std::size_t>(limit)]->add();
}

/// Requests that the server refuses before they are requests.
http::Response Root::refuse(int status, std::string_view text) {
  Problem what;
  what.status = status;
  what.detail = text;
  what.type = problems::kBadRequest;
  if (status == 413) what.type = problems::kBodyTooLarge;
  if (status == 431 || status == 414) what.type = problems::kHeaderTooLarge;
  if (status == 503) what.type = problems::kOverloaded;
  if (status == 413) count(LimitHit::request_body);
  if (status == 431 || status == 414) count(LimitHit::header_bytes);
  http::Response response;
  response.status = status;
  response.content_type = kProblemMediaType;
  response.body = problem_json(what, Coverage{}, {});
  if (status == 503) response.headers.emplace_back("Retry-After", std::to_string(kRetryAfterS));
  return response;
}

void Root::on_accept_paused(const Error& why) {
  state_.services.log.warn("accept.paused", {{"reason", why.message()}});
}

void Root::tick() {
  const std::uint64_t now_ms = state_.services.loop.now_ms();
  for (const auto& route : epoch_->routes) {
    route->metrics.hedge_balance.set(static_cast<std::int64_t>(route->hedges.balance(now_ms)));
    route->metrics.retry_balance.set(static_cast<std::int64_t>(route->retries.balance(now_ms)));
  }
  if (!epoch_->generation) return;
  std::vector<OutlierDetector::Group> groups;
  for (const Shard& shard : epoch_->generation->shards) groups.emplace_back(shard.stats);
  for (const OutlierEvent& event : state_.outliers.tick(now_ms, groups)) tell(event);
}

void Root::tell(const OutlierEvent& event) {
  std::string replica;
  backends_.for_each([&](Backend& backend) {
    if (&backend.stats() == event.replica) replica = backend.name();
  });
  if (event.kind == OutlierEvent::Kind::ejected) {
    state_.metrics.ejections[static_cast<std::size_t>(event.reason)]->add();
    state_.services.log.warn(
        "replica.ejected",
        {{"replica", replica}, {"reason", to_string(event.reason)}, {"for_ms", event.for_ms}});
  } else {
    state_.metrics.returns.add();
    state_.services.log.info("replica.returned", {{"replica", replica}});
  }
}

}  // namespace consort::gather
