// on_server_down: rehash. The keys of a server that is down go to the others, exactly as twemproxy
// moves them, and come back when it answers again.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

template <class World>
void rehash(World& proxy) {
  proxy.config.on_server_down = OnServerDown::rehash;
}
template <class Server>
void kill(Server& server) {
  server.at().refuse_next(1'000'000);
  for (std::size_t i = 0; i < server.at().connections(); ++i) {
    if (server.at().peer(i).connected()) server.at().peer(i).reset();
  }
}
template <class Server>
void restart(Server& server) {
  server.at().refuse_next(0);
}
template <class Server>
std::size_t times(const Server& server, std::string_view line) {
  return static_cast<std::size_t>(std::count(server.log.begin(), server.log.end(), line));
}
template <class World>
void run_until_logged(World& proxy, std::string_view text, std::size_t count) {
  REQUIRE(proxy.world.loop.run_until([&] { return proxy.logged(text) == count; }));
}

}  // namespace

TEST_CASE("keys lie as in twemproxy's ring without the ejected server, and nowhere else") {
  for (auto [distribution, hash] : {std::pair(Distribution::ketama, KeyHash::fnv1a_64),
                                    std::pair(Distribution::modula, KeyHash::fnv1a_64),
                                    std::pair(Distribution::ketama, KeyHash::md5)}) {
    RedisWorld proxy(4);
    rehash(proxy);
    proxy.config.distribution = distribution;
    proxy.config.hash = hash;
    proxy.start();
    kill(proxy.server(1));
    proxy.settle();
    CHECK(proxy.logged("msg=server.ejected pool=pool server=b") == 1);
    PoolConfig without = proxy.config;
    without.servers.erase(without.servers.begin() + 1);
    Placement expected = without.make_placement();
    constexpr std::size_t kIndex[] = {0, 2, 3};
    TestClient& client = proxy.connect();
    for (int i = 0; i < 500; ++i) {
      std::string key = "key" + std::to_string(i);
      CHECK(client.command({"SET", key, "v"}) == "+OK\r\n");
      std::size_t owner = kIndex[expected.server_of(key, proxy.world.random)];
      CHECK(proxy.server(owner).store.data.contains(key));
    }
    CHECK(proxy.server(0).store.data.size() + proxy.server(2).store.data.size() +
              proxy.server(3).store.data.size() ==
          500);
    restart(proxy.server(1));
    run_until_logged(proxy, "server.returned", 1);
    for (int i = 0; i < 500; ++i) {
      std::string key = "key" + std::to_string(i);
      client.command({"SET", key, "new"});
      CHECK(proxy.server(proxy.owner_of(key)).store.data[key] == "new");
    }
    CHECK(proxy.server_counter("consort_shard_ejections_total", "b").value() == 1);
  }
}

TEST_CASE("only an answered greeting brings an ejected server back") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(0);
  kill(proxy.server(0));
  proxy.settle();
  CHECK(client.command({"SET", key, "1"}) == "+OK\r\n");
  // It listens again, and says nothing: no request is risked on it.
  restart(proxy.server(0));
  proxy.server(0).special = [](const Words&) { return ""; };
  for (int i = 0; i < 100; ++i) {
    CHECK(client.command({"GET", key}) == bulk("1"));
    proxy.run_for(100);
  }
  CHECK(proxy.server(0).log.empty());
  CHECK(proxy.logged("server.returned") == 0);
  proxy.server(0).special = nullptr;
  run_until_logged(proxy, "server.returned", 1);
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  CHECK(proxy.server(0).log == Lines{"GET " + key});
}

TEST_CASE("requests under way at the ejection fail, those after it do not") {
  RedisWorld proxy(3);
  rehash(proxy);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(1);
  proxy.server(1).hold();
  client.post({"GET", key});
  client.post({"MGET", proxy.key_on(0), key});
  proxy.settle();
  kill(proxy.server(1));
  std::string error = "-ERR b Connection reset by peer\r\n";
  CHECK(client.take() == error + error);
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  CHECK(client.command({"MGET", proxy.key_on(0), key}) == "*2\r\n$-1\r\n$-1\r\n");
}

// twemproxy #604, mcrouter #190 and #202.
TEST_CASE("what a server held before its ejection is seen again unless it is flushed") {
  for (bool flushes : {false, true}) {
    CAPTURE(flushes);
    MemcacheWorld proxy(2);
    rehash(proxy);
    proxy.config.flush_on_return = flushes;
    proxy.config.server_connections = 3;
    proxy.config.preconnect = true;
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    CHECK(client.ask("set " + key + " 0 0 3\r\nold\r\n") == "STORED\r\n");
    kill(proxy.server(0));
    proxy.settle();
    CHECK(client.ask("set " + key + " 0 0 3\r\nnew\r\n") == "STORED\r\n");
    restart(proxy.server(0));
    run_until_logged(proxy, "server.returned", 1);
    std::string old = "VALUE " + key + " 0 3\r\nold\r\nEND\r\n";
    CHECK(client.ask("get " + key + "\r\n") == (flushes ? "END\r\n" : old));
    proxy.run_for(60'000);
    CHECK(times(proxy.server(0), "flush_all") == (flushes ? 1 : 0));
    CHECK(times(proxy.server(1), "flush_all") == 0);
  }
}

TEST_CASE("a returning Redis is emptied before its first request, by one connection and once") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.config.flush_on_return = true;
  proxy.config.server_connections = 2;
  proxy.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&proxy.connect());
  for (std::size_t i = 2; i < 4; ++i) clients[i]->command({"HELLO", "3"});
  std::string key = proxy.key_on(0);
  for (TestClient* client : clients) CHECK(client->command({"SET", key, "old"}) == "+OK\r\n");
  for (int round = 0; round < 3; ++round) {
    proxy.server(0).log.clear();
    kill(proxy.server(0));
    proxy.run_for(300);
    restart(proxy.server(0));
    auto has_returned = [&] { return !proxy.pool().upstream(0).is_ejected(); };
    REQUIRE(proxy.world.loop.run_until(has_returned));
    for (TestClient* client : clients) client->post({"SET", key, "new"});
    for (TestClient* client : clients) CHECK(client->take() == "+OK\r\n");
    proxy.run_for(40'000);
    REQUIRE(proxy.server(0).log.size() == 5);
    CHECK(proxy.server(0).log.front() == "FLUSHALL ASYNC");
    CHECK(times(proxy.server(0), "FLUSHALL ASYNC") == 1);
    CHECK(proxy.server(0).store.data[key] == "new");
  }
}

TEST_CASE("a server that refuses to be emptied does not return") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.config.flush_on_return = true;
  proxy.start();
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "FLUSHALL") return "-NOPERM this user has no permissions\r\n";
    return std::nullopt;
  };
  kill(proxy.server(0));
  proxy.settle();
  restart(proxy.server(0));
  proxy.run_for(10'000);
  CHECK(proxy.pool().upstream(0).is_ejected());
  CHECK(proxy.pool().upstream(0).reason() == "flush refused: -NOPERM this user has no permissions");
}

// The connection stands, but what it was greeted with knew nothing of the ejection.
TEST_CASE("a greeting that began before the ejection does not bring the server back unflushed") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.config.flush_on_return = true;
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.start();
  proxy.server(0).special = [](const Words&) { return ""; };
  proxy.server(0).at().peer(0).reset();
  REQUIRE(proxy.world.loop.run_until([&] { return proxy.server(0).at().connections() == 3; }));
  proxy.settle();
  proxy.server(0).at().refuse_next(1);
  proxy.server(0).at().peer(1).reset();
  proxy.settle();
  REQUIRE(proxy.pool().upstream(0).is_ejected());
  proxy.server(0).special = nullptr;
  proxy.server(0).at().peer(2).send("+OK\r\n");
  proxy.settle();
  CHECK(proxy.pool().upstream(0).is_ejected());
  CHECK(proxy.server(0).at().peer(2).ended());
  run_until_logged(proxy, "server.returned", 1);
  CHECK(times(proxy.server(0), "FLUSHALL ASYNC") == 1);
}

TEST_CASE("a server is not flushed when its keys have stayed") {
  RedisWorld proxy(2);
  proxy.config.flush_on_return = true;  // without rehash
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(0);
  client.command({"SET", key, "1"});
  kill(proxy.server(0));
  proxy.run_for(5000);
  restart(proxy.server(0));
  run_until_logged(proxy, "server.up", 3);
  CHECK(client.command({"GET", key}) == bulk("1"));
}

TEST_CASE("with half of the servers down nobody is ejected, since the fault may be ours") {
  RedisWorld proxy(4);
  rehash(proxy);
  proxy.config.fail_open_percent = 50;
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  kill(proxy.server(0));
  proxy.settle();
  CHECK(client.command({"GET", a}) == "$-1\r\n");
  kill(proxy.server(1));
  proxy.settle();
  CHECK(proxy.logged("server.ejected") == 1);
  CHECK(proxy.logged("msg=server.not_ejected pool=pool server=a") == 1);
  CHECK(client.command({"GET", a}) == "-ERR a Connection refused\r\n");
  CHECK(client.command({"GET", proxy.key_on(1)}) == "-ERR b Connection refused\r\n");
  CHECK(client.command({"GET", proxy.key_on(2)}) == "$-1\r\n");
  restart(proxy.server(1));
  run_until_logged(proxy, "server.up", 5);
  CHECK(proxy.logged("server.ejected") == 2);
  CHECK(client.command({"GET", a}) == "$-1\r\n");
  CHECK(client.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
}

TEST_CASE("an ejected server that fail-open gives its keys back is emptied before any request") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.config.fail_open_percent = 100;
  proxy.config.flush_on_return = true;
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.start();
  TestClient& odd = proxy.connect();
  TestClient& even = proxy.connect();
  std::string a = proxy.key_on(0);
  CHECK(odd.command({"SET", a, "old"}) == "+OK\r\n");
  proxy.server(0).log.clear();
  kill(proxy.server(0));
  proxy.settle();
  CHECK(odd.command({"SET", a, "new"}) == "+OK\r\n");
  kill(proxy.server(1));
  proxy.settle();
  restart(proxy.server(0));
  // Their connections differ; only the prober's may stand first.
  for (int i = 0; i < 3; ++i) {
    CHECK(odd.command({"GET", a}) != bulk("old"));
    CHECK(even.command({"GET", a}) != bulk("old"));
    proxy.run_for(110);
  }
  CHECK(odd.command({"GET", a}) == "$-1\r\n");
  CHECK(even.command({"GET", a}) == "$-1\r\n");
  CHECK(times(proxy.server(0), "FLUSHALL ASYNC") == 1);
  CHECK(proxy.server(0).log.front() == "FLUSHALL ASYNC");
}

TEST_CASE("when every server is ejected there is one clear error, and no closed client") {
  RedisWorld redis(2);
  rehash(redis);
  redis.start();
  TestClient& client = redis.connect();
  kill(redis.server(0));
  kill(redis.server(1));
  redis.settle();
  std::string text = "-ERR pool \"pool\" has no server that is up\r\n";
  CHECK(client.command({"GET", "a"}) == text);
  CHECK(client.command({"SET", "a", "1"}) == text);
  CHECK(client.command({"MGET", "a", "b", "c"}) == text);
  restart(redis.server(0));
  run_until_logged(redis, "server.returned", 1);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");

  MemcacheWorld memcache(2);
  rehash(memcache);
  memcache.start();
  TestClient& other = memcache.connect();
  kill(memcache.server(0));
  kill(memcache.server(1));
  memcache.settle();
  std::string line = "SERVER_ERROR pool \"pool\" has no server that is up\r\n";
  CHECK(other.ask("get a\r\n") == line);
  CHECK(other.ask("get a b c\r\n") == line);
  CHECK(other.ask("set a 0 0 1\r\nx\r\n") == line);
  CHECK(other.ask("set a 0 0 1 noreply\r\nx\r\n").empty());
}

TEST_CASE("a reload that ends the ejection of servers gives a dead one its keys back") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(0);
  kill(proxy.server(0));
  proxy.settle();
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  proxy.config.on_server_down = OnServerDown::error;
  proxy.pool().reconfigure(proxy.config);
  CHECK(client.command({"GET", key}) == "-ERR a Connection reset by peer\r\n");
  rehash(proxy);
  proxy.pool().reconfigure(proxy.config);
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  CHECK(proxy.logged("server.down") == 1);
}

TEST_CASE("a stale server is emptied though a reload made all connections new") {
  RedisWorld proxy(2);
  rehash(proxy);
  proxy.config.flush_on_return = true;
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(0);
  client.command({"SET", key, "old"});
  kill(proxy.server(0));
  proxy.settle();
  client.command({"SET", key, "new"});
  restart(proxy.server(0));
  proxy.config.redis_db = 3;
  proxy.pool().reconfigure(proxy.config);
  proxy.settle();
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  CHECK(times(proxy.server(0), "FLUSHALL ASYNC") == 1);
}
