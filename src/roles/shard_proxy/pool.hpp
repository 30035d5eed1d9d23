// A pool: its clients, its servers, and which server owns which key.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "manage/role.hpp"
#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/command_counters.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/private_links.hpp"
#include "roles/shard_proxy/redis_learner.hpp"
#include "roles/shard_proxy/turn.hpp"
#include "roles/shard_proxy/upstream.hpp"
#include "wire/redis_commands.hpp"

namespace consort::shard_proxy {

/// Series with the label pool.
struct PoolMetrics {
  PoolMetrics(Registry& registry, const std::string& pool);
  Counter& client_requests;
  Counter& client_errors;  ///< requests answered by us with an error
  Counter& parse_errors;   ///< of them, those that broke the protocol
  Counter& split_requests;
  Counter& client_connects;
  Counter& client_disconnects;
  Counter& clients_refused;
  Counter& clients_cut_off;
  Counter& client_bytes_received;
  Counter& client_bytes_sent;
  Gauge& clients;
  Gauge& private_connections;
};

class Pool final : public Upstream::Watcher {
 public:
  /// How often servers that left the configuration are looked at: they go when idle.
  static constexpr std::uint64_t kRetireMs = 100;

  Pool(const Services& services, const PoolConfig& config, Turn& turn);
  ~Pool();

  /// Begins to connect to the servers.
  void start();
  /// Takes over new settings, of the same name and protocol. Servers that are in both keep their
  /// connections; others finish what is in flight. Clients notice nothing.
  void reconfigure(const PoolConfig& next);
  /// From a discovery: other servers, all other settings as they are.
  void set_servers(const std::vector<ServerSpec>& servers);
  void accept(std::unique_ptr<io::Stream> stream);
  /// Each client is closed when its last request is answered.
  void drain();
  bool is_drained() const { return clients_.empty(); }

  const PoolConfig& config() const { return config_; }
  Turn& turn() { return turn_; }
  PoolMetrics& metrics() { return metrics_; }
  PrivateLinks& private_links() { return private_links_; }
  /// The servers' own command table, or the built-in one.
  const redis::CommandTable& commands() const { return learner_.commands(); }
  /// How many databases a server has.
  std::uint32_t databases() const { return learner_.databases(); }
  void count_command(const redis::Command& command) {
    const redis::CommandTable& table = learner_.commands();
    if (&table != counted_table_) [[unlikely]] {
      counted_table_ = &table;
      counters_.renumber(table.size());
    }
    counters_.add(table.index_of(command), [&] { return table.full_name(command); });
  }
  void count_command(memcache::Command command) {
    counters_.add(command_index(command), [command] { return command_word(command); });
  }
  bool reads_miss() const { return config_.on_server_down == OnServerDown::miss; }
  std::uint64_t now_ms() const { return services_.loop.now_ms(); }
  TimerQueue& timers() { return services_.loop.timers(); }
  Random& random() { return random_; }
  const Services& services() const { return services_; }

  std::uint32_t server_of(std::string_view key) { return placement_.server_of(key, random_); }
  std::uint32_t servers() const { return static_cast<std::uint32_t>(upstreams_.size()); }
  /// The servers in their order, with their present weights.
  const std::vector<ServerSpec>& specs() const { return specs_; }
  const Placement& placement() const { return placement_; }
  /// `server` may be Placement::kNoServer: then the link fails every request.
  Upstream& upstream(std::uint32_t server) {
    return server < upstreams_.size() ? *upstreams_[server] : nowhere();
  }
  Link& link(std::uint32_t server, const Client& client, Lane lane) {
    return upstream(server).link_for(client.id(), lane);
  }
  Link& link(std::uint32_t server, const Client& client, Dialect dialect) {
    return link(server, client, Lane{dialect, config_.redis_db});
  }
  /// For requests that any server answers alike: the first one that is up, else the first.
  std::uint32_t any_server() const;
  /// The lowest of what the servers call their version; `fallback` until one has told.
  std::string server_version(std::string_view fallback) const;

  template <class Visit>
  void for_each_client(Visit visit) {
    for (auto& [client, owner] : clients_) visit(*client);
  }
  void destroy(Client& client);
  void tell_client_cut_off(const Client& client, std::string_view peer, std::string_view reason);

  void on_server_changed() override;
  bool fails_open() const override;

 private:
  void refuse(io::Stream& stream);
  Upstream& nowhere();
  void replace_servers(const std::vector<ServerSpec>& servers, bool keeps_connections);
  void retire(std::unique_ptr<Upstream> upstream);
  void on_retire_timer();
  void learn();
  void place_keys();
  void tell_health();

  const Services& services_;
  PoolConfig config_;
  Turn& turn_;
  PoolContext context_;
  PoolMetrics metrics_;
  std::vector<ServerSpec> specs_;  ///< of upstreams_, with their present weights
  Placement placement_;
  Random& random_;
  bool is_draining_ = false;
  RedisLearner learner_{*this};
  CommandCounters counters_;
  const redis::CommandTable* counted_table_ = nullptr;
  std::uint64_t next_client_id_ = 1;
  // Servers outlive the connections to them that clients have for themselves.
  std::vector<std::unique_ptr<Upstream>> retired_;
  std::unique_ptr<Upstream> nowhere_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  PrivateLinks private_links_;
  Timer retire_timer_;
  std::unordered_map<Client*, std::unique_ptr<Client>> clients_;
};

}  // namespace consort::shard_proxy
