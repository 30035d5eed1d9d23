// Publish and subscribe over several servers: a channel is on one of them, a pattern on all.
#include <doctest/doctest.h>

#include "roles/shard_proxy/redis_client.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

std::string told(const std::string& verb, const std::string& name, int count, char type = '*') {
  return std::string(1, type) + "3\r\n" + bulk(verb) + bulk(name) + ":" + std::to_string(count) +
         "\r\n";
}

std::string message(const Words& words, char type = '*') {
  std::string text = redis_request(words);
  text[0] = type;
  return text;
}

}  // namespace

TEST_CASE("channels of several servers are confirmed in order, with the client's own count") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(3);
  std::string c = proxy.key_on(0, 1);
  proxy.server(0).hold();
  client.post({"SUBSCRIBE", a, b, c, a});
  CHECK(client.take().empty());
  CHECK(proxy.server(3).subscribed(b) == 1);
  proxy.server(0).release();
  CHECK(client.take() == told("subscribe", a, 1) + told("subscribe", b, 2) +
                             told("subscribe", c, 3) + told("subscribe", a, 3));
  CHECK(proxy.server(0).at().connections() == 2);
  CHECK(proxy.server(1).at().connections() == 1);
  CHECK(proxy.pool().private_links().open() == 2);
  CHECK(other.command({"PUBLISH", b, "hi"}) == ":1\r\n");
  CHECK(other.command({"PUBLISH", a, "ho"}) == ":1\r\n");
  CHECK(client.take() == message({"message", b, "hi"}) + message({"message", a, "ho"}));
  CHECK(client.command({"UNSUBSCRIBE", b}) == told("unsubscribe", b, 2));
  CHECK(proxy.pool().private_links().open() == 1);
  CHECK(other.command({"PUBLISH", b, "hi"}) == ":0\r\n");
}

TEST_CASE("unsubscribing from everything, or from nothing, is confirmed too") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string none = "*3\r\n" + bulk("unsubscribe") + "$-1\r\n:0\r\n";
  CHECK(client.command({"UNSUBSCRIBE"}) == none);
  CHECK(client.command({"UNSUBSCRIBE", "x"}) == told("unsubscribe", "x", 0));
  CHECK(client.command({"PUNSUBSCRIBE"}) == "*3\r\n" + bulk("punsubscribe") + "$-1\r\n:0\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
  CHECK(client.command({"SUBSCRIBE", "ch1", "ch2"}) ==
        told("subscribe", "ch1", 1) + told("subscribe", "ch2", 2));
  CHECK(client.command({"PSUBSCRIBE", "p*"}) == told("psubscribe", "p*", 3));
  CHECK(client.command({"SSUBSCRIBE", "s"}) == told("ssubscribe", "s", 1));
  CHECK(client.command({"UNSUBSCRIBE"}) ==
        told("unsubscribe", "ch1", 2) + told("unsubscribe", "ch2", 1));
  CHECK(client.command({"UNSUBSCRIBE"}) == "*3\r\n" + bulk("unsubscribe") + "$-1\r\n:1\r\n");
  CHECK(client.command({"GET", "a"}).starts_with("-ERR Can't execute 'get'"));
  CHECK(client.command({"PUNSUBSCRIBE", "p*"}) == told("punsubscribe", "p*", 0));
  CHECK(client.command({"SUNSUBSCRIBE", "s"}) == told("sunsubscribe", "s", 0));
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a RESP2 client may say little while it is subscribed") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"SUBSCRIBE", "c"});
  CHECK(client.command({"GET", "a"}) ==
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context\r\n");
  CHECK(client.command({"MULTI"}).starts_with("-ERR Can't execute 'multi'"));
  CHECK(client.command({"HELLO", "3"}).starts_with("-ERR Can't execute 'hello'"));
  CHECK(client.command({"GET"}) == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(client.command({"NOSUCH"}).starts_with("-ERR unknown command 'NOSUCH'"));
  CHECK(client.command({"PING"}) == "*2\r\n" + bulk("pong") + bulk(""));
  CHECK(client.command({"PING", "x"}) == "*2\r\n" + bulk("pong") + bulk("x"));
  CHECK(client.command({"RESET"}) == "+RESET\r\n");
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
  client.command({"SUBSCRIBE", "c"});
  CHECK(client.command({"QUIT"}) == "+OK\r\n");
  CHECK(client.ended());
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("patterns and keyspace channels are subscribed on every server") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"PSUBSCRIBE", "x*"}) == told("psubscribe", "x*", 1));
  CHECK(client.command({"SUBSCRIBE", "__keyspace@0__:k"}) ==
        told("subscribe", "__keyspace@0__:k", 2));
  CHECK(proxy.pool().private_links().open() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    std::string from = std::to_string(i);
    CHECK(proxy.server(i).publish("xy", from) == 1);
    CHECK(client.take() == message({"pmessage", "x*", "xy", from}));
    CHECK(proxy.server(i).publish("__keyspace@0__:k", from) == 1);
    CHECK(client.take() == message({"message", "__keyspace@0__:k", from}));
  }
  CHECK(client.command({"PUNSUBSCRIBE"}) == told("punsubscribe", "x*", 1));
  CHECK(client.command({"UNSUBSCRIBE"}) == told("unsubscribe", "__keyspace@0__:k", 0));
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a RESP3 client gets pushes between its replies, and may go on asking") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3"});
  std::string channel = proxy.key_on(0);
  std::string key = proxy.key_on(1);
  CHECK(client.command({"SUBSCRIBE", channel}) == told("subscribe", channel, 1, '>'));
  CHECK(client.command({"SET", key, "v"}) == "+OK\r\n");
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(client.command({"PUBLISH", channel, "m"}).find(":1\r\n") != std::string::npos);
  proxy.server(1).hold();
  client.post({"GET", key});
  client.take();
  proxy.server(0).publish(channel, "m");
  CHECK(client.take() == message({"message", channel, "m"}, '>'));
  proxy.server(1).release();
  CHECK(client.take() == bulk("v"));
}

TEST_CASE("a push never comes within a reply that is passing") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3"});
  std::string channel = proxy.key_on(0);
  std::string key = proxy.key_on(1);
  client.command({"SUBSCRIBE", channel});
  proxy.server(1).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "$10\r\n01234";
    return std::nullopt;
  };
  CHECK(client.command({"GET", key}) == "$10\r\n01234");
  proxy.server(0).publish(channel, "m");
  CHECK(client.take().empty());
  proxy.server(1).peer().send("56789\r\n");
  CHECK(client.take() == "56789\r\n" + message({"message", channel, "m"}, '>'));
}

TEST_CASE("the protocol stays while there are subscriptions, since their messages are in it") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3"});
  client.command({"SUBSCRIBE", "c"});
  CHECK(client.command({"HELLO", "2"}) ==
        "-ERR the protocol cannot be changed while there are subscriptions\r\n");
  CHECK(client.command({"HELLO", "3"}).starts_with("%7\r\n"));
  proxy.server(proxy.owner_of("c")).publish("c", "m");
  CHECK(client.take() == message({"message", "c", "m"}, '>'));
  client.command({"UNSUBSCRIBE"});
  CHECK(client.command({"HELLO", "2"}).starts_with("*14\r\n"));
}

TEST_CASE("a server that fails takes only its own channels along, until it is back") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  std::string kept = proxy.key_on(1);
  client.command({"SUBSCRIBE", lost, kept});
  client.command({"PSUBSCRIBE", "p*"});
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).at().peer(0).reset();
  proxy.server(0).at().peer(1).reset();
  CHECK(client.take().empty());
  CHECK(proxy.logged("subscriptions.interrupted") == 1);
  CHECK(proxy.server(1).publish(kept, "m") == 1);
  CHECK(proxy.server(1).publish("pq", "m") == 1);
  CHECK(client.take() == message({"message", kept, "m"}) + message({"pmessage", "p*", "pq", "m"}));
  proxy.run_for(20'000);
  CHECK(client.take().empty());
  proxy.server(0).at().refuse_next(0);
  proxy.run_for(30'000 + RedisSubscriber::kMaxRetryMs * 2);
  CHECK(proxy.server(0).subscribed(lost) == 1);
  CHECK(proxy.server(0).subscribed("p*") == 1);
  CHECK(client.take().empty());
  CHECK(proxy.server(0).publish(lost, "again") == 1);
  CHECK(client.take() == message({"message", lost, "again"}));
  CHECK_FALSE(client.ended());
}

TEST_CASE("the pauses between attempts grow, though other servers send messages") {
  RedisWorld proxy(2);
  proxy.config.fail_open_percent = 50;  // so that every attempt is a connection
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  std::string kept = proxy.key_on(1);
  client.command({"SUBSCRIBE", lost, kept});
  proxy.server(0).at().refuse_next(100'000);
  proxy.server(0).at().peer(0).reset();
  proxy.server(0).at().peer(1).reset();
  proxy.settle();
  int before = proxy.server(0).at().attempts();
  for (int i = 0; i < 600; ++i) {
    proxy.run_for(100);
    proxy.server(1).publish(kept, "m");
  }
  // A minute in pauses of 100 ms, 200 ms .. 5 s, with the prober's own attempts.
  int attempts = proxy.server(0).at().attempts() - before;
  CHECK(attempts >= 10);
  CHECK(attempts <= 45);
}

TEST_CASE("a subscription to a server that is down is refused at once and leaves no trace") {
  RedisWorld proxy(2);
  proxy.server(0).at().refuse_next(1000);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  std::string kept = proxy.key_on(1);
  CHECK(client.command({"SUBSCRIBE", lost}) == "-ERR a Connection refused\r\n");
  CHECK(client.command({"GET", kept}) == "$-1\r\n");
  CHECK(client.command({"SUBSCRIBE", kept, lost}) ==
        told("subscribe", kept, 1) + "-ERR a Connection refused\r\n");
  CHECK(client.command({"UNSUBSCRIBE", lost}) == told("unsubscribe", lost, 1));
  // A pattern holds on those that are up, and comes to the other when it is.
  CHECK(client.command({"PSUBSCRIBE", "p*"}) == told("psubscribe", "p*", 2));
  proxy.server(0).at().refuse_next(0);
  proxy.run_for(20'000);
  CHECK(proxy.server(0).subscribed("p*") == 1);
  CHECK(proxy.server(0).subscribed(lost) == 0);
  CHECK(client.take().empty());
}

TEST_CASE("a server that is lost or refuses before it has confirmed is told as an error") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string name = proxy.key_on(0);
  proxy.server(0).hold();
  client.post({"SUBSCRIBE", name, name});
  client.take();
  proxy.server(0).at().last().reset();
  proxy.settle();
  proxy.server(0).release();
  const std::string lost = "-ERR a Connection reset by peer\r\n";
  CHECK(client.take() == lost + lost);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "subscribe") return "-NOPERM no\r\n";
    return std::nullopt;
  };
  CHECK(client.command({"SUBSCRIBE", name}) == "-NOPERM no\r\n");
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}

TEST_CASE("a subscription that stood when its server was lost stands, and is made anew") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"SUBSCRIBE", "c"});
  proxy.server(0).hold();
  client.post({"SUBSCRIBE", "c"});
  client.take();
  proxy.server(0).at().last().reset();
  proxy.settle();
  proxy.server(0).release();
  CHECK(client.take() == told("subscribe", "c", 1));
  proxy.run_for(RedisSubscriber::kRetryMs + 1);
  CHECK(proxy.server(0).subscribed("c") == 1);
}

TEST_CASE("when the servers change subscriptions move to those that carry them now") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < 4; ++i) names.push_back(proxy.key_on(i));
  for (const std::string& name : names) client.command({"SUBSCRIBE", name});
  std::vector<ServerSpec> fewer(proxy.config.servers.begin(), proxy.config.servers.begin() + 2);
  proxy.pool().set_servers(fewer);
  proxy.settle();
  CHECK(client.take().empty());
  CHECK(proxy.pool().private_links().open() == 2);
  for (const std::string& name : names) {
    std::uint32_t owner = proxy.pool().server_of(name);
    REQUIRE(owner < 2);
    CHECK(proxy.server(owner).subscribed(name) == 1);
    CHECK(proxy.server(owner).publish(name, "m") == 1);
    CHECK(client.take() == message({"message", name, "m"}));
  }
  proxy.run_for(1000);
  CHECK(proxy.server(2).open() == 0);
  CHECK(client.command({"UNSUBSCRIBE"}).find(":0\r\n") != std::string::npos);
}

TEST_CASE("a subscriber that does not read is cut off at client_output_limit") {
  RedisWorld proxy(1);
  proxy.config.client_output_limit = ByteSize{100'000};
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  client.command({"SUBSCRIBE", "c"});
  other.command({"SUBSCRIBE", "c"});
  client.peer().set_window(1);
  client.peer().stall();
  for (int i = 0; i < 200; ++i) {
    proxy.server(0).publish("c", std::string(1000, 'x'));
    proxy.settle();
    CHECK(other.take().size() > 1000);
  }
  CHECK(client.ended());
  CHECK(proxy.logged("client.cut_off") == 1);
  CHECK(proxy.logged("too slowly") == 1);
  CHECK(proxy.pool().private_links().open() == 1);
  CHECK(proxy.clients() == 1);
}

TEST_CASE("the end of a client closes its feeds") {
  RedisWorld proxy(4);
  proxy.start();
  for (bool is_orderly : {true, false}) {
    TestClient& client = proxy.connect();
    client.command({"PSUBSCRIBE", "x*"});
    CHECK(proxy.pool().private_links().open() == 4);
    if (is_orderly) {
      client.peer().close();
    } else {
      client.peer().reset();
    }
    proxy.settle();
    CHECK(proxy.pool().private_links().open() == 0);
    CHECK(proxy.server(3).open() == 1);
    CHECK(proxy.clients() == 0);
  }
}

TEST_CASE("SUBSCRIBE needs a name") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"SUBSCRIBE"}) ==
        "-ERR wrong number of arguments for 'subscribe' command\r\n");
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
}

TEST_CASE("a server that never confirms is given up after the timeout") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string channel = proxy.key_on(2);
  proxy.server(2).hold();
  client.post({"SUBSCRIBE", channel});
  proxy.run_for(999);
  CHECK(client.take().empty());
  proxy.run_for(2);
  CHECK(client.take() == "-ERR c timed out\r\n");
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(proxy.pool().private_links().open() == 0);
}
