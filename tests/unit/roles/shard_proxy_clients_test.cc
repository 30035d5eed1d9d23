// How clients come and go: limits, half-closed and lost connections, and a pool that drains.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

TEST_CASE("a client may leave with requests in flight, and nobody else notices") {
  for (bool by_reset : {false, true}) {
    CAPTURE(by_reset);
    RedisWorld proxy(2);
    proxy.start();
    TestClient& leaver = proxy.connect();
    TestClient& stayer = proxy.connect();
    std::string a = proxy.key_on(0);
    std::string b = proxy.key_on(1);
    proxy.server(0).store.data[a] = "1";
    proxy.server(0).hold();
    proxy.server(1).hold();
    leaver.post({"GET", a});
    leaver.post({"MGET", a, b});
    proxy.settle();
    stayer.post({"GET", a});
    proxy.settle();
    if (by_reset) leaver.peer().reset();
    if (!by_reset) leaver.peer().close();
    proxy.settle();
    proxy.server(0).release();
    CHECK(stayer.take() == bulk("1"));
    CHECK(leaver.take().empty());
    proxy.server(1).release();
    proxy.settle();
    CHECK(leaver.peer().connected() == false);
    CHECK(proxy.clients() == 1);
    CHECK(stayer.command({"MGET", b, a}) == "*2\r\n$-1\r\n" + bulk("1"));
    CHECK(proxy.server(0).at().connections() == 1);
  }
}

TEST_CASE("a client may leave in the middle of a long reply, and of a request") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& leaver = proxy.connect();
  TestClient& stayer = proxy.connect();
  proxy.server(0).special = [](const Words&) { return "$10\r\nabc"; };
  leaver.post({"GET", "a"});
  CHECK(leaver.take() == "$10\r\nabc");
  leaver.send("*2\r\n$3\r\nGET\r\n$100");
  leaver.peer().reset();
  proxy.settle();
  proxy.server(0).special = nullptr;
  stayer.post({"GET", "b"});
  proxy.server(0).peer().send("defghij\r\n");
  CHECK(stayer.take() == "$-1\r\n");
  CHECK(proxy.clients() == 1);
}

TEST_CASE("a client that resets while replies wait for it is forgotten at once") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).store.data["a"] = std::string(8 << 20, 'x');
  client.peer().stall();
  client.send(redis_request({"ECHO", std::string(200'000, 'x')}));
  proxy.settle();
  client.peer().reset();
  proxy.settle();
  CHECK(proxy.clients() == 0);

  TestClient& reader = proxy.connect();
  TestClient& other = proxy.connect();
  reader.peer().stall();
  reader.post({"GET", "a"});
  proxy.settle();
  reader.peer().reset();
  CHECK(other.command({"GET", "b"}) == "$-1\r\n");
  proxy.settle();
  CHECK(proxy.clients() == 1);
}

TEST_CASE("requests that came with a FIN are answered before the connection ends") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"SET", proxy.key_on(0), "1"});
  client.post({"SET", proxy.key_on(1), "2"});
  client.post({"PING"});
  client.peer().shutdown_write();
  CHECK(client.take().empty());
  CHECK_FALSE(client.ended());
  proxy.server(0).release();
  CHECK(client.take() == "+OK\r\n+OK\r\n+PONG\r\n");
  CHECK(client.ended());
  CHECK(proxy.clients() == 0);
}

TEST_CASE("all of a long pipeline is answered when a FIN follows it") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string requests;
  for (int i = 0; i < 25'000; ++i) requests += redis_request({"INCR", "n"});
  client.send(requests);
  client.peer().shutdown_write();
  std::string replies = client.take();
  CHECK(replies.ends_with(":25000\r\n"));
  CHECK(client.ended());
}

TEST_CASE("a client above client_connections is told so in the server's words") {
  RedisWorld proxy(1);
  proxy.config.client_connections = 2;
  proxy.start();
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  TestClient& third = proxy.connect();
  CHECK(third.take() == "-ERR max number of clients reached\r\n");
  CHECK(third.ended());
  CHECK(proxy.logged("client.refused") == 1);
  CHECK(proxy.pool_counter("consort_clients_refused_total").value() == 1);
  CHECK(first.command({"PING"}) == "+PONG\r\n");
  second.peer().close();
  proxy.settle();
  CHECK(proxy.connect().command({"PING"}) == "+PONG\r\n");
}

TEST_CASE("draining closes idle clients and lets busy ones finish") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& idle = proxy.connect();
  TestClient& busy = proxy.connect();
  TestClient& partial = proxy.connect();
  proxy.server(0).hold();
  busy.post({"GET", "a"});
  partial.send("*2\r\n$3\r\nGE");
  proxy.settle();
  proxy.stop_listening();
  proxy.pool().drain();
  CHECK(idle.ended());
  CHECK(partial.ended());
  CHECK_FALSE(busy.ended());
  CHECK_FALSE(proxy.pool().is_drained());
  CHECK_FALSE(proxy.world.network.listening("127.0.0.1:1000"));
  busy.post({"GET", "b"});
  proxy.settle();
  proxy.server(0).release();
  CHECK(busy.take() == "$-1\r\n");
  CHECK(busy.ended());
  CHECK(proxy.pool().is_drained());
}

TEST_CASE("draining answers all of a pipeline that was too long to take at once") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& eager = proxy.connect();
  proxy.server(0).hold();
  std::string pipeline;
  std::string expected;
  for (std::size_t i = 0; i < Client::kMaxPipelined + 5000; ++i) {
    pipeline += "GET a\r\n";
    expected += "$-1\r\n";
  }
  eager.send(pipeline);
  proxy.settle();
  proxy.stop_listening();
  proxy.pool().drain();
  std::string got;
  for (int i = 0; i < 10; ++i) {
    proxy.server(0).release();
    got += eager.take();
  }
  CHECK(got == expected);
  CHECK(eager.ended());
  CHECK(proxy.pool().is_drained());
}

TEST_CASE("draining ends clients that left already, when their last request is answered") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& gone = proxy.connect();
  proxy.server(0).hold();
  gone.post({"GET", "a"});
  proxy.settle();
  gone.peer().reset();
  proxy.settle();
  proxy.stop_listening();
  proxy.pool().drain();
  proxy.run_for(1000);
  CHECK(proxy.pool().is_drained());
}

TEST_CASE("a pool may be destroyed at any moment") {
  for (int moment = 0; moment < 4; ++moment) {
    RedisWorld proxy(2);
    if (moment == 0) proxy.server(0).at().hang_next(1);
    proxy.start();
    TestClient& client = proxy.connect();
    TestClient& stalled = proxy.connect();
    proxy.server(0).store.data[proxy.key_on(0)] = std::string(8 << 20, 'x');
    stalled.peer().stall();
    if (moment >= 2) proxy.server(1).hold();
    if (moment >= 1) client.post({"MGET", proxy.key_on(0), proxy.key_on(1)});
    if (moment >= 1) client.post({"GET", proxy.key_on(1)});
    if (moment >= 3) stalled.post({"GET", proxy.key_on(0)});
    proxy.settle();
    proxy.destroy_pool();
    proxy.settle();
    proxy.run_for(5000);
    CHECK(client.ended());
  }
}

TEST_CASE("accepting that had to pause is logged with its reason") {
  RedisWorld proxy(1);
  proxy.start();
  proxy.world.network.pause_accepting("127.0.0.1:1000");
  CHECK(proxy.logged("accept.paused") == 1);
}

TEST_CASE("a client always uses the same of several connections to a server") {
  RedisWorld proxy(1);
  proxy.config.server_connections = 3;
  proxy.config.preconnect = true;
  proxy.start();
  CHECK(proxy.server(0).at().connections() == 3);
  TestClient& first = proxy.connect();
  TestClient& second = proxy.connect();
  proxy.server(0).hold();
  for (int i = 0; i < 5; ++i) first.post({"INCR", "n"});
  for (int i = 0; i < 5; ++i) second.post({"INCR", "m"});
  proxy.settle();
  proxy.server(0).release();
  CHECK(first.take() == ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n");
  CHECK(second.take() == ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n");
}
