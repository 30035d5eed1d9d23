// MULTI, EXEC, DISCARD and WATCH: on a connection of the client's own, whole or not at all.
#include <doctest/doctest.h>

#include "roles/shard_proxy/redis_client.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

const std::string kOk = "+OK\r\n";
const std::string kQueued = "+QUEUED\r\n";
const std::string kCrossSlotReply = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
const std::string kAborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";

std::string requests(const std::vector<Words>& all) {
  std::string out;
  for (const Words& words : all) out += redis_request(words);
  return out;
}

std::size_t watching(RedisWorld& proxy, std::uint32_t servers) {
  std::size_t sum = 0;
  for (std::uint32_t i = 0; i < servers; ++i) sum += proxy.server(i).watching();
  return sum;
}

}  // namespace

TEST_CASE("a transaction is done whole, with one server and with four") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    TestClient& other = proxy.connect();
    std::string key = proxy.key_on(servers - 1);
    RedisServer& server = proxy.server(servers - 1);
    CHECK(client.command({"MULTI"}) == kOk);
    CHECK(client.command({"PING"}) == kQueued);
    CHECK(client.command({"SET", key, "1"}) == kQueued);
    CHECK(client.command({"INCR", key}) == kQueued);
    CHECK(client.command({"ECHO", "x"}) == kQueued);
    CHECK(other.command({"GET", key}) == "$-1\r\n");
    CHECK(client.command({"EXEC"}) == "*4\r\n+PONG\r\n+OK\r\n:2\r\n" + bulk("x"));
    CHECK(other.command({"GET", key}) == bulk("2"));
    CHECK(server.session(1).log ==
          Lines{"MULTI", "PING", "SET " + key + " 1", "INCR " + key, "ECHO x", "EXEC"});
    CHECK(client.command({"EXEC"}) == "-ERR EXEC without MULTI\r\n");
    CHECK(client.command({"DISCARD"}) == "-ERR DISCARD without MULTI\r\n");
    CHECK(client.command({"GET", key}) == bulk("2"));
  }
}

TEST_CASE("a pipelined transaction keeps its place between ordinary commands") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    std::string far = proxy.key_on(servers - 1, 1);
    CHECK(client.ask(requests({{"SET", key, "1"},
                               {"SET", far, "f"},
                               {"MULTI"},
                               {"INCR", key},
                               {"GET", key},
                               {"EXEC"},
                               {"INCR", key},
                               {"GET", far},
                               {"MULTI"},
                               {"INCR", key},
                               {"EXEC"},
                               {"GET", key}})) ==
          kOk + kOk + kOk + kQueued + kQueued + "*2\r\n:2\r\n" + bulk("2") + ":3\r\n" + bulk("f") +
              kOk + kQueued + "*1\r\n:4\r\n" + bulk("4"));
  }
}

TEST_CASE("a transaction without keys, and an empty one") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    CHECK(client.ask(requests({{"MULTI"}, {"EXEC"}})) == kOk + "*0\r\n");
    CHECK(client.ask(requests({{"MULTI"}, {"DISCARD"}})) == kOk + kOk);
    CHECK(client.ask(requests({{"MULTI"}, {"PING"}, {"TIME"}, {"EXEC"}})) ==
          kOk + kQueued + kQueued + "*2\r\n+PONG\r\n+TIME\r\n");
    CHECK(client.ask(requests({{"MULTI"}, {"PING"}, {"DISCARD"}, {"EXEC"}})) ==
          kOk + kQueued + kOk + "-ERR EXEC without MULTI\r\n");
  }
}

TEST_CASE("keys of two servers spoil a transaction and nothing of it is done") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  std::string wanted = kOk + kQueued + kCrossSlotReply + kQueued + kAborted;
  CHECK(client.command({"MULTI"}) == kOk);
  CHECK(client.command({"SET", a, "1"}) == kQueued);
  CHECK(client.command({"SET", b, "1"}) == kCrossSlotReply);
  CHECK(client.command({"SET", a, "2"}) == kQueued);
  CHECK(client.command({"EXEC"}) == kAborted);
  // The same in one piece: what was queued is answered before its connection is closed.
  CHECK(client.ask(requests(
            {{"MULTI"}, {"SET", a, "1"}, {"SET", b, "1"}, {"SET", a, "2"}, {"EXEC"}})) == wanted);
  CHECK(client.ask(requests({{"MULTI"}, {"MSET", a, "1", b, "2"}, {"SET", a, "1"}, {"EXEC"}})) ==
        kOk + kCrossSlotReply + kQueued + kAborted);
  CHECK(client.ask(requests({{"MULTI"}, {"SET", a, "1"}, {"SET", b, "1"}, {"DISCARD"}})) ==
        kOk + kQueued + kCrossSlotReply + kOk);
  CHECK(proxy.server(0).store.data.empty());
  CHECK(proxy.server(1).store.data.empty());
  CHECK(client.command({"SET", a, "1"}) == kOk);
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("an error while queuing aborts, also before a server is known") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    for (const Words& bad : {Words{"NOSUCH", "x"}, Words{"GET"}, Words{"SELECT", "1"},
                             Words{"AUTH", "x"}, Words{"SUBSCRIBE", "x"}, Words{"CLIENT", "ID"}}) {
      CAPTURE(bad[0]);
      client.command({"MULTI"});
      CHECK(client.command(bad).starts_with("-"));
      CHECK(client.command({"SET", key, "1"}) == kQueued);
      CHECK(client.command({"EXEC"}) == kAborted);
      client.command({"MULTI"});
      CHECK(client.command({"SET", key, "1"}) == kQueued);
      CHECK(client.command(bad).starts_with("-"));
      CHECK(client.command({"EXEC"}) == kAborted);
      CHECK(client.command({"PING"}) == "+PONG\r\n");
    }
    for (const char* word : {"MULTI", "WATCH"}) {
      client.command({"MULTI"});
      Words nested{word};
      if (nested[0] == "WATCH") nested.push_back(key);
      CHECK(client.command(nested) == (nested[0] == "MULTI"
                                           ? "-ERR MULTI calls can not be nested\r\n"
                                           : "-ERR WATCH inside MULTI is not allowed\r\n"));
      CHECK(client.command({"DEL", key}) == kQueued);
      CHECK(client.command(nested).starts_with("-ERR"));
      CHECK(client.command({"EXEC"}) == "*1\r\n:0\r\n");
    }
    CHECK(proxy.server(0).store.data.empty());
  }
}

TEST_CASE("an unknown subcommand aborts a transaction over several servers") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"MULTI"});
  CHECK(client.command({"XINFO", "NOPE", "k"}) ==
        "-ERR unknown subcommand 'NOPE'. Try XINFO HELP.\r\n");
  CHECK(client.command({"XINFO", "STREAM"}) ==
        "-ERR wrong number of arguments for 'xinfo|stream' command\r\n");
  CHECK(client.command({"EXEC"}) == kAborted);
}

TEST_CASE("EXEC with arguments ends a transaction as a server does") {
  for (std::uint32_t servers : {1u, 4u}) {
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "1"}, {"EXEC", "x"}, {"EXEC"}})) ==
          kOk + kQueued +
              "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
              "command\r\n-ERR EXEC without MULTI\r\n");
    CHECK(proxy.server(0).store.data.empty());
  }
}

TEST_CASE("what concerns every server cannot be part of a transaction on one of four") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  for (const Words& request :
       {Words{"FLUSHALL"}, Words{"DBSIZE"}, Words{"SCAN", "0"}, Words{"SCRIPT", "FLUSH"}}) {
    client.command({"MULTI"});
    CHECK(client.command(request).find("concerns every server") != std::string::npos);
    CHECK(client.command({"EXEC"}) == kAborted);
  }
  for (std::size_t i = 0; i < 4; ++i) CHECK(proxy.server(i).log.empty());
  RedisWorld single(1);
  single.start();
  CHECK(single.connect().ask(requests({{"MULTI"}, {"DBSIZE"}, {"EXEC"}})) ==
        kOk + kQueued + "*1\r\n:0\r\n");
}

TEST_CASE("PUBLISH in a transaction goes to the server of its channel") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& subscriber = proxy.connect();
  std::string channel = proxy.key_on(2);
  subscriber.command({"SUBSCRIBE", channel});
  CHECK(client.ask(requests(
            {{"MULTI"}, {"PUBLISH", channel, "hi"}, {"SET", proxy.key_on(2, 1), "1"}, {"EXEC"}})) ==
        kOk + kQueued + kQueued + "*2\r\n:1\r\n+OK\r\n");
  CHECK(subscriber.take() == redis_request({"message", channel, "hi"}));
  CHECK(client.ask(requests(
            {{"MULTI"}, {"SET", proxy.key_on(1), "1"}, {"PUBLISH", channel, "hi"}, {"EXEC"}})) ==
        kOk + kQueued + kCrossSlotReply + kAborted);
  CHECK(subscriber.take().empty());
}

TEST_CASE("a watched key that another client changes makes EXEC null") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    TestClient& other = proxy.connect();
    std::string key = proxy.key_on(0);
    CHECK(client.command({"WATCH", key}) == kOk);
    CHECK(client.command({"GET", key}) == "$-1\r\n");
    CHECK(other.command({"SET", key, "theirs"}) == kOk);
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "mine"}, {"EXEC"}})) ==
          kOk + kQueued + "*-1\r\n");
    CHECK(proxy.server(0).store.data[key] == "theirs");
    CHECK(client.command({"WATCH", key}) == kOk);
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "mine"}, {"EXEC"}})) ==
          kOk + kQueued + "*1\r\n+OK\r\n");
    CHECK(proxy.server(0).store.data[key] == "mine");
    CHECK(watching(proxy, servers) == 0);
    CHECK(proxy.server(0).at().connections() == 2);
  }
}

TEST_CASE("UNWATCH and DISCARD forget what was watched") {
  for (std::uint32_t servers : {1u, 4u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    CHECK(client.command({"UNWATCH"}) == kOk);
    CHECK(client.command({"WATCH", key}) == kOk);
    CHECK(watching(proxy, servers) == 1);
    CHECK(client.command({"UNWATCH"}) == kOk);
    CHECK(watching(proxy, servers) == 0);
    CHECK(client.ask(requests({{"WATCH", key}, {"MULTI"}, {"DISCARD"}, {"GET", key}})) ==
          kOk + kOk + kOk + "$-1\r\n");
    CHECK(watching(proxy, servers) == 0);
    CHECK(client.command({"WATCH"}) == "-ERR wrong number of arguments for 'watch' command\r\n");
  }
}

TEST_CASE("keys of two servers cannot be watched together") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  CHECK(client.command({"WATCH", a, b}) == kCrossSlotReply);
  CHECK(client.command({"WATCH", a}) == kOk);
  CHECK(client.command({"WATCH", b}) == kCrossSlotReply);
  CHECK(client.command({"SET", b, "1"}) == kOk);
  CHECK(client.command({"GET", b}) == bulk("1"));
  CHECK(client.ask(requests({{"MULTI"}, {"SET", b, "2"}, {"EXEC"}})) ==
        kOk + kCrossSlotReply + kAborted);
  CHECK(watching(proxy, 4) == 0);
}

TEST_CASE("while watching, a request waits for one that took another way to the same keys") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).store.data["a"] = "1";
  client.command({"WATCH", "b"});
  proxy.server(0).hold();
  client.send(requests({{"FLUSHALL"}, {"GET", "a"}, {"MULTI"}, {"EXEC"}}));
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log.back() == "FLUSHALL");
  proxy.server(0).release();
  CHECK(client.take() == kOk + "$-1\r\n" + kOk + "*0\r\n");
}

TEST_CASE("a connection is handed on clean, or not at all") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& first = proxy.connect();
  CHECK(first.ask(requests({{"WATCH", "a"}, {"MULTI"}, {"SET", "a", "1"}, {"EXEC"}})) ==
        kOk + kOk + kQueued + "*1\r\n+OK\r\n");
  REQUIRE(proxy.server(0).at().connections() == 2);
  TestClient& second = proxy.connect();
  CHECK(second.ask(requests({{"MULTI"}, {"INCR", "a"}, {"EXEC"}})) ==
        kOk + kQueued + "*1\r\n:2\r\n");
  CHECK(proxy.server(0).at().connections() == 2);
  // Half a transaction, a WATCH, a SELECT: nobody else gets these.
  for (const char* end : {"leaves", "resets", "is cut off"}) {
    CAPTURE(end);
    for (const Words& begin : {Words{"MULTI"}, Words{"WATCH", "a"}}) {
      TestClient& client = proxy.connect();
      client.command(begin);
      client.command({"SET", "b", "1"});
      CHECK(proxy.server(0).open() == 2);
      if (end == std::string("resets")) {
        CHECK(client.command({"RESET"}) == "+RESET\r\n");
      } else if (end == std::string("leaves")) {
        client.peer().close();
      } else {
        client.peer().reset();
      }
      proxy.settle();
      CHECK(proxy.server(0).open() == 1);
      CHECK(proxy.pool().private_links().open() == 0);
      CHECK(second.ask(requests({{"MULTI"}, {"INCR", "a"}, {"EXEC"}})).starts_with(kOk + kQueued));
      proxy.run_for(PrivateLinks::kIdleMs);
      CHECK(proxy.server(0).open() == 1);
    }
  }
  CHECK(proxy.server(0).watching() == 0);
}

TEST_CASE("RESET ends a pipelined transaction after answering it") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(1);
  CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "1"}, {"RESET"}, {"GET", key}, {"EXEC"}})) ==
        kOk + kQueued + "+RESET\r\n$-1\r\n-ERR EXEC without MULTI\r\n");
  CHECK(client.ask(requests({{"WATCH", key}, {"RESET"}, {"GET", key}})) ==
        kOk + "+RESET\r\n$-1\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a server that is lost while queuing aborts the transaction") {
  for (std::uint32_t servers : {1u, 2u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    client.command({"MULTI"});
    client.command({"SET", key, "1"});
    proxy.server(0).peer().reset();
    proxy.settle();
    CHECK(client.command({"SET", key, "2"}) == kQueued);
    CHECK(client.command({"EXEC"}) == kAborted);
    CHECK(client.command({"GET", key}) == "$-1\r\n");
  }
}

TEST_CASE("a server that is lost while watching makes EXEC null") {
  for (std::uint32_t servers : {1u, 2u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    client.command({"WATCH", key});
    proxy.server(0).peer().reset();
    proxy.settle();
    CHECK(client.command({"GET", key}) == "$-1\r\n");
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "1"}, {"EXEC"}})) ==
          kOk + kQueued + "*-1\r\n");
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "2"}, {"EXEC"}})) ==
          kOk + kQueued + "*1\r\n+OK\r\n");
  }
}

TEST_CASE("a server that is lost with EXEC under way says so, and the next transaction works") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"MULTI"});
  client.command({"SET", "a", "1"});
  proxy.server(0).hold();
  client.post({"EXEC"});
  client.post({"GET", "a"});
  CHECK(client.take().empty());
  sim::SimPeer& own = proxy.server(0).peer();
  own.reset();
  proxy.settle();
  proxy.server(0).release();
  CHECK(client.take() == "-ERR a Connection reset by peer\r\n" + bulk("1"));
  CHECK(client.ask(requests({{"MULTI"}, {"SET", "a", "2"}, {"EXEC"}})) ==
        kOk + kQueued + "*1\r\n+OK\r\n");
}

TEST_CASE("an EXEC that takes too long fails, and its connection is not used again") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"MULTI"});
  client.command({"SET", "a", "1"});
  proxy.server(0).hold();
  client.post({"EXEC"});
  proxy.run_for(static_cast<std::uint64_t>(proxy.config.timeout.count()) + 1);
  CHECK(client.take() == "-ERR a timed out\r\n");
  CHECK(proxy.server(0).open() == 1);
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a transaction that gets no server is aborted, and none of its commands is done alone") {
  for (std::uint32_t servers : {1u, 2u}) {
    CAPTURE(servers);
    RedisWorld proxy(servers);
    proxy.config.private_connections = 0;
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    std::string refused =
        "-ERR 'SET' needs a connection of its own, and all private_connections are taken\r\n";
    CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "1"}, {"SET", key, "2"}, {"EXEC"}})) ==
          kOk + refused + kQueued + kAborted);
    CHECK(proxy.server(0).store.data.empty());
    CHECK(client.command({"SET", key, "3"}) == kOk);
  }
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).peer().reset();
  proxy.settle();
  CHECK(client.ask(requests({{"MULTI"}, {"SET", "a", "1"}, {"EXEC"}})) ==
        kOk + "-ERR a Connection reset by peer\r\n" + kAborted);
}

TEST_CASE("a transaction whose key moves to another server is not done on the old one") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& watcher = proxy.connect();
  std::string key = proxy.key_on(1);
  client.command({"MULTI"});
  client.command({"SET", key, "1"});
  watcher.command({"WATCH", key});
  proxy.pool().set_servers({proxy.config.servers[0]});
  proxy.settle();
  CHECK(client.command({"SET", key, "2"}) == kCrossSlotReply);
  CHECK(client.command({"EXEC"}) == kAborted);
  CHECK(watcher.ask(requests({{"MULTI"}, {"EXEC"}})) == kOk + "*-1\r\n");
  CHECK(proxy.server(1).store.data.empty());
  CHECK(client.ask(requests({{"MULTI"}, {"SET", key, "3"}, {"EXEC"}})) ==
        kOk + kQueued + "*1\r\n+OK\r\n");
  CHECK(proxy.server(0).store.data[key] == "3");
}

TEST_CASE("HELLO and SELECT while watching change the connection that watches, too") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  client.command({"WATCH", "a"});
  CHECK(client.command({"SELECT", "2"}) == kOk);
  CHECK(client.command({"HELLO", "3"}).starts_with("%7\r\n"));
  CHECK(proxy.server(0).session(1).database == "2");
  other.command({"SET", "a", "1"});
  CHECK(client.ask(requests({{"MULTI"}, {"GET", "a"}, {"EXEC"}})) == kOk + kQueued + "_\r\n");
  proxy.settle();
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("what waits for the first key of a transaction is bounded") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string large(RedisExclusive::kMaxHeldBytes / 2, 'x');
  CHECK(client.command({"MULTI"}) == kOk);
  CHECK(client.command({"ECHO", large}) == kQueued);
  CHECK(client.command({"ECHO", large}) ==
        "-ERR more than 16 MiB before the first key of a transaction\r\n");
  CHECK(client.command({"EXEC"}) == kAborted);
}

TEST_CASE("with one server a command that nobody knows passes as before after a transaction") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "JSON.GET") return "+json\r\n";
    return std::nullopt;
  };
  CHECK(client.ask(requests({{"MULTI"}, {"EXEC"}, {"JSON.GET", "k"}})) == kOk + "*0\r\n+json\r\n");
  CHECK(client.ask(requests({{"WATCH", "k"}, {"JSON.GET", "k"}})) == kOk + "+json\r\n");
}
