#include <doctest/doctest.h>

#include <cstdint>

#include "roles/gather/outliers.hpp"
#include "unit/roles/gather_replica_sim.hpp"

using namespace consort;
using namespace consort::gather;
using consort::gather::testing::ShardSim;

namespace {

constexpr double kRates[] = {20, 200, 2'000};

/// A fast replica, with one answer in a hundred of 100 ms.
std::function<ShardSim::Answer()> with_slow_answers(Random& random, std::uint64_t us) {
  return [&random, us] { return ShardSim::Answer{random.below(100) == 0 ? 100'000 : us}; };
}

}  // namespace

TEST_CASE(
    "a replica that becomes ten times slower loses its calls in 5 s and has them back in 30") {
  for (double rate : kRates) {
    for (bool reports : {false, true}) {
      CAPTURE(rate);
      CAPTURE(reports);
      ShardSim shard({}, 1);
      shard.reports_service = reports;
      shard.add(2'000);
      shard.add(2'000);
      shard.run(20, rate);
      CHECK(shard.share(1) == doctest::Approx(0.5).epsilon(0.2));

      shard.replicas[1]->answer = [] { return ShardSim::Answer{20'000}; };
      shard.run(5, rate);
      shard.clear_counts();
      shard.run(30, rate);
      CHECK(shard.share(1) < 0.15);

      shard.replicas[1]->answer = [] { return ShardSim::Answer{2'000}; };
      shard.run(30, rate);
      shard.clear_counts();
      shard.run(20, rate);
      CHECK(shard.share(1) > 0.35);
    }
  }
}

TEST_CASE("ten times slower shows through the noise of one slow answer in a hundred") {
  for (double rate : kRates) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(rate);
      CAPTURE(seed);
      ShardSim shard({}, seed);
      shard.add(0).answer = with_slow_answers(shard.random, 1'000);
      shard.add(0).answer = with_slow_answers(shard.random, 10'000);
      shard.run(5, rate);
      shard.clear_counts();
      shard.run(30, rate);
      CHECK(shard.share(1) < 0.15);
    }
  }
}

TEST_CASE("a replica that stalls is left with a few calls") {
  ShardSim shard({}, 8);
  shard.add(2'000);
  shard.add(2'000);
  shard.run(5, 2'000);
  shard.clear_counts();
  shard.replicas[1]->answer = [] { return ShardSim::Answer{3'000'000}; };
  shard.run(2, 2'000);
  CHECK(shard.replicas[1]->calls < 20);
}

TEST_CASE("replicas that are alike share the calls by weight") {
  for (double rate : {50.0, 5'000.0}) {
    CAPTURE(rate);
    ShardSim shard({}, 3);
    for (std::uint32_t weight : {1U, 2U, 1U}) {
      shard.add(0, {.weight = weight, .tier = 0}).answer = with_slow_answers(shard.random, 1'000);
    }
    shard.run(200, rate);
    CHECK(shard.share(1) == doctest::Approx(0.5).epsilon(0.25));
    CHECK(shard.share(0) == doctest::Approx(0.25).epsilon(0.4));
    CHECK(shard.share(2) == doctest::Approx(0.25).epsilon(0.4));
  }
}

TEST_CASE("a new replica is never given more than its probe cap until it is known") {
  for (auto policy : {SelectPolicy::adaptive, SelectPolicy::round_robin, SelectPolicy::random,
                      SelectPolicy::least_inflight}) {
    CAPTURE(static_cast<int>(policy));
    ShardSim shard({.policy = policy, .max_inflight = 64, .probe_inflight = 2}, 4);
    shard.add(5'000);
    shard.add(5'000);
    shard.run(5, 4'000);
    // It hangs for a second before each of its first answers, as a cold cache does.
    ShardSim::Replica& fresh = shard.add(1'000'000);
    shard.run(9, 4'000);
    CHECK(fresh.calls > 0);
    CHECK(fresh.most_inflight <= 2);
    CHECK_FALSE(fresh.stats.is_warm());
    CHECK(shard.refused == 0);
    // It warms up, is known, and gets its share.
    fresh.answer = [] { return ShardSim::Answer{5'000}; };
    shard.run(40, 4'000);
    shard.clear_counts();
    shard.run(10, 4'000);
    CHECK(fresh.stats.is_warm());
    CHECK(shard.share(2) > 0.2);
  }
}

TEST_CASE("a root that starts does not wait for replicas to be known") {
  ShardSim shard({}, 5);
  shard.add(5'000);
  shard.add(5'000);
  shard.run(1, 5'000);
  CHECK(shard.refused == 0);
  CHECK(shard.share(0) == doctest::Approx(0.5).epsilon(0.2));
}

TEST_CASE("a replica that fails fast does not draw the calls to itself") {
  ShardSim shard({}, 6);
  shard.add(5'000);
  ShardSim::Replica& broken = shard.add(5'000);
  shard.run(5, 2'000);
  broken.answer = [] { return ShardSim::Answer{.us = 50, .ok = false}; };
  shard.run(1, 2'000);
  shard.clear_counts();
  shard.run(30, 2'000);
  CHECK(shard.share(1) < 0.15);
}

TEST_CASE("a stalled replica is ejected, probed, and back when it has recovered") {
  ShardSim shard({}, 7);
  OutlierDetector detector;
  shard.add(2'000);
  ShardSim::Replica& stalls = shard.add(2'000);
  std::uint64_t ejections = 0;
  auto run = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      shard.run(1, 500);
      const OutlierDetector::Group groups[] = {shard.group()};
      for (const OutlierEvent& event : detector.tick(shard.future.now_ms(), groups)) {
        CHECK(event.replica == &stalls.stats);
        if (event.kind == OutlierEvent::Kind::ejected) ++ejections;
      }
    }
  };
  run(30);
  CHECK(ejections == 0);
  stalls.answer = [] { return ShardSim::Answer{.us = 300'000, .ok = false}; };
  run(10);
  CHECK(ejections == 1);
  CHECK(stalls.stats.is_ejected(shard.future.now_ms()));
  shard.clear_counts();
  run(15);
  // Only probes, one in five seconds.
  CHECK(stalls.calls <= 4);
  CHECK(stalls.calls >= 2);
  stalls.answer = [] { return ShardSim::Answer{2'000}; };
  run(6);
  CHECK_FALSE(stalls.stats.is_ejected(shard.future.now_ms()));
  run(24);
  shard.clear_counts();
  run(10);
  CHECK(shard.share(1) > 0.35);
}
