// Reloads and discovered lists: servers come and go under requests, and clients notice nothing.
#include <doctest/doctest.h>

#include <deque>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

using Servers = std::vector<ServerSpec>;

Servers without(const Servers& all, std::size_t index) {
  Servers some = all;
  some.erase(some.begin() + static_cast<std::ptrdiff_t>(index));
  return some;
}
/// Every server has every value, so that an answer is right wherever it comes from.
void fill(RedisWorld& proxy, std::size_t servers, int keys) {
  for (std::size_t i = 0; i < servers; ++i) {
    for (int key = 0; key < keys; ++key) {
      std::string name = "key" + std::to_string(key);
      proxy.server(i).store.data[name] = name;
    }
  }
}

}  // namespace

TEST_CASE("servers that are in both configurations keep their connections, whatever else changes") {
  RedisWorld proxy(4);
  Servers all = proxy.config.servers;
  proxy.config.servers = without(all, 3);
  proxy.start();
  TestClient& client = proxy.connect();
  fill(proxy, 4, 20);
  sim::SimPeer* before[] = {&proxy.server(0).peer(), &proxy.server(1).peer(),
                            &proxy.server(2).peer()};
  PoolConfig next = proxy.config;
  next.servers = {all[3], all[1], all[0]};
  next.servers[1].weight = 5;
  next.timeout = Millis(50);
  next.distribution = Distribution::ketama;
  next.hash = KeyHash::fnv1a_64;
  next.on_server_down = OnServerDown::rehash;
  next.server_failure_limit = 1;
  proxy.pool().reconfigure(next);
  proxy.config = next;
  proxy.run_for(1000);
  CHECK(&proxy.server(0).peer() == before[0]);
  CHECK(&proxy.server(1).peer() == before[1]);
  CHECK_FALSE(before[0]->ended());
  CHECK_FALSE(before[1]->ended());
  CHECK(before[2]->ended());
  CHECK(proxy.check().text == "3 of 3 servers answer");
  constexpr std::size_t kServer[] = {3, 1, 0};
  for (int i = 0; i < 20; ++i) {
    std::string key = "key" + std::to_string(i);
    CHECK(client.command({"GET", key}) == bulk(key));
    CHECK(proxy.server(kServer[proxy.owner_of(key)]).log.back() == "GET " + key);
  }
  CHECK(proxy.server(2).log.empty());
  CHECK(proxy.server(0).at().connections() == 1);
}

TEST_CASE("a server that leaves finishes what is in flight, and replies keep their order") {
  RedisWorld proxy(3);
  proxy.start();
  TestClient& client = proxy.connect();
  fill(proxy, 3, 100);
  Servers all = proxy.config.servers;
  std::string lost = proxy.key_on(1);
  std::string kept = proxy.key_on(0);
  proxy.server(1).hold();
  client.post({"GET", lost});
  client.post({"MGET", kept, lost});
  client.post({"GET", kept});
  proxy.settle();
  proxy.pool().set_servers(without(all, 1));
  client.post({"GET", lost});
  proxy.run_for(500);
  CHECK(client.take().empty());
  CHECK_FALSE(proxy.server(1).peer().ended());
  proxy.server(1).release();
  CHECK(client.take() == bulk(lost) + "*2\r\n" + bulk(kept) + bulk(lost) + bulk(kept) + bulk(lost));
  proxy.run_for(200);
  CHECK(proxy.server(1).peer().ended());
  CHECK(proxy.server(1).log == Lines{"GET " + lost, "MGET " + lost});
}

TEST_CASE("requests of a server that left and hangs run out of time, and then it is gone") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(1).hold();
  std::string lost = proxy.key_on(1);
  client.post({"GET", lost});
  proxy.settle();
  proxy.pool().set_servers(without(proxy.config.servers, 1));
  proxy.run_for(999);
  CHECK(client.take().empty());
  proxy.run_for(1);
  CHECK(client.take() == "-ERR b timed out\r\n");
  proxy.run_for(200);
  CHECK(proxy.server(1).peer().ended());
  proxy.run_for(60'000);
  CHECK(proxy.server(1).at().attempts() == 1);
  CHECK(proxy.logged("server.down") == 0);
}

TEST_CASE("a server may leave while it is connected to, greeted, or waited for") {
  for (std::string phase : {"connecting", "greeting", "down"}) {
    CAPTURE(phase);
    RedisWorld proxy(2);
    if (phase == "connecting") proxy.server(1).at().hang_next(1000);
    if (phase == "greeting") proxy.server(1).special = [](const Words&) { return ""; };
    if (phase == "down") proxy.server(1).at().refuse_next(1000);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string lost = proxy.key_on(1);
    client.post({"GET", lost});
    proxy.settle();
    proxy.pool().set_servers(without(proxy.config.servers, 1));
    CHECK(client.command({"GET", lost}).starts_with("-ERR b ") == (phase == "down"));
    proxy.run_for(1000);
    CHECK((phase == "down" || client.take().starts_with("-ERR b ")));
    proxy.run_for(60'000);
    CHECK(proxy.server(1).at().attempts() == 1);
    CHECK(client.command({"GET", lost}) == "$-1\r\n");
  }
}

TEST_CASE("a server that left may come back while its old connection still works") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  Servers all = proxy.config.servers;
  std::string key = proxy.key_on(1);
  proxy.server(1).store.data[key] = "v";
  proxy.server(1).hold();
  client.post({"GET", key});
  proxy.settle();
  for (int i = 0; i < 5; ++i) {
    proxy.pool().set_servers(without(all, 1));
    proxy.pool().set_servers(all);
    client.post({"GET", key});
    proxy.settle();
  }
  CHECK(client.take().empty());
  proxy.server(1).release();
  std::string expected;
  for (int i = 0; i < 6; ++i) expected += bulk("v");
  CHECK(client.take() == expected);
  proxy.run_for(300);
  CHECK(proxy.server(1).at().connections() == 6);
  for (std::size_t i = 0; i < 5; ++i) CHECK(proxy.server(1).at().peer(i).ended());
  CHECK_FALSE(proxy.server(1).peer().ended());
}

namespace {

struct Taker final : PrivateLink::Owner {
  std::string lost;
  void on_private_idle(PrivateLink&) override {}
  void on_private_lost(PrivateLink&, const std::string& reason) override { lost = reason; }
};

}  // namespace

TEST_CASE("a server that left stays for as long as a client has a connection of its own to it") {
  RedisWorld proxy(2);
  proxy.start();
  PrivateLinks& links = proxy.pool().private_links();
  Lane lane{Dialect::resp2, 0};
  Taker taker;
  Taker idle;
  auto used = links.lease(proxy.pool().upstream(1), lane, taker);
  links.give_back(links.lease(proxy.pool().upstream(1), lane, idle));
  proxy.run_for(10);
  CHECK(links.open() == 2);
  proxy.pool().set_servers(without(proxy.config.servers, 1));
  CHECK(links.open() == 1);  // an idle one goes at once
  proxy.run_for(5000);
  used->send(redis_request({"SET", "a", "1"}), nullptr, 0, PrivateLink::kNoLimit);
  proxy.settle();
  CHECK(proxy.server(1).store.data["a"] == "1");
  CHECK(taker.lost.empty());
  CHECK_FALSE(proxy.server(1).at().peer(0).ended());
  links.give_back(std::move(used));
  CHECK(links.open() == 0);
  proxy.run_for(200);
  for (std::size_t i = 0; i < proxy.server(1).at().connections(); ++i) {
    CHECK(proxy.server(1).at().peer(i).ended());
  }
}

TEST_CASE("a pool that drains leaves its check to a successor of the same name") {
  RedisWorld proxy(1);
  proxy.start();
  std::string before = proxy.check().text;
  proxy.pool().drain();
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).peer().reset();
  proxy.run_for(100);
  CHECK(proxy.logged("server.down") == 1);
  CHECK(proxy.check().text == before);
}

TEST_CASE("reloads that never pause do not keep servers that have left") {
  RedisWorld proxy(3);
  proxy.start();
  Servers all = proxy.config.servers;
  proxy.pool().set_servers(without(all, 2));
  for (int i = 0; i < 20; ++i) {
    proxy.run_for(50);
    proxy.pool().set_servers(without(all, i % 2 == 0 ? 1 : 2));
  }
  std::size_t open = 0;
  for (std::size_t i = 0; i < proxy.server(2).at().connections(); ++i) {
    open += proxy.server(2).at().peer(i).connected() ? 1 : 0;
  }
  CHECK(open < 4);
}

TEST_CASE("a shorter timeout holds at once, for requests under way too") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(60'000);
  proxy.start();
  TestClient& old = proxy.connect();
  TestClient& later = proxy.connect();
  proxy.server(0).hold();
  old.post({"GET", "a"});
  proxy.run_for(50);
  proxy.config.timeout = Millis(200);
  proxy.pool().reconfigure(proxy.config);
  later.post({"GET", "b"});
  proxy.run_for(149);
  CHECK(old.take().empty());
  proxy.run_for(1);
  CHECK(old.take() == "-ERR a timed out\r\n");
  proxy.run_for(49);
  CHECK(later.take().empty());
  proxy.run_for(1);
  CHECK(later.take() == "-ERR a timed out\r\n");
}

TEST_CASE("a longer timeout holds at once, for requests under way too") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(100);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"GET", "a"});
  proxy.run_for(50);
  proxy.config.timeout = Millis(1000);
  proxy.pool().reconfigure(proxy.config);
  proxy.run_for(949);
  CHECK(client.take().empty());
  proxy.server(0).release();
  CHECK(client.take() == "$-1\r\n");
}

TEST_CASE("another password makes new connections, and old ones finish what they were asked") {
  RedisWorld proxy(2);
  proxy.config.redis_auth = "first";
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"AUTH", "first"}) == "+OK\r\n");
  std::string key = proxy.key_on(0);
  proxy.server(0).store.data[key] = "v";
  proxy.server(0).hold();
  client.post({"GET", key});
  proxy.settle();
  sim::SimPeer& before = proxy.server(0).peer();
  proxy.server(0).greetings.clear();
  proxy.config.redis_auth = "second";
  proxy.pool().reconfigure(proxy.config);
  client.post({"GET", key});
  proxy.settle();
  CHECK(proxy.server(0).greetings == Lines{"AUTH second", "HELLO 2"});
  CHECK_FALSE(before.ended());
  proxy.server(0).release();
  CHECK(client.take() == bulk("v") + bulk("v"));
  proxy.run_for(200);
  CHECK(before.ended());
  CHECK_FALSE(client.ended());
  CHECK(proxy.server(0).at().connections() == 2);
}

TEST_CASE("hundreds of reloads under load fail no request and close no client") {
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    sim::Conditions network{.latency_ms = 1, .jitter_ms = 3, .split = true};
    RedisWorld proxy(4, seed, network);
    proxy.start();
    constexpr int kKeys = 50;
    fill(proxy, 4, kKeys);
    Random random(seed);
    struct Asking {
      TestClient* client;
      std::string expected = {};
      std::string got = {};
    };
    std::deque<Asking> clients;
    for (int i = 0; i < 8; ++i) clients.push_back({&proxy.connect()});
    proxy.run_for(20);
    PoolConfig config = proxy.config;
    for (int round = 0; round < 300; ++round) {
      for (Asking& asking : clients) {
        for (std::uint64_t n = random.below(4); n > 0; --n) {
          std::string key = "key" + std::to_string(random.below(kKeys));
          std::string other = "key" + std::to_string(random.below(kKeys));
          if (random.below(3) == 0) {
            asking.client->post({"MGET", key, other});
            asking.expected += "*2\r\n" + bulk(key) + bulk(other);
          } else {
            asking.client->post({"GET", key});
            asking.expected += bulk(key);
          }
        }
      }
      PoolConfig next = config;
      if (random.below(2) == 0) next.servers = without(config.servers, random.below(4));
      if (random.below(4) == 0) next.redis_auth = "other";
      next.timeout = Millis(500 + random.below(3) * 500);
      next.distribution = random.below(2) == 0 ? Distribution::ketama : Distribution::jump;
      proxy.pool().reconfigure(next);
      proxy.run_for(random.below(8));
      for (Asking& asking : clients) asking.got += asking.client->peer().take();
    }
    proxy.run_for(200);
    for (Asking& asking : clients) {
      asking.got += asking.client->take();
      CHECK(asking.expected.size() > 1000);
      bool same = asking.got == asking.expected;
      CHECK(same);
      CHECK_FALSE(asking.client->ended());
    }
    CHECK(proxy.logged("server.down") == 0);
    CHECK(proxy.clients() == 8);
  }
}

TEST_CASE("servers that fail while reloads go on leave one reply for each request") {
  for (std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    CAPTURE(seed);
    sim::Conditions network{.latency_ms = 1, .jitter_ms = 3, .split = true};
    RedisWorld proxy(3, seed, network);
    proxy.config.on_server_down = OnServerDown::rehash;
    proxy.config.flush_on_return = true;
    proxy.config.server_connections = 2;
    proxy.config.fail_open_percent = seed % 2 == 0 ? 100 : 0;
    proxy.config.server_retry_timeout = Millis(20);
    proxy.config.timeout = Millis(40);
    proxy.start();
    Random random(seed);
    std::vector<TestClient*> clients;
    for (int i = 0; i < 6; ++i) clients.push_back(&proxy.connect());
    proxy.run_for(20);
    std::vector<std::size_t> asked(clients.size(), 0);
    std::vector<std::string> got(clients.size());
    PoolConfig config = proxy.config;
    for (int round = 0; round < 400; ++round) {
      for (std::size_t i = 0; i < clients.size(); ++i) {
        clients[i]->post({"INCR", "key" + std::to_string(random.below(20))});
        ++asked[i];
      }
      RedisServer& server = proxy.server(random.below(3));
      switch (random.below(8)) {
        case 0:
          if (server.at().connections() > 0) server.peer().reset();
          break;
        case 1:
          if (server.at().connections() > 0) server.peer().close();
          break;
        case 2:
          server.at().refuse_next(static_cast<int>(random.below(4)));
          break;
        case 3:
          server.special = [](const Words&) { return ""; };
          break;
        case 4:
          if (random.below(2) == 0) {
            proxy.pool().set_servers(without(config.servers, random.below(3)));
          } else {
            proxy.pool().reconfigure(config);
          }
          break;
        default:
          server.special = nullptr;
      }
      proxy.run_for(random.below(20));
      for (std::size_t i = 0; i < clients.size(); ++i) got[i] += clients[i]->peer().take();
    }
    proxy.run_for(5000);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      got[i] += clients[i]->take();
      auto replies = static_cast<std::size_t>(std::count(got[i].begin(), got[i].end(), '\n'));
      CHECK(replies == asked[i]);
      CHECK_FALSE(clients[i]->ended());
    }
    for (std::uint32_t i = 0; i < proxy.pool().servers(); ++i) {
      CHECK(proxy.pool().upstream(i).in_flight() == 0);
      CHECK(proxy.pool().upstream(i).is_unused());
    }
  }
}

// What is asked of every server must not wait for ever when there is none.
TEST_CASE("a pool without servers answers with one clear error, and serves when it has some") {
  RedisWorld redis(2);
  Servers some = redis.config.servers;
  redis.config.servers.clear();
  redis.start();
  TestClient& client = redis.connect();
  std::string error = "-ERR pool \"pool\" has no servers yet\r\n";
  CHECK(client.command({"GET", "a"}) == error);
  CHECK(client.command({"MGET", "a", "b"}) == error);
  CHECK(client.command({"MSET", "a", "1", "b", "2"}) == error);
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(redis.check().health == Health::fail);
  redis.pool().set_servers(some);
  redis.settle();
  CHECK(client.command({"MGET", "a", "b"}) == "*2\r\n$-1\r\n$-1\r\n");
  CHECK(redis.check().health == Health::pass);
  redis.pool().set_servers({});
  CHECK(client.command({"GET", "a"}) == error);
  CHECK_FALSE(client.ended());

  MemcacheWorld memcache(2);
  memcache.config.servers.clear();
  memcache.start();
  TestClient& other = memcache.connect();
  std::string line = "SERVER_ERROR pool \"pool\" has no servers yet\r\n";
  CHECK(other.ask("get a b\r\n") == line);
  CHECK(other.ask("set a 0 0 1\r\nx\r\n") == line);
}

TEST_CASE("a proxy may end while connections are made, used, lost and left") {
  for (std::uint64_t ms = 0; ms < 40; ++ms) {
    sim::Conditions network{.latency_ms = 3};
    RedisWorld proxy(3, 1, network);
    proxy.config.connect_timeout = Millis(15);
    proxy.config.timeout = Millis(20);
    proxy.server(0).at().hang_next(1);
    proxy.server(1).at().refuse_next(1);
    Servers all = proxy.config.servers;
    proxy.start();
    TestClient& client = proxy.connect();
    proxy.run_for(4);
    for (std::uint32_t i = 0; i < 3; ++i) client.post({"GET", proxy.key_on(i)});
    client.post({"MGET", proxy.key_on(0), proxy.key_on(1), proxy.key_on(2)});
    proxy.run_for(ms / 2);
    proxy.pool().set_servers(without(all, ms % 3));
    proxy.run_for(ms - ms / 2);
    proxy.destroy_pool();
    proxy.run_for(1000);
    CHECK(client.ended());
  }
}
