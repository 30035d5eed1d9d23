// Where Redis commands go, and how the replies of several servers become one.
#include <doctest/doctest.h>

#include <set>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("each key is asked for on the one server that owns it") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::set<std::uint32_t> used;
  for (int i = 0; i < 40; ++i) {
    std::string key = "user:" + std::to_string(i);
    std::uint32_t owner = proxy.owner_of(key);
    used.insert(owner);
    CHECK(client.command({"SET", key, "v"}) == "+OK\r\n");
    CHECK(proxy.server(owner).store.data.contains(key));
    CHECK(proxy.server(owner).log.back() == "SET " + key + " v");
  }
  CHECK(used.size() == 4);
  std::size_t stored = 0;
  for (std::size_t i = 0; i < 4; ++i) stored += proxy.server(i).store.data.size();
  CHECK(stored == 40);
}

TEST_CASE("a hash tag decides alone where a key lies") {
  RedisWorld proxy(4);
  proxy.config.hash_tag = "{}";
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"MSET", "{u1}a", "1", "{u1}b", "2", "{u1}c", "3"}) == "+OK\r\n");
  CHECK(proxy.server(proxy.owner_of("{u1}x")).log == Lines{"MSET {u1}a 1 {u1}b 2 {u1}c 3"});
  CHECK(client.command({"SUNIONSTORE", "{u1}d", "{u1}e"}) == "+SUNIONSTORE {u1}d {u1}e\r\n");
}

TEST_CASE("replies keep the order of the requests when a later server answers first") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string slow = proxy.key_on(0);
  std::string fast = proxy.key_on(1);
  proxy.server(0).store.data[slow] = "slow";
  proxy.server(1).store.data[fast] = "fast";
  proxy.server(0).hold();
  client.post({"GET", fast});
  client.post({"GET", slow});
  client.post({"GET", fast});
  client.post({"PING"});
  CHECK(client.take() == bulk("fast"));
  CHECK(proxy.server(1).log.size() == 2);
  proxy.server(0).release();
  CHECK(client.take() == bulk("slow") + bulk("fast") + "+PONG\r\n");
}

TEST_CASE("MGET over four servers answers in the order of its keys, with duplicates and misses") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  Words request{"MGET"};
  std::string expected = "*12\r\n";
  for (int i = 0; i < 12; ++i) {
    std::string key =
        proxy.key_on(static_cast<std::uint32_t>(i * 7 % 4), static_cast<size_t>(i) % 2);
    request.push_back(key);
    if (i % 3 == 0) proxy.server(proxy.owner_of(key)).store.data[key] = "value of " + key;
  }
  for (std::size_t i = 1; i < request.size(); ++i) {
    auto& data = proxy.server(proxy.owner_of(request[i])).store.data;
    expected += data.contains(request[i]) ? bulk(data[request[i]]) : "$-1\r\n";
  }
  CHECK(client.command(request) == expected);
  for (std::size_t i = 0; i < 4; ++i) CHECK(proxy.server(i).log.size() == 1);
  CHECK(proxy.pool_counter("consort_split_requests_total").value() == 1);
}

TEST_CASE("DEL, UNLINK, TOUCH and EXISTS add up what their servers say") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  Words keys;
  for (std::uint32_t i = 0; i < 8; ++i) {
    keys.push_back(proxy.key_on(i % 4, i / 4));
    client.command({"SET", keys.back(), "1"});
  }
  auto with = [&keys](const std::string& name) {
    Words words{name};
    words.insert(words.end(), keys.begin(), keys.end());
    return words;
  };
  CHECK(client.command(with("EXISTS")) == ":8\r\n");
  CHECK(client.command(with("touch")) == ":8\r\n");
  CHECK(client.command({"EXISTS", keys[0], keys[1], keys[0]}) == ":3\r\n");
  CHECK(client.command({"UNLINK", keys[0], keys[1], "missing"}) == ":2\r\n");
  CHECK(client.command(with("DEL")) == ":6\r\n");
  CHECK(client.command(with("EXISTS")) == ":0\r\n");
}

TEST_CASE("MSET takes each key with its value to the right server") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  Words request{"MSET"};
  for (std::uint32_t i = 0; i < 9; ++i) {
    request.push_back(proxy.key_on(i % 4, i / 4));
    request.push_back("v" + std::to_string(i));
  }
  CHECK(client.command(request) == "+OK\r\n");
  for (std::size_t i = 1; i < request.size(); i += 2) {
    CHECK(proxy.server(proxy.owner_of(request[i])).store.data[request[i]] == request[i + 1]);
  }
}

TEST_CASE("MSET with a key that has no value is refused in the server's words") {
  for (std::uint32_t servers : {1u, 4u}) {
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    CHECK(client.command({"MSET", "a", "1", "b"}) ==
          "-ERR wrong number of arguments for 'mset' command\r\n");
    for (std::size_t i = 0; i < servers; ++i) CHECK(proxy.server(i).store.data.empty());
  }
}

TEST_CASE("an error of one server is the answer to a command that was split") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(1).special = [](const Words&) { return "-LOADING Redis is loading\r\n"; };
  CHECK(client.command({"MGET", proxy.key_on(0), proxy.key_on(1)}) ==
        "-LOADING Redis is loading\r\n");
  CHECK(client.command({"DEL", proxy.key_on(0), proxy.key_on(1)}) ==
        "-LOADING Redis is loading\r\n");
  proxy.server(1).special = [](const Words&) { return ":1\r\n"; };
  CHECK(client.command({"MGET", proxy.key_on(0), proxy.key_on(1)}).starts_with("-ERR "));
}

TEST_CASE("commands over several servers that cannot be split are CROSSSLOT, never wrong") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  const std::string crossslot = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  CHECK(client.command({"SINTERSTORE", a, b}) == crossslot);
  CHECK(client.command({"PFMERGE", a, b}) == crossslot);
  CHECK(client.command({"BLPOP", a, b, "0"}) == crossslot);
  CHECK(client.command({"WATCH", a, b}) == crossslot);
  CHECK(client.command({"MSETNX", a, "1", b, "2"}) == crossslot);
  CHECK(client.command({"RENAME", a, b}) == crossslot);
  CHECK(client.command({"EVAL", "return 1", "2", a, b}) == crossslot);
  CHECK(client.command({"ZUNIONSTORE", a, "1", b}) == crossslot);
  CHECK(client.command({"XREAD", "STREAMS", a, b, "0", "0"}) == crossslot);
  for (std::size_t i = 0; i < 4; ++i) CHECK(proxy.server(i).log.empty());
  std::string same = proxy.key_on(0, 1);
  CHECK(client.command({"SINTER", a, same}) == "+SINTER " + a + " " + same + "\r\n");
}

TEST_CASE("SORT reads other keys by pattern only when one server has them all") {
  for (std::uint32_t servers : {1u, 4u}) {
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string refused =
        "-ERR 'SORT' with a BY or GET pattern reads keys of every server of the pool\r\n";
    CHECK((client.command({"SORT", "l", "BY", "w_*"}) == refused) == (servers == 4));
    CHECK((client.command({"SORT", "l", "GET", "#", "GET", "d_*->f"}) == refused) ==
          (servers == 4));
    CHECK(client.command({"SORT", "l", "BY", "nosort", "GET", "#"}) ==
          "+SORT l BY nosort GET #\r\n");
  }
}

TEST_CASE("what may hold a connection for ever never reaches the one that others share") {
  for (std::uint32_t servers : {1u, 4u}) {
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    std::string key = proxy.key_on(0);
    for (const Words& request :
         {Words{"WAIT", "1", "0"}, Words{"BLPOP", key, "0"},
          Words{"XREAD", "BLOCK", "0", "STREAMS", key, "$"},
          Words{"XREADGROUP", "GROUP", "streams", "c", "BLOCK", "0", "STREAMS", key, ">"}}) {
      client.command(request);
      CHECK(proxy.server(0).session(1).log.back() == joined(request));
      proxy.server(0).time_out_blocked();
      client.take();
    }
    CHECK(client.command({"WAITAOF", "1", "0", "0"}).starts_with("-ERR unknown command"));
    for (std::size_t i = 0; i < servers; ++i) CHECK(proxy.server(i).session(0).log.empty());
  }
}

TEST_CASE("any server gives the help of a container of commands") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  for (const char* name : {"OBJECT", "XINFO", "CONFIG", "SCRIPT", "PUBSUB"}) {
    CHECK(client.command({name, "HELP"}) == "+" + std::string(name) + " HELP\r\n");
  }
}

TEST_CASE("a sum that no number holds is an error, not a wrong number") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [](const Words&) { return ":9223372036854775807\r\n"; };
  }
  CHECK(client.command({"DBSIZE"}).starts_with("-ERR "));
}

TEST_CASE("a command that nobody knows gets the server's text with one server and with four") {
  for (std::uint32_t servers : {1u, 4u}) {
    RedisWorld proxy(servers);
    proxy.start();
    TestClient& client = proxy.connect();
    CHECK(client.command({"NOSUCH", "a", "b"}) ==
          "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' \r\n");
    CHECK(proxy.server(0).log.size() == (servers == 1 ? 1 : 0));
    CHECK(client.command({"GET"}) == "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK(client.command({"GET", "a", "b"}) ==
          "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK(client.command({"MGET"}) == "-ERR wrong number of arguments for 'mget' command\r\n");
    CHECK(client.command({"PING"}) == "+PONG\r\n");
  }
}

TEST_CASE("a module's command goes to a single server as it came") {
  RedisWorld proxy(1);
  proxy.start();
  proxy.server(0).special = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "JSON.GET") return "+json\r\n";
    return std::nullopt;
  };
  CHECK(proxy.connect().command({"JSON.GET", "k"}) == "+json\r\n");
}

TEST_CASE("unknown subcommands and wrong numbers of their arguments are told as by the server") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"XINFO", "nope", "k"}) ==
        "-ERR unknown subcommand 'nope'. Try XINFO HELP.\r\n");
  CHECK(client.command({"XINFO", "STREAM"}) ==
        "-ERR wrong number of arguments for 'xinfo|stream' command\r\n");
  CHECK(client.command({"XINFO"}) == "-ERR wrong number of arguments for 'xinfo' command\r\n");
}

TEST_CASE("keyless commands ask one server or all, or are refused, but never lie") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::uint32_t i = 0; i < 8; ++i) client.command({"SET", proxy.key_on(i % 4, i / 4), "1"});
  CHECK(client.command({"DBSIZE"}) == ":8\r\n");
  CHECK(client.command({"FLUSHALL"}) == "+OK\r\n");
  CHECK(client.command({"DBSIZE"}) == ":0\r\n");
  CHECK(client.command({"TIME"}) == "+TIME\r\n");
  for (const char* name : {"KEYS", "SCAN", "INFO"}) {
    CHECK(client.command({name, "*"}).starts_with("-ERR "));
  }
  for (const char* name : {"MONITOR", "SYNC"}) {
    CHECK(client.command({name}) ==
          "-ERR '" + std::string(name) +
              "' is not available through this proxy: it takes over the connection\r\n");
  }
  CHECK_FALSE(client.ended());
}

TEST_CASE("what any server can answer is asked of one that is up") {
  RedisWorld proxy(3);
  proxy.server(0).at().refuse_next(100);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"TIME"}) == "+TIME\r\n");
  CHECK(proxy.server(1).log == Lines{"TIME"});
  CHECK(client.command({"DBSIZE"}) == "-ERR a Connection refused\r\n");
}

TEST_CASE("SCRIPT EXISTS is the logical and of what all servers say") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).special = [](const Words&) { return "*3\r\n:1\r\n:1\r\n:0\r\n"; };
  proxy.server(1).special = [](const Words&) { return "*3\r\n:1\r\n:0\r\n:0\r\n"; };
  CHECK(client.command({"SCRIPT", "EXISTS", "x", "y", "z"}) == "*3\r\n:1\r\n:0\r\n:0\r\n");
  proxy.server(1).special = [](const Words&) { return "*1\r\n:1\r\n"; };
  CHECK(client.command({"SCRIPT", "EXISTS", "x", "y", "z"}).starts_with("-ERR "));
}

TEST_CASE("a key larger than 16 KiB passes in both directions") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string key(100'000, 'k');
  CHECK(client.command({"SET", key, "v"}) == "+OK\r\n");
  CHECK(client.command({"GET", key}) == bulk("v"));
  CHECK(client.command({"MGET", key, "other", key}) ==
        "*3\r\n" + bulk("v") + "$-1\r\n" + bulk("v"));
}

TEST_CASE("an MGET of 10 000 keys is one request per server") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  Words request{"MGET"};
  std::string expected = "*10000\r\n";
  for (int i = 0; i < 10'000; ++i) {
    request.push_back("k" + std::to_string(i));
    if (i % 2 == 0) {
      proxy.server(proxy.owner_of(request.back())).store.data[request.back()] = std::to_string(i);
    }
    expected += i % 2 == 0 ? bulk(std::to_string(i)) : "$-1\r\n";
  }
  bool same = client.command(request) == expected;
  CHECK(same);
  for (std::size_t i = 0; i < 4; ++i) CHECK(proxy.server(i).log.size() == 1);
}
