// What clients see when servers err, stall, vanish and come back: each fault stays with the
// requests that it concerns.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("-OOM of a server reaches the client that asked, and the connection stays") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& writer = proxy.connect();
  TestClient& reader = proxy.connect();
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SET") return "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    return std::nullopt;
  };
  proxy.server(0).hold();
  reader.post({"GET", "a"});
  writer.post({"SET", "a", "1"});
  reader.post({"GET", "b"});
  proxy.settle();
  proxy.server(0).release();
  CHECK(writer.take() == "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  CHECK(reader.take() == "$-1\r\n$-1\r\n");
  CHECK_FALSE(writer.ended());
  CHECK(proxy.server(0).at().connections() == 1);
}

// The moment of the first request differs: on a connection that was just used, and on one that has
// been idle for long.
TEST_CASE("a request that times out fails alone and its late reply is thrown away") {
  for (std::uint64_t idle_ms : {0u, 60'000u}) {
    CAPTURE(idle_ms);
    RedisWorld proxy(1);
    proxy.start();
    TestClient& slow = proxy.connect();
    TestClient& other = proxy.connect();
    proxy.server(0).store.data = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
    proxy.run_for(idle_ms);
    proxy.server(0).hold();
    slow.post({"GET", "a"});
    proxy.run_for(500);
    other.post({"GET", "b"});
    proxy.run_for(499);
    CHECK(slow.take().empty());
    proxy.run_for(2);
    CHECK(slow.take() == "-ERR a timed out\r\n");
    CHECK(other.take().empty());
    slow.post({"GET", "c"});
    proxy.run_for(100);
    proxy.server(0).release();
    CHECK(other.take() == bulk("2"));
    CHECK(slow.take() == bulk("3"));
    CHECK(proxy.server(0).at().connections() == 1);
    CHECK(proxy.server_counter("consort_shard_timeouts_total", "a").value() == 1);
    CHECK(proxy.server_counter("consort_shard_late_replies_total", "a").value() == 1);
  }
}

TEST_CASE("a connection that stays silent is given up, and made anew after a while") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"GET", "a"});
  proxy.run_for(1000);
  CHECK(client.take() == "-ERR a timed out\r\n");
  CHECK(proxy.logged("server.down") == 0);
  proxy.run_for(2000);
  CHECK(proxy.logged("msg=server.down pool=pool server=a reason=\"does not answer\"") == 1);
  CHECK(client.command({"GET", "a"}) == "-ERR a does not answer\r\n");
  CHECK(proxy.check().health == Health::fail);
  proxy.server(0).release();
  proxy.run_for(1200);
  CHECK(proxy.logged("server.up") == 2);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.check().health == Health::pass);
}

TEST_CASE("a hung server leaves the keys of the others alone") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  proxy.server(0).hold();
  first.post({"GET", proxy.key_on(0)});
  for (int i = 0; i < 20; ++i) {
    CHECK(second.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
    proxy.run_for(100);
  }
  CHECK(first.take() == "-ERR a timed out\r\n");
  CHECK(second.command({"MGET", proxy.key_on(1), proxy.key_on(0)}).empty());
  proxy.run_for(1000);
  CHECK(second.take() == "-ERR a timed out\r\n");
  CHECK_FALSE(second.ended());
}

TEST_CASE("a server that ends within a reply costs only the client that had a part of it") {
  for (bool by_reset : {false, true}) {
    CAPTURE(by_reset);
    RedisWorld proxy(1);
    proxy.start();
    TestClient& half = proxy.connect();
    TestClient& other = proxy.connect();
    TestClient& idle = proxy.connect();
    proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
      return words[0] == "GET" ? std::optional("$10\r\nabc") : std::nullopt;
    };
    half.post({"GET", "a"});
    proxy.settle();
    proxy.server(0).special = [](const Words&) { return ""; };
    other.post({"GET", "b"});
    CHECK(half.take() == "$10\r\nabc");
    if (by_reset) proxy.server(0).peer().reset();
    if (!by_reset) proxy.server(0).peer().close();
    CHECK(half.ended());
    std::string reply = other.take();
    CHECK(reply == (by_reset ? "-ERR a Connection reset by peer\r\n"
                             : "-ERR a connection closed by the server\r\n"));
    CHECK_FALSE(other.ended());
    CHECK_FALSE(idle.ended());
    CHECK(proxy.logged("client.cut_off") == 1);
    proxy.server(0).special = nullptr;
    proxy.run_for(1300);
    CHECK(other.command({"GET", "b"}) == "$-1\r\n");
  }
}

TEST_CASE("a part of a reply that nobody has seen yet is replaced by the error") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"GET", proxy.key_on(0)});
  proxy.server(1).special = [](const Words&) { return "$10\r\nabc"; };
  client.post({"GET", proxy.key_on(1)});
  proxy.settle();
  proxy.server(1).peer().close();
  proxy.settle();
  proxy.server(0).release();
  CHECK(client.take() == "$-1\r\n-ERR b connection closed by the server\r\n");
  CHECK_FALSE(client.ended());
}

TEST_CASE("a reply that stops halfway times out, and costs its client the connection") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& half = proxy.connect();
  TestClient& other = proxy.connect();
  proxy.server(0).special = [](const Words&) { return "$10\r\nabc"; };
  half.post({"GET", "a"});
  proxy.settle();
  proxy.server(0).special = nullptr;
  proxy.server(0).hold();
  proxy.run_for(900);
  other.post({"GET", "b"});
  proxy.run_for(101);
  CHECK(half.ended());
  proxy.server(0).peer().send("defghij\r\n");
  proxy.settle();
  proxy.server(0).release();
  CHECK(other.take() == "$-1\r\n");
  CHECK(proxy.server(0).at().connections() == 1);
}

TEST_CASE("requests behind a long reply have their whole time after it") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(200);
  proxy.start();
  TestClient& reader = proxy.connect();
  TestClient& other = proxy.connect();
  std::string value = bulk(std::string(500, 'v'));
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "";
    return std::nullopt;
  };
  reader.post({"GET", "a"});
  other.post({"GET", "b"});
  proxy.settle();
  sim::SimPeer& server = proxy.server(0).peer();
  for (std::size_t at = 0; at < value.size(); at += 100) {
    server.send(std::string_view(value).substr(at, 100));
    proxy.run_for(150);
  }
  CHECK(reader.take() == value);
  CHECK(other.take().empty());
  server.send(bulk("b"));
  CHECK(other.take() == bulk("b"));
  other.post({"GET", "c"});
  proxy.run_for(450);
  CHECK(other.take() == "-ERR a timed out\r\n");
}

TEST_CASE("a server that is down fails requests at once, and serves again when it is back") {
  RedisWorld proxy(2);
  proxy.server(0).at().refuse_next(3);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  CHECK(proxy.logged("server.down") == 1);
  CHECK(proxy.check().health == Health::warn);
  CHECK(proxy.check().text == "1 of 2 servers answer; down: a");
  CHECK(client.command({"GET", lost}) == "-ERR a Connection refused\r\n");
  CHECK(client.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
  CHECK(client.command({"MGET", proxy.key_on(1), lost}) == "-ERR a Connection refused\r\n");
  CHECK(proxy.server(0).at().attempts() == 1);
  // 1 s, 1.5 s and 2.25 s, each up to a fifth more or less.
  proxy.run_for(799);
  CHECK(proxy.server(0).at().attempts() == 1);
  proxy.run_for(402);
  CHECK(proxy.server(0).at().attempts() == 2);
  proxy.run_for(4500);
  CHECK(proxy.server(0).at().attempts() == 4);
  CHECK(client.command({"GET", lost}) == "$-1\r\n");
  CHECK(proxy.logged("server.down") == 1);
  CHECK(proxy.logged("server.up") == 2);
  CHECK_FALSE(client.ended());
}

TEST_CASE("a server that stays down is tried again ever more rarely") {
  RedisWorld proxy(1);
  proxy.server(0).at().refuse_next(1000);
  proxy.start();
  proxy.run_for(60'000);
  CHECK(proxy.server(0).at().attempts() > 7);
  CHECK(proxy.server(0).at().attempts() < 13);
  int before = proxy.server(0).at().attempts();
  proxy.run_for(600'000);
  CHECK(proxy.server(0).at().attempts() - before > 600 / 36 - 1);
  CHECK(proxy.logged("server.down") == 1);
}

TEST_CASE("a reply that nobody asked for ends that connection and no other") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).peer().send("+surprise\r\n");
  CHECK(client.take().empty());
  CHECK(proxy.server(0).peer().ended());
  CHECK_FALSE(proxy.server(1).peer().ended());
  CHECK(proxy.logged("sent a reply that nobody asked for") == 1);
  CHECK(client.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
  proxy.run_for(1300);
  CHECK(client.command({"GET", proxy.key_on(0)}) == "$-1\r\n");
}

TEST_CASE("a reply that breaks the protocol ends the connection with an error to those waiting") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  proxy.server(0).special = [](const Words&) { return "HTTP/1.1 400 Bad Request\r\n"; };
  client.post({"GET", "a"});
  other.post({"GET", "b"});
  CHECK(client.take() == "-ERR a broke the protocol\r\n");
  CHECK(other.take() == "-ERR a broke the protocol\r\n");
  CHECK_FALSE(client.ended());
}

TEST_CASE("requests wait for a connection, but no longer than the connect timeout") {
  RedisWorld proxy(1);
  proxy.server(0).at().hang_next(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"GET", "a"});
  proxy.run_for(499);
  CHECK(client.take().empty());
  proxy.run_for(1);
  CHECK(client.take() == "-ERR a connecting timed out\r\n");
  proxy.run_for(1300);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
}

TEST_CASE("a server that accepts but never answers the greeting is not waited for") {
  RedisWorld proxy(1);
  proxy.server(0).special = [](const Words&) { return ""; };
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"GET", "a"});
  proxy.run_for(999);
  CHECK(client.take().empty());
  CHECK(proxy.logged("server.up") == 0);
  proxy.run_for(1);
  CHECK(client.take() == "-ERR a timed out\r\n");
  CHECK(proxy.server(0).peer().ended());
}

TEST_CASE("an idle connection that the server closes is made anew without a failed request") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t round = 1; round < 4; ++round) {
    proxy.run_for(2000);
    proxy.server(0).peer().close();
    if (round % 2 == 1) client.post({"GET", "a"});
    CHECK(client.take() == (round % 2 == 1 ? "$-1\r\n" : ""));
    CHECK(proxy.server(0).at().connections() == round + 1);
  }
  CHECK(proxy.logged("server.down") == 0);
}

TEST_CASE("a server that closes as soon as it has greeted is not knocked at without a pause") {
  RedisWorld proxy(1);
  proxy.server(0).at().on_connect = [](sim::SimPeer& peer) {
    peer.send("+hello\r\n");
    peer.close();
  };
  proxy.start();
  proxy.run_for(10'000);
  CHECK(proxy.server(0).at().attempts() < 15);
  CHECK(proxy.server(0).at().attempts() > 3);
}

TEST_CASE("a server that answers its greeting and ends is tried ever more rarely") {
  RedisWorld proxy(1);
  proxy.server(0).at().on_data = [](sim::SimPeer& peer) {
    peer.take();
    peer.send("+OK\r\n");
    peer.close();
  };
  proxy.start();
  proxy.run_for(60'000);
  CHECK(proxy.server(0).at().attempts() > 7);
  CHECK(proxy.server(0).at().attempts() < 13);
}

TEST_CASE("a server that turns us away at its greeting is down, in its own words") {
  RedisWorld proxy(1);
  proxy.server(0).special = [](const Words&) { return "-ERR max number of clients reached\r\n"; };
  proxy.start();
  CHECK(proxy.logged("server.up") == 0);
  CHECK(proxy.logged("turned us away: -ERR max number of clients reached") == 1);
  TestClient& client = proxy.connect();
  CHECK(client.command({"GET", "a"}) ==
        "-ERR a turned us away: -ERR max number of clients reached\r\n");
}

TEST_CASE("a retry timeout of zero does not mean trying without a pause") {
  RedisWorld proxy(1);
  proxy.config.server_retry_timeout = Millis(0);
  proxy.server(0).special = [](const Words&) { return "-DENIED protected mode\r\n"; };
  proxy.start();
  proxy.run_for(1000);
  CHECK(proxy.server(0).at().attempts() < 20);
}

TEST_CASE("a request waits for a connection no longer than for a reply") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(100);
  proxy.config.connect_timeout = Millis(5000);
  proxy.server(0).at().hang_next(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"GET", "a"});
  proxy.run_for(110);
  CHECK(client.take() == "-ERR a connecting timed out\r\n");
}

TEST_CASE("a stalled server costs memory only up to the timeout of each request") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).peer().stall();
  std::string value(300'000, 'v');
  client.post({"SET", "a", value});
  proxy.run_for(1000);
  CHECK(client.take() == "-ERR a timed out\r\n");
  proxy.server(0).peer().resume();
  CHECK(client.take().empty());
  CHECK(client.command({"GET", "a"}) == bulk(value));
}
