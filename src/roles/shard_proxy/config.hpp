// The shard-proxy's configuration: pools, in our own form or as a twemproxy nutcracker.yml.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/key_hash.hpp"
#include "net/placement.hpp"
#include "roles/shard_proxy/server_source.hpp"
#include "roles/shard_proxy/server_spec.hpp"

namespace consort::shard_proxy {

enum class Protocol : std::uint8_t { automatic, memcached, redis };
enum class PartialMultiget : std::uint8_t { miss, error };
/// What becomes of the keys of a server that is down.
enum class OnServerDown : std::uint8_t {
  error,   ///< every request an error
  miss,    ///< reads find nothing, writes get an error
  rehash,  ///< the other servers take its keys, as twemproxy's auto_eject_hosts
};

/// Where --stats-port listens; nothing for not at all.
struct StatsAddress {
  std::optional<Address> address;
};

}  // namespace consort::shard_proxy

namespace consort {
template <>
struct Choices<shard_proxy::Protocol> {
  static constexpr std::string_view names[] = {"auto", "memcached", "redis"};
};
template <>
struct Choices<shard_proxy::PartialMultiget> {
  static constexpr std::string_view names[] = {"miss", "error"};
};
template <>
struct Choices<shard_proxy::OnServerDown> {
  static constexpr std::string_view names[] = {"error", "miss", "rehash"};
};
template <>
struct Text<shard_proxy::ServerSpec> : PlainText<shard_proxy::ServerSpec> {
  static constexpr std::string_view kind = "server";
  static Result<shard_proxy::ServerSpec> parse(std::string_view text) {
    return shard_proxy::ServerSpec::parse(text);
  }
  static std::string print(const shard_proxy::ServerSpec& spec);
};
/// Empty text is no source.
template <>
struct Text<std::optional<shard_proxy::ServerSource>>
    : PlainText<std::optional<shard_proxy::ServerSource>> {
  static constexpr std::string_view kind = "source";
  static Result<std::optional<shard_proxy::ServerSource>> parse(std::string_view text);
  static std::string print(const std::optional<shard_proxy::ServerSource>& source) {
    return source ? source->to_string() : std::string();
  }
};
/// An address; "22222" and ":22222" are on 127.0.0.1, as nobody is asked for a password there.
template <>
struct Text<shard_proxy::StatsAddress> : PlainText<shard_proxy::StatsAddress> {
  static constexpr std::string_view kind = "address";
  static Result<shard_proxy::StatsAddress> parse(std::string_view text);
  static std::string print(const shard_proxy::StatsAddress& stats) {
    return stats.address ? stats.address->to_string() : std::string();
  }
};
}  // namespace consort

namespace consort::shard_proxy {

/// One pool: a listener, the servers behind it, and how keys are placed on them. Times are the
/// options' units; see kPoolOptions for what each member means to a user.
struct PoolConfig {
  std::string name = "default";
  std::vector<Address> listen;
  Protocol protocol = Protocol::automatic;
  std::vector<ServerSpec> servers;
  std::optional<ServerSource> servers_from;  ///< instead of `servers`
  Distribution distribution = Distribution::ketama;
  KeyHash hash = KeyHash::fnv1a_64;
  std::string hash_tag;
  Millis timeout{1000};
  Millis connect_timeout{500};
  std::uint32_t server_connections = 1;
  bool preconnect = false;
  std::uint32_t backlog = 512;
  std::uint32_t client_connections = 0;
  bool tcpkeepalive = false;
  PartialMultiget partial_multiget = PartialMultiget::miss;
  bool lazy = false;
  ByteSize client_output_limit{64ULL << 20};
  std::string redis_auth;
  std::uint32_t redis_db = 0;
  Millis server_retry_timeout{1000};
  std::uint32_t server_failure_limit = 2;
  OnServerDown on_server_down = OnServerDown::error;
  std::uint32_t fail_open_percent = 100;
  bool flush_on_return = false;
  std::uint32_t private_connections = 100;
  ByteSize cross_server_limit{64ULL << 20};
  bool learn_commands = true;

  // Keys of nutcracker.yml that say something else here.
  bool redis = false;
  bool auto_eject_hosts = false;
  bool reuseport = false;

  /// Of these servers, those that are not `live` without keys; all live when that is empty.
  Placement make_placement(std::span<const ServerSpec> of, const std::vector<bool>& live) const;
  Placement make_placement() const { return make_placement(servers, {}); }
};

extern const std::span<const Option> kPoolOptions;
/// Whether every option of a pool has the same value in both; their names do not count.
bool same_settings(const PoolConfig& a, const PoolConfig& b);

class Config final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void adapt_file(Node& root, Problems& problems) override;
  void validate(Problems& problems) override;
  std::optional<int> answer(std::string& out) const override;
  std::optional<int> answer_with(const LoadOther& load_other, std::string& out) const override;

  PoolConfig pool;                ///< from flags: the one pool when there is no `pools`
  std::vector<PoolConfig> pools;  ///< after validate(): every pool to run
  std::vector<std::string> explain;
  std::string diff;
  StatsAddress stats_port;

 private:
  bool file_has_pools_ = false;
};

}  // namespace consort::shard_proxy
