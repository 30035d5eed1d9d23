// SCAN and other commands that concern all servers, as a client sees them.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

/// Two keys per step; the cursor is the place in the list of keys.
std::optional<std::string> scan(const RedisServer& server, const Words& words) {
  if (words[0] != "SCAN") return std::nullopt;
  std::size_t at = std::stoul(words[1]);
  Words keys;
  std::size_t i = 0;
  for (const auto& [key, value] : server.store.data) {
    if (i >= at && i < at + 2) keys.push_back(key);
    ++i;
  }
  std::size_t next = at + 2 < i ? at + 2 : 0;
  return "*2\r\n" + bulk(std::to_string(next)) + redis_request(keys);
}

/// The words of a reply that consists of bulk strings only.
Words bulks_of(const std::string& reply) {
  Words words;
  for (std::size_t at = reply.find('$'); at != std::string::npos; at = reply.find('$', at)) {
    std::size_t line = reply.find("\r\n", at);
    std::size_t size = std::stoul(reply.substr(at + 1, line - at - 1));
    words.push_back(reply.substr(line + 2, size));
    at = line + 2 + size;
  }
  return words;
}

std::string set_of(const Words& words) {
  return redis_request(words);
}

}  // namespace

TEST_CASE("SCAN visits each key of four servers once, with its options") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  std::set<std::string> all;
  for (std::uint32_t i = 0; i < 4; ++i) {
    RedisServer& server = proxy.server(i);
    server.special = [&server](const Words& words) { return scan(server, words); };
    for (std::size_t n = 0; n < i * 3; ++n) {
      all.insert(proxy.key_on(i, n));
      server.store.data[proxy.key_on(i, n)] = "v";
    }
  }
  std::multiset<std::string> seen;
  std::string cursor = "0";
  int steps = 0;
  do {
    Words words = bulks_of(client.command({"SCAN", cursor, "COUNT", "2"}));
    REQUIRE_FALSE(words.empty());
    cursor = words[0];
    seen.insert(words.begin() + 1, words.end());
  } while (cursor != "0" && ++steps < 100);
  CHECK(steps < 100);
  CHECK(seen.size() == all.size());
  CHECK(std::set<std::string>(seen.begin(), seen.end()) == all);
  CHECK(proxy.server(0).log == Lines{"SCAN 0 COUNT 2"});
}

TEST_CASE("SCAN with a cursor that is none, and over a server that is lost") {
  RedisWorld proxy(4);
  proxy.server(1).at().refuse_next(1000);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"SCAN", "x"}) == "-ERR invalid cursor\r\n");
  CHECK(client.command({"SCAN", "-1"}) == "-ERR invalid cursor\r\n");
  CHECK(client.command({"SCAN"}) == "-ERR wrong number of arguments for 'scan' command\r\n");
  CHECK(client.command({"SCAN", "1"}) == "-ERR b Connection refused\r\n");
  proxy.server(2).special = [](const Words&) { return "-ERR invalid cursor\r\n"; };
  CHECK(client.command({"SCAN", "6"}) == "-ERR invalid cursor\r\n");
  proxy.server(2).special = [](const Words&) { return "+OK\r\n"; };
  CHECK(client.command({"SCAN", "6"}).starts_with("-ERR "));
  CHECK(proxy.server(2).log.back() == "SCAN 1");
}

TEST_CASE("sets of several servers are united, intersected and subtracted for the client") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  proxy.server(0).special = [](const Words&) { return set_of({"x", "y"}); };
  proxy.server(1).special = [](const Words&) { return set_of({"y", "z"}); };
  CHECK(client.command({"SUNION", a, b}) == set_of({"x", "y", "z"}));
  CHECK(client.command({"SINTER", a, b}) == set_of({"y"}));
  CHECK(client.command({"SDIFF", b, a}) == set_of({"z"}));
  CHECK(client.command({"SINTERCARD", "2", a, b}) == ":1\r\n");
  proxy.server(1).special = [](const Words&) { return "-WRONGTYPE no\r\n"; };
  CHECK(client.command({"SUNION", a, b}) == "-WRONGTYPE no\r\n");
  proxy.server(1).at().refuse_next(1000);
  proxy.server(1).peer().reset();
  proxy.settle();
  CHECK(client.command({"SUNION", a, b}) == "-ERR b Connection reset by peer\r\n");
}

TEST_CASE("a malformed read over several servers gets a server's own error") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [](const Words&) { return "-ERR syntax error\r\n"; };
  }
  CHECK(client.command({"SINTERCARD", "2", proxy.key_on(0), proxy.key_on(1), "LIMIT"}) ==
        "-ERR syntax error\r\n");
}

TEST_CASE("what is merged is bounded by cross_server_limit") {
  RedisWorld proxy(2);
  proxy.config.cross_server_limit = ByteSize{1000};
  proxy.start();
  TestClient& client = proxy.connect();
  std::string a = proxy.key_on(0);
  std::string b = proxy.key_on(1);
  for (std::size_t i = 0; i < 2; ++i) {
    proxy.server(i).special = [i](const Words& words) -> std::optional<std::string> {
      if (words[0] != "SUNION" && words[0] != "KEYS") return std::nullopt;
      return set_of({std::string(600, static_cast<char>('x' + i))});
    };
  }
  const std::string limit = "-ERR the merged reply is larger than cross_server_limit\r\n";
  CHECK(client.command({"SUNION", a, b}) == limit);
  CHECK(client.command({"KEYS", "*"}) == limit);
  proxy.server(0).store.data[a] = std::string(900, 'v');
  proxy.server(1).store.data[b] = std::string(900, 'v');
  CHECK(client.command({"MGET", a, b}).size() > 1800);
  CHECK(client.command({"GET", a}).size() > 900);
}

TEST_CASE("FLUSHALL that one server cannot do is an error, INFO tells of those that answer") {
  RedisWorld proxy(3);
  proxy.start();
  TestClient& client = proxy.connect();
  for (std::size_t i = 0; i < 3; ++i) {
    proxy.server(i).store.data["k"] = "v";
    proxy.server(i).special = [](const Words& words) -> std::optional<std::string> {
      if (words[0] != "INFO") return std::nullopt;
      return bulk(
          "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
          "# Clients\r\nconnected_clients:2\r\n# Replication\r\nrole:master\r\n");
    };
  }
  CHECK(client.command({"INFO"}).find("connected_clients:6\r\n") != std::string::npos);
  proxy.server(1).at().refuse_next(1000);
  proxy.server(1).peer().reset();
  proxy.settle();
  const std::string lost = "-ERR b Connection reset by peer\r\n";
  CHECK(client.command({"FLUSHALL"}) == lost);
  CHECK(proxy.server(0).store.data.empty());
  CHECK(client.command({"DBSIZE"}) == lost);
  CHECK(client.command({"KEYS", "*"}) == lost);
  std::string info = client.command({"INFO"});
  CHECK(info.find("connected_clients:4\r\n") != std::string::npos);
  CHECK(info.find("redis_version:7.0.15\r\n") != std::string::npos);
  CHECK(info.find("role:master\r\n") != std::string::npos);
}

TEST_CASE("commands about one server of several are refused and say why") {
  RedisWorld proxy(4);
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"SHUTDOWN"}).starts_with("-ERR 'SHUTDOWN' concerns one server"));
  CHECK(client.command({"DEBUG", "SLEEP", "1"}).starts_with("-ERR 'DEBUG' concerns one server"));
  CHECK(client.command({"SCRIPT", "DEBUG", "YES"}).starts_with("-ERR 'SCRIPT' is not available"));
  CHECK(client.command({"SCRIPT", "LOAD", "return 1"}) == "+SCRIPT LOAD return 1\r\n");
  CHECK(client.command({"CONFIG", "GET", "maxmemory"}) == "+CONFIG GET maxmemory\r\n");
  CHECK(proxy.server(1).log == Lines{"SCRIPT LOAD return 1"});
  CHECK(proxy.server(0).log == Lines{"SCRIPT LOAD return 1", "CONFIG GET maxmemory"});
}
