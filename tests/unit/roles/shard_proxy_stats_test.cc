// nutcracker's statistics and their port, and the counters of commands.
#include <doctest/doctest.h>

#include "roles/shard_proxy/command_counters.hpp"
#include "roles/shard_proxy/stats_port.hpp"
#include "shard_proxy_world.hpp"
#include "wire/redis_commands.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

std::string stats_of(MemcacheWorld& proxy) {
  StatsFacts facts;
  facts.host = "node";
  facts.wall_ms = 1'700'000'000'000;
  facts.now_ms = proxy.now_ms();
  facts.started_ms = facts.now_ms - 2500;
  facts.listeners = 1;
  Pool* pools[] = {&proxy.pool()};
  return nutcracker_stats(facts, pools);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

struct PortBench {
  explicit PortBench(std::string body = "{}\n", sim::Conditions conditions = {})
      : world(1, conditions), text(std::move(body)) {
    auto opened = StatsPort::open(services, *Address::parse("127.0.0.1:22222"), [this] {
      ++told;
      return text;
    });
    REQUIRE(opened.has_value());
    port = std::move(*opened);
  }
  sim::SimPeer& connect() {
    sim::SimPeer& peer = world.network.connect_client("127.0.0.1:22222");
    world.loop.settle();
    return peer;
  }

  sim::World world;
  std::string text;
  int told = 0;
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
  std::unique_ptr<StatsPort> port;
};

std::string counted(const Registry& registry) {
  std::string lines;
  const std::string all = registry.render(Registry::Format::prometheus_text);
  std::size_t at = 0;
  while ((at = all.find("consort_commands_total{", at)) != std::string::npos) {
    const std::size_t end = all.find('\n', at);
    lines += all.substr(at + 22, end - at - 22) + "\n";
    at = end;
  }
  return lines;
}

}  // namespace

TEST_CASE("the statistics have nutcracker's names, order and shape") {
  MemcacheWorld proxy(1);
  proxy.start();
  CHECK(
      stats_of(proxy) ==
      "{\"service\":\"nutcracker\",\"source\":\"node\",\"version\":\"0.5.0\",\"uptime\":2,"
      "\"timestamp\":1700000000,\"total_connections\":2,\"curr_connections\":2,"
      "\"pool\":{\"client_eof\":0,\"client_err\":0,\"client_connections\":0,"
      "\"server_ejects\":0,\"forward_error\":0,\"fragments\":0,"
      "\"a\":{\"server_eof\":0,\"server_err\":0,\"server_timedout\":0,\"server_connections\":1,"
      "\"server_ejected_at\":0,\"requests\":0,\"request_bytes\":" +
          std::to_string(proxy.server_counter("consort_shard_sent_bytes_total", "a").value()) +
          ",\"responses\":0,\"response_bytes\":" +
          std::to_string(proxy.server_counter("consort_shard_received_bytes_total", "a").value()) +
          ",\"in_queue\":0,\"in_queue_bytes\":0,\"out_queue\":0,\"out_queue_bytes\":0}}}\n");
}

TEST_CASE("the statistics count requests, clients, timeouts and queues") {
  MemcacheWorld proxy(2);
  proxy.start();
  TestClient& stays = proxy.connect();
  TestClient& goes = proxy.connect();
  CHECK(stays.ask("get " + proxy.key_on(0) + " " + proxy.key_on(1) + "\r\n") == "END\r\n");
  goes.peer().close();
  proxy.settle();
  proxy.server(1).hold();
  stays.send("get " + proxy.key_on(1) + "\r\n");
  proxy.settle();
  std::string stats = stats_of(proxy);
  CHECK(has(stats, "\"client_eof\":1,\"client_err\":0,\"client_connections\":1,"));
  CHECK(has(stats, "\"fragments\":1,"));
  CHECK(has(stats, "\"total_connections\":5,\"curr_connections\":4,"));
  CHECK(has(stats, "\"requests\":1,"));
  CHECK(has(stats, "\"requests\":2,"));
  CHECK(has(stats, "\"out_queue\":1,"));
  proxy.run_for(1001);
  stats = stats_of(proxy);
  CHECK(has(stats, "\"server_timedout\":1,"));
  CHECK(has(stats, "\"forward_error\":1,"));
}

TEST_CASE("an ejected server has the moment of its ejection in microseconds") {
  MemcacheWorld proxy(2);
  proxy.config.on_server_down = OnServerDown::rehash;
  proxy.start();
  proxy.run_for(1000);
  proxy.server(0).at().last().reset();
  proxy.server(0).at().refuse_next(100);
  proxy.settle();
  proxy.run_for(250);
  const std::string stats = stats_of(proxy);
  CHECK(has(stats, "\"server_ejects\":1,"));
  CHECK(has(stats, "\"server_eof\":1,\"server_err\":0,"));
  CHECK(has(stats, "\"server_ejected_at\":1699999999750000,"));
}

TEST_CASE("whoever connects gets the statistics of that moment and the end") {
  PortBench bench("{\"a\":1}\n");
  sim::SimPeer& first = bench.connect();
  CHECK(first.take() == "{\"a\":1}\n");
  CHECK(first.ended());
  bench.text = "{\"a\":2}\n";
  sim::SimPeer& second = bench.connect();
  CHECK(second.take() == "{\"a\":2}\n");
  CHECK(bench.told == 2);
  first.close();
  second.close();
  bench.world.loop.settle();
  CHECK(bench.port->peers() == 0);
}

TEST_CASE("what a peer says does not matter, nor that it has ended its side") {
  PortBench bench(std::string(200'000, 'x'));
  sim::SimPeer& peer = bench.world.network.connect_client("127.0.0.1:22222");
  peer.send("GET / HTTP/1.1\r\n\r\n");
  peer.shutdown_write();
  bench.world.loop.settle();
  CHECK(peer.take().size() == 200'000);
  CHECK(peer.ended());
  CHECK(bench.port->peers() == 0);
}

TEST_CASE("a peer that does not take its statistics is closed in time") {
  PortBench bench(std::string(200'000, 'x'));
  sim::SimPeer& slow = bench.world.network.connect_client("127.0.0.1:22222");
  slow.stall();
  bench.world.loop.settle();
  bench.world.loop.run_for(StatsPort::kPatienceMs - 1);
  CHECK(bench.port->peers() == 1);
  sim::SimPeer& later = bench.connect();
  bench.world.loop.run_for(2);
  CHECK_FALSE(slow.connected());
  CHECK(bench.port->peers() == 1);
  CHECK(later.take().size() == 200'000);
  bench.world.loop.run_for(StatsPort::kPatienceMs);
  CHECK(bench.port->peers() == 0);
}

TEST_CASE("with too many peers the oldest makes room") {
  PortBench bench;
  std::vector<sim::SimPeer*> peers;
  for (std::size_t i = 0; i <= StatsPort::kMaxPeers; ++i) peers.push_back(&bench.connect());
  CHECK(bench.port->peers() == StatsPort::kMaxPeers);
  CHECK_FALSE(peers[0]->connected());
  CHECK(peers[1]->connected());
  CHECK(peers.back()->take() == "{}\n");
  peers[1]->reset();
  bench.world.loop.settle();
  CHECK(bench.port->peers() == StatsPort::kMaxPeers - 1);
}

TEST_CASE("a command gets its series when it comes for the first time") {
  Registry registry;
  const redis::CommandTable& table = redis::CommandTable::built_in();
  CommandCounters counters(registry, "p", table.size());
  CHECK(counted(registry).empty());
  int named = 0;
  auto count = [&](const redis::Command& command) {
    counters.add(table.index_of(command), [&] {
      ++named;
      return table.full_name(command);
    });
  };
  const redis::Command& get = *table.find("get");
  for (int i = 0; i < 3; ++i) count(get);
  count(*table.find_subcommand(*table.find("xinfo"), "stream"));
  CHECK(named == 2);
  CHECK(counted(registry) ==
        "{command=\"get\",pool=\"p\"} 3\n"
        "{command=\"xinfo|stream\",pool=\"p\"} 1\n");
}

TEST_CASE("another table with other numbers goes on counting by name") {
  Registry registry;
  CommandCounters counters(registry, "p", 2);
  counters.add(1, [] { return "get"; });
  counters.renumber(3);
  counters.add(2, [] { return "get"; });
  counters.add(1, [] { return "json.get"; });
  CHECK(counted(registry) ==
        "{command=\"get\",pool=\"p\"} 2\n{command=\"json.get\",pool=\"p\"} 1\n");
}

TEST_CASE("numbers beyond the table and names beyond the limit are counted together") {
  Registry registry;
  CommandCounters counters(registry, "p", CommandCounters::kMaxNames + 10);
  counters.add(CommandCounters::kMaxNames + 10, [] { return "never"; });
  for (std::size_t i = 0; i < CommandCounters::kMaxNames + 10; ++i) {
    counters.add(i, [i] { return "c" + std::to_string(i); });
  }
  counters.add(CommandCounters::kMaxNames + 5, [] { return "never"; });
  const std::string lines = counted(registry);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == CommandCounters::kMaxNames);
  CHECK(has(lines, "{command=\"other\",pool=\"p\"} 13\n"));
  CHECK_FALSE(has(lines, "never"));
}

TEST_CASE("memcached's commands are counted under the words that they begin with") {
  Registry registry;
  CommandCounters counters(registry, "p", kMemcacheCommands);
  for (auto command : {memcache::Command::remove, memcache::Command::meta_get,
                       memcache::Command::meta_get, memcache::Command::unknown}) {
    counters.add(command_index(command), [command] { return command_word(command); });
  }
  CHECK(counted(registry) ==
        "{command=\"delete\",pool=\"p\"} 1\n{command=\"mg\",pool=\"p\"} 2\n"
        "{command=\"unknown\",pool=\"p\"} 1\n");
}
