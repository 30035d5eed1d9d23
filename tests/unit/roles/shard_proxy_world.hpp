// One pool of the shard-proxy with everything around it simulated: its servers, its clients, time.
//
//   RedisWorld proxy(4);                        // servers a, b, c, d at 10.0.0.1:6379..
//   proxy.config.timeout = Millis(100);         // before start()
//   proxy.start();
//   TestClient& client = proxy.connect();       // a client of the pool
//   CHECK(client.command({"GET", "x"}) == "$-1\r\n");
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/checks.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/front.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/turn.hpp"
#include "shard_proxy_servers.hpp"
#include "sim/world.hpp"

namespace consort::shard_proxy::test {

/// A client of the pool, as the test holds it.
class TestClient {
 public:
  TestClient(sim::SimLoop& loop, sim::SimPeer& peer) : loop_(loop), peer_(peer) {}

  void send(std::string_view bytes) { peer_.send(bytes); }
  /// What has come since the last look.
  std::string take() {
    loop_.settle();
    return peer_.take();
  }
  std::string ask(std::string_view bytes) {
    peer_.send(bytes);
    return take();
  }
  /// send() and ask() for one Redis command.
  void post(const Words& words) { peer_.send(redis_request(words)); }
  std::string command(const Words& words) { return ask(redis_request(words)); }
  /// The proxy closed the connection.
  bool ended() {
    loop_.settle();
    return peer_.ended();
  }
  sim::SimPeer& peer() { return peer_; }

 private:
  sim::SimLoop& loop_;
  sim::SimPeer& peer_;
};

template <class Server>
class ProxyWorld {
 public:
  static constexpr bool kIsRedis = std::is_same_v<Server, RedisServer>;

  explicit ProxyWorld(std::uint32_t servers = 1, std::uint64_t seed = 1,
                      const sim::Conditions& conditions = {})
      : world(seed, conditions), turn_(world.loop) {
    config.name = "pool";
    config.protocol = kIsRedis ? Protocol::redis : Protocol::memcached;
    config.distribution = Distribution::jump;
    config.hash = KeyHash::murmur;
    config.server_failure_limit = 3;
    config.fail_open_percent = 0;
    config.learn_commands = false;
    config.listen.push_back(*Address::parse("127.0.0.1:1000"));
    for (std::uint32_t i = 0; i < servers; ++i) {
      std::string address = "10.0.0." + std::to_string(i + 1) + ":6379";
      std::string name(1, static_cast<char>('a' + i));
      config.servers.push_back(*ServerSpec::parse(address + ":1 " + name));
      servers_.push_back(std::make_unique<Server>(world.network, address));
    }
  }

  void start() {
    services_ = std::make_unique<Services>(Services{world.loop, world.network, *dns_, world.files,
                                                    world.disk, world.processes, world.random,
                                                    registry_, checks_, log_});
    pool_ = std::make_unique<Pool>(*services_, config, turn_);
    auto front = Front::open(*services_, config.listen.at(0), *pool_);
    REQUIRE(front.has_value());
    front_ = std::move(*front);
    pool_->start();
    world.loop.settle();
  }
  /// Before start(): names come from here, not from the world's table.
  void use_dns(io::Dns& dns) { dns_ = &dns; }
  TestClient& connect() {
    sim::SimPeer& peer = world.network.connect_client("127.0.0.1:1000");
    clients_.emplace_back(world.loop, peer);
    world.loop.settle();
    return clients_.back();
  }
  Server& server(std::size_t i) { return *servers_.at(i); }
  Pool& pool() { return *pool_; }
  void stop_listening() { front_.reset(); }
  /// Ends the proxy before the test's end, with whatever is under way.
  void destroy_pool() {
    front_.reset();
    pool_.reset();
  }

  void run_for(std::uint64_t ms) { world.loop.run_for(ms); }
  void settle() { world.loop.settle(); }
  void run_turn() {
    world.loop.run_until([] { return true; }, 0);
  }
  std::uint64_t now_ms() const { return world.loop.now_ms(); }

  /// The nth key (from 0) that lives on this server.
  std::string key_on(std::uint32_t server, std::size_t nth = 0) {
    Placement placement = config.make_placement();
    for (int i = 0;; ++i) {
      std::string key = "key" + std::to_string(i);
      if (placement.server_of(key, world.random) == server && nth-- == 0) return key;
    }
  }
  std::uint32_t owner_of(std::string_view key) {
    return config.make_placement().server_of(key, world.random);
  }
  /// Log lines in which the text occurs.
  std::size_t logged(std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  Counter& server_counter(std::string_view name, const std::string& server) {
    return registry_.counter(name, "", {{"pool", "pool"}, {"server", server}});
  }
  Counter& pool_counter(std::string_view name) {
    return registry_.counter(name, "", {{"pool", "pool"}});
  }
  Counter& command_counter(const std::string& command) {
    return registry_.counter("consort_commands_total", "",
                             {{"pool", "pool"}, {"command", command}});
  }
  Gauge& server_gauge(std::string_view name, const std::string& server) {
    return registry_.gauge(name, "", {{"pool", "pool"}, {"server", server}});
  }
  LatencyHistogram& latency(const std::string& server) {
    return registry_.histogram("consort_shard_latency_seconds", "",
                               {{"pool", "pool"}, {"server", server}});
  }
  /// Clients that the pool still knows.
  std::int64_t clients() {
    return registry_.gauge("consort_clients", "", {{"pool", "pool"}}).value();
  }
  Check check() const { return checks_.all().at(0); }

  PoolConfig config;
  sim::World world;

 private:
  static void write_line(void* self, std::string_view line) {
    static_cast<ProxyWorld*>(self)->lines_.emplace_back(line);
  }
  static std::int64_t wall_ms(void* self) {
    return static_cast<std::int64_t>(static_cast<ProxyWorld*>(self)->now_ms());
  }
  static Logger::Options log_options() {
    Logger::Options options;
    options.format = LogFormat::logfmt;
    return options;
  }

  Registry registry_;
  CheckBoard checks_;
  Lines lines_;
  Logger log_{{write_line, wall_ms, this}, log_options()};
  io::Dns* dns_ = &world.dns;
  std::unique_ptr<Services> services_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::deque<TestClient> clients_;
  Turn turn_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Front> front_;
};

using RedisWorld = ProxyWorld<RedisServer>;
using MemcacheWorld = ProxyWorld<MemcacheServer>;

}  // namespace consort::shard_proxy::test
