// Places: how many requests are answered at a time, and how many calls a replica has in flight.
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

}  // namespace

TEST_CASE("more requests than max_inflight wait, first come, first served") {
  GatherWorld world(1);
  world.config.limits.inflight = 2;
  world.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&world.get("/" + std::to_string(i)));
  CHECK(world.leaf(0).calls() == 2);
  CHECK(world.root().inside() == 2);
  CHECK(world.root().state().metrics.queued.value() == 2);
  world.leaf(0).answer(1, "1");
  CHECK(clients[1]->answer().status == 200);
  REQUIRE(world.leaf(0).calls() == 3);
  CHECK(world.leaf(0).call(2).first == "GET /2 HTTP/1.1");
  world.leaf(0).answer(0, "0");
  REQUIRE(world.leaf(0).calls() == 4);
  CHECK(world.leaf(0).call(3).first == "GET /3 HTTP/1.1");
  CHECK(world.root().inside() == 2);
  CHECK(world.root().state().metrics.queued.value() == 0);
  world.leaf(0).answer(3, "3");
  world.leaf(0).answer(2, "2");
  for (const std::size_t i : {0U, 2U, 3U}) {
    CHECK(clients[i]->answer().body == "[" + std::to_string(i) + "]");
  }
  CHECK(world.root().inside() == 0);
}

TEST_CASE("who waits longer than queue_time, or finds the line full, is sent away") {
  GatherWorld world(1);
  world.config.limits.inflight = 1;
  world.config.limits.queue_time = Millis(100);
  world.start();
  TestClient& inside = world.get("/a");
  TestClient& waits = world.get("/b");
  const Answer full = world.get("/c").answer();
  CHECK(full.status == 503);
  CHECK(full.has("urn:consort:gather:overloaded"));
  CHECK(full.header("retry-after") == "1");
  world.run_for(99);
  CHECK(waits.is_waiting());
  world.run_for(1);
  CHECK(waits.answer().status == 503);
  CHECK(world.limit_count(LimitHit::inflight) == 2);
  CHECK(world.root().state().metrics.queued.value() == 0);
  world.leaf(0).answer(0, "1");
  CHECK(inside.answer().status == 200);
  TestClient& later = world.get("/d");
  world.leaf(0).answer(1, "1");
  CHECK(later.answer().status == 200);
  CHECK(world.leaf(0).calls() == 2);
}

TEST_CASE("nobody waits beyond its own deadline, and waiting counts against it") {
  GatherWorld world(1);
  world.config.limits.inflight = 1;
  world.start();
  TestClient& inside = world.get("/a");
  TestClient& hurried = world.get("/b", {{"grpc-timeout", "40m"}});
  world.run_for(40);
  CHECK(hurried.answer().status == 503);
  TestClient& patient = world.get("/c", {{"grpc-timeout", "90m"}});
  world.run_for(60);
  world.leaf(0).answer(0, "1");
  CHECK(inside.answer().status == 200);
  REQUIRE(world.leaf(0).calls() == 2);
  CHECK(world.leaf(0).call(1).header("grpc-timeout") == "27m");
  world.leaf(0).answer(1, "1");
  CHECK(patient.answer().status == 200);
}

TEST_CASE("who leaves while it waits gives up its turn") {
  GatherWorld world(1);
  world.config.limits.inflight = 2;
  world.start();
  TestClient& first = world.get("/1");
  TestClient& second = world.get("/2");
  TestClient& leaves = world.get("/3");
  TestClient& waits = world.get("/4");
  leaves.leave();
  CHECK(world.root().state().metrics.queued.value() == 1);
  world.leaf(0).answer(0, "1");
  CHECK(first.answer().status == 200);
  REQUIRE(world.leaf(0).calls() == 3);
  CHECK(world.leaf(0).call(2).first == "GET /4 HTTP/1.1");
  // One that is inside gives its place back the same way.
  second.leave();
  TestClient& next = world.get("/5");
  REQUIRE(world.leaf(0).calls() == 4);
  world.leaf(0).answer(3, "5");
  world.leaf(0).answer(2, "4");
  CHECK(next.answer().status == 200);
  CHECK(waits.answer().status == 200);
}

TEST_CASE("the line goes on when the one that is called has nothing to ask") {
  GatherWorld world(1);
  world.config.limits.inflight = 4;
  world.start();
  std::vector<TestClient*> inside;
  for (int i = 0; i < 4; ++i) inside.push_back(&world.get("/x"));
  // Refused as soon as they are in: each leaves while it is being called.
  std::vector<TestClient*> refused;
  for (int i = 0; i < 3; ++i) refused.push_back(&world.get("/x?shards=s9"));
  TestClient& last = world.get("/last");
  world.leaf(0).answer(0, "1");
  for (TestClient* each : refused) CHECK(each->answer().status == 400);
  REQUIRE(world.leaf(0).calls() == 5);
  CHECK(world.leaf(0).call(4).first == "GET /last HTTP/1.1");
  for (std::size_t i = 1; i < 5; ++i) world.leaf(0).answer(i, "1");
  CHECK(last.answer().status == 200);
}

TEST_CASE("a higher limit lets those in who wait, a lower one lets the others finish") {
  GatherWorld world(1);
  world.config.limits.inflight = 2;
  world.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&world.get("/x"));
  CHECK(world.leaf(0).calls() == 2);
  Limits limits = world.config.limits;
  limits.inflight = 8;
  world.root().set_limits(limits);
  CHECK(world.leaf(0).calls() == 4);
  CHECK(world.root().inside() == 4);
  limits.inflight = 1;
  world.root().set_limits(limits);
  TestClient& waits = world.get("/x");
  for (std::size_t i = 0; i < 3; ++i) {
    world.leaf(0).answer(i, "1");
    CHECK(world.leaf(0).calls() == 4);
  }
  world.leaf(0).answer(3, "1");
  CHECK(world.leaf(0).calls() == 5);
  world.leaf(0).answer(4, "1");
  CHECK(waits.answer().status == 200);
  for (TestClient* each : clients) CHECK(each->answer().status == 200);
}

TEST_CASE("a call waits for a place at its replica, and the place is handed over") {
  GatherWorld world(1);
  world.config.limits.inflight_per_replica = 2;
  world.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(&world.get("/" + std::to_string(i)));
  CHECK(world.leaf(0).calls() == 2);
  CHECK(world.stats(0).inflight() == 2);
  CHECK(world.backend(0).waiting() == 3);
  world.leaf(0).answer(0, "0");
  REQUIRE(world.leaf(0).calls() == 3);
  CHECK(world.leaf(0).call(2).first == "GET /2 HTTP/1.1");
  CHECK(world.stats(0).inflight() == 2);
  // A failure makes place as well; a client that leaves, too.
  world.leaf(0).answer(1, status(500));
  REQUIRE(world.leaf(0).calls() == 4);
  clients[2]->leave();
  REQUIRE(world.leaf(0).calls() == 5);
  CHECK(world.backend(0).waiting() == 0);
  world.leaf(0).answer(3, "3");
  world.leaf(0).answer(4, "4");
  CHECK(clients[0]->answer().body == "[0]");
  CHECK(clients[1]->answer().status == 502);
  CHECK(clients[3]->answer().body == "[3]");
  CHECK(clients[4]->answer().body == "[4]");
}

TEST_CASE("with a free replica nobody waits, and the shortest line is joined") {
  GatherWorld world(1, 2);
  for (ReplicaSpec& replica : world.topology.shards[0].replicas) replica.priority = 0;
  world.config.limits.inflight_per_replica = 1;
  world.start();
  std::vector<TestClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&world.get("/x"));
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(world.leaf(0, r).calls() == 1);
    CHECK(world.backend(0, r).waiting() == 1);
    world.leaf(0, r).always("1");
    world.leaf(0, r).answer(0, "1");
  }
  for (TestClient* each : clients) CHECK(each->answer().status == 200);
}

TEST_CASE("who leaves the line at a replica is not called") {
  GatherWorld world(2);
  world.config.limits.inflight_per_replica = 1;
  world.start();
  TestClient& first = world.get("/1");
  TestClient& second = world.get("/2");
  TestClient& third = world.get("/3");
  second.leave();
  CHECK(world.backend(0).waiting() == 1);
  for (std::size_t i = 0; i < 2; ++i) world.leaf(i).answer(0, "1");
  CHECK(first.answer().status == 200);
  REQUIRE(world.leaf(0).calls() == 2);
  CHECK(world.leaf(0).call(1).first == "GET /3 HTTP/1.1");
  // A request that has ended badly leaves its lines too: s0 fails, so s1 is of no use.
  TestClient& fourth = world.get("/4");
  world.leaf(0).answer(1, status(500));
  CHECK(third.answer().status == 502);
  CHECK(world.leaf(1).was_cancelled(1));
  REQUIRE(world.leaf(0).calls() == 3);
  REQUIRE(world.leaf(1).calls() == 3);
  for (std::size_t i = 0; i < 2; ++i) world.leaf(i).answer(2, "1");
  CHECK(fourth.answer().status == 200);
}

TEST_CASE("who has had no place by its deadline is told that it was our limit") {
  GatherWorld world(1);
  world.config.limits.inflight_per_replica = 1;
  world.route.timeout = Millis(500);
  world.start();
  TestClient& first = world.get("/1");
  world.run_for(100);
  TestClient& second = world.get("/2", {{"grpc-timeout", "200m"}});
  world.run_for(199);
  const Answer answer = second.answer();
  CHECK(answer.status == 503);
  CHECK(answer.header("retry-after") == "1");
  CHECK(answer.has("urn:consort:gather:replica-limit"));
  CHECK(answer.has("connection_limit_reached"));
  CHECK(world.limit_count(LimitHit::replica) == 1);
  CHECK(world.leaf(0).calls() == 1);
  CHECK(world.backend(0).waiting() == 0);
  CHECK(world.stats(0).tally().consecutive_errors == 0);
  world.leaf(0).answer(0, "1");
  CHECK(first.answer().status == 200);
}

TEST_CASE("at the deadline the place of one's own call is not taken by one's own next") {
  // Both shards live at one replica, which takes one call at a time and answers none.
  GatherWorld world(2);
  world.topology.shards[1].replicas = world.topology.shards[0].replicas;
  world.config.limits.inflight_per_replica = 1;
  world.route.timeout = Millis(500);
  world.start();
  TestClient& client = world.get("/x");
  CHECK(world.leaf(0).calls() == 1);
  CHECK(world.backend(0).waiting() == 1);
  world.run_for(500);
  const Answer answer = client.answer();
  CHECK(answer.status == 504);
  CHECK(answer.has(R"({"shard":"s0","outcome":"timeout")"));
  CHECK(answer.has(R"({"shard":"s1","outcome":"unavailable")"));
  CHECK(world.leaf(0).calls() == 1);
  CHECK(world.metrics().leaf_calls.value() == 1);
  CHECK(world.stats(0).tally().consecutive_gateway == 1);
}

TEST_CASE("shards that share a replica take turns at it") {
  GatherWorld world(3);
  for (ShardSpec& shard : world.topology.shards) {
    shard.replicas = world.topology.shards[0].replicas;
  }
  world.config.limits.inflight_per_replica = 1;
  world.start();
  TestClient& client = world.get("/x");
  for (std::size_t i = 0; i < 3; ++i) {
    REQUIRE(world.leaf(0).calls() == i + 1);
    CHECK(world.leaf(0).call(i).header("consort-shard") == "s" + std::to_string(i));
    world.leaf(0).answer(i, std::to_string(i));
  }
  CHECK(client.answer().body == "[0,1,2]");
  CHECK(world.leaf(0).server.connections() == 1);
}

TEST_CASE("a failover waits for a place as a first call does") {
  GatherWorld world(1, 2);
  world.config.limits.inflight_per_replica = 1;
  world.start();
  TestClient& first = world.get("/1");
  TestClient& second = world.get("/2");
  REQUIRE(world.leaf(0, 1).calls() == 1);
  world.leaf(0, 0).answer(0, status(503));
  CHECK(world.backend(0, 1).waiting() == 1);
  world.leaf(0, 1).answer(0, "2");
  CHECK(second.answer().body == "[2]");
  REQUIRE(world.leaf(0, 1).calls() == 2);
  CHECK(world.leaf(0, 1).call(1).header("consort-attempt") == "2");
  world.leaf(0, 1).answer(1, "1");
  CHECK(first.answer().body == "[1]");
}
