// Connections that one client has for itself: how many there may be, and how long idle ones stay.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

std::string none_left(const std::string& command) {
  return "-ERR '" + command +
         "' needs a connection of its own, and all private_connections are taken\r\n";
}

}  // namespace

TEST_CASE("private connections are counted and bounded, and the error says by what") {
  RedisWorld proxy(2);
  proxy.config.private_connections = 2;
  proxy.start();
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  TestClient& third = proxy.connect();
  first.post({"BLPOP", proxy.key_on(0), "0"});
  second.post({"BLPOP", proxy.key_on(1), "0"});
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 2);
  CHECK(proxy.pool().metrics().private_connections.value() == 2);
  std::string key = proxy.key_on(0, 1);
  CHECK(third.command({"BLPOP", key, "0"}) == none_left("BLPOP"));
  CHECK(third.command({"WATCH", key}) == none_left("WATCH"));
  CHECK(third.command({"WAIT", "1", "0"}) == none_left("WAIT"));
  CHECK(third.command({"SUBSCRIBE", key}) ==
        "-ERR a subscription needs a connection of its own, and all private_connections are "
        "taken\r\n");
  CHECK(third.command({"GET", key}) == "$-1\r\n");
  // The second server's connection becomes idle and makes room for one to the first.
  proxy.server(1).time_out_blocked();
  CHECK(second.take() == "*-1\r\n");
  CHECK(third.command({"WATCH", key}) == "+OK\r\n");
  CHECK(proxy.pool().private_links().open() == 2);
  CHECK(proxy.server(1).open() == 1);
}

TEST_CASE("WAIT over more servers than there are connections gives those it got back") {
  RedisWorld proxy(4);
  proxy.config.private_connections = 3;
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"WAIT", "1", "0"}) == none_left("WAIT"));
  CHECK(proxy.pool().private_links().open() <= 3);
  CHECK(client.command({"WATCH", "a"}) == "+OK\r\n");
}

TEST_CASE("an idle private connection is closed after its time, the next one uses it before") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  auto transact = [&client] {
    client.post({"MULTI"});
    client.post({"GET", "a"});
    return client.command({"EXEC"});
  };
  CHECK(transact() == "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
  proxy.run_for(PrivateLinks::kIdleMs - 1);
  transact();
  CHECK(proxy.server(0).at().connections() == 2);
  proxy.run_for(PrivateLinks::kIdleMs - 1);
  CHECK(proxy.server(0).open() == 2);
  proxy.run_for(PrivateLinks::kIdleMs);
  CHECK(proxy.server(0).open() == 1);
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(proxy.pool().metrics().private_connections.value() == 0);
}

TEST_CASE("an idle private connection that the server closes is given to nobody") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"WATCH", "a"});
  CHECK(client.command({"UNWATCH"}) == "+OK\r\n+OK\r\n");
  REQUIRE(proxy.pool().private_links().open() == 1);
  proxy.server(0).peer().close();
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(client.command({"WATCH", "a"}) == "+OK\r\n");
  // Nor one on which the server says something that nobody asked for.
  CHECK(client.command({"UNWATCH"}) == "+OK\r\n");
  proxy.server(0).peer().send("+what\r\n");
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a private connection proves itself like a shared one") {
  RedisWorld proxy(1);
  proxy.config.redis_auth = "secret";
  proxy.config.redis_db = 3;
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"AUTH", "secret"});
  CHECK(client.command({"WATCH", "a"}) == "+OK\r\n");
  CHECK(proxy.server(0).greetings ==
        Lines{"AUTH secret", "HELLO 2", "SELECT 3", "AUTH secret", "HELLO 2", "SELECT 3"});
  CHECK(proxy.server(0).session(1).log == Lines{"WATCH a"});
}

TEST_CASE("databases and protocols do not share private connections") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  auto watch = [&client] {
    client.post({"WATCH", "a"});
    return client.command({"UNWATCH"});
  };
  watch();
  client.command({"SELECT", "1"});
  watch();
  client.command({"HELLO", "3"});
  watch();
  CHECK(proxy.pool().private_links().open() == 3);
  client.command({"RESET"});
  watch();
  CHECK(proxy.pool().private_links().open() == 3);
}

TEST_CASE("the reply of a private connection waits for a client that reads slowly") {
  RedisWorld proxy(1);
  proxy.config.client_output_limit = ByteSize{64ULL << 20};
  proxy.start();
  TestClient& client = proxy.connect();
  std::string large(8 << 20, 'x');
  proxy.server(0).store.data["a"] = large;
  client.command({"MULTI"});
  client.command({"GET", "a"});
  client.peer().stall();
  client.post({"EXEC"});
  proxy.settle();
  CHECK(client.peer().received().empty());
  proxy.run_for(1000);
  client.peer().resume();
  CHECK(client.take() == "*1\r\n" + bulk(large));
  CHECK(client.command({"PING"}) == "+PONG\r\n");
}

TEST_CASE("private connections to a server that left the pool end with their use") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& idle = proxy.connect();
  std::string key = proxy.key_on(1);
  client.command({"MULTI"});
  client.command({"SET", key, "1"});
  idle.post({"WATCH", key});
  idle.command({"UNWATCH"});
  REQUIRE(proxy.server(1).open() == 3);
  std::vector<ServerSpec> fewer{proxy.config.servers[0]};
  proxy.pool().set_servers(fewer);
  proxy.settle();
  proxy.run_for(1000);
  // The connection in use keeps its server, and with it the shared one.
  CHECK(proxy.pool().private_links().open() == 1);
  CHECK(proxy.server(1).open() == 2);
  CHECK(client.command({"EXEC"}).starts_with("-EXECABORT"));
  proxy.run_for(1000);
  CHECK(proxy.server(1).open() == 0);
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a long reply on a private connection does not time out while its bytes come") {
  RedisWorld proxy(1);
  proxy.config.timeout = Millis(100);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"WATCH", "a"});
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "$100\r\n";
    return std::nullopt;
  };
  client.post({"GET", "a"});
  std::string value(100, 'v');
  for (int i = 0; i < 10; ++i) {
    proxy.run_for(60);
    proxy.server(0).peer().send(value.substr(0, 10));
  }
  proxy.server(0).peer().send("\r\n");
  CHECK(client.take() == bulk(value));
  CHECK_FALSE(client.ended());
}

TEST_CASE("connections for databases that nobody uses any more do not pile up") {
  RedisWorld proxy(1);
  proxy.config.learn_commands = true;
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "CONFIG") return "*2\r\n" + bulk("databases") + bulk("10000");
    if (words[0] == "COMMAND") return "-ERR no\r\n";
    return std::nullopt;
  };
  proxy.start();
  TestClient& client = proxy.connect();
  for (int i = 0; i < 300; ++i) {
    client.command({"SELECT", std::to_string(i)});
    CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  }
  std::size_t open = 0;
  for (std::size_t i = 0; i < proxy.server(0).at().connections(); ++i) {
    open += proxy.server(0).at().peer(i).ended() ? 0 : 1;
  }
  CHECK(open > 1);
  CHECK(open <= Upstream::kMaxLanes + 1);
}
