// A topology from flags, files and DNS: what becomes of an answer, and of none.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/burst.hpp"
#include "roles/gather/leaf_spec.hpp"
#include "roles/gather/topology_source.hpp"
#include "sim/world.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

/// "7: s0[http://a http://b] s1*2[http://c*3@1]": epoch, weights, priorities.
std::string text_of(const Topology& topology) {
  std::string text = std::to_string(topology.epoch) + ":";
  auto weight = [](std::uint64_t number) {
    return number == 1 ? "" : "*" + std::to_string(number);
  };
  for (const ShardSpec& shard : topology.shards) {
    text += " " + shard.id + weight(shard.weight) + "[";
    for (const ReplicaSpec& each : shard.replicas) {
      text += (&each == &shard.replicas.front() ? "" : " ") + each.url.to_string();
      text += weight(each.weight);
      if (each.priority != 0) text += "@" + std::to_string(each.priority);
    }
    text += "]";
  }
  return text;
}

struct SourceBench final : TopologySource::Watcher {
  explicit SourceBench(std::string_view origin) {
    source.emplace(services, *TopologyOrigin::parse(origin), *this);
  }
  explicit SourceBench(Topology fixed) { source.emplace(services, std::move(fixed), *this); }
  void start() {
    source->start();
    CHECK(log.empty());
    world.loop.settle();
  }
  void on_topology(std::shared_ptr<const Topology> topology) override {
    log += text_of(*topology) + ";";
    CHECK(source->current() == topology);
    last = std::move(topology);
    if (destroy) source.reset();
  }
  void on_topology_failed(const std::string& why) override {
    log += "failed: " + why + ";";
    if (destroy) source.reset();
  }
  void on_topology_recovered() override { log += "recovered;"; }
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
  std::shared_ptr<const Topology> last;
  bool destroy = false;
  std::optional<TopologySource> source;
};

std::string refusal(std::string_view text) {
  auto origin = TopologyOrigin::parse(text);
  return origin ? "accepted as " + origin->to_string() : origin.error().message();
}

std::string found(std::string_view origin, const std::vector<io::DnsService>& answer) {
  auto topology = topology_of(answer, *TopologyOrigin::parse(origin));
  return topology ? text_of(*topology) : topology.error().message();
}

constexpr std::string_view kShardFile = "epoch: 7\nshards: [{replicas: [http://a, http://b]}]\n";

}  // namespace

TEST_CASE("an origin is printed so that it reads back") {
  for (const auto& [text, printed] :
       {std::pair("/etc/shards.yaml", "file:/etc/shards.yaml"),
        std::pair("shards.yaml", "file:shards.yaml"), std::pair("//etc/a", "file:////etc/a"),
        std::pair("./a:b", "file:./a:b"), std::pair("file:///etc/a", "file:/etc/a"),
        std::pair("dns:leaf:80", "dns://leaf:80"),
        std::pair("dns://leaf:80?as=shards", "dns://leaf:80"),
        std::pair("dns:leaf:80?as=replicas", "dns://leaf:80?as=replicas"),
        std::pair("srv:_http._tcp.leaf?path=/x&scheme=https&as=replicas",
                  "srv://_http._tcp.leaf?as=replicas&scheme=https&path=/x")}) {
    CAPTURE(text);
    auto origin = TopologyOrigin::parse(text);
    REQUIRE(origin);
    CHECK(origin->to_string() == printed);
    CHECK(*TopologyOrigin::parse(printed) == *origin);
  }
}

TEST_CASE("what is no origin is refused in one sentence") {
  const std::string forms =
      " (write a path, file:PATH, dns://NAME:PORT[?as=shards|replicas] or "
      "srv://_SERVICE._tcp.NAME[?as=shards|replicas])";
  auto why = [&](const std::string& text, const std::string& reason) {
    CHECK(refusal(text) == "\"" + text + "\" is not a topology: " + reason + forms);
  };
  why("", "it begins with none of dns://, srv:// and file:");
  why("http://a:80", "it begins with none of dns://, srv:// and file:");
  why("leaf.local:80", "it begins with none of dns://, srv:// and file:");
  why("dns:leaf", "the port is missing");
  why("/etc/", "the file is missing");
  why("dns:a:1?as=shard", "as: \"shard\" is not shards or replicas (did you mean \"shards\"?)");
  why("dns:a:1?scheme=ftp", "scheme: \"ftp\" is not http or https");
  why("dns:a:1?path=x", "path: \"x\" is not a path as /search");
  why("dns:a:1?path=.b/x", "path: \".b/x\" is not a path as /search");
  why("dns:a:1?weight=2", "after \"?\" only as=, scheme= and path= may stand, joined by &");
}

TEST_CASE("leaves from flags are told once, later, as epoch 1") {
  const std::vector<LeafSpec> leaves = {*LeafSpec::parse("http://a{0..1}|http://b{0..1}")};
  SourceBench bench(*topology_of(leaves));
  CHECK(bench.source->name() == "--leaf");
  CHECK(bench.source->current() == nullptr);
  bench.start();
  CHECK(bench.take() == "1: s0[http://a0 http://b0] s1[http://a1 http://b1];");
  bench.run_for(3'600'000);
  CHECK(bench.take().empty());
}

TEST_CASE("a file is told when it changes, with its own epoch or the next one") {
  SourceBench bench("/etc/shards.yaml");
  bench.world.files.set("/etc/shards.yaml", std::string(kShardFile));
  bench.start();
  bench.run_for(1000);
  CHECK(bench.take() == "7: s0[http://a http://b];");
  const auto before = bench.last;
  bench.world.files.set("/etc/shards.yaml", "# touched\n" + std::string(kShardFile));
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take().empty());
  CHECK(bench.source->current() == before);
  bench.world.files.set("/etc/shards.yaml", "epoch: 8\nshards: [{replicas: [http://a, http://b]}]");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "8: s0[http://a http://b];");
  bench.world.files.set("/etc/shards.yaml", "shards: [{replicas: [http://a]}]");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "9: s0[http://a];");
  // Whoever has the old one keeps it as it was.
  CHECK(text_of(*before) == "7: s0[http://a http://b]");
}

TEST_CASE("a bad file keeps the last topology and says every place") {
  SourceBench bench("file:/etc/s");
  bench.world.files.set("/etc/s", std::string(kShardFile));
  bench.start();
  bench.run_for(1000);
  (void)bench.take();
  bench.world.files.set("/etc/s", "epoc: 7\nshards: []\n");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() ==
        "failed: /etc/s:1:1: unknown key \"epoc\" (did you mean \"epoch\"?); /etc/s:2:9: shards: "
        "the list is empty;");
  CHECK(text_of(*bench.source->current()) == "7: s0[http://a http://b]");
  bench.world.files.remove("/etc/s");
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "failed: /etc/s: No such file or directory;");
  bench.run_for(600'000);
  CHECK(bench.take().empty());
  bench.world.files.set("/etc/s", std::string(kShardFile));
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "recovered;");
}

TEST_CASE("a file that is not there yet is waited for") {
  SourceBench bench("/etc/s");
  bench.start();
  CHECK(bench.take() == "failed: /etc/s: No such file or directory;");
  CHECK(bench.source->current() == nullptr);
  bench.world.files.set("/etc/s", std::string(kShardFile));
  bench.run_for(io::Burst::kQuietMs);
  CHECK(bench.take() == "7: s0[http://a http://b];");
}

TEST_CASE("each address of a name is a shard, numbered by the addresses alone") {
  SourceBench bench("dns://leaf:8080?path=/v1");
  bench.world.dns.set("leaf", {{.ip = "10.0.0.10", .ttl_s = 5},
                               {.ip = "10.0.0.9", .ttl_s = 5},
                               {.ip = "fd00::1", .ttl_s = 5},
                               {.ip = "10.0.0.10", .ttl_s = 5}});
  bench.start();
  CHECK(
      bench.take() ==
      "1: s0[http://10.0.0.9:8080/v1] s1[http://10.0.0.10:8080/v1] s2[http://[fd00::1]:8080/v1];");
  CHECK(bench.last->shards[0].replicas[0].url.host_header == "leaf:8080");
  bench.world.dns.set("leaf", {{.ip = "fd00::1", .ttl_s = 5},
                               {.ip = "10.0.0.9", .ttl_s = 5},
                               {.ip = "10.0.0.10", .ttl_s = 5}});
  bench.run_for(5000);
  CHECK(bench.world.dns.questions("leaf") == 2);
  CHECK(bench.take().empty());
  bench.world.dns.set("leaf", {{.ip = "10.0.0.9", .ttl_s = 5}});
  bench.run_for(5000);
  CHECK(bench.take() == "2: s0[http://10.0.0.9:8080/v1];");
}

TEST_CASE("with as=replicas the addresses of a name are one shard") {
  SourceBench bench("dns:leaf:443?as=replicas&scheme=https");
  bench.world.dns.set("leaf", {{.ip = "10.0.0.2"}, {.ip = "10.0.0.1"}});
  bench.start();
  CHECK(bench.take() == "1: s0[https://10.0.0.1 https://10.0.0.2];");
  CHECK(bench.last->shards[0].replicas[1].url.host_header == "leaf");
}

TEST_CASE("SRV records are replicas by priority and weight") {
  CHECK(
      found("srv:_h._tcp.x?as=replicas", {{.target = "Spare.", .port = 82, .priority = 2},
                                          {.target = "b", .port = 81, .priority = 1, .weight = 50},
                                          {.target = "a", .port = 81, .priority = 1, .weight = 25},
                                          {.target = "b", .port = 81, .priority = 2}}) ==
      "0: s0[http://a:81@1 http://b:81*2@1 http://spare:82@2]");
  CHECK(found("srv:_h._tcp.x?as=replicas",
              {{.target = "b", .port = 1, .weight = 50}, {.target = "a", .port = 1}}) ==
        "0: s0[http://a:1 http://b:1]");
  CHECK(found("srv:_h._tcp.x?as=replicas", {{.target = "a", .port = 1, .weight = 1},
                                            {.target = "b", .port = 1, .weight = 65535}}) ==
        "0: s0[http://a:1 http://b:1*10000]");
}

TEST_CASE("SRV records are shards of the lowest priority, and weights their size") {
  CHECK(found("srv:_h._tcp.x", {{.target = "leaf-10", .port = 80, .weight = 33},
                                {.target = "leaf-9", .port = 80, .weight = 33},
                                {.target = "old", .port = 80, .priority = 5}}) ==
        "0: s0[http://leaf-9] s1[http://leaf-10]");
  CHECK(found("srv:_h._tcp.x", {{.target = "a", .port = 80, .weight = 10},
                                {.target = "b", .port = 80, .weight = 30}}) ==
        "0: s0[http://a] s1*3[http://b]");
  CHECK(found("srv:_h._tcp.x", {{.target = ".", .port = 0}}) ==
        "the service is said to be nowhere");
}

TEST_CASE("an answer with more replicas than a shard may have is no answer") {
  std::vector<io::DnsService> answer;
  for (std::uint16_t port = 1; port <= 65; ++port) answer.push_back({.target = "a", .port = port});
  CHECK(found("srv:_h._tcp.x?as=replicas", answer) == "a shard has at most 64 replicas");
  CHECK(found("srv:_h._tcp.x", answer).starts_with("0: s0[http://a:1] s1[http://a:2]"));
}

TEST_CASE("a name that cannot be resolved keeps the last topology") {
  SourceBench bench("srv://_h._tcp.leaf");
  bench.world.dns.set_service("_h._tcp.leaf", {{.target = "a", .port = 80, .ttl_s = 1}});
  bench.start();
  CHECK(bench.take() == "1: s0[http://a];");
  bench.world.dns.set_silent("_h._tcp.leaf");
  bench.run_for(60'000);
  CHECK(bench.take() == "failed: srv://_h._tcp.leaf: resolve _h._tcp.leaf;");
  CHECK(text_of(*bench.source->current()) == "1: s0[http://a]");
  bench.world.dns.set_service("_h._tcp.leaf", {{.target = ".", .port = 0, .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "failed: srv://_h._tcp.leaf: the service is said to be nowhere;");
  bench.world.dns.set_service("_h._tcp.leaf", {{.target = "a", .port = 80, .ttl_s = 1}});
  bench.run_for(60'000);
  CHECK(bench.take() == "recovered;");
}

TEST_CASE("a source may be destroyed by what it tells, or while it asks") {
  for (const char* origin : {"dns:leaf:1", "srv:_h._tcp.leaf", "/etc/s"}) {
    for (const bool is_good : {true, false}) {
      SourceBench bench(origin);
      bench.destroy = true;
      if (is_good) {
        bench.world.dns.set("leaf", {{.ip = "10.0.0.1"}});
        bench.world.dns.set_service("_h._tcp.leaf", {{.target = "a", .port = 1}});
        bench.world.files.set("/etc/s", std::string(kShardFile));
      }
      bench.start();
      CHECK_FALSE(bench.source);
      bench.run_for(60'000);
      CHECK(std::count(bench.log.begin(), bench.log.end(), ';') == 1);
    }
    SourceBench bench(origin);
    bench.world.dns.delay_ms = 100;
    bench.source->start();
    bench.run_for(10);
    bench.source.reset();
    bench.run_for(60'000);
  }
  SourceBench flags(Topology{.epoch = 0, .shards = std::vector<ShardSpec>(1)});
  flags.destroy = true;
  flags.start();
  CHECK_FALSE(flags.source);
}
