#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/records/line_filter.hpp"

using namespace consort;
using namespace consort::logsaver;

namespace {

LineFilter made(const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
  Result<LineFilter> filter = LineFilter::make(include, exclude);
  if (!filter) FAIL(filter.error().message());
  return std::move(*filter);
}

}  // namespace

TEST_CASE("without patterns everything is kept") {
  LineFilter filter = made({}, {});
  CHECK(filter.empty());
  CHECK(filter.keeps("anything"));
  CHECK(filter.keeps({}));
}

TEST_CASE("a line is kept when any include pattern matches and no exclude pattern does") {
  LineFilter filter = made({"ERROR", "WARN"}, {"healthz", "metrics"});
  CHECK(filter.keeps("ERROR disk"));
  CHECK(filter.keeps("WARN disk"));
  CHECK_FALSE(filter.keeps("INFO disk"));
  CHECK_FALSE(filter.keeps("ERROR GET /healthz"));
  CHECK_FALSE(filter.keeps("WARN GET /metrics"));
  CHECK(filter.not_included() == 1);
  CHECK(filter.include()[0].matches == 2);
  CHECK(filter.include()[1].matches == 2);
  CHECK(filter.exclude()[0].matches == 1);
  CHECK(filter.exclude()[1].matches == 1);
}

TEST_CASE("exclude patterns alone drop what they match") {
  LineFilter filter = made({}, {"^$"});
  CHECK(filter.keeps("x"));
  CHECK_FALSE(filter.keeps(""));
}

TEST_CASE("a line that hits a pattern's limit is kept and counted") {
  const std::string hostile = std::string(5000, 'x') + "yz";
  LineFilter including = made({"(x+)+y$"}, {});
  CHECK(including.keeps(hostile));
  CHECK(including.include()[0].limits == 1);
  LineFilter excluding = made({}, {"(x+)+y$"});
  CHECK(excluding.keeps(hostile));
  CHECK(excluding.exclude()[0].limits == 1);
  CHECK_FALSE(excluding.keeps("xy"));
}

TEST_CASE("patterns that cannot be right are refused, and said where") {
  const auto refusal = [](const std::vector<std::string>& include,
                          const std::vector<std::string>& exclude) {
    const Result<LineFilter> filter = LineFilter::make(include, exclude);
    return filter ? "" : filter.error().message();
  };
  CHECK(refusal({"("}, {}).find("include-lines: \"(\" is not a pattern") == 0);
  CHECK(refusal({}, {""}).find("exclude-lines: an empty pattern") == 0);
  CHECK(refusal(std::vector<std::string>(65, "a"), {}).find("more than 64") != std::string::npos);
}
