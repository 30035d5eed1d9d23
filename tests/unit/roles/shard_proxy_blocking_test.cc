// BLPOP, XREAD BLOCK and WAIT: they hold a connection, and so have one of their own.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

const std::string kOk = "+OK\r\n";
const std::string kCrossSlotReply = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";

}  // namespace

TEST_CASE("BLPOP waits beyond the timeout until an element comes, and others are served") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    TestClient& other = proxy.connect();
    std::string list = proxy.key_on(servers - 1);
    RedisServer& server = proxy.server(servers - 1);
    client.post({"BLPOP", list, "0"});
    proxy.run_for(60'000);
    CHECK(client.take().empty());
    CHECK(server.blocked() == 1);
    CHECK(other.command({"GET", list}) == "$-1\r\n");
    CHECK(other.command({"LPUSH", list, "x"}) == ":1\r\n");
    CHECK(client.take() == redis_request({list, "x"}));
    // The connection is there for the next one.
    client.post({"BLPOP", list, "0"});
    other.command({"LPUSH", list, "y"});
    CHECK(client.take() == redis_request({list, "y"}));
    CHECK(server.at().connections() == 2);
  }
}

TEST_CASE("a blocking command that times out at the server hands its connection back") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"BLPOP", "l", "1"});
  client.take();
  proxy.server(0).time_out_blocked();
  CHECK(client.take() == "*-1\r\n");
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.pool().private_links().open() == 1);
  CHECK(proxy.server(0).open() == 2);
}

TEST_CASE("commands pipelined behind a blocking one wait for it, as those before it are awaited") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  std::string list = proxy.key_on(0);
  std::string far = proxy.key_on(1);
  proxy.server(1).hold();
  client.post({"SET", far, "1"});
  client.post({"BLPOP", list, "0"});
  client.post({"SET", list, "x"});
  client.post({"PING"});
  client.post({"INCR", far});
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log.empty());
  proxy.server(1).release();
  CHECK(client.take() == kOk);
  CHECK(proxy.server(0).log == Lines{"BLPOP " + list + " 0"});
  CHECK(proxy.server(1).log == Lines{"SET " + far + " 1"});
  other.command({"LPUSH", list, "e"});
  CHECK(client.take() == redis_request({list, "e"}) + kOk + "+PONG\r\n:2\r\n");
}

TEST_CASE("XREAD blocks only with BLOCK") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(1);
  CHECK(client.command({"XREAD", "STREAMS", key, "0"}) == "+XREAD STREAMS " + key + " 0\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
  client.post({"XREAD", "BLOCK", "0", "STREAMS", key, "$"});
  proxy.settle();
  CHECK(proxy.server(1).blocked() == 1);
  proxy.server(1).time_out_blocked();
  CHECK(client.take() == "*-1\r\n");
}

TEST_CASE("what a server would refuse never waits") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  CHECK(client.command({"BLPOP", a, b, "0"}) == kCrossSlotReply);
  CHECK(client.command({"BLMOVE", a, b, "LEFT", "LEFT", "0"}) == kCrossSlotReply);
  CHECK(client.command({"XREAD", "BLOCK", "0", "STREAMS", a, b, "$", "$"}) == kCrossSlotReply);
  CHECK(client.command({"BLPOP", a}) == "-ERR wrong number of arguments for 'blpop' command\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a client that is gone takes its blocking command with it at once") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& other = proxy.connect();
  TestClient& client = proxy.connect();
  client.post({"BLPOP", "l", "0"});
  client.take();
  REQUIRE(proxy.server(0).blocked() == 1);
  client.peer().reset();
  proxy.settle();
  CHECK(proxy.server(0).blocked() == 0);
  CHECK(proxy.server(0).open() == 1);
  CHECK(proxy.clients() == 1);
  CHECK(other.command({"LPUSH", "l", "x"}) == ":1\r\n");
  CHECK(other.command({"BLPOP", "l", "0"}) == redis_request({"l", "x"}));
}

TEST_CASE("a client that hangs up while it is blocked is gone, also with requests behind") {
  for (bool has_more : {false, true}) {
    CAPTURE(has_more);
    RedisWorld proxy(1);
    proxy.start();
    TestClient& client = proxy.connect();
    client.post({"BLPOP", "l", "0"});
    if (has_more) client.post({"PING"});
    client.take();
    client.peer().close();
    proxy.settle();
    CHECK(proxy.server(0).blocked() == 0);
    CHECK(proxy.clients() == 0);
  }
}

TEST_CASE("a server that is lost ends a blocking command with an error") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string list = proxy.key_on(1);
  client.post({"BLPOP", list, "0"});
  client.post({"PING"});
  client.take();
  proxy.server(1).peer().reset();
  CHECK(client.take() == "-ERR b Connection reset by peer\r\n+PONG\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
  client.post({"BLPOP", list, "0"});
  proxy.settle();
  CHECK(proxy.server(1).blocked() == 1);
}

TEST_CASE("who waits for a key that moves to another server is told to try again there") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& stays = proxy.connect();
  client.post({"BLPOP", proxy.key_on(1), "0"});
  stays.post({"BLPOP", proxy.key_on(0), "0"});
  CHECK(client.take().empty());
  proxy.pool().set_servers({proxy.config.servers[0]});
  CHECK(client.take() == "-ERR b no longer has the key; try again\r\n");
  CHECK(stays.take().empty());
  CHECK(proxy.server(0).blocked() == 1);
  proxy.run_for(1000);
  CHECK(proxy.server(1).open() == 0);
}

TEST_CASE("a server that is down refuses a blocking command at once") {
  RedisWorld proxy(2);
  proxy.server(0).at().refuse_next(1000);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"BLPOP", proxy.key_on(0), "0"}) == "-ERR a Connection refused\r\n");
  CHECK(client.command({"WAIT", "1", "0"}) == "-ERR a Connection refused\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("WAIT asks every server after a PING, and the one with the fewest replicas answers") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t i = 0; i < 4; ++i) {
    proxy.server(i).special = [i](const Words& words) -> std::optional<std::string> {
      if (words[0] == "WAIT") return ":" + std::to_string(i == 2 ? 1 : 3) + "\r\n";
      return std::nullopt;
    };
  }
  client.post({"SET", proxy.key_on(0), "1"});
  CHECK(client.command({"WAIT", "1", "1000"}) == "+OK\r\n:1\r\n");
  for (std::size_t i = 0; i < 4; ++i) {
    Lines& log = proxy.server(i).log;
    REQUIRE(log.size() >= 2);
    CHECK(log[log.size() - 2] == "PING");
    CHECK(log.back() == "WAIT 1 1000");
  }
  CHECK(proxy.pool().private_links().open() == 4);
  CHECK(client.command({"WAIT", "1", "1000"}) == ":1\r\n");
  CHECK(proxy.server(0).at().connections() == 2);
  proxy.server(3).special = [](const Words&) { return "-ERR no\r\n"; };
  CHECK(client.command({"WAIT", "1", "1000"}) == "-ERR no\r\n");
}

TEST_CASE("WAIT has no time limit of ours, and what is behind it waits") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [i](const Words& words) -> std::optional<std::string> {
      if (words[0] != "WAIT") return std::nullopt;
      return i == 0 ? ":2\r\n" : "";
    };
  }
  client.post({"WAIT", "1", "0"});
  client.post({"GET", proxy.key_on(0)});
  proxy.run_for(60'000);
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log == Lines{"PING", "WAIT 1 0"});
  proxy.server(1).peer().send(":1\r\n");
  CHECK(client.take() == ":1\r\n$-1\r\n");
  client.post({"WAIT", "1", "0"});
  client.take();
  client.peer().reset();
  proxy.settle();
  CHECK(proxy.server(1).open() == 1);
}

TEST_CASE("a pool without servers answers each of these at once") {
  RedisWorld proxy(0);
  proxy.start();
  TestClient& client = proxy.connect();
  const std::string none = "-ERR pool \"pool\" has no servers yet\r\n";
  CHECK(client.command({"WAIT", "1", "0"}) == none);
  CHECK(client.command({"BLPOP", "l", "0"}) == none);
  CHECK(client.command({"WATCH", "l"}) == none);
  CHECK(client.command({"SUBSCRIBE", "c"}) == "-ERR the pool has no servers\r\n");
  CHECK(client.command({"MULTI"}) == kOk);
  CHECK(client.command({"GET", "l"}) == none);
  CHECK(client.command({"EXEC"}).starts_with("-EXECABORT"));
  CHECK(client.command({"SCAN", "0"}).starts_with("-ERR"));
  CHECK(client.command({"INFO"}).starts_with("-ERR"));
  CHECK(client.command({"PING"}) == "+PONG\r\n");
}

TEST_CASE("the end of the pool with blocked clients frees everything") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"BLPOP", proxy.key_on(0), "0"});
  client.take();
  TestClient& second = proxy.connect();
  second.post({"WAIT", "1", "0"});
  second.command({"PING"});
  TestClient& third = proxy.connect();
  third.command({"PSUBSCRIBE", "x*"});
  TestClient& fourth = proxy.connect();
  fourth.command({"WATCH", "a"});
  proxy.destroy_pool();
  proxy.settle();
  CHECK(proxy.server(0).open() == 0);
}

TEST_CASE("a client that hung up before its BLPOP could begin takes no element") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.send(redis_request({"GET", "a"}) + redis_request({"BLPOP", "q", "0"}));
  client.peer().shutdown_write();
  proxy.settle();
  proxy.server(0).release();
  CHECK(client.take() == "$-1\r\n");
  CHECK(client.ended());
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(proxy.clients() == 0);
}

TEST_CASE("a client that leaves in WAIT gives its connections back") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  proxy.server(1).hold();
  client.post({"WAIT", "1", "0"});
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 2);
  client.peer().shutdown_write();
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(proxy.clients() == 0);
}

TEST_CASE("who sends much behind a request that waits is closed, so that its end is never missed") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"BLPOP", "q", "0"});
  client.post({"SET", "a", std::string(2 << 20, 'x')});
  CHECK(client.ended());
  CHECK(proxy.logged("more than 1 MiB behind") == 1);
  CHECK(proxy.pool().private_links().open() == 0);
}
