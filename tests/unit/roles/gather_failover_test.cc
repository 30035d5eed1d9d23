// Failover: which failures go to the next replica, in which order, and what bounds it.
#include <doctest/doctest.h>

#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

LeafAnswer status(int code, HeaderList headers = {}) {
  LeafAnswer answer;
  answer.status = code;
  answer.headers = std::move(headers);
  return answer;
}

/// A shard of so many replicas; none is ejected, since nobody ticks.
struct OneShard : GatherWorld {
  explicit OneShard(std::size_t replicas) : GatherWorld(1, replicas) {}
  TestLeaf& replica(std::size_t i) { return leaf(0, i); }
};

}  // namespace

TEST_CASE("a replica that refuses or resets is followed by the next one, at once") {
  OneShard world(3);
  world.start();
  world.replica(0).server.refuse_next(1);
  TestClient& client = world.get("/x");
  REQUIRE(world.replica(1).calls() == 1);
  CHECK(world.replica(1).came_ms(0) == world.now_ms());
  CHECK(world.replica(1).call(0).header("consort-attempt") == "2");
  world.replica(1).reset(0);
  REQUIRE(world.replica(2).calls() == 1);
  CHECK(world.replica(2).call(0).header("consort-attempt") == "3");
  world.replica(2).answer(0, "1");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[1]");
  // One success forgets the failures before it.
  CHECK(answer.header("proxy-status") == "none");
  CHECK(answer.header("consort-coverage").find("failed=0") != std::string::npos);
  CHECK(world.metrics().retries_sent.value() == 2);
  CHECK(world.metrics().leaf_calls.value() == 3);
  CHECK(world.stats(0, 0).tally().consecutive_gateway == 1);
  CHECK(world.stats(0, 1).tally().consecutive_gateway == 1);
  CHECK(world.stats(0, 2).tally().consecutive_gateway == 0);
}

TEST_CASE("502, 503 and 504 go to the next replica, and other statuses do not") {
  for (const int code : {502, 503, 504, 500, 501, 404, 302}) {
    CAPTURE(code);
    OneShard world(2);
    world.start();
    TestClient& client = world.get("/x");
    world.replica(0).answer(0, status(code));
    const bool is_gateway = code == 502 || code == 503 || code == 504;
    CHECK(world.replica(1).calls() == (is_gateway ? 1 : 0));
    if (is_gateway) {
      world.replica(1).answer(0, "1");
      CHECK(client.answer().status == 200);
    } else {
      CHECK(client.answer().status == (code == 404 ? 404 : 502));
    }
  }
}

TEST_CASE("the last failure is the one that is told, and a 504 is a timeout") {
  OneShard world(2);
  world.start();
  TestClient& client = world.get("/x");
  world.replica(0).answer(0, status(503));
  world.replica(1).answer(0, status(504));
  const Answer answer = client.answer();
  CHECK(answer.status == 504);
  CHECK(answer.has("http_response_timeout"));
  CHECK(answer.header("proxy-status").find("received-status=504") != std::string::npos);
}

TEST_CASE("no more calls than `attempts`, whatever replicas there are") {
  for (const std::uint32_t attempts : {1U, 2U, 3U}) {
    OneShard world(4);
    world.route.attempts = attempts;
    world.start();
    for (std::size_t i = 0; i < 4; ++i) world.replica(i).always(status(503));
    CHECK(world.get("/x").answer().status == 502);
    CHECK(world.metrics().leaf_calls.value() == attempts);
    CHECK(world.replica(attempts).calls() == 0);
  }
}

TEST_CASE("no replica is asked twice by one request") {
  OneShard world(2);
  world.route.attempts = 5;
  world.start();
  for (std::size_t i = 0; i < 2; ++i) world.replica(i).always(status(503));
  CHECK(world.get("/x").answer().status == 502);
  CHECK(world.replica(0).calls() == 1);
  CHECK(world.replica(1).calls() == 1);
}

TEST_CASE("the retry budget bounds failovers to a fifth of the calls and ten per second") {
  OneShard world(2);
  world.start();
  world.replica(0).always(status(503));
  world.replica(1).always("1");
  std::size_t good = 0;
  TestClient& client = world.connect();
  for (int i = 0; i < 200; ++i) {
    client.ask("GET", "/x");
    const int code = client.answer().status;
    CHECK((code == 200 || code == 502));
    if (code == 200) ++good;
  }
  // 100 in reserve, and a token for every fifth of the 200 calls.
  CHECK(good == 140);
  CHECK(world.metrics().retries_sent.value() == 140);
  CHECK(world.metrics().retries_no_budget.value() == 60);
  world.run_for(10'000);
  client.ask("GET", "/x");
  CHECK(client.answer().status == 200);
}

TEST_CASE("a write that may have been seen is never sent again") {
  SUBCASE("refused: nothing was sent") {
    OneShard world(2);
    world.start();
    world.replica(0).server.refuse_next(1);
    TestClient& client = world.ask("POST", "/x", {}, "body");
    REQUIRE(world.replica(1).calls() == 1);
    CHECK(world.replica(1).call(0).body == "body");
    world.replica(1).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
  SUBCASE("reset after it was sent") {
    OneShard world(2);
    world.start();
    TestClient& client = world.ask("POST", "/x", {}, "body");
    world.replica(0).reset(0);
    CHECK(world.replica(1).calls() == 0);
    CHECK(client.answer().status == 502);
  }
  SUBCASE("answered 503") {
    OneShard world(2);
    world.start();
    TestClient& client = world.ask("PATCH", "/x", {}, "body");
    world.replica(0).answer(0, status(503));
    CHECK(world.replica(1).calls() == 0);
    CHECK(client.answer().status == 502);
  }
  SUBCASE("a kept connection that ends: not even silently") {
    OneShard world(2);
    world.start();
    TestClient& client = world.ask("POST", "/x", {}, "1");
    world.replica(0).answer(0, "1");
    CHECK(client.answer().status == 200);
    client.ask("POST", "/x", {}, "2");
    world.replica(0).reset(1);
    CHECK(world.replica(0).calls() == 2);
    CHECK(client.answer().status == 502);
  }
  SUBCASE("unless the route says that it is idempotent") {
    OneShard world(2);
    world.route.idempotent = true;
    world.start();
    TestClient& client = world.ask("POST", "/x", {}, "body");
    world.replica(0).answer(0, status(503));
    REQUIRE(world.replica(1).calls() == 1);
    world.replica(1).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
  SUBCASE("PUT and DELETE are idempotent by themselves") {
    for (const char* method : {"PUT", "DELETE"}) {
      OneShard world(2);
      world.start();
      TestClient& client = world.ask(method, "/x", {}, "body");
      world.replica(0).reset(0);
      REQUIRE(world.replica(1).calls() == 1);
      world.replica(1).answer(0, "1");
      CHECK(client.answer().status == 200);
    }
  }
}

TEST_CASE("a kept connection that ends without a byte is tried again silently, on a fresh one") {
  OneShard world(2);
  world.start();
  TestClient& client = world.get("/x");
  world.replica(0).answer(0, "1");
  CHECK(client.answer().status == 200);
  client.ask("GET", "/x");
  world.replica(0).reset(1);
  REQUIRE(world.replica(0).calls() == 3);
  CHECK(world.replica(0).call(2).header("consort-attempt") == "1");
  world.replica(0).answer(2, "2");
  CHECK(client.answer().body == "[2]");
  CHECK(world.metrics().retries_sent.value() == 0);
  CHECK(world.stats(0, 0).tally().consecutive_errors == 0);
}

TEST_CASE("a leaf that forbids retries is believed") {
  OneShard world(2);
  world.start();
  TestClient& client = world.get("/x");
  world.replica(0).answer(0, status(503, {{"grpc-retry-pushback-ms", "-1"}}));
  CHECK(world.replica(1).calls() == 0);
  CHECK(client.answer().status == 502);
}

TEST_CASE("a replica that cannot be reached in time is followed by the next one") {
  OneShard world(2);
  world.route.connect_timeout = Millis(100);
  world.start();
  world.replica(0).server.hang_next(1);
  TestClient& client = world.get("/x");
  world.run_for(99);
  CHECK(world.replica(1).calls() == 0);
  world.run_for(1);
  REQUIRE(world.replica(1).calls() == 1);
  CHECK(world.replica(1).call(0).header("x-envoy-expected-rq-timeout-ms") == "1823");
  world.replica(1).answer(0, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("another replica would not help against a limit of ours") {
  OneShard world(2);
  world.config.limits.leaf_body = ByteSize{10};
  world.start();
  TestClient& client = world.get("/x");
  world.replica(0).answer(0, std::string(11, '1'));
  CHECK(client.answer().status == 502);
  CHECK(world.replica(1).calls() == 0);
}

TEST_CASE("a drained replica gets no new calls, and finishes what it has") {
  OneShard world(2);
  world.start();
  TestClient& before = world.get("/x");
  REQUIRE(world.replica(0).calls() == 1);
  world.stats(0, 0).set_drained(true);
  TestClient& client = world.get("/x");
  CHECK(world.replica(0).calls() == 1);
  REQUIRE(world.replica(1).calls() == 1);
  world.replica(1).answer(0, "1");
  CHECK(client.answer().status == 200);
  world.replica(0).answer(0, "0");
  CHECK(before.answer().body == "[0]");

  // Nor is it what a failure goes to.
  TestClient& failing = world.get("/x");
  world.replica(1).answer(1, status(503));
  CHECK(world.replica(0).calls() == 1);
  CHECK(failing.answer().status == 502);

  world.stats(0, 1).set_drained(true);
  const Answer none = world.get("/x").answer();
  CHECK(none.status == 503);
  CHECK(none.header("retry-after") == "1");
  CHECK(none.has("every replica is drained"));
  CHECK(none.header("proxy-status").find("destination_unavailable") != std::string::npos);
}

TEST_CASE("an ejected replica is asked only when no other is left") {
  OneShard world(2);
  world.start();
  world.stats(0, 0).eject(world.now_ms(), 30'000, EjectReason::consecutive_errors);
  TestClient& client = world.get("/x");
  CHECK(world.replica(0).calls() == 0);
  world.replica(1).answer(0, status(503));
  REQUIRE(world.replica(0).calls() == 1);
  world.replica(0).answer(0, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("when the known replica fails, a new one takes more than its probes") {
  OneShard world(2);
  world.start();
  TestClient& client = world.connect();
  world.replica(0).always("1");
  for (std::uint32_t i = 0; i < ReplicaStats::kWarmSamples; ++i) {
    client.ask("GET", "/x");
    CHECK(client.answer().status == 200);
  }
  REQUIRE(world.stats(0, 0).is_warm());
  world.replica(0).always(status(503));
  std::vector<TestClient*> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(&world.get("/x"));
  CHECK(world.replica(1).calls() == 5);
  for (std::size_t i = 0; i < 5; ++i) world.replica(1).answer(i, "2");
  for (TestClient* each : clients) CHECK(each->answer().status == 200);
}

TEST_CASE("every shard fails over by itself") {
  GatherWorld world(3, 2);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(1, 0).answer(0, status(502));
  CHECK(world.leaf(0, 1).calls() == 0);
  CHECK(world.leaf(1, 1).calls() == 1);
  CHECK(world.leaf(2, 1).calls() == 0);
  world.leaf(0, 0).answer(0, "0");
  world.leaf(2, 0).answer(0, "2");
  world.leaf(1, 1).answer(0, "1");
  CHECK(client.answer().body == "[0,1,2]");
}

TEST_CASE("a replica that serves several shards has one line of statistics") {
  GatherWorld world(2);
  world.topology.shards[1].replicas = world.topology.shards[0].replicas;
  world.start();
  TestClient& client = world.get("/x");
  REQUIRE(world.leaf(0).calls() == 2);
  CHECK(&world.backend(0) == &world.backend(1));
  CHECK(world.stats(0).inflight() == 2);
  CHECK(world.leaf(0).call(0).header("consort-shard") == "s0");
  CHECK(world.leaf(0).call(1).header("consort-shard") == "s1");
  world.leaf(0).answer(1, "1");
  world.leaf(0).answer(0, "0");
  CHECK(client.answer().body == "[0,1]");
}
