// What the proxy believes of its servers: when one is down, who tries it again and when, and how
// all connections come back.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

/// The process is gone: connections are reset, and nobody listens.
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
/// The kernel accepts and takes bytes, the process does nothing.
void stop(RedisServer& server) {
  server.special = [](const Words&) { return ""; };
}
void go_on(RedisServer& server) {
  server.special = nullptr;
}
std::size_t open_connections(RedisServer& server) {
  std::size_t open = 0;
  for (std::size_t i = 0; i < server.at().connections(); ++i) {
    open += server.at().peer(i).connected() ? 1 : 0;
  }
  return open;
}
/// When the server is connected to within so much time, to 10 ms.
std::vector<std::uint64_t> attempts_within(RedisWorld& proxy, std::uint64_t ms) {
  std::vector<std::uint64_t> times;
  int before = proxy.server(0).at().attempts();
  for (std::uint64_t end = proxy.now_ms() + ms; proxy.now_ms() < end;) {
    proxy.run_for(10);
    int now = proxy.server(0).at().attempts();
    times.insert(times.end(), static_cast<std::size_t>(now - before), proxy.now_ms());
    before = now;
  }
  return times;
}

}  // namespace

TEST_CASE("every way to fail is one line in the log, with its reason") {
  using Break = void (*)(RedisServer&);
  struct Fault {
    Break apply;
    std::string reason;
  };
  const std::vector<Fault> faults{
      {[](RedisServer& server) { server.at().refuse_next(1000); }, "Connection refused"},
      {[](RedisServer& server) { server.at().hang_next(1000); }, "connecting timed out"},
      {[](RedisServer& server) { stop(server); }, "timed out"},
      {[](RedisServer& server) {
         server.at().on_connect = [](sim::SimPeer& peer) { peer.close(); };
       },
       "connection closed by the server"},
      {[](RedisServer& server) {
         server.special = [](const Words&) { return "HTTP/1.1 400\r\n"; };
       },
       "broke the protocol"},
      {[](RedisServer& server) {
         server.special = [](const Words&) { return "-ERR max number of clients reached\r\n"; };
       },
       "turned us away: -ERR max number of clients reached"},
  };
  for (const Fault& fault : faults) {
    CAPTURE(fault.reason);
    RedisWorld proxy(1);
    fault.apply(proxy.server(0));
    proxy.start();
    proxy.run_for(20'000);
    CHECK(proxy.logged("server.down") == 1);
    CHECK(proxy.logged("server.up") == 0);
    bool is_quoted = fault.reason.find(' ') != std::string::npos;
    std::string quote = is_quoted ? "\"" : "";
    CHECK(proxy.logged("reason=" + quote + fault.reason + quote) == 1);
    CHECK(proxy.pool().upstream(0).reason() == fault.reason);
    CHECK(proxy.check().health == Health::fail);
    CHECK(proxy.server(0).at().attempts() > 4);
    CHECK(proxy.server(0).at().attempts() < 9);
  }
}

TEST_CASE("one connection tries a server that is down, after delays that grow to half a minute") {
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    RedisWorld proxy(1, seed);
    proxy.config.server_connections = 3;
    proxy.config.preconnect = true;
    proxy.start();
    REQUIRE(open_connections(proxy.server(0)) == 3);
    std::uint64_t last = proxy.now_ms();
    kill(proxy.server(0));
    std::vector<std::uint64_t> times = attempts_within(proxy, 300'000);
    REQUIRE(times.size() > 10);
    double wanted = 1000;
    bool jitters = false;
    for (std::uint64_t at : times) {
      auto waited = static_cast<double>(at - last);
      CHECK(waited >= wanted * 0.8 - 10);
      CHECK(waited <= wanted * 1.2 + 20);
      jitters = jitters || waited < wanted * 0.99 || waited > wanted * 1.01;
      wanted = std::min(wanted * 1.5, 30'000.0);
      last = at;
    }
    CHECK(jitters);
    CHECK(proxy.logged("server.down") == 1);
  }
}

TEST_CASE("all connections come back with the prober, and their requests wait instead of failing") {
  RedisWorld proxy(1);
  proxy.config.server_connections = 3;
  proxy.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(&proxy.connect());
  for (std::size_t i = 3; i < 6; ++i) clients[i]->command({"HELLO", "3"});
  for (TestClient* client : clients) CHECK(client->command({"SET", "a", "1"}) == "+OK\r\n");
  REQUIRE(open_connections(proxy.server(0)) == 6);
  kill(proxy.server(0));
  proxy.run_for(500);
  for (TestClient* client : clients) {
    CHECK(client->command({"GET", "a"}) == "-ERR a Connection reset by peer\r\n");
  }
  restart(proxy.server(0));
  REQUIRE(proxy.world.loop.run_until([&] { return proxy.logged("server.up") == 2; }));
  for (TestClient* client : clients) client->post({"GET", "a"});
  for (TestClient* client : clients) CHECK(client->take() == bulk("1"));
  CHECK(open_connections(proxy.server(0)) == 6);
  CHECK(proxy.logged("server.down") == 1);
}

TEST_CASE("connections without requests are made anew when one finds that the server hangs") {
  RedisWorld proxy(2);
  proxy.config.server_connections = 4;
  proxy.config.preconnect = true;
  proxy.config.on_server_down = OnServerDown::rehash;
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(0);
  stop(proxy.server(0));
  client.post({"GET", key});
  // Three timeouts of silence, and one more for the greetings of the others.
  proxy.run_for(2999);
  CHECK(proxy.logged("server.down") == 0);
  proxy.run_for(1002);
  CHECK(client.take() == "-ERR a timed out\r\n");
  CHECK(proxy.logged("server.down") == 1);
  CHECK(client.command({"GET", key}) == "$-1\r\n");
  CHECK(proxy.server(1).log == Lines{"GET " + key});
  go_on(proxy.server(0));
  proxy.run_for(3000);
  CHECK(proxy.logged("server.up") == 3);
  CHECK(open_connections(proxy.server(0)) == 4);
}

TEST_CASE("requests that come while a silent server is tried anew are each answered once") {
  RedisWorld proxy(1);
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.start();
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  stop(proxy.server(0));
  first.post({"GET", "a"});
  proxy.run_for(3100);
  CHECK(first.take() == "-ERR a timed out\r\n");
  for (int i = 0; i < 3; ++i) second.post({"GET", "b"});
  proxy.settle();
  CHECK(proxy.pool().upstream(0).in_flight() == 3);
  CHECK(first.command({"GET", "a"}) == "-ERR a does not answer\r\n");
  proxy.run_for(900);
  CHECK(second.take() == "-ERR a timed out\r\n-ERR a timed out\r\n-ERR a timed out\r\n");
  CHECK(proxy.pool().upstream(0).in_flight() == 0);
  CHECK(proxy.logged("server.down") == 1);
  go_on(proxy.server(0));
  proxy.run_for(2000);
  CHECK(second.command({"GET", "b"}) == "$-1\r\n");
  CHECK(first.command({"GET", "a"}) == "$-1\r\n");
}

TEST_CASE("a connection that a server drops does not make the server down while others stand") {
  RedisWorld proxy(1);
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.start();
  TestClient& odd = proxy.connect();
  TestClient& even = proxy.connect();
  proxy.server(0).special = [](const Words&) { return "-ERR max number of clients reached\r\n"; };
  proxy.server(0).at().peer(0).reset();
  proxy.run_for(20'000);
  CHECK(proxy.logged("server.down") == 0);
  CHECK_FALSE(proxy.server(0).at().peer(1).ended());
  go_on(proxy.server(0));
  CHECK(odd.command({"GET", "a"}) == "$-1\r\n");
  CHECK(even.command({"GET", "a"}).starts_with("-ERR a turned us away"));
  proxy.run_for(40'000);
  CHECK(even.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.server(0).at().peer(1).connected());
}

TEST_CASE(
    "a kind of connection that was not used before fails at once, too, on a server that is down") {
  RedisWorld proxy(1);
  proxy.config.server_connections = 2;
  proxy.server(0).at().hang_next(1000);
  proxy.start();
  proxy.run_for(600);
  int before = proxy.server(0).at().attempts();
  for (int i = 0; i < 2; ++i) {
    TestClient& client = proxy.connect();
    CHECK(client.command({"GET", "a"}) == "-ERR a connecting timed out\r\n");
    client.command({"HELLO", "3"});
    CHECK(client.command({"GET", "a"}) == "-ERR a connecting timed out\r\n");
  }
  CHECK(proxy.server(0).at().attempts() == before);
}

TEST_CASE("a connection that hangs while others are greeted is made anew ever more rarely") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(20);
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.start();
  int turn = 0;
  proxy.server(0).special = [&turn](const Words& words) -> std::optional<std::string> {
    // Every second connection hangs.
    if (words[0] == "HELLO" && ++turn % 2 == 1) return "";
    return std::nullopt;
  };
  proxy.server(0).at().peer(1).reset();
  proxy.run_for(120'000);
  CHECK(proxy.server(0).at().attempts() > 4);
  CHECK(proxy.server(0).at().attempts() < 40);
}

TEST_CASE("the time of a request counts from its arrival, though it waited for the connection") {
  RedisWorld proxy(1);
  stop(proxy.server(0));
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.run_for(100);
  client.post({"GET", "a"});
  proxy.run_for(600);
  proxy.server(0).peer().send("+OK\r\n");
  proxy.run_for(399);
  CHECK(proxy.server(0).log == Lines{"GET a"});
  CHECK(client.take().empty());
  proxy.run_for(2);
  CHECK(client.take() == "-ERR a timed out\r\n");
}

// ---- fail-open ----

TEST_CASE("with a single server a restarted one is used at once") {
  RedisWorld proxy(1);
  proxy.config.fail_open_percent = 100;
  proxy.start();
  TestClient& client = proxy.connect();
  kill(proxy.server(0));
  proxy.run_for(10);
  // The first one tries; who comes within the next 100 ms is told of it.
  CHECK(client.command({"GET", "a"}) == "-ERR a Connection refused\r\n");
  restart(proxy.server(0));
  CHECK(client.command({"GET", "a"}) == "-ERR a Connection refused\r\n");
  proxy.run_for(100);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.logged("server.up") == 2);
  CHECK_FALSE(client.ended());
}

TEST_CASE("requests try a server that is down at most every 100 ms") {
  RedisWorld proxy(1);
  proxy.config.fail_open_percent = 100;
  proxy.config.server_connections = 3;
  proxy.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(&proxy.connect());
  for (TestClient* client : clients) CHECK(client->command({"GET", "a"}) == "$-1\r\n");
  kill(proxy.server(0));
  proxy.settle();
  int before = proxy.server(0).at().attempts();
  for (int ms = 0; ms < 2000; ++ms) {
    for (TestClient* client : clients) CHECK(client->command({"GET", "a"}).starts_with("-ERR a "));
    proxy.run_for(1);
  }
  CHECK(proxy.server(0).at().attempts() - before > 15);
  CHECK(proxy.server(0).at().attempts() - before < 25);
}

TEST_CASE("what requests try does not put off the prober") {
  RedisWorld proxy(1);
  proxy.config.fail_open_percent = 100;
  proxy.start();
  TestClient& client = proxy.connect();
  kill(proxy.server(0));
  for (int i = 0; i < 100; ++i) {
    CHECK(client.command({"GET", "a"}).starts_with("-ERR a "));
    proxy.run_for(50);
  }
  // Nobody asks any more. The prober's delays have grown to 3.4 s, give or take a fifth.
  restart(proxy.server(0));
  proxy.run_for(4100);
  CHECK(proxy.logged("server.up") == 2);
}

TEST_CASE("while other servers answer, requests do not try one that is down") {
  RedisWorld proxy(2);
  proxy.config.fail_open_percent = 100;
  proxy.start();
  TestClient& client = proxy.connect();
  kill(proxy.server(0));
  proxy.settle();
  int before = proxy.server(0).at().attempts();
  for (int i = 0; i < 7; ++i) {
    CHECK(client.command({"GET", proxy.key_on(0)}) == "-ERR a Connection reset by peer\r\n");
    CHECK(client.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
    proxy.run_for(100);
  }
  CHECK(proxy.server(0).at().attempts() == before);
}

TEST_CASE("the next try of a server that is down is known, and none when it is up") {
  RedisWorld proxy(1);
  proxy.start();
  const Upstream& server = proxy.pool().upstream(0);
  CHECK(server.next_probe_ms() == 0);
  kill(proxy.server(0));
  proxy.settle();
  CHECK(server.changed_ms() == proxy.now_ms());
  int before = proxy.server(0).at().attempts();
  for (int i = 0; i < 5; ++i) {
    std::uint64_t next = server.next_probe_ms();
    REQUIRE(next > proxy.now_ms());
    proxy.run_for(next - proxy.now_ms() - 1);
    CHECK(proxy.server(0).at().attempts() == before);
    proxy.run_for(1);
    CHECK(proxy.server(0).at().attempts() == ++before);
  }
}
