#include "roles/shard_proxy/upstream.hpp"

#include <algorithm>

namespace consort::shard_proxy {

UpstreamMetrics::UpstreamMetrics(Registry& registry, const std::string& pool,
                                 const std::string& server)
    : requests(registry.counter("consort_shard_requests_total", "Requests sent to a server.",
                                {{"pool", pool}, {"server", server}})),
      timeouts(registry.counter("consort_shard_timeouts_total",
                                "Requests that a server did not answer in time.",
                                {{"pool", pool}, {"server", server}})),
      failures(registry.counter("consort_shard_failures_total",
                                "Requests answered with an error because of a server.",
                                {{"pool", pool}, {"server", server}})),
      connects(registry.counter("consort_shard_connects_total", "Connections made to a server.",
                                {{"pool", pool}, {"server", server}})),
      late_replies(registry.counter("consort_shard_late_replies_total",
                                    "Replies thrown away because the request had timed out.",
                                    {{"pool", pool}, {"server", server}})),
      bytes_sent(registry.counter("consort_shard_sent_bytes_total", "Bytes sent to a server.",
                                  {{"pool", pool}, {"server", server}})),
      bytes_received(registry.counter("consort_shard_received_bytes_total",
                                      "Bytes received from a server.",
                                      {{"pool", pool}, {"server", server}})),
      up(registry.gauge("consort_shard_server_up", "1 while a server answers.",
                        {{"pool", pool}, {"server", server}})) {}

Upstream::Upstream(const PoolContext& context, const ServerSpec& spec, Watcher& watcher)
    : context_(context),
      spec_(spec),
      watcher_(watcher),
      metrics_(context.services.metrics, context.config.name, spec.name) {
  for (auto& links : links_) links.resize(context.config.server_connections);
}

Link& Upstream::link_for(std::uint64_t client_id, Dialect dialect) {
  auto& links = links_[static_cast<std::size_t>(dialect)];
  auto& link = links[client_id % links.size()];
  if (!link) link = std::make_unique<Link>(*this, dialect);
  return *link;
}

void Upstream::connect_now() {
  bool is_redis = context_.config.protocol == Protocol::redis;
  Dialect dialect = is_redis ? Dialect::resp2 : Dialect::memcache;
  std::uint64_t count = context_.config.preconnect ? context_.config.server_connections : 1;
  for (std::uint64_t i = 0; i < count; ++i) link_for(i, dialect).connect();
}

bool Upstream::is_up() const {
  for (const auto& links : links_) {
    bool any = std::any_of(links.begin(), links.end(),
                           [](const auto& link) { return link && link->is_up(); });
    if (any) return true;
  }
  return false;
}

// One log line per change, however many connections change at once.
void Upstream::on_link_changed(const std::string& why) {
  bool up = is_up();
  metrics_.up.set(up ? 1 : 0);
  const std::string& pool = context_.config.name;
  if (up && !was_up_) {
    context_.services.log.info("server.up", {{"pool", pool}, {"server", spec_.name}});
    told_down_ = false;
  } else if (!up && !told_down_) {
    context_.services.log.warn("server.down",
                               {{"pool", pool}, {"server", spec_.name}, {"reason", why}});
    told_down_ = true;
  }
  bool changed = up != was_up_;
  was_up_ = up;
  if (changed || !up) watcher_.on_server_changed();
}

}  // namespace consort::shard_proxy
