// The merges of lists that keep an order: top-k, sorted, union.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/merge/json_list.hpp"
#include "roles/gather/merge/sorted.hpp"
#include "roles/gather/merge/top_k.hpp"
#include "roles/gather/merge/union.hpp"
#include "wire/json_scan.hpp"

namespace {

using namespace consort;
using namespace consort::gather;
using Bodies = std::vector<std::string>;
using Make = std::function<std::unique_ptr<Merge>(std::uint32_t width)>;

JsonPointer pointer(std::string_view text) {
  Result<JsonPointer> parsed = JsonPointer::parse(text);
  REQUIRE(parsed);
  return std::move(*parsed);
}

Result<> feed(Merge& merge, std::size_t index, std::string body) {
  PartBody part;
  part.index = static_cast<std::uint32_t>(index);
  part.body = std::move(body);
  return merge.feed(std::move(part));
}

/// The answer when the bodies come in this order of indexes.
std::string merged(const Make& make, const Bodies& bodies, const std::vector<std::size_t>& order) {
  const std::unique_ptr<Merge> merge = make(static_cast<std::uint32_t>(bodies.size()));
  for (const std::size_t index : order) REQUIRE(feed(*merge, index, bodies[index]));
  CHECK(merge->state() == Merge::State::wants_more);
  const MergedBody answer = merge->finish();
  CHECK(answer.content_type == "application/json");
  return answer.body;
}

/// The same forwards and backwards.
std::string merged(const Make& make, const Bodies& bodies) {
  std::vector<std::size_t> order(bodies.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const std::string forwards = merged(make, bodies, order);
  std::reverse(order.begin(), order.end());
  CHECK(merged(make, bodies, order) == forwards);
  return forwards;
}

std::string refusal(const Make& make, const std::string& body) {
  const std::unique_ptr<Merge> merge = make(2);
  REQUIRE(feed(*merge, 0, R"({"hits":[{"s":1}]})"));
  const std::size_t held = merge->held_bytes();
  const Result<> fed = feed(*merge, 1, body);
  REQUIRE_FALSE(fed);
  // As if the part had never come.
  CHECK(merge->held_bytes() == held);
  CHECK(merge->finish().body == R"({"hits":[{"s":1}]})");
  return fed.error().text();
}

Make top_k(const TopKOptions& options) {
  return [options](std::uint32_t width) { return make_top_k(options, width); };
}

Make top_k(std::string_view key, std::uint32_t k, bool descending = true) {
  TopKOptions options;
  options.key = pointer(key);
  options.k = k;
  options.descending = descending;
  return top_k(options);
}

Make sorted(std::string_view key, bool descending = false) {
  SortedOptions options;
  options.key = pointer(key);
  options.descending = descending;
  return [options](std::uint32_t width) { return make_sorted(options, width); };
}

Make union_of(std::string_view key) {
  UnionOptions options;
  options.key = pointer(key);
  return [options](std::uint32_t width) { return make_union(options, width); };
}

/// All of them, with the list at /hits and the key at /s.
std::vector<Make> all_at_hits(bool validate) {
  const JsonPointer items = pointer("/hits");
  const JsonPointer key = pointer("/s");
  return {
      top_k(TopKOptions{items, key, true, 10, {}, validate}),
      [=](std::uint32_t width) {
        return make_sorted(SortedOptions{items, key, false, validate}, width);
      },
      [=](std::uint32_t width) { return make_union(UnionOptions{items, key, validate}, width); }};
}

}  // namespace

TEST_CASE("top-k keeps the best of all lists, with the bytes as they came") {
  const Bodies bodies = {R"([{"s":0.5 , "id":"a"},{"s":0.25}])", R"( [ {"s":0.75},{"s":0.1} ] )",
                         "[]"};
  CHECK(merged(top_k("s", 2), bodies) == R"([{"s":0.75},{"s":0.5 , "id":"a"}])");
  CHECK(merged(top_k("s", 3, false), bodies) == R"([{"s":0.1},{"s":0.25},{"s":0.5 , "id":"a"}])");
  CHECK(merged(top_k("s", 99), bodies) ==
        R"([{"s":0.75},{"s":0.5 , "id":"a"},{"s":0.25},{"s":0.1}])");
  CHECK(merged(top_k("s", 0), bodies) == "[]");
  CHECK(merged(top_k("s", 2), {}) == "[]");
  CHECK(merged(top_k("", 3), {"[3,1]", "[2,10]"}) == "[10,3,2]");
}

TEST_CASE("equal keys are ordered by shard, then by position, and a missing key comes last") {
  const Bodies bodies = {R"([{"s":1,"n":0},{"n":1},{"s":1,"n":2}])",
                         R"([{"s":1.0,"n":3},{"s":null,"n":4},{"s":"x","n":5}])",
                         R"([{"s":2,"n":6},7,{"s":1e0,"n":8}])"};
  const auto numbers = [](const std::string& body) {
    std::string text;
    for (const auto& each : nlohmann::json::parse(body)) {
      text += std::to_string(each.is_object() ? each["n"].get<int>() : each.get<int>()) + " ";
    }
    return text;
  };
  CHECK(numbers(merged(top_k("s", 9), bodies)) == "5 6 0 2 3 8 4 1 7 ");
  CHECK(numbers(merged(top_k("s", 4), bodies)) == "5 6 0 2 ");
  CHECK(numbers(merged(top_k("s", 9, false), bodies)) == "4 0 2 3 8 6 5 1 7 ");
  CHECK(numbers(merged(sorted("s"), bodies)) == "4 0 2 3 8 6 5 1 7 ");
  CHECK(numbers(merged(sorted("s", true), bodies)) == "5 6 0 2 3 8 4 1 7 ");
}

TEST_CASE("keys are compared exactly") {
  CHECK(merged(top_k("", 2), {"[9007199254740992,1e400]", "[9007199254740993,1e401]"}) ==
        "[1e401,1e400]");
  CHECK(merged(sorted(""), {"[9007199254740993]", "[9007199254740992]"}) ==
        "[9007199254740992,9007199254740993]");
}

TEST_CASE("top-k with dedup keeps the best of each name, and fills the k places with others") {
  TopKOptions options;
  options.key = pointer("s");
  options.dedup = pointer("id");
  options.k = 2;
  // The twin that is better comes from the other shard, and the displaced one must come back.
  const Bodies bodies = {R"([{"id":"a","s":1},{"id":"b","s":5},{"id":"a","s":6}])",
                         R"([{"id":"\u0061","s":7},{"id":"c","s":2},{"id":"b","s":5}])"};
  CHECK(merged(top_k(options), bodies) == R"([{"id":"\u0061","s":7},{"id":"b","s":5}])");
  options.k = 9;
  CHECK(merged(top_k(options), bodies) ==
        R"([{"id":"\u0061","s":7},{"id":"b","s":5},{"id":"c","s":2}])");
  CHECK(merged(top_k(options), {R"([{"s":1},{"s":1},{"id":null,"s":1}])", R"([{"id":null}])"}) ==
        R"([{"s":1},{"s":1},{"id":null,"s":1}])");
}

TEST_CASE("the answer has the shape of the bodies") {
  TopKOptions options;
  options.items = pointer("/result/the~1hits");
  options.key = pointer("s");
  const Bodies bodies = {R"({"took":3,"result":{"total":9,"the/hits":[{"s":1}]}})",
                         R"({"result":{"the/hits":[{"s":2}]}})"};
  CHECK(merged(top_k(options), bodies) == R"({"result":{"the/hits":[{"s":2},{"s":1}]}})");
  CHECK(merged(top_k(options), {}) == R"({"result":{"the/hits":[]}})");
  for (const Make& make : all_at_hits(true)) {
    CHECK(merged(make, {R"({"hits":[{"s":1}]})", R"({"hits":[]})"}) == R"({"hits":[{"s":1}]})");
    CHECK(merged(make, {}) == R"({"hits":[]})");
  }
}

TEST_CASE("a leaf that answers no list fails alone") {
  for (const Make& make : all_at_hits(true)) {
    CHECK(refusal(make, "") == "JSON: the text ends too early: a value is missing at byte 0");
    CHECK(refusal(make, R"({"hits":[{"s":2},{"s":3}x]})") ==
          "JSON: neither ',' nor ']' follows an element at byte 24");
    CHECK(refusal(make, R"({"hits":[{"s":"\x"}]})") ==
          "JSON: a string has an unknown escape at byte 15");
    CHECK(refusal(make, R"({"hots":[]})") == "the answer has nothing at /hits");
    CHECK(refusal(make, R"({"hits":{}})") == "/hits is not an array in the answer");
    CHECK(refusal(make, "[1]") == "the answer has nothing at /hits");
  }
  const Make bare = top_k("s", 9);
  CHECK(feed(*bare(1), 0, "{}").error().text() == "the body is not an array in the answer");
}

TEST_CASE("a trusted leaf may write what is no JSON, but its list must be whole") {
  for (const Make& make : all_at_hits(false)) {
    CHECK(merged(make, {"{\"hits\":[{\"s\":1,\"x\":\x80}]}"}) ==
          "{\"hits\":[{\"s\":1,\"x\":\x80}]}");
    CHECK(refusal(make, R"({"hits":[{"s":2},{"s":3} {"s":4}]})") == "the array at /hits is broken");
    CHECK(refusal(make, R"({"hits":[{"s":2})") == "JSON: a value without an end begins at byte 0");
    CHECK(refusal(make, R"({"hits":[1]} 2)") == "JSON: something follows the value at byte 13");
  }
}

TEST_CASE("sorted merges lists whether or not each is in order") {
  CHECK(merged(sorted(""), {"[1,4,9]", "[]", "[2,3,10]"}) == "[1,2,3,4,9,10]");
  CHECK(merged(sorted(""), {"[9,1,4]", "[ 10 , 2 ]"}) == "[1,2,4,9,10]");
  CHECK(merged(sorted("", true), {"[9,4,1]", "[2,10]"}) == "[10,9,4,2,1]");
  CHECK(merged(sorted("k"), {R"([{"k":"b"},{"k":"a"},{"k":"a","n":1}])", R"([{"k":"a","n":2}])"}) ==
        R"([{"k":"a"},{"k":"a","n":1},{"k":"a","n":2},{"k":"b"}])");
}

TEST_CASE("a list that is sorted here keeps the order of its equal elements") {
  std::string body = R"([{"k":2})";
  std::string expected = "[";
  for (int i = 0; i < 200; ++i) {
    const std::string element = "{\"k\":1,\"n\":" + std::to_string(i) + "}";
    body += "," + element;
    expected += element + ",";
  }
  CHECK(merged(sorted("k"), {body + "]"}) == expected + R"({"k":2}])");
}

TEST_CASE("union keeps each key once, in the order of the shards") {
  const Bodies bodies = {R"([{"id":1,"n":"a"},{"id":2},{"x":1}])",
                         R"([{"id":3},{"id":1.0,"n":"b"},{"id":3,"n":"c"},{"x":1}])"};
  CHECK(merged(union_of("id"), bodies) ==
        R"([{"id":1,"n":"a"},{"id":2},{"x":1},{"id":3},{"x":1}])");
  CHECK(
      merged(union_of(""), {R"([{"a":1,"b":[2.0]},"x"])", R"(["\u0078",{ "b":[2],"a":1 },"y"])"}) ==
      R"([{"a":1,"b":[2.0]},"x","y"])");
}

TEST_CASE("top-k holds k elements, however many come") {
  const Make make = top_k("s", 10);
  const std::unique_ptr<Merge> merge = make(1000);
  CHECK(merge->held_bytes() == 0);
  Random random(1);
  std::size_t most = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    std::string body = "[";
    while (body.size() < 65'536) {
      if (body.size() > 1) body += ',';
      body += "{\"s\":" + std::to_string(random.below(1'000'000)) + ",\"text\":\"" +
              std::string(200, 'x') + "\"}";
    }
    REQUIRE(feed(*merge, i, body + "]"));
    most = std::max(most, merge->held_bytes());
  }
  CHECK(most > 10 * 200);
  CHECK(most < 10 * 1000);
  CHECK(nlohmann::json::parse(merge->finish().body).size() == 10);
}

namespace {

/// A list of objects whose keys often collide, are missing or are of other kinds.
Bodies random_bodies(Random& random) {
  static const char* const kKeys[] = {"1",    "1.0",   "2",     "-3e1",
                                      "null", "true",  "\"b\"", "\"\\u0062\"",
                                      "[1]",  "[1.0]", "{}",    "9007199254740993"};
  Bodies bodies;
  const std::uint64_t width = random.below(6) + 1;
  for (std::uint64_t shard = 0; shard < width; ++shard) {
    std::string body = "[";
    const std::uint64_t count = random.below(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      body += body.size() > 1 ? "," : "";
      body += "{\"at\":[" + std::to_string(shard) + "," + std::to_string(i) + "]";
      if (random.below(5) > 0) body += std::string(",\"s\":") + kKeys[random.below(12)];
      if (random.below(5) > 0) body += ",\"id\":" + std::to_string(random.below(6));
      body += "}";
    }
    bodies.push_back(body + "]");
  }
  return bodies;
}

struct Element {
  std::string text;
  std::optional<std::string> key;
  std::optional<std::string> id;
};

/// What top-k must give: all elements, sorted, the later twins left out, cut at k.
std::string expected_top_k(const Bodies& bodies, const TopKOptions& options) {
  std::vector<Element> all;
  for (const std::string& body : bodies) {
    JsonArrayReader reader(body);
    for (std::string_view text; reader.next(text);) {
      Element element{std::string(text), {}, {}};
      if (const auto key = options.key.find(text)) element.key = *key;
      if (const auto id = pointer("id").find(text)) element.id = *id;
      all.push_back(element);
    }
  }
  // Insertion keeps what is equal in its order.
  std::vector<Element> ordered;
  for (const Element& element : all) {
    const auto goes_after = [&options, &element](const Element& other) {
      if (!element.key || !other.key) return element.key.has_value() && !other.key.has_value();
      const int order = compare_json(*other.key, *element.key);
      return options.descending ? order < 0 : order > 0;
    };
    ordered.insert(std::find_if(ordered.begin(), ordered.end(), goes_after), element);
  }
  std::string out = "[";
  std::vector<std::string> seen;
  std::uint32_t taken = 0;
  for (const Element& element : ordered) {
    if (options.dedup && element.id) {
      if (std::find(seen.begin(), seen.end(), *element.id) != seen.end()) continue;
      seen.push_back(*element.id);
    }
    if (taken++ == options.k) break;
    out += (out.size() > 1 ? "," : "") + element.text;
  }
  return out + "]";
}

}  // namespace

TEST_CASE("top-k is what sorting everything gives, in any order of arrival") {
  Random random(2);
  for (int i = 0; i < 3'000; ++i) {
    const Bodies bodies = random_bodies(random);
    TopKOptions options;
    options.key = pointer("s");
    options.k = static_cast<std::uint32_t>(random.below(9));
    options.descending = random.below(2) == 0;
    if (random.below(2) == 0) options.dedup = pointer("id");
    std::vector<std::size_t> order;
    for (std::size_t shard = 0; shard < bodies.size(); ++shard) {
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(random.below(order.size() + 1)),
                   shard);
    }
    REQUIRE(merged(top_k(options), bodies, order) == expected_top_k(bodies, options));
  }
}

TEST_CASE("sorted is top-k of everything, and union its set, in any order of arrival") {
  Random random(3);
  for (int i = 0; i < 2'000; ++i) {
    const Bodies bodies = random_bodies(random);
    std::vector<std::size_t> order;
    for (std::size_t shard = 0; shard < bodies.size(); ++shard) {
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(random.below(order.size() + 1)),
                   shard);
    }
    TopKOptions everything;
    everything.key = pointer("s");
    everything.k = 1000;
    everything.descending = random.below(2) == 0;
    REQUIRE(merged(sorted("s", everything.descending), bodies, order) ==
            expected_top_k(bodies, everything));
    // With no key to order by, what is left is the order of the shards.
    TopKOptions set;
    set.key = pointer("nowhere");
    set.k = 1000;
    set.dedup = pointer("id");
    REQUIRE(merged(union_of("id"), bodies, order) == expected_top_k(bodies, set));
  }
}
