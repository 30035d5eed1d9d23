// The shard-proxy's configuration, from flags, our own file form and nutcracker.yml, through the
// loader that every role has.
#include <doctest/doctest.h>

#include <map>

#include "manage/config.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/role.hpp"

using namespace consort;
using namespace consort::shard_proxy;

namespace {

/// One loading: what came out, and what was said about it.
struct Loaded {
  std::unique_ptr<RoleConfig> role;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  const Config& config() const { return static_cast<const Config&>(*role); }
  const PoolConfig& pool(std::size_t i = 0) const { return config().pools.at(i); }
};

Loaded load(const std::string& file, std::vector<Flag> flags = {}) {
  ConfigSources sources;
  if (!file.empty()) flags.push_back({"config", "n.yml"});
  sources.flags = std::move(flags);
  sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  sources.read_file = [&file](const std::string&) { return Result<std::string>(file); };
  Problems problems;
  LoadedConfig loaded = load_config(kShardProxy, sources, problems);
  return {std::move(loaded.role), problems.errors(), problems.warnings()};
}

bool any_has(const std::vector<std::string>& lines, std::string_view text) {
  return std::any_of(lines.begin(), lines.end(), [text](const std::string& line) {
    return line.find(text) != std::string::npos;
  });
}

constexpr const char* kNutcracker =
    "alpha:\n"
    "  listen: 127.0.0.1:22121\n"
    "  hash: fnv1a_64\n"
    "  distribution: ketama\n"
    "  auto_eject_hosts: true\n"
    "  redis: true\n"
    "  redis_auth: secret\n"
    "  redis_db: 2\n"
    "  timeout: 400\n"
    "  server_retry_timeout: 2000\n"
    "  server_failure_limit: 1\n"
    "  client_connections: 7\n"
    "  preconnect: true\n"
    "  tcpkeepalive: yes\n"
    "  backlog: 1024\n"
    "  server_connections: 2\n"
    "  hash_tag: \"{}\"\n"
    "  servers:\n"
    "   - 127.0.0.1:6379:1\n"
    "   - 127.0.0.1:6380:3 second\n"
    "   - /tmp/redis.sock:2\n"
    "beta:\n"
    "  listen: /tmp/beta.sock 0666\n"
    "  hash: murmur\n"
    "  distribution: modula\n"
    "  servers: [10.0.0.1:11211:1, '10.0.0.2:11211:2']\n";

}  // namespace

TEST_CASE("a nutcracker.yml is read as it is") {
  Loaded loaded = load(kNutcracker);
  CHECK(loaded.errors.empty());
  REQUIRE(loaded.config().pools.size() == 2);
  const PoolConfig& alpha = loaded.pool(0);
  CHECK(alpha.name == "alpha");
  CHECK(alpha.protocol == Protocol::redis);
  CHECK(alpha.hash == KeyHash::fnv1a_64);
  CHECK(alpha.distribution == Distribution::ketama);
  CHECK(alpha.timeout == Millis(400));
  CHECK(alpha.server_retry_timeout == Millis(2000));
  CHECK(alpha.redis_auth == "secret");
  CHECK(alpha.redis_db == 2);
  CHECK(alpha.client_connections == 7);
  CHECK(alpha.backlog == 1024);
  CHECK(alpha.server_connections == 2);
  CHECK(alpha.preconnect);
  CHECK(alpha.tcpkeepalive);
  CHECK(alpha.hash_tag == "{}");
  REQUIRE(alpha.servers.size() == 3);
  CHECK(alpha.servers[0].name == "127.0.0.1:6379");
  CHECK(alpha.servers[1].name == "second");
  CHECK(alpha.servers[1].weight == 3);
  CHECK(alpha.servers[2].address.path == "/tmp/redis.sock");
  CHECK(alpha.servers[2].weight == 2);
  const PoolConfig& beta = loaded.pool(1);
  CHECK(beta.protocol == Protocol::memcached);
  CHECK(beta.distribution == Distribution::modula);
  CHECK(beta.listen.at(0).path == "/tmp/beta.sock");
  CHECK(beta.listen.at(0).mode == 0666);
  CHECK(beta.servers.at(0).name == "10.0.0.1");
  CHECK(beta.servers.at(1).weight == 2);
  CHECK(loaded.pool(0).on_server_down == OnServerDown::rehash);
  CHECK(beta.on_server_down == OnServerDown::error);
}

TEST_CASE("a nutcracker.yml whose pool lacks something is still read as pools") {
  Loaded loaded = load("a:\n  servers:\n   - h:1:1\nb:\n  listen: 127.0.0.1:2\n");
  CHECK(loaded.errors.size() == 1);
  CHECK(any_has(loaded.errors, "pool \"b\": no server"));
}

TEST_CASE("keys that a file leaves out have the defaults of the manual") {
  Loaded loaded = load("p:\n  listen: 127.0.0.1:1\n  servers: [10.0.0.1:11211:1]\n");
  CHECK(loaded.errors.empty());
  const PoolConfig& pool = loaded.pool();
  CHECK(pool.timeout == Millis(1000));
  CHECK(pool.connect_timeout == Millis(500));
  CHECK(pool.server_retry_timeout == Millis(1000));
  CHECK(pool.server_connections == 1);
  CHECK(pool.backlog == 512);
  CHECK(pool.client_connections == 0);
  CHECK(pool.hash == KeyHash::fnv1a_64);
  CHECK(pool.distribution == Distribution::ketama);
  CHECK(pool.partial_multiget == PartialMultiget::miss);
  CHECK(pool.client_output_limit == ByteSize{64ULL << 20});
  CHECK_FALSE(pool.preconnect);
}

TEST_CASE("our own form names its pools under pools") {
  Loaded loaded = load(
      "pools:\n  web:\n    listen: 127.0.0.1:1000\n    protocol: redis\n    timeout: 1500ms\n"
      "    servers: [10.0.0.1:6379]\n    client-output-limit: 8MiB\n    lazy: true\n");
  CHECK(loaded.errors.empty());
  CHECK(loaded.pool().name == "web");
  CHECK(loaded.pool().timeout == Millis(1500));
  CHECK(loaded.pool().client_output_limit == ByteSize{8ULL << 20});
  CHECK(loaded.pool().lazy);
}

TEST_CASE("a file may describe the one pool without naming it") {
  Loaded loaded = load("listen: 127.0.0.1:1000\nservers: [10.0.0.1:6379, 10.0.0.2:6379]\n");
  CHECK(loaded.errors.empty());
  REQUIRE(loaded.config().pools.size() == 1);
  CHECK(loaded.pool().servers.size() == 2);
  CHECK(loaded.pool().protocol == Protocol::redis);
}

TEST_CASE("flags without a file describe one pool") {
  Loaded loaded = load("", {{"server", "10.0.0.1:6379"},
                            {"server", "10.0.0.2:6379:2 big"},
                            {"listen", "127.0.0.1:0"},
                            {"distribution", "jump"},
                            {"hash", "murmur"},
                            {"timeout", "250ms"}});
  CHECK(loaded.errors.empty());
  REQUIRE(loaded.config().pools.size() == 1);
  CHECK(loaded.pool().name == "default");
  CHECK(loaded.pool().servers.at(1).name == "big");
  CHECK(loaded.pool().protocol == Protocol::redis);
  CHECK(loaded.pool().timeout == Millis(250));
}

TEST_CASE("the protocol follows from the ports when nothing else says it") {
  struct Case {
    std::vector<Flag> flags;
    Protocol protocol;
    std::string listen;
  };
  const Case cases[] = {
      {{{"server", "a:6379"}, {"server", "b:6379"}}, Protocol::redis, "127.0.0.1:6379"},
      {{{"server", "a:11211"}}, Protocol::memcached, "127.0.0.1:11211"},
      {{{"server", "a:6379"}, {"server", "b:11211"}}, Protocol::memcached, "127.0.0.1:11211"},
      {{{"server", "a:7000"}, {"listen", ":6379"}}, Protocol::redis, ":6379"},
      {{{"server", "a:7000"}, {"redis", "true"}}, Protocol::redis, "127.0.0.1:6379"},
      {{{"server", "a:6379"}, {"protocol", "memcached"}}, Protocol::memcached, "127.0.0.1:11211"},
  };
  for (const Case& each : cases) {
    Loaded loaded = load("", each.flags);
    CHECK(loaded.errors.empty());
    CHECK(loaded.pool().protocol == each.protocol);
    CHECK(loaded.pool().listen.at(0).to_string() == each.listen);
  }
}

TEST_CASE("an unknown key is told with its place and the key that was meant") {
  Loaded loaded = load(
      "p:\n  listen: 127.0.0.1:1\n  servrs: [a:1]\n  servers: [a:11211]\n  timeout: soon\n"
      "  distribution: ketame\n");
  CHECK(any_has(loaded.errors, "n.yml:3:3:"));
  CHECK(any_has(loaded.errors, "did you mean \"server"));
  CHECK(any_has(loaded.errors, "n.yml:5:12:"));
  CHECK(any_has(loaded.errors, "n.yml:6:17:"));
  CHECK(loaded.errors.size() == 3);
}

TEST_CASE("a server that is none is told with its place and the right form") {
  struct Case {
    std::string server;
    std::string why;
  };
  const Case cases[] = {
      {"10.0.0.1", "the port is missing"},     {"10.0.0.1:0", "the port must be 1 to 65535"},
      {":6379", "the host is missing"},        {"a:6379:0", "the weight must be a number"},
      {"a:6379:x", "the weight must be"},      {"a:6379:10001", "the weight must be"},
      {"::1:6379", "an IPv6 address needs"},   {"[::1:6379", "\\\"]\\\" is missing"},
      {"'a:6379 '", "it ends in a blank"},     {"''", "the address is empty"},
      {"/tmp/s:1:2", "an IPv6 address needs"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.server);
    Loaded loaded = load("p:\n  listen: 127.0.0.1:1\n  servers: [ \"" + each.server + "\" ]\n");
    std::string all;
    for (const std::string& error : loaded.errors) all += error;
    CAPTURE(all);
    CHECK(loaded.errors.size() >= 1);
    CHECK(any_has(loaded.errors, "n.yml:3:14:"));
  }
}

TEST_CASE("servers parse into address, weight and the name that placement hashes") {
  struct Case {
    const char* text;
    const char* address;
    std::uint32_t weight;
    const char* name;
  };
  const Case cases[] = {
      {"10.0.0.1:11211", "10.0.0.1:11211", 1, "10.0.0.1"},
      {"10.0.0.1:11211:5", "10.0.0.1:11211", 5, "10.0.0.1"},
      {"10.0.0.1:6379:5", "10.0.0.1:6379", 5, "10.0.0.1:6379"},
      {"10.0.0.1:6379:5 shard one", "10.0.0.1:6379", 5, "shard one"},
      {"[::1]:6379:2", "[::1]:6379", 2, "::1:6379"},
      {"/run/s.sock:3", "unix:/run/s.sock", 3, "/run/s.sock:"},
      {"/run/s.sock:3 named", "unix:/run/s.sock", 3, "named"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    Result<ServerSpec> spec = ServerSpec::parse(each.text);
    REQUIRE(spec.has_value());
    CHECK(spec->address.to_string() == each.address);
    CHECK(spec->weight == each.weight);
    CHECK(spec->name == each.name);
    std::string printed = Text<ServerSpec>::print(*spec);
    Result<ServerSpec> again = ServerSpec::parse(printed);
    CAPTURE(printed);
    REQUIRE(again.has_value());
    CHECK(again->address == spec->address);
    CHECK(again->weight == spec->weight);
    CHECK(again->name == spec->name);
  }
}

TEST_CASE("duplicate servers, pools and listeners are refused") {
  CHECK(any_has(load("p:\n  listen: 127.0.0.1:1\n  servers: [a:11211:1, a:11211:2]\n").errors,
                "two servers are called \"a\""));
  CHECK(any_has(load("p:\n  listen: 127.0.0.1:1\n  servers: ['a:1:1 x', 'b:1:1 x']\n").errors,
                "two servers are called \"x\""));
  const std::string one = "  listen: 127.0.0.1:1\n  servers: [a:1]\n";
  CHECK(any_has(load("p:\n" + one + "q:\n" + one).errors, "127.0.0.1:1 is used by"));
  CHECK_FALSE(load("p:\n" + one + "p:\n" + one).errors.empty());
  CHECK(load("p:\n  listen: 127.0.0.1:0\n  servers: [a:1]\n"
             "q:\n  listen: 127.0.0.1:0\n  servers: [a:1]\n")
            .errors.empty());
}

TEST_CASE("values that cannot work are refused with the reason") {
  auto errors_of = [](const std::string& lines) {
    return load("p:\n  listen: 127.0.0.1:1\n  servers: [a:11211]\n" + lines).errors;
  };
  CHECK(any_has(errors_of("  hash_tag: \"{\"\n"), "hash_tag: \"{\" must be two characters"));
  CHECK(any_has(errors_of("  timeout: 0\n"), "timeout must be more than 0"));
  CHECK(any_has(errors_of("  timeout: 600h\n"), "timeout must be more than 0 and at most 30m"));
  CHECK(any_has(errors_of("  connect_timeout: 0\n"), "connect_timeout must be more than 0"));
  CHECK(any_has(errors_of("  server_connections: 0\n"), "server_connections must be 1 to 1000"));
  CHECK(any_has(errors_of("  redis_db: 1\n"), "redis_auth and redis_db need protocol: redis"));
  CHECK(any_has(load("p:\n  listen: 127.0.0.1:1\n").errors, "no server; give --server"));
  CHECK(any_has(load("pools: {}\n").errors, "describe at least one pool"));
  CHECK(any_has(load(kNutcracker, {{"server", "a:1"}}).errors, "but the file has `pools`"));
  CHECK_FALSE(load("", {}).errors.empty());
}

TEST_CASE("crc32 with ketama is warned of, for it sends every key to one server") {
  const std::string base = "p:\n  listen: 127.0.0.1:1\n  hash: crc32\n  servers: [a:1";
  CHECK(any_has(load(base + ", b:1]\n").warnings, "pool \"p\": "));
  CHECK(load(base + "]\n").warnings.empty());
}

TEST_CASE("--explain says for each key and pool which server owns it and why") {
  auto explain = [](const std::string& file, std::vector<Flag> flags) {
    Loaded loaded = load(file, std::move(flags));
    CHECK(loaded.errors.empty());
    std::string out;
    CHECK(loaded.config().answer(out) == std::optional<int>(0));
    return out;
  };
  CHECK(explain("", {{"server", "10.0.0.1:6379"}, {"explain", "apple"}}) ==
        "pool default  key apple  (one server: nothing to hash)  server 10.0.0.1:6379  at "
        "10.0.0.1:6379\n");
  std::string both = explain(
      "p:\n  listen: 127.0.0.1:1\n  hash: md5\n  hash_tag: \"{}\"\n"
      "  servers: ['a:1:1 one', 'b:1:1 two']\n",
      {{"explain", "x{apple}y"}, {"explain", "apple"}});
  CHECK(both.find("pool p  key x{apple}y  hashed part apple  hash 3195025439  point ") == 0);
  CHECK(both.find("\npool p  key apple  hash 3195025439  point ") != std::string::npos);
  CHECK(explain("p:\n  listen: 127.0.0.1:1\n  distribution: random\n  servers: [a:1, b:1]\n",
                {{"explain", "k"}}) == "pool p  key k  (distribution random: any server)\n");
  std::string none;
  CHECK(load("", {{"server", "a:1"}}).config().answer(none) == std::nullopt);
}

TEST_CASE("the servers of a pool may come from a source instead of a list") {
  Loaded flags = load("", {{"servers-from", "dns://cache.local:6379?weight=2"}});
  CHECK(flags.errors.empty());
  REQUIRE(flags.pool().servers_from.has_value());
  CHECK(flags.pool().servers_from->target == "cache.local");
  CHECK(flags.pool().protocol == Protocol::redis);
  CHECK(flags.pool().servers.empty());
  Loaded file = load("p:\n  listen: 127.0.0.1:1\n  servers_from: file:/etc/servers.txt\n");
  CHECK(file.errors.empty());
  CHECK(file.pool().servers_from->to_string() == "file:/etc/servers.txt");
  CHECK(file.pool().protocol == Protocol::memcached);
  CHECK(load("", {{"servers-from", "srv://_redis._tcp.a.b"}}).pool().protocol == Protocol::redis);
  CHECK(load("", {{"servers-from", "srv://_mc._tcp.a.b"}}).pool().protocol == Protocol::memcached);
  CHECK(load("", {{"servers-from", "dns://a:11211"}}).pool().protocol == Protocol::memcached);
}

TEST_CASE("a list of servers and a source exclude each other, and no source is none") {
  CHECK(any_has(load("", {{"server", "a:1"}, {"servers-from", "dns://b:1"}}).errors,
                "servers are listed and come from dns://b:1 as well"));
  Loaded bad = load("p:\n  listen: 127.0.0.1:1\n  servers_from: dns://a\n");
  CHECK(any_has(bad.errors, "n.yml:3:17:"));
  CHECK(any_has(bad.errors, "the port is missing"));
  CHECK(bad.errors.size() == 1);
  CHECK(any_has(load("", {{"servers-from", ""}}).errors, "no server; give --server"));
  CHECK(any_has(load(kNutcracker, {{"servers-from", "dns://a:1"}}).errors,
                "but the file has `pools`"));
}

TEST_CASE("--stats-port is off by default, and on loopback unless an address says otherwise") {
  struct Case {
    std::string text;
    std::string address;
  };
  CHECK_FALSE(load("", {{"server", "a:1"}}).config().stats_port.address.has_value());
  CHECK_FALSE(
      load("", {{"server", "a:1"}, {"stats-port", ""}}).config().stats_port.address.has_value());
  const Case cases[] = {{"22222", "127.0.0.1:22222"},
                        {":22222", "127.0.0.1:22222"},
                        {"0.0.0.0:22222", "0.0.0.0:22222"},
                        {"[::]:22222", "[::]:22222"},
                        {"unix:/tmp/stats", "unix:/tmp/stats"}};
  for (const Case& each : cases) {
    CAPTURE(each.text);
    Loaded loaded = load("", {{"server", "a:1"}, {"stats-port", each.text}});
    CHECK(loaded.errors.empty());
    REQUIRE(loaded.config().stats_port.address.has_value());
    CHECK(loaded.config().stats_port.address->to_string() == each.address);
  }
  CHECK(any_has(load("", {{"server", "a:1"}, {"stats-port", "99999"}}).errors, "--stats-port"));
  CHECK(
      any_has(load("", {{"server", "a:1"}, {"listen", "127.0.0.1:5"}, {"stats-port", "5"}}).errors,
              "--stats-port: 127.0.0.1:5 is used by"));
}

TEST_CASE("every option of a pool reloads but the one that a listening socket keeps") {
  for (const Option& option : kPoolOptions) {
    CAPTURE(option.name);
    CHECK(((option.flags & kReload) != 0) == (option.name != "backlog"));
  }
}

TEST_CASE("two pools have the same settings when every option is equal") {
  PoolConfig a = load(kNutcracker).pool(0);
  PoolConfig b = load(kNutcracker).pool(0);
  b.name = "other";
  CHECK(same_settings(a, b));
  b.redis_auth = "new";
  CHECK_FALSE(same_settings(a, b));
  b = a;
  b.servers.pop_back();
  CHECK_FALSE(same_settings(a, b));
  b = a;
  b.servers_from = *ServerSource::parse("dns://a:1");
  CHECK_FALSE(same_settings(a, b));
}

TEST_CASE("--explain cannot know the servers of a source, and says who does") {
  Loaded loaded = load("", {{"servers-from", "dns://a:1"}, {"explain", "k"}});
  std::string out;
  CHECK(loaded.config().answer(out) == std::optional<int>(0));
  CHECK(out ==
        "pool default  key k  (only a running proxy knows the servers from dns://a:1: GET /explain "
        "asks it)\n");
}

TEST_CASE("--diff loads the other configuration and reports on both") {
  const std::string one = "p:\n  listen: 127.0.0.1:1\n  servers: [a:1]\n";
  const std::string two = "p:\n  listen: 127.0.0.1:1\n  servers: [b:1]\n";
  Loaded loaded = load(one, {{"diff", "other.yml"}});
  std::vector<std::string> asked;
  LoadOther load_other = [&](const std::string& path) -> Result<std::unique_ptr<RoleConfig>> {
    asked.push_back(path);
    if (asked.size() > 1) return fail(Errc::invalid, "broken");
    return load(two).role;
  };
  std::string out;
  CHECK(loaded.config().answer_with(load_other, out) == std::optional<int>(0));
  CHECK(out.find("pool p: about 100.0 % of the keys move to another server\n") == 0);
  CHECK(asked == std::vector<std::string>{"other.yml"});
  std::string nothing;
  CHECK(loaded.config().answer_with(load_other, nothing) != std::optional<int>(0));
  CHECK(nothing.empty());
  CHECK(load(one).config().answer_with(load_other, nothing) == std::nullopt);
  CHECK(asked.size() == 2);
}
