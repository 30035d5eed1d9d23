#include "base/random.hpp"

#include <doctest/doctest.h>

#include <array>

namespace consort {
namespace {

TEST_CASE("the same seed gives the published xoshiro256** sequence, on every machine") {
  Random random(1234567);
  CHECK_EQ(random.next(), 3504822795582309479U);
  CHECK_EQ(random.next(), 1819558768956484042U);
  CHECK_EQ(random.next(), 1250851346055027673U);
  CHECK_EQ(random.next(), 16940231675099994102U);
}

TEST_CASE("neighbouring seeds share nothing, and seed 0 works") {
  Random a(0);
  Random b(1);
  int same = 0;
  for (int i = 0; i < 1'000; ++i) same += a.next() == b.next() ? 1 : 0;
  CHECK_EQ(same, 0);
}

TEST_CASE("a random number stays below its bound and reaches every value") {
  Random random(7);
  std::array<int, 10> counts{};
  for (int i = 0; i < 100'000; ++i) {
    std::uint64_t value = random.below(10);
    REQUIRE_LT(value, 10);
    ++counts[value];
  }
  // The standard deviation is 95: six of them are never passed by chance.
  for (int count : counts) {
    CHECK_GT(count, 9'400);
    CHECK_LT(count, 10'600);
  }
  CHECK_EQ(random.below(1), 0);
  CHECK_LT(random.below(UINT64_MAX), UINT64_MAX);
}

TEST_CASE("a unit number lies in [0, 1) and fills it evenly") {
  Random random(8);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    double value = random.unit();
    REQUIRE_GE(value, 0.0);
    REQUIRE_LT(value, 1.0);
    sum += value;
  }
  CHECK_GT(sum, 49'400);
  CHECK_LT(sum, 50'600);
}

}  // namespace
}  // namespace consort
