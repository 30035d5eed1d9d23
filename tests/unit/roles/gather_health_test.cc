// What a root says of its leaves to whoever asks whether it is ready.
#include <doctest/doctest.h>

#include "gather_world.hpp"
#include "roles/gather/health.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

struct HealthWorld : GatherWorld {
  explicit HealthWorld(std::size_t shards = 2, std::size_t replicas = 1)
      : GatherWorld(shards, replicas) {}

  std::string tell() {
    health.tell(root(), now_ms());
    const Check check = board.all().at(0);
    CHECK(check.name == "leaves");
    CHECK(check.gates_readiness);
    return std::string(to_string(check.health)) + ": " + check.text;
  }
  /// So many calls that failed, one after the other.
  void fail(std::size_t shard, std::size_t replica, int times) {
    for (int i = 0; i < times; ++i) {
      stats(shard, replica).on_start(now_ms());
      stats(shard, replica).on_failure(now_ms(), 10, ReplicaFailure::gateway);
    }
  }
  void succeed(std::size_t shard, std::size_t replica) {
    stats(shard, replica).on_start(now_ms());
    stats(shard, replica).on_success(now_ms(), 10);
  }

  CheckBoard board;
  LeafHealth health{board};
};

}  // namespace

TEST_CASE("a root is not ready before it knows its leaves, and says why") {
  GatherWorld world(1);
  world.start();
  Root early(world.services(), world.config, "early");
  CheckBoard board;
  LeafHealth health(board);
  health.tell(early, world.now_ms());
  CHECK(board.all().at(0).health == Health::fail);
  CHECK(board.all().at(0).text == "the leaves are not known yet");
  health.tell_failure("dns://leaf.local: no such name");
  health.tell(early, world.now_ms());
  CHECK(board.all().at(0).text == "dns://leaf.local: no such name");
}

TEST_CASE("while every shard has a usable replica all is well") {
  HealthWorld world(2, 2);
  world.start();
  CHECK(world.tell() == "pass: 2 of 2 shards have a usable replica");
  world.fail(0, 0, 10);
  world.stats(1, 1).set_drained(true);
  CHECK(world.tell() == "pass: 2 of 2 shards have a usable replica");
}

TEST_CASE("a shard that is missing matters as much as the strictest route says") {
  for (const double min_coverage : {100.0, 50.0, 0.0}) {
    HealthWorld world;
    RouteConfig lax = world.route;
    lax.name = "lax";
    lax.min_coverage = 0;
    world.route.min_coverage = min_coverage;
    world.config.routes = {lax, world.route};
    world.start();
    world.stats(1).set_drained(true);
    const std::string text = "1 of 2 shards have a usable replica; none has s1";
    CHECK(world.tell() == (min_coverage > 50 ? "fail: " : "warn: ") + text);
    CHECK(world.root().state().metrics.shards_without_replica.value() == 1);
    world.stats(1).set_drained(false);
    CHECK(world.tell().starts_with("pass"));
    CHECK(world.root().state().metrics.shards_without_replica.value() == 0);
  }
}

TEST_CASE("routes that need only some of the leaves do not make the root unready") {
  HealthWorld world;
  world.route.mode = *Mode::parse("first");
  world.start();
  world.stats(0).set_drained(true);
  CHECK(world.tell().starts_with("warn"));
  // Without any leaf nobody can be answered.
  world.stats(1).set_drained(true);
  CHECK(world.tell() == "fail: 0 of 2 shards have a usable replica; none has s0");
}

TEST_CASE("an ejected replica is none, until it returns") {
  HealthWorld world;
  world.start();
  world.stats(0).eject(world.now_ms(), 30'000, EjectReason::consecutive_errors);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(30'000);
  CHECK(world.tell().starts_with("pass"));
}

TEST_CASE("a replica that fails again and again is none, for a while") {
  HealthWorld world;
  world.start();
  world.fail(0, 0, 4);
  CHECK(world.tell().starts_with("pass"));
  world.fail(0, 0, 1);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(LeafHealth::kDoubtMs - 1);
  CHECK(world.tell().starts_with("fail"));
  // Nobody asks a root that is not ready, so it would never learn that the leaf is back.
  world.run_for(1);
  CHECK(world.tell().starts_with("pass"));
  // It is not: the doubt is over for another while.
  world.fail(0, 0, 1);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(LeafHealth::kDoubtMs);
  CHECK(world.tell().starts_with("pass"));
  world.fail(0, 0, 1);
  world.succeed(0, 0);
  CHECK(world.tell().starts_with("pass"));
}

TEST_CASE("the doubt counts from the last failure, not from the first") {
  HealthWorld world;
  world.start();
  world.fail(0, 0, 5);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(6000);
  world.fail(0, 0, 1);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(6000);
  CHECK(world.tell().starts_with("fail"));
  world.run_for(4000);
  CHECK(world.tell().starts_with("pass"));
}

TEST_CASE("a source that fails is warned of while the last good topology serves") {
  HealthWorld world;
  world.start();
  world.health.tell_failure("/etc/shards.yaml:3:1: no such key");
  CHECK(world.tell() ==
        "warn: 2 of 2 shards have a usable replica; the last good topology stays: "
        "/etc/shards.yaml:3:1: no such key");
  world.health.tell_failure({});
  CHECK(world.tell().starts_with("pass"));
}

TEST_CASE("failures of real calls count, and an answer ends them") {
  HealthWorld world(1);
  world.start();
  int suspects = 0;
  world.root().state().on_suspect = [&suspects] { ++suspects; };
  TestClient& client = world.connect();
  LeafAnswer broken;
  broken.status = 500;
  world.leaf(0).always(broken);
  for (int i = 0; i < 5; ++i) {
    client.ask("GET", "/x");
    CHECK(client.answer().status == 502);
  }
  CHECK(world.tell().starts_with("fail"));
  // The fifth one may be one too many.
  CHECK(suspects == 1);
  world.root().tick();
  // The only replica of a shard is never ejected.
  CHECK_FALSE(world.stats(0).is_ejected(world.now_ms()));
  world.leaf(0).always("1");
  client.ask("GET", "/x");
  CHECK(client.answer().status == 200);
  CHECK(world.tell().starts_with("pass"));
}

TEST_CASE("a tick ejects who fails, tells it once, and brings it back") {
  HealthWorld world(1, 2);
  world.start();
  world.fail(0, 0, 5);
  world.root().tick();
  CHECK(world.stats(0, 0).is_ejected(world.now_ms()));
  CHECK(world.logged("replica.ejected replica=http://10.0.0.1") == 1);
  TestClient& client = world.get("/x");
  CHECK(world.leaf(0, 0).calls() == 0);
  world.leaf(0, 1).answer(0, "1");
  CHECK(client.answer().status == 200);
  world.run_for(30'000);
  world.root().tick();
  CHECK(world.logged("replica.returned replica=http://10.0.0.1") == 1);
  CHECK(world.root().state().metrics.returns.value() == 1);
}

TEST_CASE("a probe brings an ejected replica back early") {
  HealthWorld world(1, 2);
  world.start();
  world.leaf(0, 1).always("1");
  world.fail(0, 0, 5);
  world.root().tick();
  world.run_for(ReplicaStats::kProbeEveryMs);
  TestClient& client = world.get("/x");
  REQUIRE(world.leaf(0, 0).calls() == 1);
  world.leaf(0, 0).answer(0, "0");
  CHECK(client.answer().body == "[0]");
  CHECK_FALSE(world.stats(0, 0).is_ejected(world.now_ms()));
}
