#include "roles/shard_proxy/pool.hpp"

#include "roles/shard_proxy/memcache_client.hpp"
#include "roles/shard_proxy/redis_client.hpp"

namespace consort::shard_proxy {

PoolMetrics::PoolMetrics(Registry& registry, const std::string& pool)
    : client_requests(registry.counter("consort_client_requests_total", "Requests from clients.",
                                       {{"pool", pool}})),
      client_errors(registry.counter("consort_client_errors_total",
                                     "Requests answered with an error without asking a server.",
                                     {{"pool", pool}})),
      split_requests(registry.counter("consort_split_requests_total",
                                      "Requests that were split over several servers.",
                                      {{"pool", pool}})),
      client_connects(
          registry.counter("consort_client_connects_total", "Clients accepted.", {{"pool", pool}})),
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
      clients(registry.gauge("consort_clients", "Clients connected.", {{"pool", pool}})) {}

Pool::Pool(const Services& services, const PoolConfig& config, Turn& turn)
    : services_(services),
      config_(config),
      turn_(turn),
      context_{services, config, turn},
      metrics_(services.metrics, config.name),
      placement_(config.make_placement()),
      random_(services.random) {
  for (const ServerSpec& spec : config.servers) {
    upstreams_.push_back(std::make_unique<Upstream>(context_, spec, *this));
  }
}

Pool::~Pool() = default;

Result<> Pool::start() {
  io::ListenOptions options;
  options.backlog = static_cast<int>(config_.backlog);
  for (const Address& address : config_.listen) {
    auto listener = services_.network.listen(address, options, *this);
    if (!listener) {
      return fail(std::move(listener.error()).in("pool \"" + config_.name + "\""));
    }
    services_.log.info("pool.listening", {{"pool", config_.name},
                                          {"address", (*listener)->address().to_string()},
                                          {"servers", config_.servers.size()}});
    listeners_.push_back(std::move(*listener));
  }
  on_server_changed();
  for (auto& upstream : upstreams_) upstream->connect_now();
  return {};
}

void Pool::drain() {
  listeners_.clear();
  for (auto& [client, owner] : clients_) client->close_when_idle();
}

std::uint32_t Pool::any_server() const {
  for (std::uint32_t i = 0; i < servers(); ++i) {
    if (upstreams_[i]->is_up()) return i;
  }
  return 0;
}

std::string Pool::server_version(std::string_view fallback) const {
  for (const auto& upstream : upstreams_) {
    if (!upstream->version().empty()) return upstream->version();
  }
  return std::string(fallback);
}

void Pool::on_accept(std::unique_ptr<io::Stream> stream) {
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

void Pool::on_accept_paused(const Error& why) {
  services_.log.warn("accept.paused", {{"pool", config_.name}, {"reason", why.message()}});
}

void Pool::destroy(Client& client) {
  clients_.erase(&client);
  metrics_.clients.set(static_cast<std::int64_t>(clients_.size()));
}

void Pool::tell_client_cut_off(const Client& client, std::string_view peer,
                               std::string_view reason) {
  metrics_.clients_cut_off.add();
  services_.log.warn(
      "client.cut_off",
      {{"pool", config_.name}, {"client", client.id()}, {"peer", peer}, {"reason", reason}});
}

void Pool::on_server_changed() {
  std::size_t up = 0;
  std::string down;
  for (const auto& upstream : upstreams_) {
    if (upstream->is_up()) {
      ++up;
    } else {
      down += (down.empty() ? "; down: " : ", ") + upstream->spec().name;
    }
  }
  Health health = up == upstreams_.size()  ? Health::pass
                  : up > 0 || config_.lazy ? Health::warn
                                           : Health::fail;
  services_.checks.set(
      "pool " + config_.name, health,
      std::to_string(up) + " of " + std::to_string(upstreams_.size()) + " servers answer" + down);
}

}  // namespace consort::shard_proxy
