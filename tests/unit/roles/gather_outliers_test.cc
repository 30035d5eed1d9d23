#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "roles/gather/outliers.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

/// Shards of a few replicas each, and the detector that judges them.
struct Fleet {
  Fleet(std::size_t shards, std::size_t replicas, OutlierOptions options = {})
      : detector(options), members(shards) {
    for (auto& shard : members) {
      for (std::size_t i = 0; i < replicas; ++i) {
        owned.push_back(std::make_unique<ReplicaStats>());
        shard.push_back(owned.back().get());
      }
    }
    tick(0);
  }
  ReplicaStats& at(std::size_t shard, std::size_t replica) { return *members[shard][replica]; }

  /// "ejected latency 30000", "returned latency 0", ..
  std::vector<std::string> tick(std::uint64_t now) {
    now_ms = now;
    const std::vector<OutlierDetector::Group> groups(members.begin(), members.end());
    std::vector<std::string> texts;
    last = nullptr;
    for (const OutlierEvent& event : detector.tick(now_ms, groups)) {
      last = event.replica;
      const bool ejected = event.kind == OutlierEvent::Kind::ejected;
      texts.push_back(std::string(ejected ? "ejected " : "returned ")
                          .append(to_string(event.reason))
                          .append(" ")
                          .append(std::to_string(event.for_ms)));
    }
    return texts;
  }
  void succeed(ReplicaStats& replica, int calls, std::uint64_t us = 1'000) {
    for (int i = 0; i < calls; ++i) {
      replica.on_start(now_ms);
      replica.on_success(now_ms, us);
    }
  }
  void fail(ReplicaStats& replica, int calls,
            ReplicaFailure failure = ReplicaFailure::server_error) {
    for (int i = 0; i < calls; ++i) {
      replica.on_start(now_ms);
      replica.on_failure(now_ms, 300, failure);
    }
  }
  /// Never five failures in a row.
  void mix(ReplicaStats& replica, int successes, int failures) {
    while (successes + failures > 0) {
      if (failures > 0) fail(replica, 1);
      const int some = std::min(successes, std::max(1, successes / std::max(1, failures)));
      succeed(replica, some);
      successes -= some;
      failures = std::max(0, failures - 1);
    }
  }
  void all_succeed(int calls, std::uint64_t us = 1'000) {
    for (auto& replica : owned) succeed(*replica, calls, us);
  }

  OutlierDetector detector;
  std::vector<std::unique_ptr<ReplicaStats>> owned;
  std::vector<std::vector<ReplicaStats*>> members;
  std::uint64_t now_ms = 0;
  ReplicaStats* last = nullptr;
};

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("five failures in a row eject at the next tick") {
  Fleet fleet(1, 2);
  fleet.fail(fleet.at(0, 1), 4);
  CHECK_FALSE(fleet.detector.is_suspect(fleet.at(0, 1), 0));
  CHECK(fleet.tick(100).empty());
  fleet.fail(fleet.at(0, 1), 1);
  CHECK(fleet.detector.is_suspect(fleet.at(0, 1), 100));
  CHECK(fleet.tick(100) == Events{"ejected consecutive_errors 30000"});
  CHECK(fleet.last == &fleet.at(0, 1));
  CHECK(fleet.at(0, 1).ejected_until_ms() == 30'100);
  CHECK(fleet.at(0, 1).eject_reason() == EjectReason::consecutive_errors);
  CHECK_FALSE(fleet.detector.is_suspect(fleet.at(0, 1), 100));
}

TEST_CASE("a success between failures saves") {
  Fleet fleet(1, 2);
  for (int i = 0; i < 10; ++i) {
    fleet.fail(fleet.at(0, 1), 4, ReplicaFailure::gateway);
    fleet.succeed(fleet.at(0, 1), 1);
  }
  CHECK(fleet.tick(100).empty());
}

TEST_CASE("gateway failures can have a lower limit than others") {
  OutlierOptions options;
  options.consecutive_gateway = 2;
  Fleet fleet(1, 2, options);
  fleet.fail(fleet.at(0, 0), 2);
  CHECK(fleet.tick(100).empty());
  fleet.fail(fleet.at(0, 0), 2, ReplicaFailure::timeout);
  CHECK(fleet.tick(200) == Events{"ejected consecutive_gateway 30000"});
}

TEST_CASE("a limit of zero and the switch turn rules off") {
  OutlierOptions options;
  options.consecutive_errors = 0;
  options.consecutive_gateway = 0;
  Fleet without(1, 2, options);
  without.fail(without.at(0, 0), 50, ReplicaFailure::gateway);
  CHECK(without.tick(100).empty());
  options = {};
  options.enabled = false;
  Fleet off(1, 2, options);
  off.fail(off.at(0, 0), 50);
  CHECK_FALSE(off.detector.is_suspect(off.at(0, 0), 0));
  CHECK(off.tick(100).empty());
}

TEST_CASE("the last usable replica of a shard is never ejected") {
  SUBCASE("because it is the only one") {
    Fleet fleet(3, 1);
    for (auto& replica : fleet.owned) fleet.fail(*replica, 50);
    CHECK(fleet.tick(100).empty());
  }
  SUBCASE("because the others are drained or out") {
    Fleet fleet(10, 3);
    fleet.at(4, 0).set_drained(true);
    for (std::size_t i = 1; i < 3; ++i) fleet.fail(fleet.at(4, i), 5);
    CHECK(fleet.tick(100).size() == 1);
    CHECK(fleet.at(4, 1).is_ejected(100));
    CHECK_FALSE(fleet.at(4, 2).is_ejected(100));
    fleet.fail(fleet.at(4, 2), 50);
    CHECK(fleet.tick(200).empty());
  }
  SUBCASE("of any shard that it belongs to") {
    Fleet fleet(10, 2);
    fleet.members.push_back({&fleet.at(0, 0)});
    fleet.fail(fleet.at(0, 0), 50);
    CHECK(fleet.tick(100).empty());
    fleet.members.back().push_back(&fleet.at(1, 0));
    CHECK(fleet.tick(200).size() == 1);
  }
}

TEST_CASE("at most a tenth of all replicas is out, but always one may be") {
  Fleet small(2, 2);
  for (std::size_t shard = 0; shard < 2; ++shard) small.fail(small.at(shard, 0), 5);
  CHECK(small.tick(100).size() == 1);

  Fleet large(30, 2);
  for (std::size_t shard = 0; shard < 30; ++shard) large.fail(large.at(shard, 0), 5);
  CHECK(large.tick(100).size() == 6);
  // Those who wait take the places of those who return.
  CHECK(large.tick(30'100).size() == 12);
}

TEST_CASE("an ejection grows with each in a row, to its limit, and shrinks again") {
  Fleet fleet(1, 2);
  std::uint64_t now = 0;
  for (std::uint64_t times = 1; times <= 12; ++times) {
    CAPTURE(times);
    fleet.fail(fleet.at(0, 0), 5);
    const std::uint64_t expected = std::min<std::uint64_t>(times * 30'000, 300'000);
    REQUIRE(fleet.tick(now) == Events{"ejected consecutive_errors " + std::to_string(expected)});
    now += expected;
    REQUIRE(fleet.tick(now) == Events{"returned consecutive_errors 0"});
  }
  CHECK(fleet.at(0, 0).tally().times_ejected == 12);
  // The interval that ends with its return does not count; each one after that takes one off.
  for (int i = 0; i < 5; ++i) fleet.tick(now += 10'000);
  CHECK(fleet.at(0, 0).tally().times_ejected == 7);
  for (int i = 0; i < 10; ++i) fleet.tick(now += 10'000);
  CHECK(fleet.at(0, 0).tally().times_ejected == 0);
}

TEST_CASE("a probe that succeeds brings a replica back, and a tick tells") {
  Fleet fleet(1, 2);
  fleet.succeed(fleet.at(0, 0), 30);
  fleet.fail(fleet.at(0, 0), 5);
  CHECK(fleet.tick(100).size() == 1);
  CHECK(fleet.tick(5'000).empty());
  CHECK(fleet.at(0, 0).is_probe_due(5'100));
  fleet.at(0, 0).on_probe(5'100);
  fleet.succeed(fleet.at(0, 0), 1);
  CHECK_FALSE(fleet.at(0, 0).is_ejected(5'101));
  CHECK_FALSE(fleet.at(0, 0).is_warm());
  CHECK(fleet.tick(5'200) == Events{"returned consecutive_errors 0"});
  CHECK(fleet.tick(5'300).empty());
}

TEST_CASE("a replica that fails much more than its peers is ejected when the interval ends") {
  Fleet fleet(5, 2);
  for (auto& replica : fleet.owned) fleet.mix(*replica, 99, 1);
  fleet.mix(fleet.at(2, 1), 60, 40);
  CHECK(fleet.tick(9'999).empty());
  CHECK(fleet.tick(10'000) == Events{"ejected success_rate 30000"});
  CHECK(fleet.last == &fleet.at(2, 1));
  // The counts begin anew.
  CHECK(fleet.tick(20'000).empty());
}

TEST_CASE("the success rate needs five replicas with a hundred calls each, and a difference") {
  Fleet few(2, 2);
  for (auto& replica : few.owned) few.mix(*replica, 100, 0);
  few.mix(few.at(0, 0), 60, 40);
  CHECK(few.tick(10'000).empty());

  Fleet idle(5, 2);
  for (auto& replica : idle.owned) idle.mix(*replica, 99, 0);
  idle.mix(idle.at(0, 0), 0, 4);
  CHECK(idle.tick(10'000).empty());

  Fleet alike(5, 2);
  for (auto& replica : alike.owned) alike.mix(*replica, 70, 30);
  CHECK(alike.tick(10'000).empty());
}

TEST_CASE("85 % of failures eject, whatever the spread") {
  OutlierOptions options;
  options.consecutive_errors = 0;
  options.consecutive_gateway = 0;
  options.success_rate_calls = 1'000;
  Fleet fleet(5, 2, options);
  for (auto& replica : fleet.owned) fleet.succeed(*replica, 50);
  fleet.fail(fleet.at(3, 0), 283);
  CHECK(fleet.tick(10'000).empty());

  for (auto& replica : fleet.owned) fleet.succeed(*replica, 50);
  fleet.fail(fleet.at(3, 0), 284);
  CHECK(fleet.tick(20'000) == Events{"ejected failure_percent 30000"});
}

TEST_CASE("a replica that is five times slower than its peers, and slow, is ejected") {
  Fleet fleet(3, 3);
  fleet.all_succeed(20, 20'000);
  fleet.succeed(fleet.at(1, 2), 60, 130'000);
  CHECK(fleet.tick(10'000) == Events{"ejected latency 30000"});
  CHECK(fleet.last == &fleet.at(1, 2));
  // Its probe has to be faster, too.
  fleet.now_ms = 15'000;
  fleet.at(1, 2).on_probe(15'000);
  fleet.succeed(fleet.at(1, 2), 1, 130'000);
  CHECK(fleet.tick(15'000).empty());
  fleet.now_ms = 20'000;
  fleet.at(1, 2).on_probe(20'000);
  fleet.succeed(fleet.at(1, 2), 1, 25'000);
  CHECK(fleet.tick(20'000) == Events{"returned latency 0"});
}

TEST_CASE("a replica that is back is not judged by what it did before") {
  Fleet fleet(1, 2);
  CHECK(fleet.tick(10'000).empty());
  fleet.now_ms = 30'000;
  fleet.all_succeed(20, 20'000);
  fleet.succeed(fleet.at(0, 1), 60, 130'000);
  CHECK(fleet.tick(30'000) == Events{"ejected latency 30000"});
  fleet.now_ms = 35'000;
  fleet.at(0, 1).on_probe(35'000);
  fleet.succeed(fleet.at(0, 1), 1, 25'000);
  CHECK(fleet.tick(35'000) == Events{"returned latency 0"});
  // The slow answers are less than 20 s old.
  fleet.now_ms = 39'000;
  fleet.all_succeed(20, 20'000);
  CHECK(fleet.tick(40'000).empty());
}

TEST_CASE("slowness is relative, and below 50 ms nobody is ejected for it") {
  Fleet fast(1, 2);
  fast.succeed(fast.at(0, 0), 50, 200);
  fast.succeed(fast.at(0, 1), 50, 40'000);
  CHECK(fast.tick(10'000).empty());

  Fleet slow(1, 2);
  slow.succeed(slow.at(0, 0), 50, 400'000);
  slow.succeed(slow.at(0, 1), 50, 1'600'000);
  CHECK(slow.tick(10'000).empty());

  Fleet unknown(1, 2);
  unknown.succeed(unknown.at(0, 0), 9, 200);
  unknown.succeed(unknown.at(0, 1), 50, 1'600'000);
  CHECK(unknown.tick(10'000).empty());
  unknown.succeed(unknown.at(0, 0), 10, 200);
  unknown.succeed(unknown.at(0, 1), 10, 1'600'000);
  CHECK(unknown.tick(20'000) == Events{"ejected latency 30000"});
}

TEST_CASE("some slow answers do not make a replica slow") {
  Fleet fleet(1, 2);
  fleet.all_succeed(60, 1'000);
  fleet.succeed(fleet.at(0, 1), 40, 2'000'000);
  CHECK(fleet.tick(10'000).empty());
}
