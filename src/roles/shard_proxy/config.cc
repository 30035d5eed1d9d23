#include "roles/shard_proxy/config.hpp"

#include <algorithm>

#include "roles/shard_proxy/placement_diff.hpp"

namespace consort {

std::string Text<shard_proxy::ServerSpec>::print(const shard_proxy::ServerSpec& spec) {
  std::string out = spec.address.to_string();
  out += ':' + std::to_string(spec.weight);
  return out + ' ' + spec.name;
}

Result<std::optional<shard_proxy::ServerSource>>
Text<std::optional<shard_proxy::ServerSource>>::parse(std::string_view text) {
  if (text.empty()) return std::optional<shard_proxy::ServerSource>();
  auto source = shard_proxy::ServerSource::parse(text);
  if (!source) return fail(std::move(source.error()));
  return std::optional(std::move(*source));
}

Result<shard_proxy::StatsAddress> Text<shard_proxy::StatsAddress>::parse(std::string_view text) {
  shard_proxy::StatsAddress stats;
  if (text.empty()) return stats;
  bool is_port = text.find_first_not_of("0123456789") == std::string_view::npos;
  auto address = Address::parse(is_port ? ":" + std::string(text) : std::string(text));
  if (!address) return fail(std::move(address.error()));
  if (!address->is_unix() && address->host.empty()) address->host = "127.0.0.1";
  stats.address = std::move(*address);
  return stats;
}

namespace shard_proxy {
namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kMemcachedPort = 11211;
// Links keep times in 32 bits of microseconds, which is good for 71 minutes.
constexpr Millis kMaxTimeout{30 * 60 * 1000};
constexpr std::uint32_t kMaxPrivateConnections = 100'000;

constexpr Option kPoolTable[] = {
    option<&PoolConfig::listen>(
        "listen", "where clients connect; default 127.0.0.1:11211 (memcached) or :6379 (redis)",
        kReload),
    option<&PoolConfig::protocol>(
        "protocol",
        "what clients and servers speak; auto is redis when every server has port 6379 or the "
        "listener has, or servers-from is an SRV name _redis, else memcached",
        kReload),
    option<&PoolConfig::servers>("server",
                                 "a server: HOST:PORT[:WEIGHT][ NAME] or /SOCKET[:WEIGHT][ NAME]; "
                                 "repeat for each (in a file: servers)",
                                 kReload),
    option<&PoolConfig::servers_from>(
        "servers-from",
        "where the servers are found instead: dns://NAME:PORT[?weight=N] (each address is one), "
        "srv://_SERVICE._tcp.NAME, or file:PATH (one a line); watched while running",
        kReload),
    option<&PoolConfig::distribution>("distribution",
                                      "how keys are spread; jump suits new pools best", kReload),
    option<&PoolConfig::hash>("hash", "the hash of a key; murmur suits new pools best", kReload),
    option<&PoolConfig::hash_tag>(
        "hash-tag", "two characters: only what stands between them in a key is hashed, as in {}",
        kReload),
    option<&PoolConfig::timeout>("timeout", "how long a server may take to answer a request",
                                 kBareMillis | kReload),
    option<&PoolConfig::connect_timeout>(
        "connect-timeout", "how long connecting to a server may take", kBareMillis | kReload),
    option<&PoolConfig::server_connections>(
        "server-connections", "connections to each server; a client always uses the same one",
        kReload),
    option<&PoolConfig::preconnect>(
        "preconnect", "open all server connections at the start, not only the first", kReload),
    option<&PoolConfig::backlog>("backlog", "connections the kernel queues for a listener"),
    option<&PoolConfig::client_connections>("client-connections",
                                            "most clients at a time; 0 is no limit", kReload),
    option<&PoolConfig::tcpkeepalive>("tcpkeepalive", "TCP keep-alive on server connections",
                                      kReload),
    option<&PoolConfig::partial_multiget>(
        "partial-multiget",
        "when a server of a memcached multi-get fails: its keys are misses, or "
        "an error line ends the answer",
        kReload),
    option<&PoolConfig::lazy>("lazy", "be ready even when no server of the pool answers", kReload),
    option<&PoolConfig::client_output_limit>(
        "client-output-limit",
        "a client that stopped reading is cut off when this much waits for it", kReload),
    option<&PoolConfig::redis_auth>(
        "redis-auth", "password for the servers, which clients must give too", kSecret | kReload),
    option<&PoolConfig::redis_db>("redis-db", "the database that is selected on every server",
                                  kReload),
    option<&PoolConfig::server_retry_timeout>(
        "server-retry-timeout", "how long after a server's failure it is tried again; grows to 30s",
        kBareMillis | kReload),
    option<&PoolConfig::redis>("redis", "nutcracker's name for protocol: redis", kReload),
    option<&PoolConfig::auto_eject_hosts>("auto-eject-hosts",
                                          "nutcracker's name for on-server-down: rehash", kReload),
    option<&PoolConfig::reuseport>("reuseport", "read for nutcracker.yml's sake; has no effect",
                                   kReload),
    option<&PoolConfig::server_failure_limit>(
        "server-failure-limit", "a server that is silent for so many timeouts is down", kReload),
    option<&PoolConfig::on_server_down>(
        "on-server-down",
        "the keys of a server that is down get an error; or reads miss and writes get an error; or "
        "other servers take them until it is back",
        kReload),
    option<&PoolConfig::fail_open_percent>(
        "fail-open-percent",
        "with so many servers of the pool down none is treated as down: each request tries; 0 is "
        "never",
        kReload),
    option<&PoolConfig::flush_on_return>(
        "flush-on-return",
        "with rehash: empty a server that comes back, for what it holds may be stale", kReload),
    option<&PoolConfig::private_connections>(
        "private-connections",
        "most connections for transactions, blocking commands and subscriptions of single clients",
        kReload),
    option<&PoolConfig::cross_server_limit>(
        "cross-server-limit",
        "most bytes that an answer put together from several servers may gather", kReload),
    option<&PoolConfig::learn_commands>(
        "learn-commands",
        "ask Redis for its command table, so that modules and new commands are routed right",
        kReload),
};

constexpr Option kRoleTable[] = {
    option<&Config::explain>(
        "explain", "print which server owns this key and why, and end; may be repeated", kFlagOnly),
    option<&Config::diff>("diff",
                          "print how many keys would move to another server under that "
                          "configuration file, and end",
                          kFlagOnly),
    option<&Config::stats_port>(
        "stats-port",
        "where nutcracker's statistics are told, one JSON object per connection; a port alone is "
        "on 127.0.0.1; default none",
        kReload),
    option_map<&Config::pools>("pools", kPoolTable, "pools by name, each with the keys of a pool"),
};

constexpr const char* kPoolMarks[] = {"listen", "servers", "servers_from", "servers-from"};

// A map of pools by name. One listener or server list is enough to tell: a pool that lacks one is
// then complained of as a pool, not as an unknown key.
bool is_nutcracker(const Node& root) {
  if (root.kind != Node::Kind::map || root.find("pools") != nullptr) return false;
  auto is_map = [](const auto& member) { return member.second.kind == Node::Kind::map; };
  auto is_pool = [](const auto& member) {
    return std::any_of(std::begin(kPoolMarks), std::end(kPoolMarks),
                       [&member](const char* mark) { return member.second.find(mark) != nullptr; });
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

bool servers_speak_redis(const PoolConfig& pool) {
  if (pool.servers_from) {
    const ServerSource& source = *pool.servers_from;
    bool is_dns = source.kind == ServerSource::Kind::dns;
    return is_dns ? source.port == kRedisPort : source.target.starts_with("_redis.");
  }
  return std::all_of(pool.servers.begin(), pool.servers.end(), [](const ServerSpec& server) {
    return !server.address.is_unix() && server.address.port == kRedisPort;
  });
}

Protocol resolve_protocol(const PoolConfig& pool) {
  if (pool.protocol != Protocol::automatic) return pool.protocol;
  if (pool.redis) return Protocol::redis;
  bool listens_as_redis = std::any_of(
      pool.listen.begin(), pool.listen.end(),
      [](const Address& address) { return !address.is_unix() && address.port == kRedisPort; });
  return listens_as_redis || servers_speak_redis(pool) ? Protocol::redis : Protocol::memcached;
}

void check_servers(const PoolConfig& pool, Problems& problems) {
  std::string where = "pool \"" + pool.name + "\": ";
  // A --server or source that could not be read has been reported already.
  bool was_told =
      std::any_of(problems.errors().begin(), problems.errors().end(), [](const std::string& error) {
        return error.find("is not a server") != std::string::npos ||
               error.find("is not a source of servers") != std::string::npos;
      });
  if (pool.servers.empty() && !pool.servers_from && !was_told) {
    problems.error(where + "no server; give --server HOST:PORT (in a file: servers)");
  }
  if (!pool.servers.empty() && pool.servers_from) {
    problems.error(where + "servers are listed and come from " + pool.servers_from->to_string() +
                   " as well: give --server or --servers-from (in a file: servers, servers_from)");
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
  bool may_be_many = pool.servers.size() > 1 || pool.servers_from;
  if (may_be_many && !trap.empty()) problems.warn(where + std::string(trap));
  if (pool.flush_on_return && pool.on_server_down != OnServerDown::rehash) {
    problems.warn(where + "flush_on_return has no effect without on_server_down: rehash");
  }
}

void check_pool(PoolConfig& pool, Problems& problems) {
  std::string where = "pool \"" + pool.name + "\": ";
  pool.protocol = resolve_protocol(pool);
  if (pool.auto_eject_hosts) pool.on_server_down = OnServerDown::rehash;
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
    problems.error(where + name + " must be more than 0 and at most 30m");
  }
  if (pool.server_connections == 0 || pool.server_connections > 1000) {
    problems.error(where + "server_connections must be 1 to 1000");
  }
  if (pool.server_failure_limit == 0 || pool.server_failure_limit > 1000) {
    problems.error(where + "server_failure_limit must be 1 to 1000");
  }
  if (pool.fail_open_percent > 100) {
    problems.error(where + "fail_open_percent must be 0 to 100");
  }
  if (pool.private_connections > kMaxPrivateConnections) {
    problems.error(where + "private_connections must be at most 100000");
  }
  if (pool.protocol == Protocol::memcached && (!pool.redis_auth.empty() || pool.redis_db != 0)) {
    problems.error(where + "redis_auth and redis_db need protocol: redis");
  }
  warn_about(pool, problems);
}

void check_listeners(const std::vector<PoolConfig>& pools, const StatsAddress& stats,
                     Problems& problems) {
  std::vector<std::string> seen;
  auto check = [&](const std::string& who, const Address& address) {
    std::string text = address.to_string();
    bool is_fixed = address.is_unix() || address.port != 0;
    if (is_fixed && std::find(seen.begin(), seen.end(), text) != seen.end()) {
      problems.error(who + text + " is used by another pool already");
    }
    seen.push_back(std::move(text));
  };
  for (const PoolConfig& pool : pools) {
    for (const Address& address : pool.listen)
      check("pool \"" + pool.name + "\": listen: ", address);
  }
  if (stats.address) check("--stats-port: ", *stats.address);
}

void explain_key(const PoolConfig& pool, std::string_view key, std::string& out) {
  Placement::Explanation why = pool.make_placement().explain(key);
  out += "pool " + pool.name + "  key " + std::string(key);
  if (pool.servers_from) {
    out += "  (only a running proxy knows the servers from " + pool.servers_from->to_string() +
           ": GET /explain asks it)\n";
    return;
  }
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

bool same_settings(const PoolConfig& a, const PoolConfig& b) {
  return std::all_of(kPoolOptions.begin(), kPoolOptions.end(),
                     [&a, &b](const Option& each) { return each.get(&a) == each.get(&b); });
}

Placement PoolConfig::make_placement(std::span<const ServerSpec> of,
                                     const std::vector<bool>& live) const {
  std::vector<PlacementServer> placed;
  placed.reserve(of.size());
  for (const ServerSpec& server : of) {
    PlacementServer one;
    one.name = server.name;
    one.weight = server.weight;
    one.live = live.empty() || live[placed.size()];
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
  } else if (!pool.servers.empty() || pool.servers_from || !pool.listen.empty()) {
    problems.error(
        "--listen, --server and --servers-from describe one pool, but the file has `pools`: use "
        "one or the other");
  }
  if (pools.empty()) problems.error("pools: empty; describe at least one pool");
  for (PoolConfig& each : pools) check_pool(each, problems);
  check_listeners(pools, stats_port, problems);
}

std::optional<int> Config::answer(std::string& out) const {
  if (explain.empty()) return std::nullopt;
  for (const std::string& key : explain) {
    for (const PoolConfig& each : pools) explain_key(each, key, out);
  }
  return 0;
}

std::optional<int> Config::answer_with(const LoadOther& load_other, std::string& out) const {
  if (diff.empty()) return answer(out);
  auto other = load_other(diff);
  if (!other) return 1;  // its problems have been printed, and decide the exit code
  out += diff_report(pools, static_cast<const Config&>(**other).pools);
  return 0;
}

}  // namespace shard_proxy
}  // namespace consort
