// Servers from DNS and files: what becomes of an answer, and of none.
#include <doctest/doctest.h>

#include "io/burst.hpp"
#include "roles/shard_proxy/discovery.hpp"
#include "sim/world.hpp"

using namespace consort;
using namespace consort::shard_proxy;

namespace {

std::string text_of(const std::vector<ServerSpec>& servers) {
  std::string text;
  for (const ServerSpec& server : servers) {
    text += server.name;
    if (server.weight != 1) text += "*" + std::to_string(server.weight);
    text += ' ';
  }
  return text;
}

struct DiscoveryBench final : Discovery::Watcher {
  explicit DiscoveryBench(std::string_view source, std::uint64_t seed = 1) : world(seed) {
    discovery.emplace(services, *ServerSource::parse(source), *this);
  }
  void start() {
    discovery->start();
    CHECK(log.empty());
    world.loop.settle();
  }
  void on_servers(const std::vector<ServerSpec>& servers) override {
    log += text_of(servers) + ";";
    list = servers;
    if (destroy) discovery.reset();
  }
  void on_discovery_failed(const std::string& why) override {
    log += "failed;";
    reason = why;
    if (destroy) discovery.reset();
  }
  void on_discovery_recovered() override { log += "recovered;"; }
  std::string take() { return std::exchange(log, {}); }
  void run_for(std::uint64_t ms) { world.loop.run_for(ms); }

  sim::World world;
  Registry metrics;
  CheckBoard checks;
  Logger logger{
      {.write = nullptr, .wall_ms = [](void*) { return std::int64_t{0}; }, .context = nullptr}, {}};
  Services services{.loop = world.loop,
                    .network = world.network,
                    .dns = world.dns,
                    .files = world.files,
                    .disk = world.disk,
                    .processes = world.processes,
                    .random = world.random,
                    .metrics = metrics,
                    .checks = checks,
                    .log = logger};
  std::string log;
  std::string reason;
  std::vector<ServerSpec> list;
  bool destroy = false;
  std::optional<Discovery> discovery;
};

std::string refusal(std::string_view text) {
  auto source = ServerSource::parse(text);
  return source ? "accepted as " + source->to_string() : source.error().message();
}

}  // namespace

TEST_CASE("a source of servers is printed as it was read") {
  for (const char* text :
       {"dns://cache.local:11211", "dns://cache.local:6379?weight=7", "dns://[::1]:6379",
        "dns://10.0.0.1:6379", "srv://_memcache._tcp.cache.local", "file:/etc/servers.txt",
        "file:servers.txt"}) {
    CAPTURE(text);
    auto source = ServerSource::parse(text);
    REQUIRE(source);
    CHECK(source->to_string() == text);
    CHECK(*ServerSource::parse(source->to_string()) == *source);
  }
  CHECK(ServerSource::parse("file:///etc/servers.txt")->target == "/etc/servers.txt");
  CHECK(ServerSource::parse("dns://a:1?weight=1")->to_string() == "dns://a:1");
}

TEST_CASE("what is no source of servers is refused in one sentence") {
  const std::string forms =
      " (write dns://NAME:PORT[?weight=N], srv://_SERVICE._tcp.NAME or file:PATH)";
  auto why = [&](const std::string& text, const std::string& reason) {
    CHECK(refusal(text) == "\"" + text + "\" is not a source of servers: " + reason + forms);
  };
  why("cache.local:11211", "it begins with none of dns://, srv:// and file:");
  why("", "it begins with none of dns://, srv:// and file:");
  why("dns://cache.local", "the port is missing");
  why("dns://[::1]", "the port is missing");
  why("dns://cache.local:0", "it needs a host name and a port from 1 to 65535");
  why("dns://cache.local:99999", "it needs a host name and a port from 1 to 65535");
  why("dns://:11211", "it needs a host name and a port from 1 to 65535");
  why("dns://a b:11211", "it needs a host name and a port from 1 to 65535");
  why("dns://a$b:11211", "it needs a host name and a port from 1 to 65535");
  why("dns:///run/socket:1", "it needs a host name and a port from 1 to 65535");
  why("dns://a:1?wait=2", "after \"?\" only weight=N may stand");
  for (const char* weight : {"", "0", "-1", "10001", "2x", "99999999999"}) {
    why(std::string("dns://a:1?weight=") + weight, "the weight must be a number from 1 to 10000");
  }
  for (const char* name : {"cache.local", "_memcache.cache.local", "_memcache._tcp.", "_._tcp.x",
                           "_m._tcp.x:11211", "_m._udp.x", ""}) {
    why(std::string("srv://") + name, "the name of an SRV record is _SERVICE._tcp.NAME, no port");
  }
  why("file:", "the file is missing");
  why("file:/etc/", "the file is missing");
  why("file://host/etc/x", "a file lies on this machine: no host");
  for (const char* kind : {"cluster", "sentinel", "elasticache", "http", "https"}) {
    why(std::string(kind) + "://a:1", std::string(kind) + ":// is not supported yet");
  }
}

TEST_CASE("each address of a name is a server, in an order that is the names' alone") {
  DiscoveryBench bench("dns://cache.local:11211?weight=3");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.10", .ttl_s = 5},
                                      {.ip = "10.0.0.9", .ttl_s = 5},
                                      {.ip = "fd00::1", .ttl_s = 5},
                                      {.ip = "10.0.0.10", .ttl_s = 5}});
  bench.start();
  CHECK(bench.take() == "10.0.0.9:11211*3 10.0.0.10:11211*3 fd00::1:11211*3 ;");
  CHECK(bench.list.front().address.to_string() == "10.0.0.9:11211");
  CHECK(bench.list.back().address.to_string() == "[fd00::1]:11211");
  bench.world.dns.set("cache.local", {{.ip = "fd00::1", .ttl_s = 5},
                                      {.ip = "10.0.0.9", .ttl_s = 5},
                                      {.ip = "10.0.0.10", .ttl_s = 5}});
  bench.run_for(5000);
  CHECK(bench.world.dns.questions("cache.local") == 2);
  CHECK(bench.take().empty());
}

TEST_CASE("a name is asked again after its TTL, from a second to a minute") {
  for (const auto& [ttl_s, wait_ms] :
       {std::pair(0U, 1000U), std::pair(1U, 1000U), std::pair(7U, 7000U), std::pair(60U, 60'000U),
        std::pair(86'400U, 60'000U), std::pair(4'294'967'295U, 60'000U)}) {
    DiscoveryBench bench("dns://cache.local:1");
    bench.world.dns.set("cache.local",
                        {{.ip = "10.0.0.1", .ttl_s = 100'000}, {.ip = "10.0.0.2", .ttl_s = ttl_s}});
    bench.start();
    bench.run_for(wait_ms - 1);
    CHECK(bench.world.dns.questions("cache.local") == 1);
    bench.run_for(1);
    CHECK(bench.world.dns.questions("cache.local") == 2);
  }
}

TEST_CASE("a server that comes or goes is told") {
  DiscoveryBench bench("dns://cache.local:1");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 2}});
  bench.start();
  CHECK(bench.take() == "10.0.0.1:1 ;");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.1"}, {.ip = "10.0.0.2"}});
  bench.run_for(2000);
  CHECK(bench.take() == "10.0.0.1:1 10.0.0.2:1 ;");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.2"}});
  bench.run_for(1000);
  CHECK(bench.take() == "10.0.0.2:1 ;");
}

TEST_CASE("a name that cannot be resolved keeps the last servers and is told once per reason") {
  DiscoveryBench bench("dns://cache.local:1");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 1}});
  bench.start();
  (void)bench.take();
  bench.world.dns.forget("cache.local");
  bench.run_for(60'000);
  CHECK(bench.take() == "failed;");
  CHECK(bench.reason == "dns://cache.local:1: resolve cache.local");
  CHECK(text_of(bench.list) == "10.0.0.1:1 ");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 1}});
  bench.run_for(40'000);
  CHECK(bench.take() == "recovered;");
  bench.world.dns.set_silent("cache.local");
  bench.run_for(60'000);
  CHECK(bench.take() == "failed;");
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.2", .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "10.0.0.2:1 ;");
}

TEST_CASE("unresolved at the start is tried until it works, ever more slowly") {
  DiscoveryBench bench("dns://cache.local:1");
  bench.start();
  CHECK(bench.take() == "failed;");
  // 1 s, 1.5 s, 2.25 s: within 20 % of 4.75 s there are four questions.
  bench.run_for(5800);
  CHECK(bench.world.dns.questions("cache.local") == 4);
  bench.run_for(600'000);
  const int before = bench.world.dns.questions("cache.local");
  bench.run_for(3'600'000);
  const int hourly = bench.world.dns.questions("cache.local") - before;
  CHECK(hourly >= 100);  // every 36 s at most
  CHECK(hourly <= 150);  // every 24 s at least
  bench.world.dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 1}});
  bench.run_for(36'000);
  CHECK(bench.take() == "10.0.0.1:1 ;");
}

TEST_CASE("retries of two proxies drift apart") {
  DiscoveryBench one("dns://cache.local:1", 1);
  DiscoveryBench two("dns://cache.local:1", 2);
  one.start();
  two.start();
  CHECK(one.world.loop.timers().next() != two.world.loop.timers().next());
}

TEST_CASE("SRV records are servers under their own names, whatever their addresses") {
  DiscoveryBench bench("srv://_m._tcp.cache");
  bench.world.dns.set_service("_m._tcp.cache", {{.target = "cache-10.x.", .port = 1, .weight = 33},
                                                {.target = "Cache-9.X", .port = 1, .weight = 33},
                                                {.target = "cache-9.x", .port = 2, .weight = 33}});
  bench.start();
  CHECK(bench.take() == "cache-9.x:1 cache-9.x:2 cache-10.x:1 ;");
  CHECK(bench.list.front().address.host == "cache-9.x");
  // One more pod, and CoreDNS gives all of them another weight: only the pod counts.
  bench.world.dns.set_service("_m._tcp.cache", {{.target = "cache-9.x", .port = 2, .weight = 25},
                                                {.target = "cache-11.x", .port = 1, .weight = 25},
                                                {.target = "cache-10.x", .port = 1, .weight = 25},
                                                {.target = "cache-9.x", .port = 1, .weight = 25}});
  bench.run_for(1000);
  CHECK(bench.take() == "cache-9.x:1 cache-9.x:2 cache-10.x:1 cache-11.x:1 ;");
}

TEST_CASE("of SRV records the lowest priority counts, and weights when all have one") {
  auto found = [](std::vector<io::DnsService> answer) {
    auto servers = servers_of(answer);
    return servers ? text_of(*servers) : servers.error().message();
  };
  CHECK(found({{.target = "spare", .port = 1, .priority = 20, .weight = 1},
               {.target = "b", .port = 1, .priority = 10, .weight = 20},
               {.target = "a", .port = 1, .priority = 10, .weight = 10}}) == "a:1 b:1*2 ");
  CHECK(found({{.target = "b", .port = 1, .weight = 20}, {.target = "a", .port = 1}}) ==
        "a:1 b:1 ");
  CHECK(found({{.target = "a", .port = 1, .weight = 1},
               {.target = "b", .port = 1, .weight = 65535}}) == "a:1 b:1*10000 ");
  CHECK(found({{.target = ".", .port = 0}}) == "the service is said to be nowhere");
  CHECK(found({{.target = "", .port = 1, .priority = 1},
               {.target = "a", .port = 1, .priority = 2}}) == "a:1 ");
  // The same server twice: the order of the answer does not decide which one counts.
  CHECK(found({{.target = "a", .port = 1, .weight = 3}, {.target = "a", .port = 1, .weight = 2}}) ==
        found({{.target = "a", .port = 1, .weight = 2}, {.target = "a", .port = 1, .weight = 3}}));
}

TEST_CASE("an answer of too many servers is no answer") {
  std::vector<io::DnsService> answer;
  for (std::uint16_t port = 1; port <= 1001; ++port) {
    answer.push_back({.target = "a", .port = port});
  }
  CHECK(servers_of(answer).error().message() == "the answer has more than 1000 servers");
  answer.pop_back();
  CHECK(servers_of(answer)->size() == 1000);
}

TEST_CASE("a file has one server per line, and keeps their order") {
  DiscoveryBench bench("file:/etc/servers");
  bench.world.files.set("/etc/servers",
                        "# caches\n\n10.0.0.2:11211:3 b\r\n  10.0.0.1:11212 # the old one\n"
                        "10.0.0.2:11211:3 b\n/run/cache.sock c#1");
  bench.start();
  CHECK(bench.take() == "b*3 10.0.0.1:11212 c#1 ;");
  bench.run_for(3'600'000);
  CHECK(bench.take().empty());
}

TEST_CASE("a file that changes is read again, once per burst") {
  DiscoveryBench bench("file:/etc/servers");
  bench.world.files.set("/etc/servers", "a:1\n");
  bench.start();
  bench.run_for(1000);
  CHECK(bench.take() == "a:1 ;");
  const int reads = bench.world.files.reads("/etc/servers");
  for (int i = 0; i < 5; ++i) bench.world.files.set("/etc/servers", "b:1\n");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "b:1 ;");
  CHECK(bench.world.files.reads("/etc/servers") == reads + 1);
  bench.world.files.set("/etc/servers", "b:1 # touched\n");
  bench.run_for(1000);
  CHECK(bench.take().empty());
}

TEST_CASE("a bad line refuses the whole file and names its place") {
  DiscoveryBench bench("file:/etc/servers");
  bench.world.files.set("/etc/servers", "a:1\n");
  bench.start();
  (void)bench.take();
  auto why = [&](const std::string& text) {
    bench.world.files.set("/etc/servers", text);
    bench.run_for(io::Burst::kQuietMs);
    CHECK(bench.take() == "failed;");
    CHECK(text_of(bench.list) == "a:1 ");
    return bench.reason;
  };
  CHECK(why("b:1\n\nno port\n").starts_with("/etc/servers:3: \"no port\" is not a server: "));
  CHECK(why("b:1 x\nc:1 x\n") == "/etc/servers:2: another server is called \"x\" already");
  CHECK(why("b:1 x\n\nb:1:2 x\n") == "/etc/servers:3: another server is called \"x\" already");
  CHECK(why("# nothing\n") == "/etc/servers: no server in it");
  std::string many;
  for (int port = 1; port <= 1001; ++port) many += "b:" + std::to_string(port) + "\n";
  CHECK(why(many) == "/etc/servers:1001: more than 1000 servers");
  CHECK(why(std::string(kMaxServerFileBytes + 1, '#')).starts_with("/etc/servers: larger than "));
  bench.world.files.remove("/etc/servers");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.reason == "/etc/servers: No such file or directory");
  (void)bench.take();
  bench.run_for(600'000);
  CHECK(bench.take().empty());
  bench.world.files.set("/etc/servers", "a:1\n");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "recovered;");
}

TEST_CASE("failures are counted") {
  DiscoveryBench bench("file:/etc/servers");
  bench.start();
  const std::string text = bench.metrics.render(Registry::Format::prometheus_text);
  CHECK(text.find("consort_discovery_failures_total{source=\"file:/etc/servers\"} ") !=
        std::string::npos);
}

TEST_CASE("a discovery may be destroyed by what it tells, or with a question under way") {
  for (const char* source : {"dns://cache.local:1", "srv://_m._tcp.cache", "file:/etc/servers"}) {
    for (const bool is_good : {true, false}) {
      DiscoveryBench bench(source);
      bench.destroy = true;
      if (is_good) {
        bench.world.dns.set("cache.local", {{.ip = "10.0.0.1"}});
        bench.world.dns.set_service("_m._tcp.cache", {{.target = "a", .port = 1}});
        bench.world.files.set("/etc/servers", "a:1\n");
      }
      bench.start();
      CHECK_FALSE(bench.discovery);
      bench.run_for(60'000);
      CHECK(std::count(bench.log.begin(), bench.log.end(), ';') == 1);
    }
    DiscoveryBench bench(source);
    bench.world.dns.delay_ms = 100;
    bench.discovery->start();
    bench.run_for(10);
    bench.discovery.reset();
    bench.run_for(60'000);
  }
}
