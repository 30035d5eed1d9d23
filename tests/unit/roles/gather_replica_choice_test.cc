#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/replica_choice.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

constexpr auto kHedge = ReplicaChoice::For::hedge;

/// Replicas of one shard, all warm unless a test adds its own, at time 0.
struct Shard {
  explicit Shard(std::vector<std::uint32_t> weights = {1, 1}) {
    for (std::uint32_t weight : weights) warm(add({.weight = weight, .tier = 0}), 1'000);
  }
  ReplicaStats& add(ReplicaStats::Place place = {}) {
    owned.push_back(std::make_unique<ReplicaStats>(place));
    pointers.push_back(owned.back().get());
    return *owned.back();
  }
  static void warm(ReplicaStats& replica, std::uint64_t us, LeafReport report = {}) {
    for (std::uint32_t i = 0; i < ReplicaStats::kWarmSamples; ++i) {
      replica.on_start(0);
      replica.on_success(0, us, report);
    }
  }
  ReplicaStats& at(std::size_t index) { return *owned[index]; }
  void start(std::size_t index, int calls) {
    for (int i = 0; i < calls; ++i) at(index).on_start(0);
  }
  std::optional<std::size_t> pick(std::vector<std::uint32_t> tried = {}, std::uint64_t now_ms = 0,
                                  ReplicaChoice::For purpose = ReplicaChoice::For::call) {
    return choice.pick(pointers, tried, now_ms, random, purpose);
  }
  /// Of 1000 picks, how many each replica gets when every call ends at once.
  std::vector<int> counts() {
    std::vector<int> found(owned.size());
    for (int i = 0; i < 1'000; ++i) ++found.at(pick().value());
    return found;
  }

  std::vector<std::unique_ptr<ReplicaStats>> owned;
  std::vector<ReplicaStats*> pointers;
  ReplicaChoice choice;
  Random random{11};
};

constexpr std::array kPolicies = {SelectPolicy::adaptive, SelectPolicy::round_robin,
                                  SelectPolicy::random, SelectPolicy::least_inflight};

}  // namespace

TEST_CASE("no replica, no pick") {
  Shard shard({});
  CHECK_FALSE(shard.pick());
}

TEST_CASE("what is drained, tried or full is never picked") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard({1, 1, 1, 1});
    shard.choice = ReplicaChoice({.policy = policy, .max_inflight = 3, .probe_inflight = 2});
    shard.at(0).set_drained(true);
    shard.start(1, 3);
    for (int i = 0; i < 50; ++i) CHECK(shard.pick({2}) == 3);
    CHECK_FALSE(shard.pick({2, 3}));
    CHECK_FALSE(shard.pick({2, 3, 1, 0}));
  }
}

TEST_CASE("every policy shares by weight when all are idle and alike") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard({1, 3});
    shard.choice = ReplicaChoice({.policy = policy, .max_inflight = 64, .probe_inflight = 2});
    const std::vector<int> counts = shard.counts();
    CHECK(counts[0] > 200);
    CHECK(counts[0] < 300);
  }
}

TEST_CASE("round robin is exact") {
  Shard shard({1, 2, 1});
  shard.choice = ReplicaChoice({.policy = SelectPolicy::round_robin});
  CHECK(shard.counts() == std::vector<int>{250, 500, 250});
}

TEST_CASE("the fewest calls in flight per weight win") {
  Shard shard({1, 4, 1});
  shard.choice = ReplicaChoice({.policy = SelectPolicy::least_inflight});
  shard.start(0, 1);
  shard.start(1, 3);
  shard.start(2, 2);
  for (int i = 0; i < 20; ++i) CHECK(shard.pick() == 1);
  shard.start(1, 2);
  for (int i = 0; i < 20; ++i) CHECK(shard.pick() == 0);
}

TEST_CASE("adaptive prefers the faster, until it has too much to do") {
  Shard shard({1});
  Shard::warm(shard.add(), 10'000);
  for (int i = 0; i < 100; ++i) CHECK(shard.pick() == 0);
  shard.start(0, 5);
  for (int i = 0; i < 100; ++i) CHECK(shard.pick() == 0);
  shard.start(0, 15);
  for (int i = 0; i < 100; ++i) CHECK(shard.pick() == 1);
}

TEST_CASE("a difference that may be noise does not count") {
  Shard shard({1});
  Shard::warm(shard.add(), 1'200);
  CHECK(shard.counts()[1] == doctest::Approx(500).epsilon(0.15));
}

TEST_CASE("what the leaves tell of themselves outranks what we measured") {
  Shard shard({});
  // Both take 10 ms for us, but the first one only because its answers wait on the way.
  Shard::warm(shard.add(), 10'000, {.service_ms = 1, .queue = 0});
  Shard::warm(shard.add(), 10'000, {.service_ms = 9, .queue = 0});
  shard.start(0, 2);
  shard.start(1, 2);
  for (int i = 0; i < 50; ++i) CHECK(shard.pick() == 0);
}

TEST_CASE("a replica without samples is not the best, and not the worst") {
  Shard shard({1});
  shard.add();
  CHECK(shard.counts()[1] == doctest::Approx(500).epsilon(0.15));
  // With one call in flight it stands behind its idle peer, as any equal would.
  shard.start(1, 1);
  CHECK(shard.counts()[1] == 0);
}

TEST_CASE("an unknown replica has a probe cap, for each policy, while a known one is usable") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard({1});
    shard.choice = ReplicaChoice({.policy = policy, .max_inflight = 64, .probe_inflight = 2});
    shard.add();
    shard.start(0, 60);
    shard.start(1, 2);
    for (int i = 0; i < 50; ++i) CHECK(shard.pick() == 0);
    // Neither a full peer nor a tried one lifts it; a peer that is out does.
    CHECK_FALSE(shard.pick({0}));
    shard.start(0, 4);
    CHECK_FALSE(shard.pick());
    shard.at(0).eject(0, 30'000, EjectReason::consecutive_errors);
    CHECK(shard.pick() == 1);
  }
}

TEST_CASE("the nearer tier is used as long as it has a usable replica") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard({});
    shard.choice = ReplicaChoice({.policy = policy, .max_inflight = 2, .probe_inflight = 2});
    Shard::warm(shard.add({.weight = 9, .tier = 1}), 100);
    Shard::warm(shard.add({.weight = 1, .tier = 0}), 9'000);
    Shard::warm(shard.add({.weight = 9, .tier = 2}), 100);
    for (int i = 0; i < 20; ++i) CHECK(shard.pick() == 1);
    CHECK(shard.pick({1}) == 0);
    shard.start(1, 2);
    CHECK(shard.pick() == 0);
    shard.at(0).set_drained(true);
    CHECK(shard.pick() == 2);
  }
}

TEST_CASE("an ejected replica gets a probe every five seconds and nothing more") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard;
    shard.choice = ReplicaChoice({.policy = policy});
    shard.at(1).eject(0, 30'000, EjectReason::consecutive_errors);
    for (std::uint64_t now = 0; now < 5'000; now += 100) CHECK(shard.pick({}, now) == 0);
    // A probe is a first attempt: its failure can go elsewhere.
    CHECK_FALSE(shard.pick({0}, 5'000, kHedge));
    CHECK(shard.pick({}, 5'000) == 1);
    shard.at(1).on_start(5'000);
    for (std::uint64_t now = 5'000; now < 10'000; now += 100) CHECK(shard.pick({}, now) == 0);
    // One that hangs is not followed by another.
    CHECK(shard.pick({}, 12'000) == 0);
    shard.at(1).on_failure(12'000, 7'000'000, ReplicaFailure::timeout);
    CHECK(shard.pick({}, 12'000) == 1);
  }
}

TEST_CASE("a failover goes to an ejected replica when no other is left, a hedge does not") {
  Shard shard;
  shard.at(1).eject(0, 30'000, EjectReason::consecutive_errors);
  CHECK(shard.pick({0}) == 1);
  CHECK_FALSE(shard.pick({0}, 0, kHedge));
  CHECK_FALSE(shard.pick({0, 1}));
  shard.at(0).eject(0, 30'000, EjectReason::consecutive_errors);
  CHECK(shard.pick().has_value());
}

TEST_CASE("a shard with very many replicas uses all of them") {
  for (SelectPolicy policy : kPolicies) {
    CAPTURE(static_cast<int>(policy));
    Shard shard(std::vector<std::uint32_t>(200, 1));
    shard.choice = ReplicaChoice({.policy = policy});
    std::vector<int> counts(200);
    for (int i = 0; i < 20'000; ++i) ++counts[shard.pick().value()];
    for (int count : counts) CHECK(count > 30);
  }
}
