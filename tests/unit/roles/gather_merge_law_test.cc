// The law of all built-in merges: which parts were fed makes the answer, not when they came.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gather_merge_support.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

constexpr std::string_view kMerges[] = {"concat:, ",
                                        "array",
                                        "object",
                                        "ndjson",
                                        "deep",
                                        "json-merge-patch",
                                        "sum",
                                        "min",
                                        "max",
                                        "avg",
                                        "count",
                                        "sum:/score",
                                        "top-k:score:3:items=/hits",
                                        "top-k:score:4:asc:items=/hits:dedup=/id",
                                        "sorted:score:items=/hits",
                                        "sorted:score:desc:items=/hits",
                                        "union:id:items=/hits",
                                        "quorum:/score"};

/// A list of hits whose scores and ids meet those of other shards.
std::string random_body(Random& random) {
  std::string body = "{\"score\":" + std::to_string(random.below(2)) + ", \"hits\":[";
  for (std::uint64_t i = 0, n = random.below(6); i < n; ++i) {
    if (i > 0) body += ',';
    body += "{\"id\":" + std::to_string(random.below(12)) +
            ",\"score\":" + std::to_string(random.below(5)) + "." +
            std::to_string(random.below(3)) + ",\"n\":" + std::to_string(random.next() % 1000) +
            "}";
  }
  return body + "]}\n";
}

bool is_json_merge(std::string_view name) {
  return !name.starts_with("concat") && !name.starts_with("ndjson");
}

}  // namespace

TEST_CASE("the answer does not depend on the order of arrival") {
  Random random(3);
  for (int run = 0; run < 60; ++run) {
    const auto width = static_cast<std::uint32_t>(1 + random.below(7));
    std::vector<Part> parts;
    for (std::uint32_t i = 0; i < width; ++i) {
      if (random.below(6) == 0) continue;  // failed
      parts.push_back({i, random.below(8) == 0 ? "{broken" : random_body(random)});
    }
    for (std::string_view name : kMerges) {
      CAPTURE(name);
      CAPTURE(run);
      const MergedBody one = merged(name, parts, width);
      for (int again = 0; again < 6; ++again) {
        const MergedBody other = merged(name, shuffled(parts, random), width);
        REQUIRE(other.body == one.body);
        REQUIRE(other.content_type == one.content_type);
      }
      if (is_json_merge(name) && !one.body.empty()) {
        REQUIRE(nlohmann::json::accept(one.body));
      }
    }
  }
}

TEST_CASE("a part that is refused leaves no trace") {
  Random random(4);
  for (std::string_view name : kMerges) {
    if (name.starts_with("concat")) continue;  // refuses nothing
    CAPTURE(name);
    std::vector<Part> good = {{0, random_body(random)}, {3, random_body(random)}};
    std::vector<Part> mixed = {{1, "{\"score\":1,\"hits\":[{\"id\":1},"},
                               good[0],
                               {2, "\xff"},
                               {4, ""},
                               good[1],
                               {5, "[1] x"}};
    CHECK(merged(name, mixed, 6).body == merged(name, good, 6).body);
  }
}

TEST_CASE("bytes that are no JSON do no harm to merges that trust their leaves") {
  constexpr std::string_view kGarbage[] = {
      "{\"a\" 1}",        "{1:2,\"a\"}", "[1 2]",      "{]",         "[}",  "[,,]",
      "{\"a\":{\"a\"]}",  "x",           "\"\\",       "-",          "[-]", "{\"\":}",
      "{\"score\":}",     "[[]]]",       "{\"a\":1,}", "{,\"a\":[}", "1e",  "[1e]",
      "{\"hits\":[x,{,]}"};
  for (std::string_view name : kMerges) {
    const std::string trusting = std::string(name) + ":validate=no";
    if (name.starts_with("concat")) continue;
    CAPTURE(name);
    auto merge = merge_by(trusting, static_cast<std::uint32_t>(std::size(kGarbage)));
    std::uint32_t index = 0;
    for (std::string_view text : kGarbage) {
      static_cast<void>(feed(*merge, {index++, std::string(text)}));
    }
    static_cast<void>(merge->finish());
  }
}
