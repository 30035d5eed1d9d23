#include "roles/shard_proxy/config.hpp"

#include <algorithm>
#include <charconv>

namespace consort {

std::string Text<shard_proxy::ServerSpec>::print(const shard_proxy::ServerSpec& spec) {
  std::string out = spec.address.to_string();
  out += ':' + std::to_string(spec.weight);
  return out + ' ' + spec.name;
}

namespace shard_proxy {
namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kMemcachedPort = 11211;
// Links keep deadlines in 32 bits of milliseconds, which is good for 24 days.
constexpr Millis kMaxTimeout{24 * 60 * 60 * 1000};

constexpr Option kPoolTable[] = {
    option<&PoolConfig::listen>(
        "listen", "where clients connect; default 127.0.0.1:11211 (memcached) or :6379 (redis)"),
    option<&PoolConfig::protocol>(
        "protocol",
        "what clients and servers speak; auto is redis when every server has port 6379 "
        "or the listener has, else memcached"),
    option<&PoolConfig::servers>("server",
                                 "a server: HOST:PORT[:WEIGHT][ NAME] or /SOCKET[:WEIGHT][ NAME]; "
                                 "repeat for each (in a file: servers)"),
    option<&PoolConfig::distribution>("distribution",
                                      "how keys are spread; jump suits new pools best"),
    option<&PoolConfig::hash>("hash", "the hash of a key; murmur suits new pools best"),
    option<&PoolConfig::hash_tag>(
        "hash-tag", "two characters: only what stands between them in a key is hashed, as in {}"),
    option<&PoolConfig::timeout>("timeout", "how long a server may take to answer a request",
                                 kBareMillis),
    option<&PoolConfig::connect_timeout>("connect-timeout",
                                         "how long connecting to a server may take", kBareMillis),
    option<&PoolConfig::server_connections>(
        "server-connections", "connections to each server; a client always uses the same one"),
    option<&PoolConfig::preconnect>("preconnect",
                                    "open all server connections at the start, not only the first"),
    option<&PoolConfig::backlog>("backlog", "connections the kernel queues for the listener"),
    option<&PoolConfig::client_connections>("client-connections",
                                            "most clients at a time; 0 is no limit"),
    option<&PoolConfig::tcpkeepalive>("tcpkeepalive", "TCP keep-alive on server connections"),
    option<&PoolConfig::partial_multiget>(
        "partial-multiget",
        "when a server of a memcached multi-get fails: its keys are misses, or "
        "an error line ends the answer"),
    option<&PoolConfig::lazy>("lazy", "be ready even when no server of the pool answers"),
    option<&PoolConfig::client_output_limit>(
        "client-output-limit",
        "a client that stopped reading is cut off when this much waits for it"),
    option<&PoolConfig::redis_auth>(
        "redis-auth", "password for the servers, which clients must give too", kSecret),
    option<&PoolConfig::redis_db>("redis-db", "the database that is selected on every server"),
    option<&PoolConfig::server_retry_timeout>(
        "server-retry-timeout", "how long after a server's failure it is tried again; grows to 30s",
        kBareMillis),
    option<&PoolConfig::redis>("redis", "nutcracker's name for protocol: redis"),
    option<&PoolConfig::auto_eject_hosts>(
        "auto-eject-hosts", "read for nutcracker.yml's sake; ejection is not done yet (a warning)"),
    option<&PoolConfig::reuseport>("reuseport", "read for nutcracker.yml's sake; has no effect"),
    option<&PoolConfig::server_failure_limit>(
        "server-failure-limit", "read for nutcracker.yml's sake; has no effect without ejection"),
};

constexpr Option kRoleTable[] = {
    option<&Config::explain>(
        "explain", "print which server owns this key and why, and end; may be repeated", kFlagOnly),
    option_map<&Config::pools>("pools", kPoolTable, "pools by name, each with the keys of a pool"),
};

// A map of pools by name. One listener or server list is enough to tell: a pool that lacks one is
// then complained of as a pool, not as an unknown key.
bool is_nutcracker(const Node& root) {
  if (root.kind != Node::Kind::map || root.find("pools") != nullptr) return false;
  auto is_map = [](const auto& member) { return member.second.kind == Node::Kind::map; };
  auto is_pool = [](const auto& member) {
    return member.second.find("listen") != nullptr || member.second.find("servers") != nullptr;
  };
  return std::all_of(root.members.begin(), root.members.end(), is_map) &&
         std::any_of(root.members.begin(), root.members.end(), is_pool);
}

// "nutcracker.yml as it is" becomes our form: {pools: <the file>}.
void wrap_nutcracker(Node& root) {
  Node key;
  key.kind = Node::Kind::scalar;
  key.scalar = "pools";
  key.place = root.place;
  Node outer;
  outer.kind = Node::Kind::map;
  outer.place = root.place;
  outer.members.emplace_back(std::move(key), std::move(root));
  root = std::move(outer);
}

// Files say `servers`, the flag is --server: one option.
void rename_servers(Node& pool) {
  if (pool.kind != Node::Kind::map || pool.find("server") != nullptr) return;
  for (auto& [key, value] : pool.members) {
    if (key.scalar == "servers") key.scalar = "server";
  }
}

bool all_ports_are(const PoolConfig& pool, std::uint16_t port) {
  return std::all_of(pool.servers.begin(), pool.servers.end(), [port](const ServerSpec& server) {
    return !server.address.is_unix() && server.address.port == port;
  });
}

Protocol resolve_protocol(const PoolConfig& pool) {
  if (pool.protocol != Protocol::automatic) return pool.protocol;
  if (pool.redis) return Protocol::redis;
  bool listens_as_redis = std::any_of(
      pool.listen.begin(), pool.listen.end(),
      [](const Address& address) { return !address.is_unix() && address.port == kRedisPort; });
  return listens_as_redis || all_ports_are(pool, kRedisPort) ? Protocol::redis
                                                             : Protocol::memcached;
}

void check_servers(const PoolConfig& pool, Problems& problems) {
  std::string where = "pool \"" + pool.name + "\": ";
  // A --server that could not be read has been reported already.
  bool was_told = std::any_of(
      problems.errors().begin(), problems.errors().end(),
      [](const std::string& error) { return error.find("is not a server") != std::string::npos; });
  if (pool.servers.empty() && !was_told) {
    problems.error(where + "no server; give --server HOST:PORT (in a file: servers)");
  }
  for (std::size_t i = 0; i < pool.servers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (pool.servers[i].name != pool.servers[j].name) continue;
      problems.error(where + "two servers are called \"" + pool.servers[i].name +
                     "\"; names decide the placement, so they must differ");
    }
  }
}

void warn_about(const PoolConfig& pool, Problems& problems) {
  std::string where = "pool \"" + pool.name + "\": ";
  std::string_view trap = placement_trap(pool.distribution, pool.hash);
  if (pool.servers.size() > 1 && !trap.empty()) problems.warn(where + std::string(trap));
  if (pool.auto_eject_hosts) {
    problems.warn(where +
                  "auto_eject_hosts is read but not done yet: a failed server's keys get an "
                  "error until it is back");
  }
}

void check_pool(PoolConfig& pool, Problems& problems) {
  std::string where = "pool \"" + pool.name + "\": ";
  pool.protocol = resolve_protocol(pool);
  if (pool.listen.empty()) {
    Address address;
    address.host = "127.0.0.1";
    address.port = pool.protocol == Protocol::redis ? kRedisPort : kMemcachedPort;
    pool.listen.push_back(address);
  }
  check_servers(pool, problems);
  if (!pool.hash_tag.empty() && pool.hash_tag.size() != 2) {
    problems.error(where + "hash_tag: \"" + pool.hash_tag + "\" must be two characters, as {}");
  }
  for (auto [name, value] :
       {std::pair("timeout", pool.timeout), std::pair("connect_timeout", pool.connect_timeout)}) {
    if (value.count() > 0 && value <= kMaxTimeout) continue;
    problems.error(where + name + " must be more than 0 and at most 24h");
  }
  if (pool.server_connections == 0 || pool.server_connections > 1000) {
    problems.error(where + "server_connections must be 1 to 1000");
  }
  if (pool.protocol == Protocol::memcached && (!pool.redis_auth.empty() || pool.redis_db != 0)) {
    problems.error(where + "redis_auth and redis_db need protocol: redis");
  }
  warn_about(pool, problems);
}

void check_listeners(const std::vector<PoolConfig>& pools, Problems& problems) {
  std::vector<std::string> seen;
  for (const PoolConfig& pool : pools) {
    for (const Address& address : pool.listen) {
      std::string text = address.to_string();
      bool is_fixed = address.is_unix() || address.port != 0;
      if (is_fixed && std::find(seen.begin(), seen.end(), text) != seen.end()) {
        problems.error("pool \"" + pool.name + "\": listen: " + text +
                       " is used by another pool already");
      }
      seen.push_back(std::move(text));
    }
  }
}

void explain_key(const PoolConfig& pool, std::string_view key, std::string& out) {
  Placement::Explanation why = pool.make_placement().explain(key);
  out += "pool " + pool.name + "  key " + std::string(key);
  if (why.server == Placement::kNoServer) {
    out += "  (distribution random: any server)\n";
    return;
  }
  const ServerSpec& server = pool.servers[why.server];
  if (why.hashed != key) out += "  hashed part " + why.hashed;
  if (why.single) {
    out += "  (one server: nothing to hash)";
  } else {
    out += "  hash " + std::to_string(why.hash) + "  point " + std::to_string(why.point);
  }
  out += "  server " + server.name + "  at " + server.address.to_string() + "\n";
}

}  // namespace

const std::span<const Option> kPoolOptions{kPoolTable};

Placement PoolConfig::make_placement() const {
  std::vector<PlacementServer> placed;
  placed.reserve(servers.size());
  for (const ServerSpec& server : servers) {
    PlacementServer one;
    one.name = server.name;
    one.weight = server.weight;
    placed.push_back(std::move(one));
  }
  return Placement(distribution, hash, hash_tag, std::move(placed));
}

std::vector<BoundTable> Config::tables() {
  return {{kPoolTable, &pool}, {kRoleTable, this}};
}

void Config::adapt_file(Node& root, Problems& problems) {
  (void)problems;
  if (is_nutcracker(root)) wrap_nutcracker(root);
  rename_servers(root);
  Node* named = root.find("pools");
  if (named == nullptr || named->kind != Node::Kind::map) return;
  file_has_pools_ = true;
  for (auto& [name, node] : named->members) rename_servers(node);
}

void Config::validate(Problems& problems) {
  if (!file_has_pools_) {
    pools.clear();
    pools.push_back(pool);
  } else if (!pool.servers.empty() || !pool.listen.empty()) {
    problems.error(
        "--listen and --server describe one pool, but the file has `pools`: use one "
        "or the other");
  }
  if (pools.empty()) problems.error("pools: empty; describe at least one pool");
  for (PoolConfig& each : pools) check_pool(each, problems);
  check_listeners(pools, problems);
}

std::optional<int> Config::answer(std::string& out) const {
  if (explain.empty()) return std::nullopt;
  for (const std::string& key : explain) {
    for (const PoolConfig& each : pools) explain_key(each, key, out);
  }
  return 0;
}

}  // namespace shard_proxy
}  // namespace consort
