#include "roles/shard_proxy/pool.hpp"

#include <algorithm>
#include <utility>

#include "roles/shard_proxy/memcache_client.hpp"
#include "roles/shard_proxy/memcache_stats.hpp"
#include "roles/shard_proxy/redis_client.hpp"

namespace consort::shard_proxy {

PoolMetrics::PoolMetrics(Registry& registry, const std::string& pool)
    : client_requests(registry.counter("consort_client_requests_total", "Requests from clients.",
                                       {{"pool", pool}})),
      client_errors(registry.counter("consort_client_errors_total",
                                     "Requests answered with an error without asking a server.",
                                     {{"pool", pool}})),
      parse_errors(registry.counter("consort_client_parse_errors_total",
                                    "Client requests that broke the protocol.", {{"pool", pool}})),
      split_requests(registry.counter("consort_split_requests_total",
                                      "Requests that were split over several servers.",
                                      {{"pool", pool}})),
      client_connects(
          registry.counter("consort_client_connects_total", "Clients accepted.", {{"pool", pool}})),
      client_disconnects(registry.counter("consort_client_disconnects_total",
                                          "Clients that are gone.", {{"pool", pool}})),
      clients_refused(registry.counter("consort_clients_refused_total",
                                       "Clients refused above client_connections.",
                                       {{"pool", pool}})),
      clients_cut_off(registry.counter("consort_clients_cut_off_total",
                                       "Clients closed by us, the log says why.",
                                       {{"pool", pool}})),
      client_bytes_received(registry.counter("consort_client_received_bytes_total",
                                             "Bytes received from clients.", {{"pool", pool}})),
      client_bytes_sent(registry.counter("consort_client_sent_bytes_total",
                                         "Bytes sent to clients.", {{"pool", pool}})),
      clients(registry.gauge("consort_clients", "Clients connected.", {{"pool", pool}})),
      private_connections(registry.gauge("consort_private_connections",
                                         "Server connections that single clients have, or had.",
                                         {{"pool", pool}})) {}

Pool::Pool(const Services& services, const PoolConfig& config, Turn& turn)
    : services_(services),
      config_(config),
      turn_(turn),
      context_{services, config_, turn},
      metrics_(services.metrics, config.name),
      placement_(config.make_placement()),
      random_(services.random),
      counters_(services.metrics, config.name, kMemcacheCommands),
      private_links_(*this),
      retire_timer_(
          services.loop.timers(), [](void* self) { static_cast<Pool*>(self)->on_retire_timer(); },
          this) {}

Pool::~Pool() = default;

void Pool::start() {
  replace_servers(config_.servers, true);
}

// ---- clients ----

void Pool::accept(std::unique_ptr<io::Stream> stream) {
  metrics_.client_connects.add();
  if (config_.client_connections != 0 && clients_.size() >= config_.client_connections) {
    refuse(*stream);
    return;
  }
  std::unique_ptr<Client> client;
  std::uint64_t id = next_client_id_++;
  if (config_.protocol == Protocol::redis) {
    client = std::make_unique<RedisClient>(*this, std::move(stream), id);
  } else {
    client = std::make_unique<MemcacheClient>(*this, std::move(stream), id);
  }
  Client* started = client.get();
  clients_.emplace(started, std::move(client));
  metrics_.clients.set(static_cast<std::int64_t>(clients_.size()));
  started->start();
}

// The words that the server itself uses at its own limit.
void Pool::refuse(io::Stream& stream) {
  metrics_.clients_refused.add();
  bool is_redis = config_.protocol == Protocol::redis;
  (void)stream.try_write(is_redis ? "-ERR max number of clients reached\r\n"
                                  : "ERROR Too many open connections\r\n");
  services_.log.warn("client.refused", {{"pool", config_.name},
                                        {"reason", "client_connections is reached"},
                                        {"limit", config_.client_connections}});
}

void Pool::drain() {
  is_draining_ = true;
  for (auto& [client, owner] : clients_) client->close_when_idle();
}

void Pool::destroy(Client& client) {
  clients_.erase(&client);
  metrics_.client_disconnects.add();
  metrics_.clients.set(static_cast<std::int64_t>(clients_.size()));
}

void Pool::tell_client_cut_off(const Client& client, std::string_view peer,
                               std::string_view reason) {
  metrics_.clients_cut_off.add();
  services_.log.warn(
      "client.cut_off",
      {{"pool", config_.name}, {"client", client.id()}, {"peer", peer}, {"reason", reason}});
}

// ---- servers ----

void Pool::reconfigure(const PoolConfig& next) {
  bool keeps_connections = next.redis_auth == config_.redis_auth &&
                           next.redis_db == config_.redis_db &&
                           next.server_connections == config_.server_connections &&
                           next.tcpkeepalive == config_.tcpkeepalive;
  // A discovery owns the list: what it found last stays until it finds something else.
  bool is_discovered = next.servers_from.has_value();
  std::vector<ServerSpec> servers = is_discovered ? specs_ : next.servers;
  config_ = next;
  if (!config_.learn_commands) learner_.use_built_in();
  replace_servers(servers, keeps_connections);
  learn();
}

void Pool::set_servers(const std::vector<ServerSpec>& servers) {
  replace_servers(servers, true);
}

void Pool::replace_servers(const std::vector<ServerSpec>& servers, bool keeps_connections) {
  std::vector<std::unique_ptr<Upstream>> before = std::exchange(upstreams_, {});
  for (const ServerSpec& spec : servers) {
    auto same = std::find_if(before.begin(), before.end(), [&spec](const auto& upstream) {
      return upstream && upstream->spec().name == spec.name &&
             upstream->spec().address == spec.address;
    });
    if (keeps_connections && same != before.end()) {
      (*same)->settings_changed();
      upstreams_.push_back(std::move(*same));
      continue;
    }
    upstreams_.push_back(std::make_unique<Upstream>(context_, spec, *this));
    if (same != before.end()) upstreams_.back()->inherit(**same);
  }
  specs_ = servers;
  for (auto& upstream : before) {
    if (upstream) retire(std::move(upstream));
  }
  place_keys();
  tell_health();
  for (auto& upstream : upstreams_) {
    if (upstream->state() == Upstream::State::unknown) upstream->connect_now();
  }
  for (auto& [client, owner] : clients_) client->servers_changed();
}

void Pool::retire(std::unique_ptr<Upstream> upstream) {
  upstream->retire();
  private_links_.drop_idle(*upstream);
  retired_.push_back(std::move(upstream));
  // Not put off by the next one: reloads may come faster.
  if (!retire_timer_.armed()) retire_timer_.arm_at(now_ms() + kRetireMs);
}

void Pool::on_retire_timer() {
  for (auto& upstream : retired_) {
    if (upstream->is_unused()) turn_.bury_later(std::unique_ptr<Mortal>(std::move(upstream)));
  }
  std::erase(retired_, nullptr);
  if (!retired_.empty()) retire_timer_.arm_at(now_ms() + kRetireMs);
}

Upstream& Pool::nowhere() {
  if (!nowhere_) {
    ServerSpec spec;
    spec.name = "pool \"" + config_.name + "\"";
    nowhere_ = std::make_unique<Upstream>(context_, spec, *this);
  }
  nowhere_->fail_always(upstreams_.empty() ? "has no servers yet" : "has no server that is up");
  return *nowhere_;
}

std::uint32_t Pool::any_server() const {
  for (std::uint32_t i = 0; i < servers(); ++i) {
    if (upstreams_[i]->is_up()) return i;
  }
  return 0;
}

std::string Pool::server_version(std::string_view fallback) const {
  const std::string* lowest = nullptr;
  for (const auto& upstream : upstreams_) {
    const std::string& version = upstream->version();
    if (version.empty()) continue;
    if (lowest == nullptr || is_lower_version(version, *lowest)) lowest = &version;
  }
  return lowest != nullptr ? *lowest : std::string(fallback);
}

// ---- health and placement ----

void Pool::on_server_changed() {
  learn();
  tell_health();
  if (config_.on_server_down != OnServerDown::rehash) return;
  place_keys();
  for (auto& [client, owner] : clients_) client->servers_changed();
}

void Pool::learn() {
  if (config_.protocol != Protocol::redis || !config_.learn_commands || upstreams_.empty()) return;
  Upstream& upstream = *upstreams_[any_server()];
  if (!upstream.is_up()) return;
  learner_.server_is_up(upstream.link_for(0, Lane{Dialect::resp2, config_.redis_db}),
                        upstream.version());
}

bool Pool::fails_open() const {
  if (config_.fail_open_percent == 0) return false;
  std::size_t down = 0;
  for (const auto& upstream : upstreams_) {
    down += upstream->state() == Upstream::State::down ? 1 : 0;
  }
  return !upstreams_.empty() && down * 100 >= std::size_t{config_.fail_open_percent} * servers();
}

// Which servers hold keys: all of them, or with rehash those that are not down.
void Pool::place_keys() {
  bool ejects = config_.on_server_down == OnServerDown::rehash && !fails_open();
  std::vector<bool> live;
  for (auto& upstream : upstreams_) {
    live.push_back(!ejects || upstream->state() != Upstream::State::down);
    upstream->set_ejected(!live.back());
  }
  placement_ = config_.make_placement(specs_, live);
}

void Pool::tell_health() {
  if (is_draining_) return;  // its check may be another pool's by now
  std::size_t up = 0;
  std::string down;
  for (const auto& upstream : upstreams_) {
    if (upstream->is_up()) {
      ++up;
    } else {
      down += (down.empty() ? "; down: " : ", ") + upstream->spec().name;
    }
  }
  bool is_whole = up == upstreams_.size() && up > 0;
  Health health = is_whole ? Health::pass : up > 0 || config_.lazy ? Health::warn : Health::fail;
  services_.checks.set(
      "pool " + config_.name, health,
      std::to_string(up) + " of " + std::to_string(upstreams_.size()) + " servers answer" + down);
}

}  // namespace consort::shard_proxy
