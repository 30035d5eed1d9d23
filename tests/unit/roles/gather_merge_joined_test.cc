// concat, array, object, ndjson: answers side by side.
#include <doctest/doctest.h>

#include <string>

#include "gather_merge_support.hpp"
#include "roles/gather/merge/joined.hpp"
#include "roles/gather/merge/parts.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

TEST_CASE("an array holds the bodies as they came, without the white space around them") {
  CHECK(merged("array", {" {\"a\": 1.0e2}\r\n", "[1, 2]", "\"\\u0041\"", "null"}) ==
        "[{\"a\": 1.0e2},[1, 2],\"\\u0041\",null]");
  CHECK(merged("array", {"9007199254740993"}) == "[9007199254740993]");
  CHECK(merged("array", parts_of({"1"}), 1).content_type == "application/json");
}

TEST_CASE("an object holds the bodies by shard") {
  CHECK(merged("object", {"1", " [2] "}) == "{\"s0\":1,\"s1\":[2]}");
  auto merge = merge_by("object", 2);
  REQUIRE(merge->feed({.index = 1, .shard = "a\"b\n", .content_type = "", .body = "1"}));
  CHECK(merge->finish().body == "{\"a\\\"b\\n\":1}");
}

TEST_CASE("nothing that was fed is an empty answer") {
  CHECK(merged("array", {}) == "[]");
  CHECK(merged("object", {}) == "{}");
  CHECK(merged("ndjson", {}) == "");
  CHECK(merged("concat:,", {}) == "");
  CHECK(merge_by("array", 5)->finish().body == "[]");
  CHECK(merge_by("concat", 5)->finish().content_type == "");
}

TEST_CASE("shards that gave nothing leave no gap") {
  const std::vector<Part> parts = {{4, "4"}, {1, "1"}};
  CHECK(merged("array", parts, 6).body == "[1,4]");
  CHECK(merged("object", parts, 6).body == "{\"s1\":1,\"s4\":4}");
  CHECK(merged("ndjson", parts, 6).body == "1\n4\n");
  CHECK(merged("concat:-", parts, 6).body == "1-4");
}

TEST_CASE("a leaf that gives no JSON has failed, and the others go on") {
  for (std::string_view name : {"array", "object", "ndjson"}) {
    CAPTURE(name);
    auto merge = merge_by(name, 4);
    CHECK(feed(*merge, {0, "1"}));
    for (std::string_view bad : {"", "  ", "{", "[1,]", "1 2", "{\"a\":01}", "\"\n\"", "nul"}) {
      CAPTURE(bad);
      CHECK(refusal(*merge, {1, std::string(bad)}) != "");
    }
    CHECK(feed(*merge, {2, "2"}));
    // The next replica may still answer for the one that failed.
    CHECK(feed(*merge, {1, "9"}));
    const std::string all = merge->finish().body;
    CHECK(all.find('9') != std::string::npos);
    CHECK(all.find("nul") == std::string::npos);
  }
}

TEST_CASE("a trusted leaf is only followed by its brackets") {
  CHECK(merged("array:validate=no", {" {\"a\":01} ", "[1,2]"}) == "[{\"a\":01},[1,2]]");
  auto merge = merge_by("array:validate=no", 1);
  CHECK(refusal(*merge, {0, "{\"a\":1"}) != "");
}

TEST_CASE("concat takes any bytes, and the type of the first shard that answered") {
  const std::vector<Part> parts = {{2, std::string("\0\xff", 2), "image/png"},
                                   {1, "", "text/css"},
                                   {0, "a", "text/plain; charset=latin1"}};
  const MergedBody answer = merged("concat:, ", parts, 3);
  CHECK(answer.body == std::string("a, , \0\xff", 7));
  CHECK(answer.content_type == "text/plain; charset=latin1");
  CHECK(merged("concat", {"{", "}"}) == "{}");
}

TEST_CASE("ndjson makes one line of a value, however it was printed") {
  CHECK(merged("ndjson", {"{\n  \"a\": 1,\r\n\t\"b\": [\n    1,\n    2\n  ]\n}\n", "  [ ]  ",
                          "7"}) == "{\"a\": 1,\"b\": [1,2]}\n[ ]\n7\n");
  // Escaped line breaks are two characters each, and stay.
  CHECK(merged("ndjson", {"\"a\\n  b\\r\"", "{\"k\\n\":\n\n\n \"  v  \"}"}) ==
        "\"a\\n  b\\r\"\n{\"k\\n\":\"  v  \"}\n");
  CHECK(merged("ndjson", parts_of({"1"}), 1).content_type == "application/x-ndjson");
  const std::string plain = "{\"a\": \"" + std::string(1000, 'x') + "\"}";
  CHECK(merged("ndjson", {plain}) == plain + "\n");
}

TEST_CASE("lines of JSON stay lines, each of them checked") {
  const std::string type = "Application/X-NDJSON ; charset=utf-8";
  CHECK(merged("ndjson", {{0, "{\"a\":1}\r\n\n  [2]  \n3", type}, {1, "4"}}, 2).body ==
        "{\"a\":1}\n[2]\n3\n4\n");
  CHECK(merged("ndjson", {{0, "", type}, {1, "\n \n", type}, {2, "1\n", type}}, 3).body == "1\n");
  CHECK(merged("ndjson", {{0, "1", type}}, 1).body == "1\n");
  auto merge = merge_by("ndjson", 2);
  CHECK(refusal(*merge, {0, "1\n\n{\"a\":\n1}\n", type}).starts_with("line 3: "));
  CHECK(refusal(*merge, {1, "1\n2\n"}) != "");  // of application/json there is one value
  CHECK(merge->finish().body == "");
}

TEST_CASE("content types are compared without parameters and case") {
  CHECK(is_json_type("application/json"));
  CHECK(is_json_type("Application/JSON;charset=utf-8"));
  CHECK(is_json_type("application/problem+json"));
  CHECK_FALSE(is_json_type("+json"));
  CHECK_FALSE(is_json_type("application/jsonp"));
  CHECK_FALSE(is_json_type(""));
  CHECK(is_ndjson_type("application/jsonl"));
  CHECK_FALSE(is_ndjson_type("application/json"));
}

TEST_CASE("a part has one place, once") {
  for (std::string_view name : {"concat", "array", "object", "ndjson", "deep", "sum", "sum:/a"}) {
    CAPTURE(name);
    auto merge = merge_by(name, 2);
    CHECK(feed(*merge, {1, "{\"a\":1}"}));
    CHECK(refusal(*merge, {1, "{\"a\":2}"}) == "part 1 came twice to a merge");
    CHECK(refusal(*merge, {2, "{\"a\":2}"}) == "part 2 of a merge of 2");
    CHECK(merge->finish().body.find('2') == std::string::npos);
  }
}

TEST_CASE("what a merge holds is counted, and given back with the answer") {
  for (std::string_view name : {"concat", "array", "object", "ndjson", "deep", "sum"}) {
    CAPTURE(name);
    auto merge = merge_by(name, 100);
    const std::string body = "[\"" + std::string(10'000, 'x') + "\"]";
    for (std::uint32_t i = 0; i < 100; ++i) REQUIRE(feed(*merge, {i, body}));
    CHECK(merge->held_bytes() >= 1'000'000);
    CHECK(merge->held_bytes() < 1'100'000);
    CHECK(merge->state() == Merge::State::wants_more);
  }
}
