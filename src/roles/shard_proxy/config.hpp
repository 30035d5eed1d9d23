// The shard-proxy's configuration: pools, in our own form or as a twemproxy nutcracker.yml.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/role.hpp"
#include "net/key_hash.hpp"
#include "net/placement.hpp"
#include "roles/shard_proxy/server_spec.hpp"

namespace consort::shard_proxy {

enum class Protocol : std::uint8_t { automatic, memcached, redis };
enum class PartialMultiget : std::uint8_t { miss, error };

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
struct Text<shard_proxy::ServerSpec> : PlainText<shard_proxy::ServerSpec> {
  static constexpr std::string_view kind = "server";
  static Result<shard_proxy::ServerSpec> parse(std::string_view text) {
    return shard_proxy::ServerSpec::parse(text);
  }
  static std::string print(const shard_proxy::ServerSpec& spec);
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

  // Keys of nutcracker.yml that say something else here.
  bool redis = false;
  bool auto_eject_hosts = false;
  bool reuseport = false;
  std::uint32_t server_failure_limit = 2;

  Placement make_placement() const;
};

extern const std::span<const Option> kPoolOptions;

class Config final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void adapt_file(Node& root, Problems& problems) override;
  void validate(Problems& problems) override;
  std::optional<int> answer(std::string& out) const override;

  PoolConfig pool;                ///< from flags: the one pool when there is no `pools`
  std::vector<PoolConfig> pools;  ///< after validate(): every pool to run
  std::vector<std::string> explain;

 private:
  bool file_has_pools_ = false;
};

}  // namespace consort::shard_proxy
