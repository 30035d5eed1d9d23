// One server of a pool: its name, its connections, its numbers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/turn.hpp"

namespace consort::shard_proxy {

/// What every object of a pool needs. Lives as long as the pool.
struct PoolContext {
  const Services& services;
  const PoolConfig& config;
  Turn& turn;
};

/// Series with the labels pool and server.
struct UpstreamMetrics {
  UpstreamMetrics(Registry& registry, const std::string& pool, const std::string& server);
  Counter& requests;
  Counter& timeouts;
  Counter& failures;  ///< requests answered with an error of ours, timeouts included
  Counter& connects;
  Counter& late_replies;
  Counter& bytes_sent;
  Counter& bytes_received;
  Gauge& up;
};

class Upstream {
 public:
  class Watcher {
   public:
    virtual void on_server_changed() = 0;

   protected:
    ~Watcher() = default;
  };

  Upstream(const PoolContext& context, const ServerSpec& spec, Watcher& watcher);

  /// The connection for this client and dialect; made on first use.
  Link& link_for(std::uint64_t client_id, Dialect dialect);
  /// Connects before anybody asks, so that health is known.
  void connect_now();
  /// True once a connection has answered its greeting and until all have failed.
  bool is_up() const;
  /// As the server itself told in its greeting; empty until then.
  const std::string& version() const { return version_; }
  void set_version(std::string version) { version_ = std::move(version); }
  const ServerSpec& spec() const { return spec_; }
  const PoolContext& context() const { return context_; }
  UpstreamMetrics& metrics() { return metrics_; }
  /// From a link whose state changed; `why` is empty when it is up.
  void on_link_changed(const std::string& why);

 private:
  const PoolContext& context_;
  const ServerSpec& spec_;
  Watcher& watcher_;
  UpstreamMetrics metrics_;
  std::string version_;
  std::vector<std::unique_ptr<Link>> links_[kDialects];
  bool was_up_ = false;
  bool told_down_ = false;
};

}  // namespace consort::shard_proxy
