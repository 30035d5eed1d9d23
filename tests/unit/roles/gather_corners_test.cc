// Where rules of a fan-out meet: children and coverage, lines and hedges, ends and those who wait.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

LeafAnswer answer_of(int status, std::string body, HeaderList headers = {}) {
  LeafAnswer answer;
  answer.status = status;
  answer.body = std::move(body);
  answer.headers = std::move(headers);
  return answer;
}

RouteMatch match_of(std::string_view text) {
  auto match = RouteMatch::parse(text);
  REQUIRE(match.has_value());
  return *match;
}

}  // namespace

TEST_CASE("a child root that refuses a request is missing, though its coverage is of nothing") {
  GatherWorld world(2);
  world.start();
  TestClient& client = world.get("/x");
  const std::string nothing =
      "total=0, ok=0, failed=0, timeout=0, skipped=0, hedged=0, percent=100.0";
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, answer_of(503, "{}", {{"Consort-Coverage", nothing}}));
  const Answer answer = client.answer();
  CHECK(answer.status != 200);
  CHECK(answer.header("consort-coverage").find("total=2") == 0);
}

TEST_CASE("a child root that once had no shards to ask still counts when it is gone") {
  GatherWorld world(2);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, answer_of(200, "[]", {{"Consort-Coverage", "total=0, ok=0"}}));
  CHECK(client.answer().status == 200);
  client.ask("GET", "/x");
  world.leaf(0).answer(1, "1");
  world.leaf(1).answer(1, answer_of(500, "{}"));
  CHECK(client.answer().status == 502);
}

TEST_CASE("a request that waited for its turn over a reload keeps its own route's shards") {
  GatherWorld world(3);
  world.config.limits.inflight = 1;
  world.config.limits.queue_time = Millis(1000);
  RouteConfig all = world.route;
  all.name = "all";
  all.match = match_of("/all");
  RouteConfig one = world.route;
  one.name = "one";
  one.match = match_of("/one");
  auto to = SelectSpec::parse("key:query:k");
  REQUIRE(to.has_value());
  one.to = *to;
  world.config.routes = {all, one};
  world.start();
  TestClient& first = world.get("/all");
  TestClient& second = world.get("/one?k=5");
  CHECK(first.is_waiting());
  CHECK(second.is_waiting());
  world.root().set_routes({world.root().epoch()->routes[1]});
  for (std::size_t i = 0; i < 3; ++i) world.leaf(i).answer(0, "1");
  CHECK(first.answer().status == 200);
  std::size_t calls = 0;
  for (std::size_t i = 0; i < 3; ++i) calls += world.leaf(i).calls();
  CHECK(calls == 3 + 1);
}

TEST_CASE("a slash in the query of an absolute target is not its path") {
  GatherWorld world(1);
  world.start();
  world.get("http://root?next=/admin");
  REQUIRE(world.leaf(0).calls() == 1);
  CHECK(world.leaf(0).call(0).first == "GET /?next=/admin HTTP/1.1");
}

TEST_CASE("a client cannot give leaves a header that the route gives them") {
  GatherWorld world(1);
  world.route.headers = {"X-Shard: {shard}"};
  world.start();
  world.get("/x", {{"X-Shard", "s666"}});
  REQUIRE(world.leaf(0).calls() == 1);
  CHECK(world.leaf(0).call(0).header("x-shard") == "s0");
}

TEST_CASE("what any Connection header names is not forwarded") {
  GatherWorld world(1);
  world.start();
  world.get("/x", {{"Connection", "keep-alive"}, {"Connection", "X-Hop"}, {"X-Hop", "1"}});
  REQUIRE(world.leaf(0).calls() == 1);
  CHECK(world.leaf(0).call(0).header("x-hop") == "none");
}

TEST_CASE("a route whose name begins another's is not a loop") {
  GatherWorld world(1);
  world.route.name = "search";
  world.start();
  world.leaf(0).always("1");
  TestClient& client = world.get("/x", {{"Via", "1.1 consort-test-search-all"}});
  world.run_for(10);
  CHECK(client.answer().status == 200);
}

TEST_CASE("a failover may go to a new replica whatever its probe cap") {
  GatherWorld world(1, 2);
  world.start();
  TestClient& warm = world.connect();
  for (std::size_t i = 0; i < 25; ++i) {
    warm.ask("GET", "/x");
    world.leaf(0, 0).answer(i, "1");
    CHECK(warm.answer().status == 200);
  }
  std::vector<TestClient*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(&world.get("/x"));
  for (std::size_t i = 0; i < 3; ++i) world.leaf(0, 0).answer(25 + i, answer_of(503, ""));
  CHECK(world.leaf(0, 1).calls() == 3);
  for (std::size_t i = 0; i < world.leaf(0, 1).calls(); ++i) world.leaf(0, 1).answer(i, "1");
  for (TestClient* client : clients) CHECK(client->answer().status == 200);
}

TEST_CASE("no call begins at the deadline because another has ended by it") {
  GatherWorld world(3);
  world.config.limits.inflight_per_replica = 1;
  world.topology.shards[1].replicas = world.topology.shards[0].replicas;
  world.topology.shards[2].replicas = world.topology.shards[0].replicas;
  world.start();
  TestClient& client = world.get("/x");
  CHECK(world.leaf(0).calls() == 1);
  world.run_for(2100);
  CHECK(client.answer().status >= 500);
  CHECK(world.leaf(0).calls() == 1);
  CHECK(world.metrics().leaf_calls.value() == 1);
  CHECK(world.stats(0).tally().consecutive_errors == 1);
}

TEST_CASE("a call that had to wait for its place is hedged like any other") {
  GatherWorld world(1, 2);
  world.config.limits.inflight_per_replica = 1;
  auto hedge = HedgeOptions::parse("10ms");
  REQUIRE(hedge.has_value());
  world.route.select = SelectPolicy::round_robin;
  world.route.hedge = HedgeOptions{};
  RouteConfig plain = world.route;
  plain.name = "plain";
  plain.match = match_of("/plain");
  RouteConfig hedged = world.route;
  hedged.name = "hedged";
  hedged.match = match_of("/hedged");
  hedged.hedge = *hedge;
  world.config.routes = {plain, hedged};
  world.start();
  TestClient& a = world.get("/plain");
  TestClient& b = world.get("/plain");
  REQUIRE(world.leaf(0, 0).calls() == 1);
  REQUIRE(world.leaf(0, 1).calls() == 1);
  TestClient& c = world.get("/hedged");
  CHECK(c.is_waiting());
  world.leaf(0, 0).answer(0, "1");
  world.leaf(0, 1).answer(0, "1");
  CHECK(a.answer().status == 200);
  CHECK(b.answer().status == 200);
  REQUIRE(world.leaf(0, 0).calls() == 2);
  world.run_for(100);
  CHECK(world.leaf(0, 1).calls() == 2);
}

TEST_CASE("a connect timeout below 100 ms counts") {
  GatherWorld world(1);
  world.route.connect_timeout = Millis(50);
  world.start();
  CHECK(world.backend(0).pool().options().connect_timeout == Millis(50));
}

TEST_CASE("a server that ends starts nothing for those who wait") {
  GatherWorld world(1);
  world.config.limits.inflight = 1;
  world.config.limits.queue_time = Millis(1000);
  world.start();
  TestClient& older = world.connect();
  TestClient& newer = world.connect();
  newer.ask("GET", "/x");
  older.ask("GET", "/y");
  CHECK(world.leaf(0).calls() == 1);
  world.stop();
  CHECK(world.metrics().leaf_calls.value() == 1);
}

TEST_CASE("who takes anything at all still has its only leaf waited for") {
  GatherWorld world(1);
  world.route.min_coverage = 0;
  world.start();
  TestClient& client = world.get("/x");
  world.run_for(20);
  CHECK(client.is_waiting());
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().body == "[1]");
}
