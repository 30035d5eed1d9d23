// A pool: its listeners, its clients, its servers, and which server owns which key.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "manage/role.hpp"
#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/turn.hpp"
#include "roles/shard_proxy/upstream.hpp"

namespace consort::shard_proxy {

/// Series with the label pool.
struct PoolMetrics {
  PoolMetrics(Registry& registry, const std::string& pool);
  Counter& client_requests;
  Counter& client_errors;  ///< requests answered by us with an error
  Counter& split_requests;
  Counter& client_connects;
  Counter& clients_refused;
  Counter& clients_cut_off;
  Counter& client_bytes_received;
  Counter& client_bytes_sent;
  Gauge& clients;
};

class Pool final : public io::AcceptHandler, public Upstream::Watcher {
 public:
  Pool(const Services& services, const PoolConfig& config, Turn& turn);
  ~Pool();

  /// Binds the listeners and begins to connect to the servers.
  Result<> start();
  /// Closes the listeners; each client is closed when its last request is answered.
  void drain();
  bool is_drained() const { return clients_.empty(); }

  const PoolConfig& config() const { return config_; }
  Turn& turn() { return turn_; }
  PoolMetrics& metrics() { return metrics_; }
  std::uint64_t now_ms() const { return services_.loop.now_ms(); }
  TimerQueue& timers() { return services_.loop.timers(); }

  std::uint32_t server_of(std::string_view key) { return placement_.server_of(key, random_); }
  std::uint32_t servers() const { return static_cast<std::uint32_t>(upstreams_.size()); }
  Link& link(std::uint32_t server, const Client& client, Dialect dialect) {
    return upstreams_[server]->link_for(client.id(), dialect);
  }
  /// For requests that any server answers alike: the first one that is up, else the first.
  std::uint32_t any_server() const;
  /// What the servers call their version; `fallback` until one has told.
  std::string server_version(std::string_view fallback) const;

  void destroy(Client& client);
  void tell_client_cut_off(const Client& client, std::string_view peer, std::string_view reason);

  void on_accept(std::unique_ptr<io::Stream> stream) override;
  void on_accept_paused(const Error& why) override;
  void on_server_changed() override;

 private:
  void refuse(io::Stream& stream);

  const Services& services_;
  const PoolConfig& config_;
  Turn& turn_;
  PoolContext context_;
  PoolMetrics metrics_;
  Placement placement_;
  Random& random_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  std::unordered_map<Client*, std::unique_ptr<Client>> clients_;
  std::uint64_t next_client_id_ = 1;
  // Last, so that links go first: they still name clients as their sinks.
  std::vector<std::unique_ptr<Upstream>> upstreams_;
};

}  // namespace consort::shard_proxy
