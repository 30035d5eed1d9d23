#include "roles/shard_proxy/pool_source.hpp"

#include "roles/shard_proxy/placement_diff.hpp"

namespace consort::shard_proxy {

PoolSource::PoolSource(const Services& services, const ServerSource& source, Pool& pool)
    : services_(services),
      pool_(pool),
      check_("servers of pool " + pool.config().name),
      problem_(source.to_string() + " has not answered yet"),
      discovery_(services, source, *this) {}

PoolSource::~PoolSource() {
  services_.checks.remove(check_);
}

void PoolSource::start() {
  tell_health();
  discovery_.start();
}

void PoolSource::tell_health() {
  const std::string count = std::to_string(pool_.servers()) + " servers";
  if (problem_.empty()) {
    services_.checks.set(check_, Health::pass, count + " from " + source().to_string());
    return;
  }
  const bool is_fatal = pool_.servers() == 0 && !pool_.config().lazy;
  const std::string rest =
      pool_.servers() == 0 ? "; no servers yet" : "; the last " + count + " stay";
  services_.checks.set(check_, is_fatal ? Health::fail : Health::warn, problem_ + rest);
}

void PoolSource::on_servers(const std::vector<ServerSpec>& servers) {
  problem_.clear();
  const double moved = moved_share({pool_.config(), pool_.specs()}, {pool_.config(), servers});
  const bool is_first = pool_.servers() == 0;
  services_.log.info("pool.servers_changed", {{"pool", pool_.config().name},
                                              {"source", source().to_string()},
                                              {"servers", servers.size()},
                                              {"moved_percent", is_first ? 0 : percent(moved)}});
  pool_.set_servers(servers);
  tell_health();
}

void PoolSource::on_discovery_failed(const std::string& why) {
  problem_ = why;
  services_.log.warn(
      "pool.servers_unknown",
      {{"pool", pool_.config().name}, {"reason", why}, {"servers_in_use", pool_.servers()}});
  tell_health();
}

void PoolSource::on_discovery_recovered() {
  problem_.clear();
  services_.log.info("pool.servers_known", {{"pool", pool_.config().name},
                                            {"source", source().to_string()},
                                            {"servers", pool_.servers()}});
  tell_health();
}

}  // namespace consort::shard_proxy
