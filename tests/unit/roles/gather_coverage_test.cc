#include <doctest/doctest.h>

#include <string>

#include "roles/gather/coverage.hpp"

using consort::gather::Coverage;

namespace {

constexpr std::uint64_t kMost = 999'999'999'999'999;

Coverage nine_of_ten() {
  return {.total = 10, .ok = 9, .timeout = 1, .hedged = 1};
}

}  // namespace

TEST_CASE("a coverage is written with every count and its percentage") {
  CHECK(nine_of_ten().to_header() ==
        "total=10, ok=9, failed=0, timeout=1, skipped=0, hedged=1, percent=90.0");
  CHECK(nine_of_ten().to_json() ==
        R"({"total":10,"ok":9,"failed":0,"timeout":1,"skipped":0,"hedged":1,"percent":90.0})");
}

TEST_CASE("the coverage of nothing is complete") {
  CHECK(Coverage{}.percent() == 100.0);
  CHECK(Coverage{}.complete());
  CHECK(Coverage{}.to_header() ==
        "total=0, ok=0, failed=0, timeout=0, skipped=0, hedged=0, percent=100.0");
}

TEST_CASE("skipped shards are not missing") {
  const Coverage first_of_ten{.total = 10, .ok = 1, .skipped = 9};
  CHECK(first_of_ten.complete());
  CHECK(first_of_ten.percent() == 100.0);
  CHECK(Coverage{.total = 5, .ok = 3, .failed = 1, .skipped = 1}.percent() == 75.0);
  CHECK(Coverage{.total = 5, .skipped = 5}.percent() == 100.0);
}

TEST_CASE("a percentage is rounded, but 100.0 is said of complete answers only") {
  CHECK(Coverage{.total = 3, .ok = 2, .failed = 1}.to_header().ends_with("percent=66.667"));
  CHECK(Coverage{.total = 8, .ok = 1, .failed = 7}.to_header().ends_with("percent=12.5"));
  CHECK(Coverage{.total = 1, .failed = 1}.to_header().ends_with("percent=0.0"));
  CHECK(Coverage{.total = 1'000'000, .ok = 999'999, .failed = 1}.to_header().ends_with(
      "percent=99.999"));
  CHECK(Coverage{.total = kMost, .ok = kMost - 1, .failed = 1}.to_json().ends_with(
      "\"percent\":99.999}"));
}

TEST_CASE("a header reads back to what wrote it") {
  for (const Coverage& coverage :
       {Coverage{}, nine_of_ten(), Coverage{.total = kMost, .ok = kMost, .hedged = kMost},
        Coverage{.total = 10, .ok = 1, .failed = 2, .timeout = 3, .skipped = 4, .hedged = 5}}) {
    CHECK(Coverage::parse(coverage.to_header()) == coverage);
  }
}

TEST_CASE("a child's header may be shorter, longer or in another order") {
  CHECK(Coverage::parse("ok=2, total=2") == Coverage{.total = 2, .ok = 2});
  CHECK(Coverage::parse("total=2,ok=2;x,percent=3.0,new=?1") == Coverage{.total = 2, .ok = 2});
  CHECK(Coverage::parse("total=7, total=2, ok=1, failed=1") ==
        Coverage{.total = 2, .ok = 1, .failed = 1});
}

TEST_CASE("what a child leaves unexplained counts as failed") {
  CHECK(Coverage::parse("total=10, ok=9") == Coverage{.total = 10, .ok = 9, .failed = 1});
  CHECK(Coverage::parse("total=10, ok=5, failed=1, timeout=1") ==
        Coverage{.total = 10, .ok = 5, .failed = 4, .timeout = 1});
}

TEST_CASE("a header that cannot be true is none") {
  for (const char* bad :
       {"", "ok=1", "total", "total=x", "total=1.0", "total=-1", "total=\"1\"", "total=1, ok=-1",
        "total=1, ok=2", "total=2, ok=1, failed=1, timeout=1", "total=1, ok=1, hedged=x",
        "total=1000000000000000", "total=1 ok=1", "total=10,"}) {
    CAPTURE(bad);
    CHECK_FALSE(Coverage::parse(bad));
  }
}

TEST_CASE("parents add up their children over three levels") {
  Coverage middle = *Coverage::parse("total=10, ok=9, failed=0, timeout=1, hedged=2");
  middle += *Coverage::parse("total=5, ok=3, failed=1, timeout=0, skipped=1, hedged=0");
  Coverage top = *Coverage::parse(middle.to_header());
  top += Coverage{.total = 1, .ok = 1, .hedged = 1};
  CHECK(top ==
        Coverage{.total = 16, .ok = 13, .failed = 1, .timeout = 1, .skipped = 1, .hedged = 3});
  CHECK(top.to_header() ==
        "total=16, ok=13, failed=1, timeout=1, skipped=1, hedged=3, percent=86.667");
}

TEST_CASE("sums stop at the largest number that a header can say") {
  Coverage sum{.total = kMost, .ok = kMost};
  sum += Coverage{.total = kMost, .ok = kMost, .hedged = 1};
  CHECK(sum == Coverage{.total = kMost, .ok = kMost, .hedged = 1});
  sum += Coverage{.total = ~std::uint64_t{0}, .failed = ~std::uint64_t{0}};
  CHECK(sum.total == kMost);
  CHECK(sum.failed == kMost);
  CHECK(Coverage{.total = ~std::uint64_t{0}}.to_header().starts_with("total=999999999999999,"));
}
