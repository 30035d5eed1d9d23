#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "gather_check_support.hpp"
#include "roles/gather/check_replay.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

const char* const kThen =
    R"({"id":"7f","method":"GET","target":"/search?q=x","route":"r","epoch":7,"status":504,)"
    R"("ms":410.25,"scatter_ms":409.9,"merge_ms":0.2,"coverage":{"total":3,"ok":2},"leaves":[)"
    R"({"shard":"s0","outcome":"ok","ms":3.2,"attempts":[{"number":1}]},)"
    R"({"shard":"s7","outcome":"timeout","error":"http_response_timeout","ms":400.1,)"
    R"("attempts":[{"number":1},{"number":2}]},)"
    R"({"shard":"gone","outcome":"skipped","ms":null,"attempts":[]}]})";

std::string list_of(std::string_view other) {
  return "[" + std::string(other) + ",\n " + kThen + "]";
}

}  // namespace

TEST_CASE("a replay takes the slowest request of a list, the one of an id, or a single one") {
  const char* other = R"({"id":"a","method":"POST","target":"/p","leaves":[]})";
  CHECK(pick_timeline(list_of(other), "")->id == "a");
  CHECK(pick_timeline(list_of(other), "7f")->target == "/search?q=x");
  CHECK(pick_timeline(kThen, "")->leaves.size() == 3);
  CHECK(pick_timeline(kThen, "7f").has_value());
  CHECK(has(pick_timeline(kThen, "8").error().text(), "the only request is \"7f\""));
  CHECK(has(pick_timeline(list_of(other), "8").error().text(), "no request has the id \"8\""));
}

TEST_CASE("a text that holds no timeline is refused in words") {
  CHECK(has(pick_timeline("{", "").error().text(), "no JSON"));
  CHECK(has(pick_timeline("[]", "").error().text(), "the list is empty"));
  for (const char* text : {"3", "{}", "[1]", R"({"method":"GET","target":"/","leaves":3})"}) {
    CHECK(has(pick_timeline(text, "").error().text(), "GET /requests"));
  }
}

TEST_CASE("only requests without a body are replayed") {
  ReplayTimeline timeline;
  timeline.target = "/";
  for (const char* method : {"GET", "HEAD"}) {
    timeline.method = method;
    CHECK(check_replayable(timeline).has_value());
  }
  timeline.method = "POST";
  CHECK(has(check_replayable(timeline).error().text(), "body is not recorded"));
  timeline.method = "GET";
  for (const char* target : {"", "a", "/a b", "/a\r\nX: y"}) {
    timeline.target = target;
    CHECK_FALSE(check_replayable(timeline).has_value());
  }
}

TEST_CASE("then and now stand side by side, also shards that are in one of them only") {
  const ReplayTimeline then = *pick_timeline(kThen, "");
  ReplayTimeline now = then;
  now.id = "80";
  now.status = 200;
  now.ms = 12;
  now.ok = 3;
  now.leaves[1].outcome = "ok";
  now.leaves[1].error.clear();
  now.leaves[1].ms = 3;
  now.leaves[1].attempts = 1;
  now.leaves[2].shard = "new\x1b";
  now.leaves[2].outcome = "ok";
  now.leaves[2].ms = 0.04;
  const std::string expected =
      "                                  then         now  GET /search?q=x\n"
      "id                                                  7f --> 80\n"
      "status                             504         200\n"
      "total                           410 ms     12.0 ms\n"
      "scatter                         410 ms      410 ms\n"
      "merge                           0.2 ms      0.2 ms\n"
      "coverage                        2 of 3      3 of 3\n"
      "\n"
      "shard                             then         now  outcome\n"
      "s0                              3.2 ms      3.2 ms  ok\n"
      "s7                              400 ms      3.0 ms  timeout (http_response_timeout) after 2 "
      "attempts --> ok\n"
      "gone                                 -           -  skipped --> (not there)\n"
      "new?                                 -      0.0 ms  (not there) --> ok\n";
  CHECK(side_by_side(then, now) == expected);
}

TEST_CASE("a leaf that the record left out is told only when something is wrong with it") {
  ReplayTimeline then = *pick_timeline(kThen, "");
  then.leaves.resize(1);
  then.leaves_left_out = 3;
  ReplayTimeline now = then;
  now.leaves_left_out = 0;
  for (const char* const shard : {"quiet", "failing", "repeated"}) {
    now.leaves.push_back(ReplayLeaf{.shard = shard, .outcome = "ok", .ms = 1, .attempts = 1});
  }
  now.leaves[2].outcome = "failed";
  now.leaves[3].attempts = 2;
  const std::string told = side_by_side(then, now);
  CHECK(told.find("quiet") == std::string::npos);
  CHECK(told.find("(not recorded) --> failed\n") != std::string::npos);
  CHECK(told.find("(not recorded) --> ok after 2 attempts\n") != std::string::npos);
  CHECK(told.ends_with("and 1 shards that were not recorded\n"));
}
