// What belongs to a Redis connection: passwords, protocol versions, inline commands, its end.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("inline commands are answered like any other") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("PING\r\n") == "+PONG\r\n");
  CHECK(client.ask("\r\nset a \"x y\\x21\"\n") == "+OK\r\n");
  CHECK(client.ask("GET a\r\n") == bulk("x y!"));
  CHECK(client.ask("MGET a b\r\n") == "*2\r\n" + bulk("x y!") + "$-1\r\n");
  CHECK(client.ask("*0\r\n*-1\r\nECHO hi\r\n") == bulk("hi"));
}

TEST_CASE("PING, ECHO and SELECT need no server") {
  RedisWorld proxy(2);
  proxy.config.redis_db = 3;
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(client.command({"PING", "x"}) == bulk("x"));
  CHECK(client.command({"PING", "x", "y"}) ==
        "-ERR wrong number of arguments for 'ping' command\r\n");
  CHECK(client.command({"ECHO", "x"}) == bulk("x"));
  CHECK(client.command({"SELECT", "3"}) == "+OK\r\n");
  CHECK(client.command({"SELECT", "0"}) == "+OK\r\n");
  CHECK(client.command({"SELECT", "16"}) == "-ERR DB index is out of range\r\n");
  CHECK(client.command({"SELECT", "x"}) == "-ERR value is not an integer or out of range\r\n");
  CHECK(proxy.server(0).log.empty());
}

TEST_CASE("a protocol error comes after the earlier replies, and then the connection ends") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  std::string key = proxy.key_on(0);
  proxy.server(0).store.data[key] = "v";
  proxy.server(0).hold();
  client.post({"GET", key});
  client.send("*1\r\n$x\r\nPING\r\n");
  CHECK(client.take().empty());
  CHECK_FALSE(client.ended());
  proxy.server(0).release();
  CHECK(client.take() == bulk("v") + "-ERR Protocol error: invalid bulk length\r\n");
  CHECK(client.ended());
  CHECK(other.command({"PING"}) == "+PONG\r\n");
}

TEST_CASE("a web browser's request is hung up on here, not by the server on a shared connection") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.ask("POST / HTTP/1.1\r\nHost: x\r\n\r\nFLUSHALL\r\n").empty());
  CHECK(client.ended());
  TestClient& second = proxy.connect();
  CHECK(second.ask("GET a\r\nHost: x\r\n\r\nFLUSHALL\r\n") == "$-1\r\n");
  CHECK(second.ended());
  CHECK(proxy.server(0).log == Lines{"GET a"});
}

TEST_CASE("QUIT is answered in its turn and what follows it is not read") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key = proxy.key_on(1);
  proxy.server(1).hold();
  client.post({"SET", key, "v"});
  client.post({"QUIT"});
  client.post({"SET", key, "w"});
  CHECK(client.take().empty());
  proxy.server(1).release();
  CHECK(client.take() == "+OK\r\n+OK\r\n");
  CHECK(client.ended());
  CHECK(proxy.server(1).store.data[key] == "v");
}

TEST_CASE("the servers get AUTH before SELECT, and data only after both were granted") {
  RedisWorld proxy(1);
  proxy.config.redis_auth = "secret";
  proxy.config.redis_db = 2;
  proxy.start();
  CHECK(proxy.server(0).greetings == Lines{"AUTH secret", "HELLO 2", "SELECT 2"});
  TestClient& client = proxy.connect();
  CHECK(client.command({"AUTH", "secret"}) == "+OK\r\n");
  CHECK(client.command({"SET", "a", "1"}) == "+OK\r\n");
}

TEST_CASE("when a server refuses AUTH or SELECT no data reaches it") {
  for (const char* refused : {"AUTH", "SELECT"}) {
    CAPTURE(refused);
    RedisWorld proxy(1);
    proxy.config.redis_auth = "secret";
    proxy.config.redis_db = 2;
    proxy.server(0).special = [refused](const Words& words) -> std::optional<std::string> {
      if (words[0] == refused) return "-ERR not you\r\n";
      return std::nullopt;
    };
    proxy.start();
    TestClient& client = proxy.connect();
    client.command({"AUTH", "secret"});
    std::string reply = client.command({"SET", "a", "1"});
    CHECK(reply == "-ERR a " + std::string(refused) + " refused: ERR not you\r\n");
    proxy.run_for(5000);
    client.command({"SET", "a", "1"});
    CHECK(proxy.server(0).log.empty());
    CHECK(proxy.server(0).store.data.empty());
    CHECK(proxy.server(0).at().attempts() > 2);
    proxy.server(0).special = nullptr;
    proxy.run_for(5000);
    CHECK(client.command({"SET", "a", "1"}) == "+OK\r\n");
  }
}

TEST_CASE("requests that came before the greeting was granted are refused with it") {
  RedisWorld proxy(1);
  proxy.config.redis_auth = "secret";
  bool mute = true;
  proxy.server(0).special = [&mute](const Words&) -> std::optional<std::string> {
    if (mute) return "";
    return "-WRONGPASS no\r\n";
  };
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"AUTH", "secret"});
  client.post({"SET", "a", "1"});
  CHECK(client.take() == "+OK\r\n");
  proxy.server(0).peer().send("-WRONGPASS no\r\n");
  CHECK(client.take() == "-ERR a AUTH refused: WRONGPASS no\r\n");
  CHECK(proxy.server(0).log.empty());
}

TEST_CASE("a client must give the pool's password, as to a server that has one") {
  RedisWorld proxy(1);
  proxy.config.redis_auth = "secret";
  proxy.start();
  TestClient& client = proxy.connect();
  const std::string wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  CHECK(client.command({"GET", "a"}) == "-NOAUTH Authentication required.\r\n");
  CHECK(client.command({"PING"}) == "-NOAUTH Authentication required.\r\n");
  CHECK(client.command({"AUTH", "nope"}) == wrong);
  CHECK(client.command({"AUTH", "bob", "secret"}) == wrong);
  CHECK(client.command({"HELLO", "3"}).starts_with("-NOAUTH HELLO must be called"));
  CHECK(client.command({"HELLO", "3", "AUTH", "default", "x"}) == wrong);
  CHECK(proxy.server(0).log.empty());
  CHECK(client.command({"AUTH", "default", "secret"}) == "+OK\r\n");
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(client.command({"RESET"}) == "+RESET\r\n");
  CHECK(client.command({"GET", "a"}) == "-NOAUTH Authentication required.\r\n");
  CHECK(client.command({"HELLO", "2", "AUTH", "default", "secret"}).starts_with("*14\r\n"));
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
}

TEST_CASE("AUTH to a pool without a password is told so") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"AUTH", "x"})
            .starts_with("-ERR AUTH <password> called without any password"));
  CHECK(client.command({"AUTH", "default", "x"}) == "+OK\r\n");
  CHECK(client.command({"AUTH", "a", "b", "c"}) == "-ERR syntax error\r\n");
}

TEST_CASE("HELLO 3 moves a client to a connection that speaks RESP3") {
  RedisWorld proxy(1);
  proxy.start();
  REQUIRE(proxy.server(0).at().connections() == 1);
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  std::string hello = client.command({"HELLO", "3", "SETNAME", "app"});
  CHECK(hello.starts_with("%7\r\n" + bulk("server") + bulk("redis") + bulk("version") +
                          bulk("7.0.15") + bulk("proto") + ":3\r\n"));
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SMEMBERS") return "~1\r\n+x\r\n";
    return std::nullopt;
  };
  CHECK(client.command({"SMEMBERS", "s"}) == "~1\r\n+x\r\n");
  CHECK(proxy.server(0).at().connections() == 2);
  CHECK(proxy.server(0).greetings == Lines{"HELLO 2", "HELLO 3"});
  CHECK(client.command({"CLIENT", "GETNAME"}) == bulk("app"));
  CHECK(other.command({"CLIENT", "GETNAME"}) == "$-1\r\n");
  CHECK(other.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.server(0).at().connections() == 2);
  CHECK(client.command({"HELLO", "4"}) == "-NOPROTO unsupported protocol version\r\n");
  CHECK(client.command({"HELLO", "x"}) ==
        "-ERR Protocol version is not an integer or out of range\r\n");
  CHECK(client.command({"HELLO", "2", "NOPE"}) == "-ERR Syntax error in HELLO option 'NOPE'\r\n");
}

TEST_CASE("a push message on a RESP3 connection reaches nobody and shifts nothing") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"HELLO", "3"});
  proxy.server(0).store.data["a"] = "1";
  CHECK(client.command({"GET", "a"}) == bulk("1"));
  proxy.server(0).peer().send(">2\r\n+invalidate\r\n*1\r\n+a\r\n");
  CHECK(client.take().empty());
  proxy.server(0).hold();
  client.post({"GET", "a"});
  client.take();
  proxy.server(0).peer().send(">1\r\n+inva");
  client.take();
  proxy.server(0).peer().send("lidate\r\n");
  proxy.server(0).release();
  CHECK(client.take() == bulk("1"));
}

TEST_CASE("a server too old for HELLO still serves RESP2 clients") {
  RedisWorld proxy(1);
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "HELLO") return "-ERR unknown command 'HELLO'\r\n";
    return std::nullopt;
  };
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"SET", "a", "1"}) == "+OK\r\n");
  CHECK(client.command({"HELLO", "3"}).starts_with("%7\r\n"));
  CHECK(client.command({"GET", "a"}) == "-ERR a HELLO 3 refused: ERR unknown command 'HELLO'\r\n");
  CHECK(client.command({"HELLO", "2"}).starts_with("*14\r\n"));
  CHECK(client.command({"GET", "a"}) == bulk("1"));
}

TEST_CASE("CLIENT answers for this connection and refuses to touch those of others") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"CLIENT", "SETNAME", "web"}) == "+OK\r\n");
  CHECK(client.command({"client", "getname"}) == bulk("web"));
  CHECK(
      client.command({"CLIENT", "SETNAME", "a b"}).starts_with("-ERR Client names cannot contain"));
  CHECK(client.command({"CLIENT", "ID"}) == ":1\r\n");
  CHECK(client.command({"CLIENT", "KILL", "x"}) == "-ERR No such client\r\n");
  CHECK(client.command({"CLIENT", "TRACKING", "on"}).find("that clients share") !=
        std::string::npos);
  CHECK(client.command({"CLIENT"}) == "-ERR wrong number of arguments for 'client' command\r\n");
  CHECK(proxy.server(0).log.empty());
}
