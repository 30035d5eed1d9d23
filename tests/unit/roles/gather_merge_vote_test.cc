// first and quorum: one of the answers is the answer.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "gather_merge_support.hpp"
#include "roles/gather/merge/ballot.hpp"
#include "roles/gather/merge/columns.hpp"
#include "roles/gather/merge/vote.hpp"
#include "wire/json_scan.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using State = Merge::State;

namespace {

std::string ballot(std::string_view text) {
  auto value = check_json(text);
  REQUIRE(value);
  return ballot_text(*value);
}

}  // namespace

TEST_CASE("first is the part that came first, of whatever type") {
  auto merge = merge_by("first", 3);
  CHECK(merge->state() == State::wants_more);
  CHECK(merge->why() == "no leaf has answered");
  CHECK(feed(*merge, {2, "late\xff", "text/plain"}));
  CHECK(merge->state() == State::satisfied);
  CHECK(feed(*merge, {0, "1"}));
  const MergedBody answer = merge->finish();
  CHECK(answer.body == "late\xff");
  CHECK(answer.content_type == "text/plain");
  CHECK(merge_by("first", 3)->finish().body == "");
}

TEST_CASE("an answer that says it is JSON and is not, is neither first nor a vote") {
  for (std::string_view name : {"first", "quorum"}) {
    CAPTURE(name);
    auto merge = merge_by(name, 1);
    CHECK(refusal(*merge, {0, "{\"a\":"}) != "");
    CHECK(merge->state() == State::wants_more);
    CHECK(feed(*merge, {0, "{\"a\":", "text/plain"}));
    CHECK(merge->state() == State::satisfied);
    CHECK(merge->finish().body == "{\"a\":");
  }
  CHECK(feed(*merge_by("first:validate=no", 1), {0, "{"}));
  CHECK(feed(*merge_by("quorum:validate=no", 1), {0, "{"}));
}

TEST_CASE("a quorum is more than half of those that were asked") {
  for (std::uint32_t width : {1U, 2U, 3U, 4U, 5U, 10U}) {
    CAPTURE(width);
    auto merge = merge_by("quorum", width);
    for (std::uint32_t i = 0; i < width / 2 + 1; ++i) {
      CHECK(merge->state() == State::wants_more);
      CHECK(feed(*merge, {i, "{\"v\":1}"}));
    }
    CHECK(merge->state() == State::satisfied);
    CHECK(merge->why() == "");
    CHECK(merge->finish().body == "{\"v\":1}");
  }
}

TEST_CASE("a quorum is impossible as soon as nobody can reach it, and tells the vote") {
  auto merge = merge_by("quorum", 5);
  for (const Part& part : {Part{0, "1"}, Part{1, "2"}, Part{2, "3"}}) {
    CHECK(feed(*merge, part));
    CHECK(merge->state() == State::wants_more);
  }
  CHECK(feed(*merge, {4, "1"}));
  CHECK(merge->state() == State::wants_more);
  CHECK(feed(*merge, {3, "2"}));
  CHECK(merge->state() == State::impossible);
  CHECK(merge->why() == "no 3 of 5 leaves agree: 2 (s0, s4), 2 (s1, s3), 1 (s2)");
  CHECK(merge->finish().body == "");
}

TEST_CASE("leaves that failed cannot vote any more") {
  auto merge = merge_by("quorum", 4);
  CHECK(merge->why() == "no 3 of 4 leaves agree: 4 have not voted");
  CHECK(feed(*merge, {1, "1"}));
  merge->lost(0);
  merge->lost(0);
  merge->lost(77);
  CHECK(merge->state() == State::wants_more);
  merge->lost(3);
  CHECK(merge->state() == State::impossible);
  CHECK(merge->why() == "no 3 of 4 leaves agree: 1 (s1), 3 have not voted");
  merge->lost(1);  // has voted, and its vote stays
  CHECK(merge->why() == "no 3 of 4 leaves agree: 1 (s1), 3 have not voted");
  CHECK(refusal(*merge, {1, "1"}) == "part 1 has no vote");
  CHECK(refusal(*merge, {4, "1"}) == "part 4 has no vote");
}

TEST_CASE("a long vote is told in short") {
  auto merge = merge_by("quorum", 40);
  for (std::uint32_t i = 0; i < 20; ++i) CHECK(feed(*merge, {i, "1"}));
  for (std::uint32_t i = 20; i < 39; ++i) CHECK(feed(*merge, {i, std::to_string(i)}));
  CHECK(merge->why() ==
        "no 21 of 40 leaves agree: 20 (s0, s1, s2, s3, s4, s5, s6, s7, ...), 1 (s20), 1 (s21), "
        "1 (s22), 1 (s23), 1 (s24), 1 (s25), 1 (s26), and 12 more answers, 1 has not voted");
}

TEST_CASE("the answer is the body of the first shard that agrees, whenever it came") {
  auto merge = merge_by("quorum", 3);
  CHECK(feed(*merge, {2, "{ \"a\": 1, \"b\": 2 }"}));
  CHECK(feed(*merge, {1, "{\"b\":2,\"a\":1}", "application/vnd.x+json"}));
  REQUIRE(merge->state() == State::satisfied);
  CHECK(feed(*merge, {0, "{\"a\":2}"}));
  const MergedBody answer = merge->finish();
  CHECK(answer.body == "{\"b\":2,\"a\":1}");
  CHECK(answer.content_type == "application/vnd.x+json");
}

TEST_CASE("a quorum at a pointer looks at nothing else") {
  auto merge = merge_by("quorum:/value", 3);
  CHECK(refusal(*merge, {0, "{\"v\":1}"}) == "the body has nothing at /value");
  CHECK(refusal(*merge, {0, "not json", "text/plain"}) != "");
  CHECK(feed(*merge, {2, "{\"value\":[1],\"at\":3}"}));
  CHECK(feed(*merge, {1, "{\"value\": [ 1 ],\"at\":4}"}));
  CHECK(merge->state() == State::satisfied);
  CHECK(merge->finish().body == "{\"value\": [ 1 ],\"at\":4}");
}

TEST_CASE("of no leaves at all a quorum is satisfied, with an empty answer") {
  auto merge = merge_by("quorum", 0);
  CHECK(merge->state() == State::satisfied);
  CHECK(merge->finish().body == "");
}

TEST_CASE("bytes and JSON never agree") {
  auto merge = merge_by("quorum", 3);
  CHECK(feed(*merge, {0, "{\"a\": 1}", "text/plain"}));  // is JSON all the same
  CHECK(feed(*merge, {1, "j{\"a\":1}", "text/plain"}));
  CHECK(feed(*merge, {2, "{\"a\":1}"}));
  CHECK(merge->state() == State::satisfied);
  CHECK(merge->finish().body == "{\"a\": 1}");
}

TEST_CASE("ways to write a value have one ballot") {
  CHECK(ballot(" { \"b\" : [ 1 , 2.0 ] , \"\\u0061\" : \"\\/\" } ") == R"({"a":"/","b":[1,2.0]})");
  CHECK(ballot(R"({"a":1,"a":2,"a":3,"Z":{}})") == R"({"Z":{},"a":3})");
  CHECK(ballot(R"([{"b":1,"a":{"d":1,"c":[]}},[],{}])") == R"([{"a":{"c":[],"d":1},"b":1},[],{}])");
  CHECK(ballot(R"("\u00e9\n\u0001\"\\")") == "\"\xc3\xa9\\u000a\\u0001\\\"\\\\\"");
  CHECK(ballot(R"("a\tb")") == ballot(R"("a\u0009b")"));
  CHECK(ballot(R"("\\u0061")") != ballot(R"("a")"));
  CHECK(ballot("1") != ballot("1.0"));
  CHECK(ballot("\"1\"") != ballot("1"));
  CHECK(ballot("[[1],2]") != ballot("[1,[2]]"));
  CHECK(ballot("[1,2]") != ballot("[2,1]"));
  CHECK(ballot(R"({"a":[1]})") != ballot(R"({"a":1})"));
  CHECK(ballot(R"({"a\"":1})") == R"({"a\"":1})");
  CHECK(ballot(std::string(500, '[') + "1" + std::string(500, ']')).size() == 1001);
  // Order counts where nobody looks.
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + R"({"b":1,"a":2})" + std::string(levels, ']');
  };
  CHECK(ballot(nested(kMergeDepthMax - 1)).find(R"({"a":2,"b":1})") != std::string::npos);
  CHECK(ballot(nested(kMergeDepthMax)) == nested(kMergeDepthMax));
}

TEST_CASE("a ballot is a document of the same value") {
  for (std::string_view text :
       {R"({"z":{"y":[{"x":1,"w":[true,null]},"\u20ac"]},"a":-1.5e3,"":{}})", R"("\ud83d\ude00")",
        R"([{"b":1,"a":2},{"b":{"d":3,"c":4}}])"}) {
    CAPTURE(text);
    CHECK(nlohmann::json::parse(ballot(text)) == nlohmann::json::parse(text));
    CHECK(ballot(ballot(text)) == ballot(text));
  }
}

TEST_CASE("what a vote holds is counted") {
  auto merge = merge_by("quorum", 9);
  const std::string body = "\"" + std::string(10'000, 'x') + "\"";
  CHECK(feed(*merge, {0, body}));
  const std::size_t one = merge->held_bytes();
  CHECK(one >= 20'000);
  CHECK(feed(*merge, {1, body}));  // agrees: nothing more to hold
  CHECK(merge->held_bytes() == one);
  CHECK(feed(*merge, {2, "\"" + std::string(10'000, 'y') + "\""}));
  CHECK(merge->held_bytes() >= 2 * one - 100);
}
