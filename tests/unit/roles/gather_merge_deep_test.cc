// deep and json-merge-patch: documents laid over each other.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gather_merge_support.hpp"
#include "roles/gather/merge/columns.hpp"
#include "roles/gather/merge/deep.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using Json = nlohmann::json;

namespace {

std::string patch(std::vector<std::string> bodies) {
  return merged("json-merge-patch", std::move(bodies));
}

std::string deep(std::vector<std::string> bodies) {
  return merged("deep", std::move(bodies));
}

/// `inner` within so many objects.
std::string nested(std::size_t levels, std::string_view inner) {
  std::string out;
  for (std::size_t i = 0; i < levels; ++i) out += "{\"x\":";
  out += inner;
  return out + std::string(levels, '}');
}

/// A small document; few names, so that they meet.
Json random_json(Random& random, int depth) {
  const std::uint64_t kind = random.below(depth > 0 ? 8 : 4);
  if (kind == 0) return nullptr;
  if (kind < 3) return random.below(100);
  if (kind == 3) return std::string(1, static_cast<char>('a' + random.below(4)));
  Json made = kind == 4 ? Json::array() : Json::object();
  for (std::uint64_t i = random.below(4); i > 0; --i) {
    if (made.is_array()) {
      made.push_back(random_json(random, depth - 1));
    } else {
      made[std::string(1, static_cast<char>('a' + random.below(3)))] =
          random_json(random, depth - 1);
    }
  }
  return made;
}

/// The rule as it is told: one document after the other.
void lay_over(Json& target, const Json& next) {
  if (target.is_object() && next.is_object()) {
    for (const auto& [key, value] : next.items()) {
      if (target.contains(key)) {
        lay_over(target[key], value);
      } else {
        target[key] = value;
      }
    }
  } else if (target.is_array() && next.is_array()) {
    target.insert(target.end(), next.begin(), next.end());
  } else {
    target = next;
  }
}

}  // namespace

TEST_CASE("json-merge-patch gives what RFC 7396 gives in appendix A") {
  const struct {
    std::string original;
    std::string patch;
    std::string result;
  } cases[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.original);
    CAPTURE(each.patch);
    CHECK(patch({each.original, each.patch}) == each.result);
  }
}

TEST_CASE("several patches are applied one after the other") {
  CHECK(patch({R"({"a":1,"b":{"x":1}})", R"({"a":null})", R"({"a":{"n":null,"m":2}})"}) ==
        R"({"a":{"m":2},"b":{"x":1}})");
  CHECK(patch({R"({"a":{"x":1}})", R"({"a":3})", R"({"a":{"y":null}})"}) == R"({"a":{}})");
  CHECK(patch({R"({"a":{"x":1}})", R"({"a":null})", R"({"a":{"y":2}})"}) == R"({"a":{"y":2}})");
  CHECK(patch({R"({"a":1})", R"([null])", R"({"b":[null]})"}) == R"({"b":[null]})");
  CHECK(patch({R"({"a":{"b":null}})"}) == R"({"a":{"b":null}})");
}

TEST_CASE("deep goes into objects, joins arrays, and takes the last of the rest") {
  CHECK(deep({R"({"n":1,"tags":["a"],"x":{"p":1}})", R"({"n":2,"tags":["b"],"x":{"q":null}})"}) ==
        R"({"n":2,"tags":["a","b"],"x":{"p":1,"q":null}})");
  CHECK(deep({"[1, 2]", "[ ]", "[\n3 ]", "[]"}) == "[1, 2,3]");
  CHECK(deep({"[]", "[ ]"}) == "[]");
  CHECK(deep({"1", "\"a\"", "null"}) == "null");
  CHECK(deep({R"({"a":[1]})", R"({"a":2})", R"({"a":[3]})", R"({"a":[4]})"}) == R"({"a":[3,4]})");
  CHECK(deep({R"({"a":1})", "[2]"}) == "[2]");
  CHECK(merged("deep", {{1, "{\"a\":1}"}, {0, "{\"a\":0,\"b\":0}"}}, 3).body == R"({"a":1,"b":0})");
}

TEST_CASE("nothing that was fed is an empty object") {
  CHECK(deep({}) == "{}");
  CHECK(patch({}) == "{}");
  CHECK(merge_by("deep", 3)->finish().content_type == "application/json");
}

TEST_CASE("numbers keep their digits, and strings their escapes") {
  CHECK(deep({R"({"a":9007199254740993,"b":1.10})", R"({"c":1e400,"d":"\u00e9\/"})"}) ==
        R"({"a":9007199254740993,"b":1.10,"c":1e400,"d":"\u00e9\/"})");
  CHECK(patch({R"({"a":-0.0})", R"({"b":123456789012345678901234567890})"}) ==
        R"({"a":-0.0,"b":123456789012345678901234567890})");
}

TEST_CASE("names are equal when they mean the same, and the last of twins counts") {
  CHECK(deep({R"({"a":1,"\u0062":2})", R"({"\u0061":3,"b":4})"}) == R"({"a":3,"\u0062":4})");
  CHECK(deep({R"({"a":[1],"a":[2]})", R"({"a":[3]})"}) == R"({"a":[2,3]})");
  CHECK(patch({R"({"a":1})", R"({"a":null,"a":2})"}) == R"({"a":2})");
  CHECK(patch({R"({"a":1,"a":{"x":1}})", R"({"a":{"y":2}})"}) == R"({"a":{"x":1,"y":2}})");
  CHECK(deep({R"({"":1})", R"({"":2,"\"":3})"}) == R"({"":2,"\"":3})");
}

TEST_CASE("any documents merge as if one after the other had been laid over") {
  Random random(7);
  for (int run = 0; run < 3000; ++run) {
    std::vector<std::string> bodies;
    Json laid;
    Json patched;
    const std::uint64_t width = 1 + random.below(5);
    for (std::uint64_t i = 0; i < width; ++i) {
      const Json document = random_json(random, 4);
      bodies.push_back(document.dump(random.below(2) == 0 ? -1 : 2));
      if (i == 0) {
        laid = patched = document;
      } else {
        lay_over(laid, document);
        patched.merge_patch(document);
      }
    }
    CAPTURE(run);
    REQUIRE(Json::parse(deep(bodies)) == laid);
    REQUIRE(Json::parse(patch(bodies)) == patched);
  }
}

TEST_CASE("very deep documents merge, the lowest levels as a whole") {
  for (std::string_view name : {"deep", "json-merge-patch"}) {
    CAPTURE(name);
    const std::string text(name);
    const auto at = [&](std::size_t levels) {
      return merged(text, {nested(levels, R"({"a":1})"), nested(levels, R"({"b":2})")});
    };
    CHECK(at(kMergeDepthMax - 1) == nested(kMergeDepthMax - 1, R"({"a":1,"b":2})"));
    CHECK(at(kMergeDepthMax) == nested(kMergeDepthMax, R"({"b":2})"));
    CHECK(Json::accept(at(500)));
  }
}

TEST_CASE("many members of many shards merge in the order in which they are first seen") {
  std::vector<std::string> bodies;
  for (int shard = 0; shard < 50; ++shard) {
    std::string body = "{\"all\":" + std::to_string(shard);
    for (int i = 0; i < 40; ++i) {
      body += ",\"k" + std::to_string(shard * 20 + i) + "\":" + std::to_string(shard);
    }
    bodies.push_back(body + "}");
  }
  const auto made = nlohmann::ordered_json::parse(deep(bodies));
  CHECK(made.size() == 1 + 49 * 20 + 40);
  CHECK(made["all"] == 49);
  CHECK(made["k20"] == 1);
  CHECK(made["k1019"] == 49);
  CHECK(std::prev(made.end()).key() == "k1019");
}

TEST_CASE("a name is found among very many, in whatever order they come") {
  constexpr std::size_t kKeys = 120'000;
  std::string up = "{";
  std::string down = "{";
  for (std::size_t i = 0; i < kKeys; ++i) {
    if (i > 0) up += ',';
    if (i > 0) down += ',';
    up += "\"k" + std::to_string(i) + "\":[1]";
    down += "\"k" + std::to_string(kKeys - i) + "\":[2]";
  }
  up += '}';
  down += '}';
  const Columns columns = columns_of(std::vector<std::string_view>{up, down});
  REQUIRE(columns.list.size() == kKeys + 1);
  CHECK(columns.list[0].values.size() == 1);
  std::size_t met = 0;
  for (const Column& column : columns.list) met += column.values.size() == 2 ? 1 : 0;
  CHECK(met == kKeys - 1);
  CHECK(columns.list[kKeys].raw_key == "k" + std::to_string(kKeys));
  CHECK(columns.list[kKeys].first_part == 1);
}
