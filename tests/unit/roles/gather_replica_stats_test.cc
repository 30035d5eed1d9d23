#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

#include "roles/gather/replica_stats.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

void succeed(ReplicaStats& replica, std::uint64_t now_ms, std::uint64_t us,
             LeafReport report = {}) {
  replica.on_start(now_ms);
  replica.on_success(now_ms, us, report);
}

void warm_up(ReplicaStats& replica, std::uint64_t us, std::uint64_t now_ms = 0) {
  for (std::uint32_t i = 0; i < ReplicaStats::kWarmSamples; ++i) succeed(replica, now_ms, us);
}

}  // namespace

TEST_CASE("a call in flight is counted until it ends, whichever way") {
  ReplicaStats replica;
  for (int i = 0; i < 3; ++i) replica.on_start(0);
  CHECK(replica.inflight() == 3);
  replica.on_success(1, 900);
  replica.on_failure(1, 900, ReplicaFailure::gateway);
  CHECK(replica.inflight() == 1);
  replica.on_superseded(1, 900);
  CHECK(replica.inflight() == 0);
}

TEST_CASE("a replica is new until it has answered twenty times") {
  ReplicaStats replica;
  CHECK(replica.cost_us(0) == 0);
  CHECK_FALSE(replica.is_fresh(0));
  for (int i = 0; i < 100; ++i) {
    replica.on_start(0);
    replica.on_failure(0, 10, ReplicaFailure::server_error);
  }
  for (int i = 0; i < 19; ++i) succeed(replica, 0, 1'000);
  CHECK_FALSE(replica.is_warm());
  succeed(replica, 0, 1'000);
  CHECK(replica.is_warm());
  CHECK(replica.cost_us(0) == doctest::Approx(1'000));
}

TEST_CASE("a slow answer raises the peak at once, and the mean by a little") {
  ReplicaStats replica;
  warm_up(replica, 1'000);
  succeed(replica, 0, 100'000);
  CHECK(replica.peak_ewma_us(0) == doctest::Approx(100'000));
  CHECK(replica.mean_us(0) > 1'000);
  CHECK(replica.mean_us(0) < 5'000);
  CHECK(replica.cost_us(0) > replica.mean_us(0) * 1.3);
  CHECK(replica.cost_us(0) < replica.mean_us(0) * 1.5);
}

TEST_CASE("without samples the cost fades to a third in ten seconds") {
  ReplicaStats replica;
  warm_up(replica, 9'000);
  CHECK(replica.is_well_known(9'999));
  CHECK_FALSE(replica.is_well_known(10'000));
  CHECK(replica.cost_us(10'000) == doctest::Approx(3'311).epsilon(0.01));
  CHECK(replica.cost_us(60'000) < 30);
}

TEST_CASE("a lower bound raises what is believed and never lowers it") {
  ReplicaStats replica;
  warm_up(replica, 10'000);
  replica.on_start(0);
  replica.on_superseded(0, 200);
  CHECK(replica.cost_us(0) == doctest::Approx(10'000));
  CHECK(replica.recent_samples(0) == 20);

  replica.on_start(0);
  replica.on_superseded(0, 40'000);
  CHECK(replica.peak_ewma_us(0) == doctest::Approx(40'000));
  CHECK(replica.recent_samples(0) == 21);

  // Once it has faded, an attempt that lost after 20 ms still keeps it above 20 ms.
  const double before = replica.cost_us(30'000);
  CHECK(before < 20'000);
  replica.on_start(30'000);
  replica.on_superseded(30'000, 20'000);
  CHECK(replica.cost_us(30'000) >= before);
  CHECK(replica.peak_ewma_us(30'000) == doctest::Approx(20'000));
}

TEST_CASE("a timeout is slow, a refused connection is not fast") {
  ReplicaStats replica;
  warm_up(replica, 1'000);
  replica.on_start(0);
  replica.on_failure(0, 50, ReplicaFailure::gateway);
  CHECK(replica.cost_us(0) == doctest::Approx(1'000));
  CHECK(replica.percentile_us(0, 0).value() >= 1'000);
  replica.on_start(0);
  replica.on_failure(0, 500'000, ReplicaFailure::timeout);
  CHECK(replica.peak_ewma_us(0) == doctest::Approx(500'000));
  CHECK(replica.percentile_us(1, 0).value() >= 500'000);
}

TEST_CASE("the share of failures follows the calls and fades with time") {
  ReplicaStats replica;
  warm_up(replica, 1'000);
  CHECK(replica.failure_share(0) == 0);
  for (int i = 0; i < 64; ++i) {
    replica.on_start(0);
    replica.on_failure(0, 50, ReplicaFailure::server_error);
  }
  CHECK(replica.failure_share(0) > 0.95);
  CHECK(replica.failure_share(10'000) == doctest::Approx(0.36).epsilon(0.05));
  for (int i = 0; i < 200; ++i) succeed(replica, 0, 1'000);
  CHECK(replica.failure_share(0) == 0);
}

TEST_CASE("gateway failures in a row are broken by any other outcome, errors only by a success") {
  ReplicaStats replica;
  auto fail_with = [&](ReplicaFailure failure) {
    replica.on_start(0);
    replica.on_failure(0, 50, failure);
  };
  fail_with(ReplicaFailure::gateway);
  fail_with(ReplicaFailure::timeout);
  CHECK(replica.tally().consecutive_gateway == 2);
  fail_with(ReplicaFailure::server_error);
  CHECK(replica.tally().consecutive_gateway == 0);
  CHECK(replica.tally().consecutive_errors == 3);
  replica.on_start(0);
  replica.on_superseded(0, 50);
  CHECK(replica.tally().consecutive_errors == 3);
  succeed(replica, 0, 1'000);
  CHECK(replica.tally().consecutive_errors == 0);
  CHECK(replica.tally().interval_calls == 4);
  CHECK(replica.tally().interval_failures == 3);
}

TEST_CASE("the usual number in flight follows the load both ways") {
  ReplicaStats replica;
  CHECK(replica.median_inflight() == 1);
  for (int i = 0; i < 8; ++i) replica.on_start(0);
  for (int i = 0; i < 100; ++i) succeed(replica, 0, 1'000);
  CHECK(replica.median_inflight() == 9);
  for (int i = 0; i < 8; ++i) replica.on_success(0, 1'000);
  for (int i = 0; i < 100; ++i) succeed(replica, 0, 1'000);
  CHECK(replica.median_inflight() == 1);
}

TEST_CASE("C3 ranks by the queue cubed, and by what the leaf says of itself") {
  ReplicaStats replica;
  CHECK_FALSE(replica.has_report(0));
  succeed(replica, 0, 5'000, {.service_ms = 2, .queue = std::nullopt});
  CHECK(replica.has_report(0));
  // 5 - 2 + (1 + 0 + 0)^3 * 2
  CHECK(replica.c3_rank() == doctest::Approx(5));
  replica.on_start(0);
  CHECK(replica.c3_rank() == doctest::Approx(3 + 8 * 2));
  replica.on_success(0, 5'000, {.service_ms = 2, .queue = 10});
  // The queue moves by 0.3 of the way: 1 + 3.
  CHECK(replica.c3_rank() == doctest::Approx(3 + 64 * 2));
  CHECK_FALSE(replica.has_report(10'000));
}

TEST_CASE("nonsense in a leaf's report does no harm") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  ReplicaStats replica;
  succeed(replica, 0, 5'000, {.service_ms = kNan, .queue = 1});
  succeed(replica, 0, 5'000, {.service_ms = kInfinity, .queue = 1});
  CHECK_FALSE(replica.has_report(0));
  succeed(replica, 0, 5'000, {.service_ms = -7, .queue = kNan});
  CHECK(replica.c3_rank() == doctest::Approx(5));
  succeed(replica, 0, 5'000, {.service_ms = 1e300, .queue = -kInfinity});
  CHECK(replica.c3_rank() > 0);
  CHECK(replica.c3_rank() <= 5.001);
  succeed(replica, 0, 0, {.service_ms = 3, .queue = 1e300});
  CHECK(replica.c3_rank() < kInfinity);
}

TEST_CASE("an ejected replica asks for a probe every five seconds, when nothing is in flight") {
  ReplicaStats replica;
  warm_up(replica, 1'000);
  replica.on_start(0);
  replica.eject(0, 30'000, EjectReason::consecutive_errors);
  CHECK(replica.is_ejected(29'999));
  CHECK_FALSE(replica.is_ejected(30'000));
  CHECK_FALSE(replica.is_probe_due(4'999));
  CHECK_FALSE(replica.is_probe_due(5'000));
  // What was in flight before proves nothing.
  replica.on_success(5'000, 1'000);
  CHECK(replica.is_ejected(5'000));
  CHECK(replica.is_probe_due(5'000));
  replica.on_probe(5'000);
  replica.on_start(5'000);
  replica.on_failure(5'001, 900, ReplicaFailure::gateway);
  CHECK(replica.is_ejected(5'001));
  CHECK_FALSE(replica.is_probe_due(9'999));
  CHECK(replica.is_probe_due(10'000));
  replica.on_probe(10'000);
  replica.on_start(10'000);
  replica.on_success(10'001, 1'000);
  CHECK_FALSE(replica.is_ejected(10'001));
  CHECK_FALSE(replica.is_warm());
}

TEST_CASE("a probe that is still too slow does not end an ejection") {
  ReplicaStats replica;
  replica.eject(0, 30'000, EjectReason::latency, 50'000);
  replica.on_probe(5'000);
  replica.on_start(5'000);
  replica.on_success(5'060, 50'001);
  CHECK(replica.is_ejected(5'060));
  replica.on_probe(10'000);
  replica.on_start(10'000);
  replica.on_success(10'050, 50'000);
  CHECK_FALSE(replica.is_ejected(10'050));
}

TEST_CASE("weight zero drains, and so does the operator") {
  ReplicaStats replica({.weight = 0, .tier = 0});
  CHECK(replica.is_drained());
  replica.set_place({.weight = 3, .tier = 1});
  CHECK_FALSE(replica.is_drained());
  replica.set_drained(true);
  CHECK(replica.is_drained());
}
