// Large values, slow readers and long pipelines: bytes stream, memory has bounds, and a client that
// does not read harms nobody but itself.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

constexpr std::size_t kMiB = 1 << 20;
// Deliveries of a few KiB, as from a real network: a large reply is then under way for many turns.
constexpr sim::Conditions kPieces{.split = true};

std::string patterned(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 / 3 % 26);
  return text;
}

}  // namespace

TEST_CASE("a large value passes on before it is complete") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string whole = bulk(patterned(kMiB));
  proxy.server(0).special = [&whole](const Words&) { return whole.substr(0, 100'000); };
  client.post({"GET", "a"});
  CHECK(client.take() == whole.substr(0, 100'000));
  proxy.server(0).peer().send(whole.substr(100'000, 500'000));
  CHECK(client.take() == whole.substr(100'000, 500'000));
  proxy.server(0).peer().send(whole.substr(600'000));
  CHECK(client.take() == whole.substr(600'000));
  proxy.server(0).special = nullptr;
  CHECK(client.command({"GET", "b"}) == "$-1\r\n");
}

TEST_CASE("the part of a reply that overtook another passes on when its turn has come") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  client.post({"GET", proxy.key_on(0)});
  proxy.server(1).special = [](const Words&) { return "$10\r\nabc"; };
  client.post({"GET", proxy.key_on(1)});
  CHECK(client.take().empty());
  proxy.server(0).release();
  CHECK(client.take() == "$-1\r\n$10\r\nabc");
  proxy.server(1).peer().send("defghij\r\n");
  CHECK(client.take() == "defghij\r\n");
}

TEST_CASE("many replies that overtook others keep their bytes while older ones are passed on") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  std::string expected;
  std::size_t asked = 0;
  auto overtakes = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      std::string key = proxy.key_on(1, i);
      std::string value = key + patterned(9000 + asked++ * 37 % 900);
      client.post({"SET", key, value});
      client.post({"GET", key});
      expected += "+OK\r\n" + bulk(value);
    }
  };
  for (int round = 0; round < 4; ++round) {
    client.post({"GET", proxy.key_on(0)});
    expected += "$-1\r\n";
    overtakes(0, 40);
    client.post({"GET", proxy.key_on(0)});
    expected += "$-1\r\n";
    overtakes(40, 44);
    proxy.settle();
    proxy.server(0).release(1);
    proxy.server(0).hold();
    proxy.settle();
    overtakes(44, 50);
    proxy.settle();
  }
  proxy.server(0).release();
  bool same = client.take() == expected;
  CHECK(same);
}

TEST_CASE("a value of 20 MiB passes in both directions") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string value = patterned(20 * kMiB);
  CHECK(client.command({"SET", "a", value}) == "+OK\r\n");
  bool same = client.command({"GET", "a"}) == bulk(value);
  CHECK(same);
}

TEST_CASE("a slow client holds back its own server connection, and gets every byte") {
  RedisWorld proxy(1, 1, kPieces);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string value = patterned(8 * kMiB);
  proxy.server(0).store.data["a"] = value;
  client.peer().stall();
  client.post({"GET", "a"});
  client.post({"GET", "b"});
  proxy.settle();
  sim::SimPeer& server = proxy.server(0).peer();
  CHECK(server.unread_bytes() > 6 * kMiB);
  CHECK(server.unread_bytes() < 8 * kMiB);
  // Far slower than the timeout, which is the server's to keep and not the client's.
  std::string got;
  for (int i = 0; i < 5; ++i) {
    proxy.run_for(2500);
    client.peer().resume();
    for (int turn = 0; turn < 15; ++turn) proxy.run_turn();
    client.peer().stall();
    got += client.peer().take();
  }
  CHECK(got.size() > kMiB);
  CHECK(server.unread_bytes() > kMiB);
  client.peer().resume();
  got += client.take();
  bool same = got == bulk(value) + "$-1\r\n";
  CHECK(same);
  CHECK(client.command({"PING"}) == "+PONG\r\n");
  CHECK(proxy.logged("cut_off") == 0);
}

TEST_CASE("others are served past a client that has stopped reading a large value") {
  RedisWorld proxy(1, 1, kPieces);
  proxy.start();
  TestClient& stopped = proxy.connect();
  TestClient& before = proxy.connect();
  proxy.server(0).store.data["large"] = patterned(3 * kMiB);
  stopped.peer().stall();
  proxy.server(0).hold();
  stopped.post({"GET", "large"});
  proxy.settle();
  before.post({"GET", "a"});
  proxy.settle();
  proxy.server(0).release();
  CHECK(before.take() == "$-1\r\n");
  TestClient& after = proxy.connect();
  for (int i = 0; i < 30; ++i) {
    CHECK(after.command({"GET", "b"}) == "$-1\r\n");
    proxy.run_for(100);
  }
  CHECK_FALSE(stopped.ended());
  stopped.peer().resume();
  CHECK(stopped.take().size() > 3 * kMiB);
}

TEST_CASE("a client that others cannot wait for is cut off at its output limit") {
  RedisWorld proxy(1, 1, kPieces);
  proxy.config.client_output_limit = ByteSize{2 * kMiB};
  proxy.start();
  TestClient& stopped = proxy.connect();
  TestClient& other = proxy.connect();
  proxy.server(0).store.data["large"] = patterned(4 * kMiB);
  stopped.peer().stall();
  stopped.post({"GET", "large"});
  proxy.settle();
  CHECK_FALSE(stopped.ended());
  std::uint64_t asked_at = proxy.now_ms();
  CHECK(other.command({"GET", "b"}) == "$-1\r\n");
  CHECK(proxy.now_ms() == asked_at);
  CHECK(stopped.ended());
  CHECK(proxy.logged("it reads too slowly, with") == 1);
  CHECK(proxy.clients() == 1);
}

TEST_CASE("a hung server does not hold back another through a client that waits for both") {
  RedisWorld proxy(2, 1, kPieces);
  proxy.start();
  TestClient& both = proxy.connect();
  TestClient& other = proxy.connect();
  std::string hung = proxy.key_on(0);
  std::string large = proxy.key_on(1);
  std::string value = patterned(2 * kMiB);
  proxy.server(1).store.data[large] = value;
  proxy.server(0).hold();
  proxy.server(1).hold();
  both.post({"GET", hung});
  both.post({"GET", large});
  proxy.settle();
  other.post({"GET", proxy.key_on(1, 1)});
  proxy.settle();
  proxy.server(1).release();
  CHECK(other.take() == "$-1\r\n");
  for (int i = 0; i < 10; ++i) {
    CHECK(other.command({"GET", proxy.key_on(1, 1)}) == "$-1\r\n");
    proxy.run_for(100);
  }
  bool same = both.take() == "-ERR a timed out\r\n" + bulk(value);
  CHECK(same);
}

TEST_CASE("a client that stops reading is cut off above the output limit, and the log says so") {
  RedisWorld proxy(1);
  proxy.config.client_output_limit = ByteSize{4 * kMiB};
  proxy.start();
  TestClient& client = proxy.connect();
  TestClient& other = proxy.connect();
  proxy.server(0).store.data["a"] = patterned(kMiB / 2);
  client.peer().stall();
  for (int i = 0; i < 20; ++i) client.post({"GET", "a"});
  proxy.settle();
  CHECK_FALSE(client.ended());
  proxy.run_for(1100);
  CHECK(client.ended());
  CHECK(proxy.logged("client.cut_off") == 1);
  CHECK(proxy.logged("it stopped reading with") == 1);
  CHECK(proxy.pool_counter("consort_clients_cut_off_total").value() == 1);
  CHECK(other.command({"GET", "b"}) == "$-1\r\n");
}

TEST_CASE("one reply above the output limit is enough when it is not read") {
  RedisWorld proxy(2);
  proxy.config.client_output_limit = ByteSize{4 * kMiB};
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).store.data[proxy.key_on(0)] = patterned(5 * kMiB);
  client.peer().stall();
  client.post({"MGET", proxy.key_on(0), proxy.key_on(1)});
  proxy.run_for(999);
  CHECK_FALSE(client.ended());
  proxy.run_for(2);
  CHECK(client.ended());
  CHECK(proxy.logged("it stopped reading with") == 1);
}

TEST_CASE("a client that has been idle is not cut off for two large replies at once") {
  RedisWorld proxy(2);
  proxy.config.client_output_limit = ByteSize{4 * kMiB};
  proxy.start();
  TestClient& client = proxy.connect();
  std::string on_a = proxy.key_on(0);
  std::string on_b = proxy.key_on(1);
  proxy.server(0).store.data[on_a] = patterned(2 * kMiB);
  proxy.server(1).store.data[on_b] = patterned(2 * kMiB);
  proxy.run_for(60'000);
  for (int i = 0; i < 3; ++i) client.post({"MGET", on_a, on_b});
  CHECK(client.take().size() > 12 * kMiB);
  CHECK(proxy.logged("cut_off") == 0);
}

TEST_CASE("more than 10 000 unanswered requests are left unread until some are answered") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(0).hold();
  std::string requests;
  for (int i = 0; i < 12'500; ++i) requests += redis_request({"INCR", "n"});
  std::string more = redis_request({"INCR", "n"});
  client.send(requests);
  for (int i = 0; i < 1500; ++i) client.send(more);
  proxy.settle();
  CHECK(proxy.server(0).log.size() == 10'000);
  CHECK(client.peer().unread_bytes() == 1500 * more.size());
  proxy.server(0).release(4000);
  proxy.settle();
  CHECK(proxy.server(0).log.size() == 10'000);
  proxy.server(0).release(1001);
  proxy.settle();
  CHECK(proxy.server(0).log.size() == 14'000);
  proxy.server(0).release();
  std::string expected;
  for (int i = 1; i <= 14'000; ++i) expected += ":" + std::to_string(i) + "\r\n";
  bool same = client.take() == expected;
  CHECK(same);
}

TEST_CASE("a client that pipelines without reading its answers is not read either") {
  RedisWorld proxy(1);
  proxy.start();
  TestClient& client = proxy.connect();
  client.peer().stall();
  std::string echo = redis_request({"ECHO", std::string(1000, 'x')});
  for (int i = 0; i < 5000; ++i) client.send(echo);
  proxy.settle();
  CHECK(client.peer().unread_bytes() > 3 * kMiB);
  client.peer().resume();
  CHECK(client.take().size() == 5000 * bulk(std::string(1000, 'x')).size());
}

TEST_CASE("a very small output limit may end a client in the middle of its own pipeline") {
  RedisWorld proxy(1);
  proxy.config.client_output_limit = ByteSize{1000};
  proxy.config.timeout = Millis(1);
  proxy.start();
  proxy.run_for(10'000);
  TestClient& client = proxy.connect();
  client.peer().stall();
  std::string requests;
  for (int i = 0; i < 300; ++i) requests += redis_request({"ECHO", std::string(1000, 'x')});
  client.send(requests.substr(0, 100'000));
  proxy.run_for(5);
  client.send(requests.substr(100'000));
  proxy.run_for(5);
  CHECK(client.ended());
}

TEST_CASE("what is being gathered counts against a client, which is not read meanwhile") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  const Words mget{"MGET", proxy.key_on(0), proxy.key_on(1)};
  proxy.server(0).store.data[mget[1]] = std::string(700'000, 'a');
  proxy.server(1).hold();
  client.post(mget);
  client.post(mget);
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log.size() == 2);
  client.post({"PING"});
  client.post(mget);
  CHECK(client.take().empty());
  CHECK(proxy.server(0).log.size() == 2);
  proxy.server(1).release();
  CHECK(client.take().size() > 2'100'000);
  CHECK(proxy.server(0).log.size() == 3);
}

TEST_CASE("a gathering ends with its pool, whatever it has kept") {
  RedisWorld proxy(2);
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.server(1).hold();
  client.post({"MGET", proxy.key_on(0), proxy.key_on(1)});
  CHECK(client.take().empty());
  proxy.destroy_pool();
}
