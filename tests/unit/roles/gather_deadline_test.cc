// Time: nothing is answered later than its deadline, and the last leaves are waited for by the
// formula of Vespa's AdaptiveTimeoutHandler.
#include <doctest/doctest.h>

#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

LeafAnswer status(int code) {
  LeafAnswer answer;
  answer.status = code;
  return answer;
}

/// Runs until the client has its answer; how long that took. At most `limit_ms`.
std::uint64_t time_to_answer(GatherWorld& world, TestClient& client, std::uint64_t limit_ms) {
  const std::uint64_t start_ms = world.now_ms();
  world.world.loop.run_until([&] { return !client.peer().received().empty(); }, limit_ms);
  return world.now_ms() - start_ms;
}

/// What a leaf is told of the time that it has: 4 % less, so that a root below answers in time.
std::uint64_t told_us(std::uint64_t left_ms) {
  const std::uint64_t left_us = left_ms * 1000;
  return left_us - std::min(left_us / 2, std::max<std::uint64_t>(2000, left_us * 4 / 100));
}

std::string grpc(std::uint64_t left_ms) {
  const std::uint64_t us = told_us(left_ms);
  // Whole milliseconds, as long as there are any.
  return us > 1000 || us % 1000 == 0 ? std::to_string(us / 1000) + "m" : std::to_string(us) + "u";
}

}  // namespace

TEST_CASE("whatever a leaf does, the answer comes by the deadline") {
  const std::vector<std::string> ways = {"silent",    "hangs",   "drips",       "never ends",
                                         "head only", "interim", "stops early", "keeps silent"};
  for (const std::string& way : ways) {
    CAPTURE(way);
    GatherWorld world(2);
    world.route.timeout = Millis(500);
    world.route.connect_timeout = Millis(2000);
    world.start();
    world.leaf(0).always("1");
    TestLeaf& bad = world.leaf(1);
    if (way == "hangs") bad.server.hang_next(1);
    bad.on_call = [&](std::size_t) {
      sim::SimPeer& peer = bad.server.last();
      if (way == "drips") {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        for (std::uint64_t i = 0; i < 2000; ++i) {
          world.world.loop.after(i, [&peer] { peer.send("x"); });
        }
      } else if (way == "never ends") {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n");
      } else if (way == "head only") {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
      } else if (way == "interim") {
        for (std::uint64_t i = 0; i < 2000; ++i) {
          world.world.loop.after(i, [&peer] { peer.send("HTTP/1.1 100 Continue\r\n\r\n"); });
        }
      } else if (way == "stops early") {
        peer.send("HTTP/1.1 2");
      } else if (way == "keeps silent") {
        peer.stall();
      }
    };
    TestClient& client = world.get("/x");
    // One millisecond is kept for merging.
    const std::uint64_t took_ms = time_to_answer(world, client, 10'000);
    CHECK(took_ms <= 500);
    const Answer answer = client.answer();
    CHECK(answer.status == 504);
    CHECK(took_ms == 499);
    CHECK(answer.header("consort-coverage").find("ok=1, failed=0, timeout=1") != std::string::npos);
    CHECK(world.stats(1).tally().consecutive_gateway == 1);
    CHECK(world.stats(1).inflight() == 0);
    CHECK(world.memory_bytes() == 0);
  }
}

TEST_CASE("the smallest of all deadlines counts, and leaves are told what is left of it") {
  struct Case {
    HeaderList headers;
    std::uint64_t leaf_ms;
    int malformed;
  };
  const std::vector<Case> cases = {
      {{}, 1999, 0},
      {{{"grpc-timeout", "300m"}}, 299, 0},
      {{{"x-envoy-expected-rq-timeout-ms", "200"}, {"grpc-timeout", "300m"}}, 199, 0},
      {{{"x-envoy-upstream-rq-timeout-ms", "250"}}, 249, 0},
      {{{"Prefer", "wait=1"}}, 999, 0},
      {{{"grpc-timeout", "30S"}}, 1999, 0},
      {{{"grpc-timeout", "3x"}, {"x-envoy-expected-rq-timeout-ms", "soon"}}, 1999, 2},
      {{{"grpc-timeout", "1500u"}}, 1, 0},
  };
  for (const Case& each : cases) {
    GatherWorld world(1);
    world.start();
    TestClient& client = world.get("/x", each.headers);
    REQUIRE(world.leaf(0).calls() == 1);
    const Message& call = world.leaf(0).call(0);
    const std::uint64_t told_ms = std::max<std::uint64_t>(told_us(each.leaf_ms) / 1000, 1);
    CHECK(call.header("x-envoy-expected-rq-timeout-ms") == std::to_string(told_ms));
    CHECK(call.header("grpc-timeout") == grpc(each.leaf_ms));
    CHECK(call.header("x-envoy-upstream-rq-timeout-ms") == "none");
    CHECK(world.root().state().metrics.malformed_deadlines.value() ==
          static_cast<std::uint64_t>(each.malformed));
    CHECK(time_to_answer(world, client, 10'000) == each.leaf_ms);
    CHECK(client.answer().status == 504);
    // Its own deadline is no fault of a replica.
    CHECK(world.stats(0).tally().consecutive_errors == (each.leaf_ms == 1999 ? 1 : 0));
  }
}

TEST_CASE("a deadline that has passed is answered without a call") {
  GatherWorld world(1);
  world.start();
  for (const HeaderList& headers :
       {HeaderList{{"grpc-timeout", "0m"}}, HeaderList{{"x-envoy-expected-rq-timeout-ms", "0"}}}) {
    const Answer answer = world.get("/x", headers).answer();
    CHECK(answer.status == 504);
    CHECK(answer.has("urn:consort:gather:deadline-expired"));
  }
  CHECK(world.leaf(0).calls() == 0);
  CHECK(world.root().state().metrics.expired_deadlines.value() == 2);
}

TEST_CASE("a wait that was honoured is told") {
  GatherWorld world(1);
  world.start();
  world.leaf(0).always("1");
  CHECK(world.get("/x", {{"Prefer", "wait=1, handling=lenient"}})
            .answer()
            .header("preference-applied") == "handling=lenient, wait=1");
  // The route's is shorter.
  CHECK(world.get("/x", {{"Prefer", "wait=10"}}).answer().header("preference-applied") == "none");
  // Another deadline was.
  CHECK(world.get("/x", {{"Prefer", "wait=1"}, {"grpc-timeout", "100m"}})
            .answer()
            .header("preference-applied") == "none");
}

TEST_CASE("the leaves' own timeout is theirs alone, and it is their fault") {
  GatherWorld world(1);
  world.route.timeout = Millis(1000);
  world.route.leaf_timeout = Millis(300);
  world.start();
  TestClient& client = world.get("/x", {{"grpc-timeout", "800m"}});
  CHECK(world.leaf(0).call(0).header("grpc-timeout") == grpc(300));
  CHECK(time_to_answer(world, client, 10'000) == 300);
  CHECK(client.answer().status == 504);
  CHECK(world.stats(0).tally().consecutive_gateway == 1);
  TestClient& sooner = world.get("/x", {{"grpc-timeout", "200m"}});
  CHECK(time_to_answer(world, sooner, 10'000) == 199);
  CHECK(world.stats(0).tally().consecutive_gateway == 1);
}

TEST_CASE("what is left shrinks with each attempt, and none begins after the deadline") {
  GatherWorld world(1, 3);
  world.route.timeout = Millis(501);
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(200);
  world.leaf(0, 0).answer(0, status(503));
  REQUIRE(world.leaf(0, 1).calls() == 1);
  CHECK(world.leaf(0, 1).call(0).header("grpc-timeout") == grpc(300));
  world.run_for(299);
  world.leaf(0, 1).send(0, status(503).text());
  REQUIRE(world.leaf(0, 2).calls() == 1);
  CHECK(world.leaf(0, 2).call(0).header("grpc-timeout") == grpc(1));
  world.run_for(1);
  CHECK(client.answer().status == 504);
}

TEST_CASE("the last leaves are waited for by the formula") {
  struct Case {
    std::uint32_t width;
    double min_coverage;
    WaitFactor factor;
    std::uint32_t good;    ///< answered, all at the start
    std::uint32_t failed;  ///< likewise
    std::uint64_t wait_ms;
  };
  // 1000 ms are left. missed = pending - 1; over (100 - min) * width / 100 - 1.
  const Case cases[] = {
      {10, 80, {0, 1}, 8, 0, 1000},     // 1/1 of it
      {10, 80, {0, 1}, 9, 0, 0},        // one missing: least
      {10, 80, {0.1, 0.5}, 9, 0, 100},  //
      {10, 80, {0.1, 0.5}, 8, 0, 500},  //
      {10, 70, {0, 1}, 8, 0, 500},      // 1/2
      {10, 70, {0.2, 0.6}, 8, 0, 400},  // 0.2 + 0.4 * 1/2
      {10, 50, {0, 1}, 6, 0, 750},      // 3/4
      {10, 50, {0, 1}, 5, 0, 1000},     //
      {10, 50, {0, 1}, 5, 2, 500},      // failed leaves are not waited for: 2/4
      {10, 50, {0, 1}, 5, 4, 0},        //
      {10, 90, {0, 1}, 9, 0, 0},        // miss width 0
      {10, 90, {0.3, 1}, 9, 0, 300},    //
      {10, 90, {0, 1}, 8, 0, 1000},     // too few: all of the time
      {10, 100, {0, 0}, 9, 0, 1000},    // nothing may be missing
      {3, 34, {0, 1}, 2, 0, 0},         //
      {4, 0, {0, 1}, 1, 0, 667},        // 2/3
  };
  for (const Case& each : cases) {
    CAPTURE(each.width);
    CAPTURE(each.min_coverage);
    CAPTURE(each.good);
    CAPTURE(each.failed);
    GatherWorld world(each.width);
    world.route.timeout = Millis(1001);
    world.route.min_coverage = each.min_coverage;
    world.route.wait_factor = each.factor;
    world.start();
    TestClient& client = world.connect();
    // In one turn, so that the wait is decided upon once all of them are in.
    std::uint32_t i = 0;
    for (; i < each.failed; ++i) world.leaf(i).always(status(500));
    for (; i < each.failed + each.good; ++i) world.leaf(i).always("1");
    const std::uint64_t start_ms = world.now_ms();
    client.ask("GET", "/x");
    world.world.loop.run_until([&] { return !client.peer().received().empty(); }, 10'000);
    const std::uint64_t took_ms = world.now_ms() - start_ms;
    CHECK(took_ms >= each.wait_ms - (each.wait_ms > 0 ? 1 : 0));
    CHECK(took_ms <= each.wait_ms);
    const bool suffices =
        each.min_coverage < 100 && each.good * 100 >= each.min_coverage * each.width;
    const Answer answer = client.answer();
    CHECK(answer.status == (suffices ? 200 : 504));
    if (suffices && each.failed + each.good < each.width) {
      // Who had less than all of the time is not blamed.
      const std::uint32_t blamed = each.wait_ms == 1000 ? 1 : 0;
      CHECK(world.stats(each.width - 1).tally().consecutive_errors == blamed);
      CHECK(answer.header("cache-control") == "no-store");
    }
  }
}

TEST_CASE("each further answer makes the wait shorter, never longer") {
  GatherWorld world(10);
  world.route.timeout = Millis(1001);
  world.route.min_coverage = 60;
  world.route.wait_factor = {0, 1};
  world.start();
  TestClient& client = world.get("/x");
  for (std::size_t i = 0; i < 6; ++i) world.leaf(i).answer(0, "1");
  // Four pending: 3/3 of 1000 ms. Then three: 2/3 of it, counted from their moment.
  world.run_for(100);
  world.leaf(6).answer(0, "1");
  world.run_for(665);
  CHECK(client.is_waiting());
  world.leaf(7).answer(0, "1");
  world.run_for(2);
  CHECK_FALSE(client.is_waiting());
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.header("consort-coverage").find("ok=8, failed=0, timeout=2") != std::string::npos);
  CHECK(answer.header("proxy-status").find("coverage sufficed") != std::string::npos);
}

TEST_CASE("the last tolerated leaf is not waited for once the others are in") {
  GatherWorld world(10);
  world.route.min_coverage = 80;
  world.route.wait_factor = {0, 1};
  world.start();
  TestClient& client = world.get("/x");
  for (std::size_t i = 0; i < 8; ++i) world.leaf(i).answer(0, "1");
  world.run_for(100);
  CHECK(client.is_waiting());
  world.leaf(8).answer(0, "1");
  world.run_for(1);
  CHECK(client.answer().status == 200);
  CHECK(world.leaf(9).was_cancelled(0));
}

TEST_CASE("a failover that begins after coverage suffices does not prolong the wait") {
  GatherWorld world(2, 2);
  world.route.min_coverage = 50;
  world.route.wait_factor = {0.5, 0.5};
  world.route.timeout = Millis(1001);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0, 0).answer(0, "1");
  world.run_for(300);
  world.leaf(1, 0).answer(0, status(503));
  REQUIRE(world.leaf(1, 1).calls() == 1);
  world.run_for(199);
  CHECK(client.is_waiting());
  world.run_for(1);
  CHECK(client.answer().status == 200);
}

TEST_CASE("a write is ended by its deadline as well") {
  GatherWorld world(2);
  world.route.timeout = Millis(500);
  world.start();
  TestClient& client = world.ask("POST", "/x", {}, "body");
  world.leaf(0).answer(0, status(500));
  CHECK(time_to_answer(world, client, 10'000) == 499);
  CHECK(client.answer().status == 504);
}
