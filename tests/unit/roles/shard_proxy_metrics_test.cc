// What the metrics say of requests: by command, by server, under way.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("requests are counted by command, whatever their case and their end") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  client.command({"GET", "a"});
  client.command({"get", "b"});
  client.command({"GET"});
  client.command({"CLIENT", "ID"});
  client.command({"NONSENSE"});
  CHECK(proxy.command_counter("get").value() == 3);
  CHECK(proxy.command_counter("client").value() == 1);
  CHECK(proxy.pool_counter("consort_client_requests_total").value() == 5);
}

TEST_CASE("the requests that wait for a server are told, and none is left behind") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  Gauge& waiting = proxy.server_gauge("consort_shard_in_flight_requests", "a");
  proxy.server(0).hold();
  for (int i = 0; i < 5; ++i) client.post({"GET", proxy.key_on(0)});
  proxy.settle();
  CHECK(waiting.value() == 5);
  CHECK(proxy.server_gauge("consort_shard_in_flight_requests", "b").value() == 0);
  proxy.server(0).release(2);
  proxy.settle();
  CHECK(waiting.value() == 3);
  proxy.server(0).peer().reset();
  proxy.settle();
  CHECK(waiting.value() == 0);
}

TEST_CASE("a latency is that of the whole reply") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"GET", "a"});
  proxy.run_for(30);
  proxy.server(0).release();
  proxy.settle();
  LatencyHistogram& latency = proxy.latency("a");
  CHECK(latency.sum_ns() == 30'000'000);
  CHECK(latency.bucket(LatencyHistogram::bucket_of(30'000'000)) == 1);
}

TEST_CASE("memcached's commands are counted too") {
  MemcacheWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.ask("set a 0 0 1\r\nx\r\n");
  client.ask("get a\r\n");
  client.ask("mg a v\r\n");
  CHECK(proxy.command_counter("set").value() == 1);
  CHECK(proxy.command_counter("get").value() == 1);
  CHECK(proxy.command_counter("mg").value() == 1);
}
