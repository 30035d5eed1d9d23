// sum, min, max, avg, count, and the arithmetic below them.
#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "gather_merge_support.hpp"
#include "roles/gather/merge/columns.hpp"
#include "roles/gather/merge/decimal_sum.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

DecimalSum sum_of(std::initializer_list<std::string_view> numbers) {
  DecimalSum sum;
  for (std::string_view number : numbers) sum.add(number);
  return sum;
}

std::string text_of(std::initializer_list<std::string_view> numbers) {
  return sum_of(numbers).text();
}

}  // namespace

TEST_CASE("numbers add at equal places") {
  const std::string a = R"({"hits":3,"max":{"a":7},"rows":[1,2],"host":"x"})";
  const std::string b = R"({"hits":4,"max":{"a":9},"rows":[10,20,30],"host":"y"})";
  CHECK(merged("sum", {a, b}) == R"({"hits":7,"max":{"a":16},"rows":[11,22,30],"host":"x"})");
  CHECK(merged("min", {a, b}) == R"({"hits":3,"max":{"a":7},"rows":[1,2,30],"host":"x"})");
  CHECK(merged("max", {a, b}) == R"({"hits":4,"max":{"a":9},"rows":[10,20,30],"host":"x"})");
  CHECK(merged("avg", {a, b}) == R"({"hits":3.5,"max":{"a":8},"rows":[5.5,11,30],"host":"x"})");
  CHECK(merged("count", {a, b}) == R"({"hits":2,"max":{"a":2},"rows":[2,2,1],"host":"x"})");
  CHECK(merged("sum", {"1", " 2\n", "39"}) == "42");
  CHECK(merged("sum", {"[[1],[2]]", "[[3],[4],[]]"}) == "[[4],[6],[]]");
  CHECK(merge_by("sum", 1)->finish().content_type == "application/json");
}

TEST_CASE("with a pointer only the value there is merged") {
  CHECK(merged("sum:/total/hits", {R"({"total":{"hits":1},"x":[]})", R"({"total":{"hits":2}})"}) ==
        "3");
  CHECK(merged("count:n", {R"({"n":5})", R"({"n":6})", R"({"n":null})"}) == "2");
  CHECK(merged("max:/0", {"[7]", "[8,9]"}) == "8");
  auto merge = merge_by("sum:n", 2);
  CHECK(refusal(*merge, {0, R"({"m":1})"}) == "the body has nothing at /n");
  CHECK(refusal(*merge, {0, "{"}) != "");
  CHECK(refusal(*merge, {1, R"({"n":7})"}) == "");
  CHECK(merge->held_bytes() < 100);
  CHECK(merge->finish().body == "7");
}

TEST_CASE("nothing that was fed has a value of its own") {
  CHECK(merged("sum", {}) == "{}");
  CHECK(merged("sum:n", {}) == "0");
  CHECK(merged("count:n", {}) == "0");
  CHECK(merged("min:n", {}) == "null");
  CHECK(merged("avg:n", {}) == "null");
}

TEST_CASE("null is no value, and of values that do not fit together the first says the kind") {
  CHECK(merged("max", {R"({"t":null})", R"({"t":5})", R"({"t":4})"}) == R"({"t":5})");
  CHECK(merged("avg", {R"({"t":null})", R"({"t":5})", R"({"t":4})"}) == R"({"t":4.5})");
  CHECK(merged("sum", {R"({"t":null})", R"({"t":null})"}) == R"({"t":null})");
  CHECK(merged("sum", {"null", "null"}) == "null");
  CHECK(merged("sum", {R"({"t":1})", R"({"t":"2"})", R"({"t":3})"}) == R"({"t":4})");
  CHECK(merged("sum", {R"({"t":"a"})", R"({"t":2})", R"({"t":"b"})"}) == R"({"t":"a"})");
  CHECK(merged("sum", {R"({"t":{"a":1}})", R"({"t":[2]})", R"({"t":{"a":3}})"}) ==
        R"({"t":{"a":4}})");
  CHECK(merged("sum", {R"({"t":true})", R"({"t":false})"}) == R"({"t":true})");
}

TEST_CASE("the least and the greatest keep the text of their shard") {
  CHECK(merged("max", {"1.50", "15e-1", "1"}) == "1.50");
  CHECK(merged("max", {"9007199254740993", "9007199254740992"}) == "9007199254740993");
  CHECK(merged("min", {"-9007199254740992", "-9007199254740993"}) == "-9007199254740993");
  CHECK(merged("max", {"1e400", "1e399"}) == "1e400");
  CHECK(merged("min", {"0", "-0"}) == "0");
}

TEST_CASE("a value that one shard alone gives passes as it is, but is counted") {
  CHECK(merged("sum", {R"({"a": 1.0e0})"}) == R"({"a": 1.0e0})");
  CHECK(merged("avg", {R"({"a":1e2,"b":{"c": [1]}})", R"({"z":1})"}) ==
        R"({"a":1e2,"b":{"c": [1]},"z":1})");
  CHECK(merged("count", {R"({"a":{"b": [7,"x"]}})", R"({})"}) == R"({"a":{"b":[1,"x"]}})");
}

TEST_CASE("sums are exact as long as 38 digits hold them") {
  CHECK(text_of({}) == "0");
  CHECK(text_of({"9007199254740993", "1"}) == "9007199254740994");
  CHECK(text_of({"9223372036854775807", "9223372036854775807"}) == "18446744073709551614");
  CHECK(text_of({"0.1", "0.2"}) == "0.3");
  CHECK(text_of({"1.50", "1.5"}) == "3.00");
  CHECK(text_of({"-1", "1"}) == "0");
  CHECK(text_of({"-0.0"}) == "0.0");
  CHECK(text_of({"-0.05", "0.01"}) == "-0.04");
  CHECK(text_of({"1e3", "1E-3"}) == "1000.001");
  CHECK(text_of({"1.5e+2", "0e999999999999999999999"}) == "150");
  CHECK(text_of({"1e37", "1"}) == "10000000000000000000000000000000000001");
  CHECK(text_of({"170141183460469231731687303715884105726", "1"}) ==
        "170141183460469231731687303715884105727");
  CHECK(text_of({"-170141183460469231731687303715884105727", "-1"}) ==
        "-170141183460469231731687303715884105728");
}

TEST_CASE("beyond that a sum is a double, and beyond doubles null") {
  CHECK(text_of({"170141183460469231731687303715884105727", "1"}) == "1.7014118346046923e+38");
  CHECK(text_of({"1e300", "1e300"}) == "2e+300");
  CHECK(text_of({"1e-60", "1"}) == "1");
  CHECK(text_of({"1e-300", "1e-300"}) == "2e-300");
  CHECK(text_of({"1e300", "-1e300", "5"}) == "5");
  CHECK(text_of({"1e308", "1e308"}) == "null");
  CHECK(text_of({"1e400", "1"}) == "null");
  CHECK(text_of({"-1e99999999999999999999", "1"}) == "null");
  CHECK(text_of({"1e400", "-1e400"}) == "null");
  CHECK(text_of({"1e-400", "1e-99999999999999999999", "7"}) == "7");
  CHECK(text_of({"0.000" + std::string(400, '0') + "1", "7"}) == "7");
  CHECK(text_of({std::string(400, '9'), "7"}) == "null");
}

TEST_CASE("a mean is exact when its digits end") {
  CHECK(sum_of({"1", "2"}).mean(2) == "1.5");
  CHECK(sum_of({"18014398509481987"}).mean(2) == "9007199254740993.5");
  CHECK(sum_of({"0.1", "0.2"}).mean(2) == "0.15");
  CHECK(sum_of({"1", "1", "2"}).mean(3) == "1.3333333333333333");
  CHECK(sum_of({"-7"}).mean(2) == "-3.5");
  CHECK(sum_of({"0"}).mean(3) == "0");
  CHECK(sum_of({"1e300"}).mean(2) == "5e+299");
  CHECK(sum_of({"1e400"}).mean(2) == "null");
}

TEST_CASE("sums do not depend on who came first, even when they are rounded") {
  Random random(11);
  std::vector<Part> parts;
  for (std::uint32_t i = 0; i < 20; ++i) {
    parts.push_back({i, std::to_string(random.below(1'000'000)) + "e" +
                            std::to_string(static_cast<int>(random.below(80)) - 60)});
  }
  const std::string one = merged("sum", parts, 20).body;
  for (int run = 0; run < 100; ++run) {
    REQUIRE(merged("sum", shuffled(parts, random), 20).body == one);
  }
}

TEST_CASE("numbers below very many levels are those of the first shard") {
  const auto nested = [](std::size_t levels, std::string_view inner) {
    return std::string(levels, '[') + std::string(inner) + std::string(levels, ']');
  };
  CHECK(merged("sum", {nested(kMergeDepthMax, "1"), nested(kMergeDepthMax, "2")}) ==
        nested(kMergeDepthMax, "3"));
  CHECK(merged("sum", {nested(500, "1"), nested(500, "2")}) == nested(500, "1"));
}
