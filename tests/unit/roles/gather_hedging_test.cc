// Hedges: when a second copy is sent, which of the two wins, and what keeps them few.
#include <doctest/doctest.h>

#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

using Hedge = HedgePolicy::Answer;

LeafAnswer status(int code) {
  LeafAnswer answer;
  answer.status = code;
  return answer;
}

HedgeOptions hedge_of(std::string_view text) {
  auto options = HedgeOptions::parse(text);
  REQUIRE(options.has_value());
  return *options;
}

/// Hedges after 10 ms unless told otherwise.
struct HedgedWorld : GatherWorld {
  explicit HedgedWorld(std::size_t shards = 1, std::size_t replicas = 2,
                       std::string_view hedge = "10ms:100%")
      : GatherWorld(shards, replicas) {
    route.hedge = hedge_of(hedge);
  }
  std::string hedged(const Answer& answer) const {
    const std::string text = answer.header("consort-coverage");
    const std::size_t at = text.find("hedged=");
    return at == std::string::npos ? "none" : text.substr(at + 7, text.find(',', at) - at - 7);
  }
};

}  // namespace

TEST_CASE("a call that is late gets a copy elsewhere, the first answer wins, the loser is closed") {
  HedgedWorld world;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(9);
  CHECK(world.leaf(0, 1).calls() == 0);
  world.run_for(1);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  CHECK(world.leaf(0, 1).call(0).header("consort-attempt") == "2");
  CHECK(world.leaf(0, 1).call(0).header("traceparent") !=
        world.leaf(0, 0).call(0).header("traceparent"));
  CHECK(world.leaf(0, 1).call(0).header("traceparent").substr(0, 36) ==
        world.leaf(0, 0).call(0).header("traceparent").substr(0, 36));
  world.leaf(0, 1).answer(0, "2");
  const Answer answer = client.answer();
  CHECK(answer.body == "[2]");
  CHECK(world.hedged(answer) == "1");
  CHECK(world.leaf(0, 0).was_cancelled(0));
  CHECK(world.stats(0, 0).inflight() == 0);
  CHECK(world.stats(0, 0).tally().consecutive_errors == 0);
  CHECK(world.metrics().hedges_won.value() == 1);
  CHECK(world.metrics().hedges_lost.value() == 0);
  CHECK(world.hedges(Hedge::go) == 1);
}

TEST_CASE("the original may still win, and the copy is closed") {
  HedgedWorld world;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(10);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 0).answer(0, "1");
  CHECK(client.answer().body == "[1]");
  CHECK(world.leaf(0, 1).was_cancelled(0));
  CHECK(world.metrics().hedges_won.value() == 0);
  CHECK(world.metrics().hedges_lost.value() == 1);
  CHECK(world.stats(0, 1).inflight() == 0);
}

TEST_CASE("when the first to end has failed, the other one is waited for") {
  for (const bool copy_fails : {false, true}) {
    HedgedWorld world;
    world.start();
    TestClient& client = world.get("/x");
    world.run_for(10);
    REQUIRE(world.leaf(0, 1).calls() == 1);
    world.leaf(0, copy_fails ? 1 : 0).answer(0, status(503));
    CHECK(client.is_waiting());
    CHECK(world.metrics().retries_sent.value() == 0);
    world.leaf(0, copy_fails ? 0 : 1).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
}

TEST_CASE("when both have failed a third replica is asked, if there is one") {
  for (const std::size_t replicas : {2U, 3U}) {
    HedgedWorld world(1, replicas);
    world.start();
    TestClient& client = world.get("/x");
    world.run_for(10);
    world.leaf(0, 1).reset(0);
    CHECK(client.is_waiting());
    world.leaf(0, 0).answer(0, status(502));
    if (replicas == 3) {
      REQUIRE(world.leaf(0, 2).calls() == 1);
      world.leaf(0, 2).answer(0, "3");
    }
    CHECK(client.answer().status == (replicas == 3 ? 200 : 502));
  }
}

TEST_CASE("an answer before the delay means no hedge, and neither does a failover") {
  HedgedWorld world(1, 3);
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(9);
  world.leaf(0, 0).answer(0, status(503));
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.run_for(50);
  CHECK(world.leaf(0, 2).calls() == 0);
  world.leaf(0, 1).answer(0, "1");
  CHECK(client.answer().status == 200);
  CHECK(world.hedges(Hedge::go) == 0);
}

TEST_CASE("only GET and HEAD are hedged, unless the route is idempotent") {
  struct Case {
    const char* method;
    bool idempotent;
    bool is_hedged;
  };
  for (const Case& each :
       {Case{"GET", false, true}, Case{"HEAD", false, true}, Case{"POST", false, false},
        Case{"PUT", false, false}, Case{"DELETE", false, false}, Case{"POST", true, true}}) {
    CAPTURE(each.method);
    HedgedWorld world;
    world.route.idempotent = each.idempotent;
    world.start();
    TestClient& client = world.ask(each.method, "/x");
    world.run_for(50);
    CHECK(world.leaf(0, 1).calls() == (each.is_hedged ? 1 : 0));
    world.leaf(0, 0).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
}

TEST_CASE("without a fixed delay there are no hedges before a hundred calls") {
  HedgedWorld world(1, 2, "p95:5%");
  world.start();
  TestClient& client = world.connect();
  world.leaf(0, 0).always("1", 4);
  for (std::size_t i = 0; i < HedgePolicy::kMinSamples; ++i) {
    client.ask("GET", "/x");
    world.run_for(4);
    CHECK(client.answer().status == 200);
  }
  CHECK(world.leaf(0, 1).calls() == 0);
  world.leaf(0, 0).on_call = nullptr;
  client.ask("GET", "/x");
  // The percentile is known to an eighth.
  world.run_for(3);
  CHECK(world.leaf(0, 1).calls() == 0);
  world.run_for(3);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 1).answer(0, "2");
  CHECK(client.answer().body == "[2]");
}

TEST_CASE("without a hundred calls nothing is late") {
  HedgedWorld world(1, 2, "p95:5%");
  world.start();
  TestClient& client = world.connect();
  world.leaf(0, 0).always("1", 4);
  for (std::size_t i = 0; i + 1 < HedgePolicy::kMinSamples; ++i) {
    client.ask("GET", "/x");
    world.run_for(4);
    CHECK(client.answer().status == 200);
  }
  world.leaf(0, 0).on_call = nullptr;
  client.ask("GET", "/x");
  world.run_for(1000);
  CHECK(world.leaf(0, 1).calls() == 0);
  world.leaf(0, 0).answer(99, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("failures do not pull the percentile down") {
  HedgedWorld world(1, 2, "p95:5%");
  world.start();
  TestClient& client = world.connect();
  world.leaf(0, 0).always(status(500));
  for (int i = 0; i < 200; ++i) {
    client.ask("GET", "/x");
    CHECK(client.answer().status == 502);
  }
  CHECK_FALSE(world.state().hedges.delay_us(world.now_ms()).has_value());
}

TEST_CASE("the budget bounds hedges, and who gets none waits for the original") {
  HedgedWorld world(1, 2, "10ms:5%");
  world.start();
  TestClient& client = world.connect();
  std::size_t asked = 0;
  for (; asked < 200 && world.hedges(Hedge::no_budget) == 0; ++asked) {
    client.ask("GET", "/x");
    world.run_for(10);
    world.leaf(0, 0).answer(asked, "1");
    CHECK(client.answer().status == 200);
  }
  // Ten to begin with, then one in seventeen.
  CHECK(world.hedges(Hedge::no_budget) == 1);
  CHECK(world.hedges(Hedge::go) == 10);
  CHECK(world.leaf(0, 1).calls() == 10);
  CHECK(asked == 11);
}

TEST_CASE("a shard with one replica is not hedged, and none of it fails for that") {
  HedgedWorld world(1, 1);
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(100);
  CHECK(client.is_waiting());
  CHECK(world.metrics().hedges_no_replica.value() == 1);
  world.leaf(0, 0).answer(0, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("neither an ejected nor a drained replica gets a copy") {
  for (const bool is_drained : {false, true}) {
    HedgedWorld world;
    world.start();
    if (is_drained) {
      world.stats(0, 1).set_drained(true);
    } else {
      world.stats(0, 1).eject(world.now_ms(), 30'000, EjectReason::latency);
    }
    TestClient& client = world.get("/x");
    world.run_for(100);
    CHECK(world.leaf(0, 1).calls() == 0);
    CHECK(world.metrics().hedges_no_replica.value() == 1);
    world.leaf(0, 0).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
}

TEST_CASE("with attempts: 1 there are no hedges") {
  HedgedWorld world;
  world.route.attempts = 1;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(100);
  CHECK(world.leaf(0, 1).calls() == 0);
  world.leaf(0, 0).answer(0, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("when many leaves are late at once the cause is systemic, and hedges wait") {
  HedgedWorld world(10);
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(10);
  CHECK(world.hedges(Hedge::go) == 0);
  CHECK(world.hedges(Hedge::systemic) == 10);
  // All but one answer: at the next look one late leaf is one leaf's trouble.
  for (std::size_t i = 1; i < 10; ++i) world.leaf(i, 0).answer(0, "1");
  world.run_for(10);
  CHECK(world.hedges(Hedge::go) == 1);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 1).answer(0, "1");
  CHECK(client.answer().status == 200);
}

TEST_CASE("a replica that is busier than usual gets no copy for now") {
  HedgedWorld world(1, 2);
  world.start();
  world.stats(0, 1).on_start(world.now_ms());
  world.stats(0, 1).on_start(world.now_ms());
  TestClient& client = world.get("/x");
  world.run_for(10);
  CHECK(world.hedges(Hedge::target_busy) == 1);
  CHECK(world.leaf(0, 1).calls() == 0);
  for (int i = 0; i < 2; ++i) world.stats(0, 1).on_superseded(world.now_ms(), 0);
  world.run_for(10);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 1).answer(0, "2");
  CHECK(client.answer().body == "[2]");
}

TEST_CASE("a refusal of either copy is the answer") {
  HedgedWorld world;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(10);
  world.leaf(0, 1).answer(0, status(404));
  CHECK(client.answer().status == 404);
  CHECK(world.leaf(0, 0).was_cancelled(0));
}

TEST_CASE("a client that leaves takes both copies with it") {
  HedgedWorld world;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(10);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 1).send(0, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n123");
  client.leave();
  CHECK(world.leaf(0, 0).was_cancelled(0));
  CHECK(world.leaf(0, 1).was_cancelled(0));
  CHECK(world.memory_bytes() == 0);
}

TEST_CASE("a late answer of the loser touches nothing") {
  HedgedWorld world;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(10);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  // Both answers are under way in the same moment: the first one read closes the other's ears.
  world.leaf(0, 0).on_call = nullptr;
  LeafAnswer one;
  one.body = "1";
  world.leaf(0, 0).server.last().send(one.text());
  one.body = "2";
  world.leaf(0, 1).server.last().send(one.text());
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK((answer.body == "[1]" || answer.body == "[2]"));
  CHECK(client.is_waiting());
}

TEST_CASE("each request of a kept connection hedges for itself") {
  HedgedWorld world(2, 2);
  world.start();
  TestClient& client = world.connect();
  for (std::size_t i = 0; i < 5; ++i) {
    client.ask("GET", "/x");
    world.leaf(0, 0).answer(i, "0");
    world.run_for(10);
    REQUIRE(world.leaf(1, 1).calls() == i + 1);
    world.leaf(1, 1).answer(i, "1");
    CHECK(client.answer().body == "[0,1]");
  }
  CHECK(world.leaf(0, 1).calls() == 0);
  CHECK(world.metrics().hedges_won.value() == 5);
}
