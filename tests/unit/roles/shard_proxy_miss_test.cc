// on_server_down: miss. Reads of a server that fails find nothing, writes get an error.
#include <doctest/doctest.h>

#include "roles/shard_proxy/redis_miss.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("reads of a Redis that is down miss, writes get an error") {
  RedisWorld proxy(2);
  proxy.config.on_server_down = OnServerDown::miss;
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  std::string kept = proxy.key_on(1);
  CHECK(client.command({"SET", kept, "v"}) == "+OK\r\n");
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).peer().reset();
  proxy.settle();
  CHECK(client.command({"GET", lost}) == "$-1\r\n");
  CHECK(client.command({"STRLEN", lost}) == ":0\r\n");
  CHECK(client.command({"TTL", lost}) == ":-2\r\n");
  CHECK(client.command({"LRANGE", lost, "0", "-1"}) == "*0\r\n");
  CHECK(client.command({"MGET", lost}) == "*1\r\n$-1\r\n");
  CHECK(client.command({"MGET", lost, kept}) == "*2\r\n$-1\r\n" + bulk("v"));
  CHECK(client.command({"SET", lost, "x"}).starts_with("-ERR a "));
  CHECK(client.command({"INCR", lost}).starts_with("-ERR a "));
  CHECK(client.command({"DEL", lost, kept}).starts_with("-ERR a "));
  TestClient& modern = proxy.connect();
  modern.command({"HELLO", "3"});
  CHECK(modern.command({"GET", lost}) == "_\r\n");
  CHECK(modern.command({"HGETALL", lost}) == "%0\r\n");
  CHECK(modern.command({"SMEMBERS", lost}) == "~0\r\n");
  CHECK(modern.command({"MGET", lost, lost}) == "*2\r\n_\r\n_\r\n");
}

TEST_CASE("reads of a memcached that is down miss, as quietly as they were asked") {
  MemcacheWorld proxy(2);
  proxy.config.on_server_down = OnServerDown::miss;
  proxy.config.partial_multiget = PartialMultiget::error;
  proxy.start();
  TestClient& client = proxy.connect();
  std::string lost = proxy.key_on(0);
  std::string kept = proxy.key_on(1);
  CHECK(client.ask("set " + kept + " 0 0 1\r\nv\r\n") == "STORED\r\n");
  proxy.server(0).at().refuse_next(1000);
  proxy.server(0).peer().reset();
  proxy.settle();
  CHECK(client.ask("get " + lost + "\r\n") == "END\r\n");
  CHECK(client.ask("gat 0 " + lost + "\r\n") == "END\r\n");
  CHECK(client.ask("get " + lost + " " + kept + "\r\n") ==
        "VALUE " + kept + " 0 1\r\nv\r\nEND\r\n");
  CHECK(client.ask("mg " + lost + " v\r\n") == "EN\r\n");
  CHECK(client.ask("mg " + lost + " v q\r\nmn\r\n") == "MN\r\n");
  CHECK(client.ask("set " + lost + " 0 0 1\r\nx\r\n").starts_with("SERVER_ERROR a "));
  CHECK(client.ask("delete " + lost + "\r\n").starts_with("SERVER_ERROR a "));
}

TEST_CASE("no command that writes has a miss") {
  for (const redis::Command& command : redis::CommandTable::built_in().all()) {
    if (command.is(redis::kWrite)) CHECK_MESSAGE(miss_kind_of(command.name) == 0, command.name);
  }
  CHECK(miss_kind_of("get") != 0);
  CHECK(miss_kind_of("zscore") != 0);
}
