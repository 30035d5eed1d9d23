// What is told of a request afterwards: explanations, the slowest requests, the access log.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "gather_world.hpp"
#include "roles/gather/flight_recorder.hpp"
#include "roles/gather/timeline.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using nlohmann::json;

namespace {

const HeaderList kExplain = {{"Consort-Explain", "1"}};

LeafAnswer status(int code) {
  LeafAnswer answer;
  answer.status = code;
  return answer;
}

std::string entry(std::uint64_t n) {
  return R"({"n":)" + std::to_string(n) + "}";
}

}  // namespace

TEST_CASE("an explanation tells what happened at each leaf, and the answer") {
  GatherWorld world(2, 2);
  world.route.hedge = *HedgeOptions::parse("10ms:100%");
  world.route.name = "search";
  world.start();
  TestClient& client = world.get("/s?q=1", kExplain);
  world.leaf(0, 0).answer(0, status(503));
  world.run_for(3);
  world.leaf(0, 1).answer(0, "1");
  world.run_for(7);
  REQUIRE(world.leaf(1, 1).calls() == 1);
  world.run_for(2);
  world.leaf(1, 1).answer(0, "2");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  // The header stays behind: leaves are not asked to explain themselves.
  CHECK(world.leaf(0, 0).call(0).header("consort-explain") == "none");
  const json told = json::parse(answer.body);
  CHECK(told["id"] == answer.header("consort-request-id"));
  CHECK(told["method"] == "GET");
  CHECK(told["target"] == "/s?q=1");
  CHECK(told["route"] == "search");
  CHECK(told["epoch"] == 1);
  CHECK(told["status"] == 200);
  CHECK(told["ms"] == 12.0);
  CHECK(told["scatter_ms"] == 12.0);
  CHECK(told["coverage"]["hedged"] == 1);
  CHECK(told["answer"]["status"] == 200);
  CHECK(told["answer"]["body"] == json::parse("[1,2]"));
  REQUIRE(told["leaves"].size() == 2);

  const json& failed_over = told["leaves"][0];
  CHECK(failed_over["shard"] == "s0");
  CHECK(failed_over["outcome"] == "ok");
  CHECK(failed_over["ms"] == 3.0);
  REQUIRE(failed_over["attempts"].size() == 2);
  CHECK(failed_over["attempts"][0]["result"] == "failed");
  CHECK(failed_over["attempts"][0]["why"] == "status 503");
  CHECK(failed_over["attempts"][0]["status"] == 503);
  CHECK(failed_over["attempts"][0]["replica"] == "http://10.0.0.1");
  CHECK(failed_over["attempts"][1]["result"] == "won");
  CHECK(failed_over["attempts"][1]["hedge"] == false);
  CHECK(failed_over["attempts"][1]["last_byte_ms"] == 3.0);

  const json& hedged = told["leaves"][1];
  CHECK(hedged["hedge"] == "sent");
  REQUIRE(hedged["attempts"].size() == 2);
  CHECK(hedged["attempts"][0]["result"] == "superseded");
  CHECK(hedged["attempts"][0]["first_byte_ms"].is_null());
  CHECK(hedged["attempts"][0]["ms"] == 12.0);
  CHECK(hedged["attempts"][1]["hedge"] == true);
  CHECK(hedged["attempts"][1]["number"] == 2);
  CHECK(hedged["attempts"][1]["at_ms"] == 10.0);
  CHECK(hedged["attempts"][1]["result"] == "won");
}

TEST_CASE("an error is explained with the answer that there would have been") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x", kExplain);
  world.leaf(0).server.last().reset();
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  const json told = json::parse(answer.body);
  CHECK(told["status"] == 502);
  CHECK(told["answer"]["status"] == 502);
  CHECK(told["answer"]["body"]["type"] == "urn:consort:gather:insufficient-coverage");
  CHECK(told["leaves"][0]["error"] == "connection_terminated");
}

TEST_CASE("an answer that is no JSON is told as text") {
  GatherWorld world(1);
  world.route.merge = *MergeSpec::parse("concat");
  world.start();
  TestClient& client = world.get("/x", kExplain);
  world.leaf(0).answer(0, "a \"b\"\n");
  const json told = json::parse(client.answer().body);
  CHECK(told["answer"]["text"] == "a \"b\"\n");
}

TEST_CASE("only clients on this machine get explanations, unless the root gives them to all") {
  struct Case {
    io::Peer peer;
    bool explain;
    bool is_explained;
  };
  for (const Case& each : std::vector<Case>{
           {{.is_unix = false, .is_loopback = true, .text = "127.0.0.1:5"}, false, true},
           {{.is_unix = true, .is_loopback = false, .text = "unix"}, false, true},
           {{.is_unix = false, .is_loopback = false, .text = "10.1.1.1:5"}, false, false},
           {{.is_unix = false, .is_loopback = false, .text = "10.1.1.1:5"}, true, true}}) {
    GatherWorld world(1);
    world.config.explain = each.explain;
    world.start();
    TestClient& client = world.connect();
    client.peer().identity = each.peer;
    client.ask("GET", "/x", kExplain);
    world.leaf(0).answer(0, "1");
    const Answer answer = client.answer();
    CHECK((answer.body == "[1]") == !each.is_explained);
  }
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x", {{"Consort-Explain", "yes"}});
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().body == "[1]");
}

TEST_CASE("of many leaves the recorder keeps the failed, the repeated and the last") {
  constexpr std::size_t kLeaves = FlightRecorder::kMostLeaves + 20;
  GatherWorld world(kLeaves, 2);
  world.route.hedge = *HedgeOptions::parse("off");
  world.route.min_coverage = 90;
  world.start();
  const auto asked = [&world](std::size_t i) { return world.leaf(i, 0).calls() > 0 ? 0U : 1U; };
  TestClient& client = world.get("/x");
  world.run_for(1);
  world.leaf(30, asked(30)).answer(0, status(500));
  const std::size_t first = asked(5);
  world.leaf(5, first).answer(0, status(503));
  world.run_for(3);
  world.leaf(5, 1 - first).answer(0, "1");
  // The later, the lower its number: the last are not those that the request names last.
  for (std::size_t i = kLeaves; i-- > 0;) {
    if (i == 5 || i == 30) continue;
    world.run_for(1);
    world.leaf(i, asked(i)).answer(0, "1");
  }
  CHECK(client.answer().header("consort-coverage").find("ok=35, failed=1") != std::string::npos);
  const json kept = json::parse(world.root().recorder().to_json());
  REQUIRE(kept.size() == 1);
  std::vector<std::string> shards;
  for (const json& leaf : kept[0]["leaves"]) shards.push_back(leaf["shard"]);
  std::vector<std::string> wanted;
  for (int i = 0; i < 15; ++i) wanted.push_back("s" + std::to_string(i));
  wanted.push_back("s30");
  CHECK(shards == wanted);
  CHECK(kept[0]["leaves_left_out"] == kLeaves - FlightRecorder::kMostLeaves);
}

TEST_CASE("of very many leaves an explanation tells some, and counts the others") {
  GatherWorld world(kMaxTimelineLeaves + 10);
  world.start();
  for (std::size_t i = 0; i < kMaxTimelineLeaves + 10; ++i) world.leaf(i).always("1");
  const Answer answer = world.get("/x", kExplain).answer();
  const json told = json::parse(answer.body);
  CHECK(told["leaves"].size() == kMaxTimelineLeaves);
  CHECK(told["leaves_left_out"] == 10);
  CHECK(told["coverage"]["ok"] == kMaxTimelineLeaves + 10);
}

TEST_CASE("the slowest requests are kept, the slowest first") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.connect();
  const std::vector<std::uint64_t> durations = {30, 5, 20};
  for (std::size_t i = 0; i < durations.size(); ++i) {
    client.ask("GET", "/" + std::to_string(durations[i]));
    world.run_for(durations[i]);
    world.leaf(0).answer(i, "1");
    CHECK(client.answer().status == 200);
  }
  world.get("/refused?shards=s9");
  const json kept = json::parse(world.root().recorder().to_json());
  REQUIRE(kept.size() == 3);
  CHECK(kept[0]["target"] == "/30");
  CHECK(kept[0]["ms"] == 30.0);
  CHECK(kept[1]["target"] == "/20");
  CHECK(kept[2]["target"] == "/5");
  CHECK_FALSE(kept[0].contains("answer"));
}

TEST_CASE("a recorder keeps a hundred, and lets go of the fastest") {
  FlightRecorder recorder;
  CHECK(recorder.to_json() == "[]\n");
  for (std::uint64_t i = 1; i <= FlightRecorder::kMost; ++i) {
    CHECK(recorder.wants(i, 1000 * i));
    recorder.add(i, 0, entry(i));
  }
  CHECK_FALSE(recorder.wants(1, 200'000));
  CHECK(recorder.wants(2, 200'000));
  recorder.add(50, 0, entry(1000));
  const json kept = json::parse(recorder.to_json());
  REQUIRE(kept.size() == FlightRecorder::kMost);
  CHECK(kept.front()["n"] == 100);
  CHECK(kept.back()["n"] == 2);
  // Behind the one that took as long and came before.
  CHECK(kept[50]["n"] == 50);
  CHECK(kept[51]["n"] == 1000);
}

TEST_CASE("when everything is slow a recorder takes a sample of it") {
  FlightRecorder recorder;
  std::size_t wanted = 0;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    if (!recorder.wants(i, 5'000)) continue;
    recorder.add(i, 5'000, entry(i));
    ++wanted;
  }
  // All until it is full.
  CHECK(wanted > FlightRecorder::kMost);
  CHECK(wanted <= FlightRecorder::kMost + 10);
  CHECK(recorder.wants(1001, 6'000));
}

TEST_CASE("a recorder forgets what is a quarter of an hour old") {
  FlightRecorder recorder;
  for (std::uint64_t i = 1; i <= FlightRecorder::kMost; ++i) recorder.add(1000, i, entry(i));
  CHECK_FALSE(recorder.wants(1, FlightRecorder::kForgottenMs));
  const std::uint64_t later_ms = FlightRecorder::kForgottenMs + 51;
  CHECK(recorder.wants(1, later_ms));
  recorder.add(1, later_ms, entry(7777));
  const json kept = json::parse(recorder.to_json());
  CHECK(kept.size() == 51);
  CHECK(kept[0]["n"] == 51);
  CHECK(kept.back()["n"] == 7777);
}

TEST_CASE("a recorder keeps no more bytes than it may") {
  FlightRecorder recorder;
  const std::string big = '"' + std::string(FlightRecorder::kMostBytes / 4 - 2, 'x') + '"';
  recorder.add(1, 0, big + " ");
  CHECK(recorder.to_json() == "[]\n");
  for (std::uint64_t i = 1; i <= 6; ++i) recorder.add(i, 0, big);
  CHECK(recorder.to_json().size() < FlightRecorder::kMostBytes + 100);
  CHECK(json::parse(recorder.to_json()).size() == 4);
  // What is let go of is counted: small ones fit again once big ones are forgotten.
  recorder.add(9, FlightRecorder::kForgottenMs + 1, entry(1));
  CHECK(json::parse(recorder.to_json()).size() == 1);
  for (std::uint64_t i = 1; i <= 4; ++i) recorder.add(i, FlightRecorder::kForgottenMs + 1, big);
  CHECK(json::parse(recorder.to_json()).size() == 4);
}

TEST_CASE("the access log has a line per request, with where the time went") {
  GatherWorld world(2);
  world.has_access_log = true;
  world.start();
  TestClient& client = world.get("/x?q=1", {{"X-Request-Id", "abc"}});
  world.leaf(0).answer(0, "1");
  world.run_for(5);
  world.leaf(1).answer(0, "2");
  CHECK(client.answer().status == 200);
  CHECK(world.logged("msg=request id=abc") == 1);
  CHECK(world.logged("status=200 us=5000 scatter_us=5000 merge_us=0 slowest=s1 slowest_us=5000") ==
        1);
  // What is refused has a line as well.
  world.get("/y?shards=s9");
  CHECK(world.logged("target=/y?shards=s9") + world.logged("target=\"/y?shards=s9\"") == 1);
  CHECK(world.logged("status=400") == 1);
}

TEST_CASE("what is counted adds up") {
  GatherWorld world(3);
  world.route.min_coverage = 30;
  world.route.wait_factor = {1, 1};
  world.start();
  for (int i = 0; i < 3; ++i) {
    TestClient& client = world.get("/x");
    const std::size_t n = world.leaf(0).calls() - 1;
    world.leaf(0).answer(n, "1");
    if (i > 0) world.leaf(1).answer(world.leaf(1).calls() - 1, status(i == 1 ? 500 : 404));
    if (i > 0) world.leaf(2).answer(world.leaf(2).calls() - 1, "3");
    world.run_for(2000);
    CHECK(client.answer().status == 200);
  }
  RouteMetrics& metrics = world.metrics();
  const auto results = [&metrics](LeafVerdict verdict) {
    return metrics.leaf_results[static_cast<std::size_t>(verdict)]->value();
  };
  CHECK(metrics.requests[1]->value() == 3);
  CHECK(metrics.leaf_calls.value() == 9);
  CHECK(results(LeafVerdict::ok) == 5);
  CHECK(results(LeafVerdict::failed) == 1);
  CHECK(results(LeafVerdict::client_error) == 1);
  CHECK(results(LeafVerdict::timed_out) == 2);
  CHECK(metrics.coverage[2]->value() == 2);
  CHECK(metrics.coverage[3]->value() == 1);
}
