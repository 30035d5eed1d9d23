// The whole role in the simulator: reloads, discovered servers, pools that come and go.
#include <doctest/doctest.h>

#include "async/scope.hpp"
#include "roles/shard_proxy/role.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

Task<> start_role(Role& role, std::string& failure) {
  Result<> started = co_await role.start();
  failure = started ? "none" : started.error().message();
}

PoolConfig pool_of(const std::string& name, std::uint16_t port,
                   const std::vector<std::string>& servers) {
  PoolConfig pool;
  pool.name = name;
  pool.protocol = Protocol::memcached;
  pool.distribution = Distribution::jump;
  pool.hash = KeyHash::murmur;
  pool.listen.push_back(*Address::parse("127.0.0.1:" + std::to_string(port)));
  for (const std::string& text : servers) pool.servers.push_back(*ServerSpec::parse(text));
  return pool;
}

PoolConfig found_pool(const std::string& source) {
  PoolConfig pool = pool_of("found", 1000, {});
  pool.servers_from = *ServerSource::parse(source);
  return pool;
}

struct RoleBench {
  explicit RoleBench(std::vector<PoolConfig> pools = {}) {
    config.pools = std::move(pools);
    for (int i = 1; i <= 3; ++i) {
      const std::string address = "10.0.0." + std::to_string(i) + ":1";
      servers.push_back(std::make_unique<MemcacheServer>(world.network, address));
    }
  }
  void start() {
    role = kShardProxy.make(services, config);
    scope.spawn(start_role(*role, failure));
    world.loop.settle();
  }
  TestClient& connect(const std::string& address = "127.0.0.1:1000") {
    clients.emplace_back(world.loop, world.network.connect_client(address));
    world.loop.settle();
    return clients.back();
  }
  std::string reload() {
    Result<> done = role->reload(config);
    world.loop.settle();
    return done ? "done" : done.error().message();
  }
  std::string page(const std::string& path) {
    AdminQuestion question;
    question.method = "GET";
    question.path = path;
    return role->ask(question).body;
  }
  std::string check(const std::string& name) const {
    for (const Check& each : checks.all()) {
      if (each.name == name) return std::string(to_string(each.health)) + ": " + each.text;
    }
    return "none";
  }
  std::size_t logged(std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(
        lines.begin(), lines.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  static Logger::Options log_options() {
    Logger::Options options;
    options.format = LogFormat::logfmt;
    return options;
  }

  sim::World world;
  Registry metrics;
  CheckBoard checks;
  Lines lines;
  Logger logger{{.write =
                     [](void* self, std::string_view line) {
                       static_cast<RoleBench*>(self)->lines.emplace_back(line);
                     },
                 .wall_ms = [](void*) { return std::int64_t{0}; },
                 .context = this},
                log_options()};
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
  Config config;
  std::string failure;
  std::vector<std::unique_ptr<MemcacheServer>> servers;
  std::deque<TestClient> clients;
  std::unique_ptr<Role> role;
  TaskScope scope;
};

}  // namespace

TEST_CASE("a reload takes other servers, and clients notice nothing") {
  RoleBench bench({pool_of("p", 1000, {"10.0.0.1:1", "10.0.0.2:1"})});
  bench.start();
  CHECK(bench.failure == "none");
  TestClient& client = bench.connect();
  CHECK(client.ask("set a 0 0 1\r\nx\r\n") == "STORED\r\n");
  CHECK(bench.reload() == "done");
  CHECK(bench.logged("pool.reloaded") == 0);
  bench.config.pools[0].servers.push_back(*ServerSpec::parse("10.0.0.3:1"));
  CHECK(bench.reload() == "done");
  CHECK(bench.logged("msg=pool.reloaded pool=p servers=3 moved_percent=3") == 1);
  CHECK(client.ask("get a\r\n").ends_with("END\r\n"));
  CHECK_FALSE(client.ended());
  CHECK(bench.servers[0]->at().connections() == 1);
  CHECK(bench.servers[2]->at().connections() == 1);
}

TEST_CASE("a reload that cannot listen changes nothing") {
  RoleBench bench({pool_of("p", 1000, {"10.0.0.1:1"})});
  bench.start();
  TestClient& client = bench.connect();
  struct Nobody final : io::AcceptHandler {
    void on_accept(std::unique_ptr<io::Stream>) override {}
    void on_accept_paused(const Error&) override {}
  } nobody;
  auto taken = bench.world.network.listen(*Address::parse("127.0.0.1:1001"), {}, nobody);
  bench.config.pools.push_back(pool_of("q", 1001, {"10.0.0.2:1"}));
  bench.config.pools[0].servers = {*ServerSpec::parse("10.0.0.3:1")};
  bench.config.stats_port.address = *Address::parse("127.0.0.1:1002");
  CHECK(bench.reload().find("pool \"q\"") == 0);
  CHECK_FALSE(bench.world.network.listening("127.0.0.1:1002"));
  CHECK(client.ask("set a 0 0 1\r\nx\r\n") == "STORED\r\n");
  CHECK(bench.servers[0]->data.contains("a"));
  CHECK(bench.check("pool q") == "none");
  taken->reset();
  CHECK(bench.reload() == "done");
  CHECK(bench.world.network.listening("127.0.0.1:1001"));
  CHECK(bench.world.network.listening("127.0.0.1:1002"));
}

TEST_CASE("a pool that left serves its clients' last requests and takes its check along") {
  RoleBench bench({pool_of("p", 1000, {"10.0.0.1:1"}), pool_of("q", 1001, {"10.0.0.2:1"})});
  bench.start();
  TestClient& client = bench.connect("127.0.0.1:1001");
  bench.servers[1]->hold();
  client.send("get a\r\n");
  bench.world.loop.settle();
  CHECK(bench.check("pool q") != "none");
  bench.config.pools.pop_back();
  CHECK(bench.reload() == "done");
  CHECK_FALSE(bench.world.network.listening("127.0.0.1:1001"));
  CHECK(bench.page("/servers").find("\"q\"") == std::string::npos);
  bench.servers[1]->release();
  CHECK(client.take() == "END\r\n");
  CHECK(client.ended());
  bench.world.loop.run_for(1000);
  CHECK(bench.check("pool q") == "none");
  CHECK(bench.check("pool p").starts_with("pass"));
}

TEST_CASE("a dry run says what a reload would do and does nothing") {
  RoleBench bench({pool_of("p", 1000, {"10.0.0.1:1", "10.0.0.2:1"}),
                   pool_of("q", 1001, {"10.0.0.1:1"}), pool_of("r", 1002, {"10.0.0.1:1"}),
                   pool_of("s", 1003, {"10.0.0.1:1"})});
  bench.start();
  Config next;
  next.pools = bench.config.pools;
  CHECK(bench.role->would_reload(next)->empty());
  next.pools[0].servers.pop_back();
  next.pools[1].timeout = Millis(7);
  next.pools[2].protocol = Protocol::redis;
  next.pools[3].name = "t";
  const std::string told = *bench.role->would_reload(next);
  CHECK(told.starts_with("pool p: about "));
  CHECK(told.find(" % of the keys move to another server\n"
                  "pool q: no key moves\n"
                  "pool r: made anew, for its protocol changes\n"
                  "pool t: comes, listening on 127.0.0.1:1003\n"
                  "pool s: goes; its clients are closed when idle") != std::string::npos);
  CHECK(bench.page("/servers").find("\"t\"") == std::string::npos);
}

TEST_CASE("a pool without servers is not healthy until its source has answered") {
  RoleBench bench({found_pool("dns://c.local:1")});
  bench.start();
  CHECK(bench.failure == "none");
  CHECK(bench.check("servers of pool found").starts_with("fail: dns://c.local:1: "));
  CHECK(bench.check("servers of pool found").ends_with("; no servers yet"));
  CHECK(bench.page("/servers").find("\"source_problem\":\"dns://c.local:1: ") != std::string::npos);
  TestClient& client = bench.connect();
  CHECK(client.ask("get a\r\n") == "SERVER_ERROR pool \"found\" has no servers yet\r\n");
  bench.world.dns.set("c.local", {{"10.0.0.1", 5}, {"10.0.0.2", 5}});
  bench.world.loop.run_for(3000);
  CHECK(client.ask("get a\r\n") == "END\r\n");
  CHECK(bench.check("servers of pool found") == "pass: 2 servers from dns://c.local:1");
  CHECK(bench.check("pool found").starts_with("pass: 2 of 2"));
  CHECK(bench.page("/servers").find("\"source_problem\":\"\"") != std::string::npos);
  bench.world.dns.set_error("c.local", Errc::unavailable);
  bench.world.loop.run_for(10'000);
  CHECK(bench.check("servers of pool found").starts_with("warn: dns://c.local:1: "));
  CHECK(bench.check("servers of pool found").ends_with("; the last 2 servers stay"));
  CHECK(client.ask("get a\r\n") == "END\r\n");
}

TEST_CASE("a lazy pool is ready before its source has answered") {
  PoolConfig pool = found_pool("dns://c.local:1");
  pool.lazy = true;
  RoleBench bench({pool});
  bench.start();
  CHECK(bench.check("servers of pool found").starts_with("warn: "));
}

TEST_CASE("a reload keeps what a source found, until the new source has answered") {
  RoleBench bench({found_pool("dns://c.local:1")});
  bench.world.dns.set("c.local", {{"10.0.0.1", 60}});
  bench.start();
  TestClient& client = bench.connect();
  CHECK(client.ask("set a 0 0 1\r\nx\r\n") == "STORED\r\n");
  bench.config.pools[0].timeout = Millis(77);
  CHECK(bench.reload() == "done");
  CHECK(client.ask("get a\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\n");
  CHECK(bench.world.dns.questions("c.local") == 1);
  CHECK(bench.servers[0]->at().connections() == 1);

  bench.config.pools[0].servers_from = *ServerSource::parse("file:list.txt");
  CHECK(bench.reload() == "done");
  CHECK(client.ask("get a\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\n");
  CHECK(bench.check("servers of pool found").ends_with("; the last 1 servers stay"));
  bench.world.files.set("list.txt", "10.0.0.2:1\n");
  bench.world.loop.run_for(5000);
  CHECK(client.ask("get a\r\n") == "END\r\n");
  CHECK(bench.logged("msg=pool.servers_changed pool=found source=file:list.txt servers=1 "
                     "moved_percent=100") == 1);
  CHECK(bench.world.dns.questions("c.local") == 1);

  bench.config.pools[0].servers_from.reset();
  bench.config.pools[0].servers = {*ServerSpec::parse("10.0.0.3:1")};
  CHECK(bench.reload() == "done");
  CHECK(client.ask("set b 0 0 1\r\nx\r\n") == "STORED\r\n");
  CHECK(bench.servers[2]->data.contains("b"));
  CHECK(bench.check("servers of pool found") == "none");
  CHECK_FALSE(bench.world.files.is_watched("list.txt"));
}

TEST_CASE("the statistics port comes, moves and goes with a reload") {
  RoleBench bench({pool_of("p", 1000, {"10.0.0.1:1"})});
  bench.config.stats_port.address = *Address::parse("127.0.0.1:1100");
  bench.start();
  sim::SimPeer& peer = bench.world.network.connect_client("127.0.0.1:1100");
  bench.world.loop.settle();
  CHECK(peer.take().starts_with("{\"service\":\"nutcracker\","));
  CHECK(bench.reload() == "done");
  CHECK(bench.world.network.listening("127.0.0.1:1100"));
  bench.config.stats_port.address = *Address::parse("127.0.0.1:1101");
  CHECK(bench.reload() == "done");
  CHECK_FALSE(bench.world.network.listening("127.0.0.1:1100"));
  CHECK(bench.world.network.listening("127.0.0.1:1101"));
  bench.config.stats_port.address.reset();
  CHECK(bench.reload() == "done");
  CHECK_FALSE(bench.world.network.listening("127.0.0.1:1101"));
}
