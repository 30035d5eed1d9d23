// A request at all of its leaves: what comes back, in which order, and what of it is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

MergeSpec merge_of(std::string_view text) {
  auto spec = MergeSpec::parse(text);
  REQUIRE(spec.has_value());
  return std::move(*spec);
}

std::string coverage(const std::string& counts, const std::string& percent) {
  return counts + ", percent=" + percent;
}

LeafAnswer status(int code, std::string body = {}) {
  LeafAnswer answer;
  answer.status = code;
  answer.body = std::move(body);
  return answer;
}

LeafAnswer child(std::string counts, int code = 200) {
  LeafAnswer answer = status(code, "1");
  answer.headers.emplace_back("Consort-Coverage", std::move(counts));
  return answer;
}

/// One request to each leaf of the world, answered in that order.
std::string answered_in(GatherWorld& world, const std::vector<std::size_t>& order, std::size_t nth,
                        TestClient& client) {
  client.ask("GET", "/x");
  for (const std::size_t i : order) {
    world.leaf(i).answer(nth, R"({"n":)" + std::to_string(i) + ",\"list\":[" +
                                  std::to_string(10 * i) + "," + std::to_string(7 - i) + "]}");
  }
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  return answer.header("content-type") + "\n" + answer.header("consort-coverage") + "\n" +
         answer.body;
}

}  // namespace

TEST_CASE("whatever the order in which leaves answer, the client gets the same bytes") {
  for (const char* merge : {"array", "concat", "object", "ndjson", "deep", "sum"}) {
    CAPTURE(merge);
    GatherWorld world(6);
    world.route.merge = merge_of(merge);
    world.start();
    TestClient& client = world.connect();
    std::vector<std::size_t> order(6);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::string first = answered_in(world, order, 0, client);
    Random random(11);
    for (std::size_t nth = 1; nth <= 100; ++nth) {
      for (std::size_t i = order.size() - 1; i > 0; --i) {
        std::swap(order[i], order[random.below(i + 1)]);
      }
      CHECK(answered_in(world, order, nth, client) == first);
    }
    // 101 requests over one connection per leaf.
    for (std::size_t i = 0; i < 6; ++i) CHECK(world.leaf(i).server.connections() == 1);
  }
}

TEST_CASE("all calls go out before the first answer is read") {
  GatherWorld world(3);
  world.start();
  TestClient& client = world.get("/search?q=x");
  for (std::size_t i = 0; i < 3; ++i) REQUIRE(world.leaf(i).calls() == 1);
  CHECK(world.leaf(2).call(0).first == "GET /search?q=x HTTP/1.1");
  CHECK(world.leaf(2).call(0).header("consort-shard") == "s2");
  CHECK(client.is_waiting());
  world.leaf(1).answer(0, "2");
  world.leaf(2).answer(0, "3");
  CHECK(client.is_waiting());
  CHECK(world.memory_bytes() >= 2);
  world.leaf(0).answer(0, "1");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[1,2,3]");
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.header("consort-coverage") ==
        coverage("total=3, ok=3, failed=0, timeout=0, skipped=0, hedged=0", "100.0"));
  CHECK(answer.header("proxy-status") == "none");
  CHECK(answer.header("cache-control") == "none");
  CHECK(answer.header("consort-request-id") == world.leaf(0).call(0).header("consort-request-id"));
  CHECK(answer.header("server-timing").find("slowest") != std::string::npos);
  CHECK(world.memory_bytes() == 0);
  CHECK(world.metrics().leaf_calls.value() == 3);
}

TEST_CASE("a read ends at once when its coverage cannot be reached any more") {
  GatherWorld world(3);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, status(500));
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.header("content-type") == "application/problem+json");
  CHECK(answer.has("urn:consort:gather:insufficient-coverage"));
  CHECK(answer.header("consort-coverage") ==
        coverage("total=3, ok=1, failed=1, timeout=0, skipped=1, hedged=0", "50.0"));
  CHECK(answer.header("proxy-status").find("next-hop=\"s1\"; received-status=500") !=
        std::string::npos);
  CHECK(world.leaf(2).was_cancelled(0));
}

TEST_CASE("a write waits for every shard, though it has failed already") {
  GatherWorld world(3);
  world.start();
  TestClient& client = world.ask("POST", "/x", {}, "body");
  world.leaf(0).answer(0, status(500));
  CHECK(client.is_waiting());
  world.leaf(1).answer(0, "1");
  world.leaf(2).answer(0, "1");
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.header("consort-coverage") ==
        coverage("total=3, ok=2, failed=1, timeout=0, skipped=0, hedged=0", "66.667"));
}

TEST_CASE("who takes a part of the answer has it waited for, though a leaf has failed") {
  for (const bool is_lenient : {false, true}) {
    GatherWorld world(2);
    if (!is_lenient) world.route.min_coverage = 50;
    world.route.wait_factor = {1, 1};
    world.start();
    HeaderList headers;
    if (is_lenient) headers.emplace_back("Prefer", "handling=lenient");
    TestClient& client = world.get("/x", headers);
    world.leaf(0).answer(0, status(500));
    CHECK(client.is_waiting());
    world.leaf(1).answer(0, "2");
    const Answer answer = client.answer();
    CHECK(answer.status == 200);
    CHECK(answer.body == "[2]");
    CHECK(answer.header("cache-control") == "no-store");
    CHECK(answer.header("preference-applied") == (is_lenient ? "handling=lenient" : "none"));
  }
}

TEST_CASE("a client that is strict gets no partial answer of a route that gives them") {
  GatherWorld world(2);
  world.route.min_coverage = 50;
  world.start();
  TestClient& client = world.get("/x", {{"Prefer", "handling=strict"}});
  world.leaf(0).answer(0, status(500));
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.header("preference-applied") == "handling=strict");
}

TEST_CASE("the same 4xx of all leaves is the client's answer, with the first one's body") {
  GatherWorld world(3);
  world.start();
  TestClient& client = world.get("/x");
  LeafAnswer refusal = status(400, "bad q");
  refusal.content_type = "text/plain";
  world.leaf(2).answer(0, status(400, "other"));
  world.leaf(1).answer(0, status(400, "other"));
  CHECK(client.is_waiting());
  world.leaf(0).answer(0, refusal);
  const Answer answer = client.answer();
  CHECK(answer.status == 400);
  CHECK(answer.body == "bad q");
  CHECK(answer.header("content-type") == "text/plain");
}

TEST_CASE("4xx beside other answers are failed leaves, and end a read at once") {
  GatherWorld world(3);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, status(404));
  CHECK(client.is_waiting());
  world.leaf(1).answer(0, "1");
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.has(R"("outcome":"client_error","status":404)"));

  TestClient& other = world.get("/x");
  world.leaf(0).answer(1, status(404));
  world.leaf(1).answer(1, status(403));
  CHECK(other.is_waiting());
  // Not cancelled by the first request: it had none of its answer, so its connection went.
  world.leaf(2).answer(1, status(404));
  CHECK(other.answer().status == 502);
}

TEST_CASE("a route says which statuses are good, and which say that there is nothing") {
  GatherWorld world(3);
  world.route.ok_statuses = {200, 409};
  world.route.empty_statuses = {404};
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, status(409, "9"));
  world.leaf(1).answer(0, status(404, "not JSON"));
  world.leaf(2).answer(0, "3");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[9,3]");
  CHECK(answer.header("consort-coverage").find("ok=3") != std::string::npos);
  TestClient& other = world.get("/x");
  world.leaf(0).answer(1, status(201, "1"));
  CHECK(other.answer().status == 502);
}

TEST_CASE("leaves that are roots are counted with what is behind them") {
  GatherWorld world(2);
  world.route.min_coverage = 50;
  world.route.wait_factor = {1, 1};
  world.start();
  TestClient& client = world.connect();
  client.ask("GET", "/x");
  world.leaf(0).answer(0, child("total=10, ok=8, failed=1, timeout=1, hedged=2"));
  world.leaf(1).answer(0, "2");
  Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.header("consort-coverage") ==
        coverage("total=11, ok=9, failed=1, timeout=1, skipped=0, hedged=2", "81.818"));

  // It fails now: what it said last is what is missing.
  client.ask("GET", "/x");
  world.leaf(0).answer(1, status(500));
  world.leaf(1).answer(1, "2");
  answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.header("consort-coverage") ==
        coverage("total=11, ok=1, failed=10, timeout=0, skipped=0, hedged=0", "9.091"));

  // A child that fails tells its size as well.
  client.ask("GET", "/x");
  world.leaf(0).answer(2, child("total=20, ok=3, failed=17", 502));
  world.leaf(1).answer(2, "2");
  answer = client.answer();
  CHECK(answer.header("consort-coverage") ==
        coverage("total=21, ok=1, failed=20, timeout=0, skipped=0, hedged=0", "4.762"));
}

TEST_CASE("the adaptive wait goes by what leaves cover, not by how many they are") {
  GatherWorld world(3);
  world.route.min_coverage = 60;
  world.start();
  TestClient& client = world.connect();
  client.ask("GET", "/x");
  world.leaf(0).answer(0, child("total=10, ok=10"));
  world.leaf(1).answer(0, "2");
  world.leaf(2).answer(0, "3");
  CHECK(client.answer().status == 200);
  // Two of three leaves, but 2 of 12: ending here would be an error.
  client.ask("GET", "/x");
  world.leaf(1).answer(1, "2");
  world.leaf(2).answer(1, "3");
  CHECK(client.is_waiting());
  world.run_for(100);
  CHECK(client.is_waiting());
  world.leaf(0).answer(1, child("total=10, ok=10"));
  CHECK(client.answer().body == "[1,2,3]");
}

TEST_CASE("a body that the merge cannot take is that leaf's failure only") {
  GatherWorld world(3);
  world.route.min_coverage = 60;
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "{broken");
  LeafAnswer packed = status(200, "1");
  packed.headers.emplace_back("Content-Encoding", "gzip");
  world.leaf(1).answer(0, "2");
  world.leaf(2).answer(0, packed);
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.header("proxy-status").find("http_response_content_coding") != std::string::npos);
  CHECK(answer.header("consort-coverage") ==
        coverage("total=3, ok=1, failed=2, timeout=0, skipped=0, hedged=0", "33.333"));
}

TEST_CASE("an answer that is cut off is a failed leaf, never a short success") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x");
  const std::int64_t asked = world.memory_bytes();
  world.leaf(0).send(0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1]");
  CHECK(world.memory_bytes() == asked + 3);
  world.leaf(0).reset(0);
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.has("http_response_incomplete"));
  CHECK(world.memory_bytes() == 0);
}

TEST_CASE("an interim answer is not the answer") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).send(0, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
  CHECK(client.is_waiting());
  world.leaf(0).answer(0, "1");
  CHECK(client.answer().body == "[1]");
}

TEST_CASE("a client that leaves takes its calls with it") {
  GatherWorld world(3);
  world.has_access_log = true;
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, std::string(100, '1'));
  CHECK(world.memory_bytes() >= 100);
  client.leave();
  CHECK_FALSE(world.leaf(0).was_cancelled(0));  // it had answered: the connection is kept
  CHECK(world.leaf(1).was_cancelled(0));
  CHECK(world.leaf(2).was_cancelled(0));
  CHECK(world.memory_bytes() == 0);
  CHECK(world.stats(1).inflight() == 0);
  CHECK(world.stats(1).tally().consecutive_errors == 0);
  CHECK(world.metrics().clients_gone.value() == 1);
  CHECK(world.logged("status=499") == 1);
}

TEST_CASE("a server that is stopped in mid-request leaves nothing behind") {
  GatherWorld world(3, 2);
  world.start();
  world.get("/x");
  world.leaf(0).send(0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1]");
  world.stop();
  CHECK(world.leaf(1).was_cancelled(0));
  CHECK(world.memory_bytes() == 0);
}

TEST_CASE("one leaf's answer may be too long, then it is lost and the limit is named") {
  GatherWorld world(2);
  world.config.limits.leaf_body = ByteSize{10};
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, std::string(11, '1'));
  const Answer answer = client.answer();
  CHECK(answer.status == 502);
  CHECK(answer.has("urn:consort:gather:leaf-body-too-large"));
  CHECK(answer.has("http_response_body_size"));
  CHECK(world.limit_count(LimitHit::leaf_body) == 1);
  CHECK(world.stats(0).tally().consecutive_errors == 0);
  TestClient& other = world.get("/x");
  world.leaf(0).answer(1, std::string(10, '1'));
  world.leaf(1).answer(1, std::string(10, '2'));
  CHECK(other.answer().status == 200);
}

TEST_CASE("the answers to one request together have a limit") {
  GatherWorld world(3);
  world.config.limits.total_body = ByteSize{25};
  world.route.min_coverage = 30;
  world.route.wait_factor = {1, 1};
  world.start();
  TestClient& client = world.get("/x");
  for (std::size_t i = 0; i < 3; ++i) world.leaf(i).answer(0, std::string(10, '1'));
  // Two fit, and the route takes them; the third is missing.
  const Answer partial = client.answer();
  CHECK(partial.status == 200);
  CHECK(partial.header("consort-coverage").find("ok=2, failed=1") != std::string::npos);
  TestClient& strict = world.get("/x", {{"Prefer", "handling=strict"}});
  for (std::size_t i = 0; i < 3; ++i) world.leaf(i).answer(1, std::string(10, '1'));
  const Answer refused = strict.answer();
  CHECK(refused.status == 502);
  CHECK(refused.has("urn:consort:gather:total-body-too-large"));
  CHECK(world.limit_count(LimitHit::total_body) == 2);
}

TEST_CASE("all requests together have a limit of memory, and get it back") {
  GatherWorld world(2);
  world.config.limits.memory = ByteSize{4000};
  world.start();
  TestClient& first = world.get("/x");
  world.leaf(0).answer(0, std::string(2000, '1'));
  // The heads of the calls count as well.
  CHECK(world.memory_bytes() > 2000);
  CHECK(world.memory_bytes() < 3000);
  TestClient& second = world.get("/x");
  world.leaf(0).answer(1, std::string(1900, '1'));
  const Answer refused = second.answer();
  CHECK(refused.status == 503);
  CHECK(refused.has("urn:consort:gather:memory-limit"));
  CHECK(refused.header("retry-after") == "1");
  CHECK(world.limit_count(LimitHit::memory) == 1);
  world.leaf(1).answer(0, "2");
  CHECK(first.answer().status == 200);
  CHECK(world.memory_bytes() == 0);
  TestClient& third = world.get("/x");
  world.leaf(0).answer(2, std::string(2000, '1'));
  world.leaf(1).answer(world.leaf(1).calls() - 1, "2");
  CHECK(third.answer().status == 200);
}

TEST_CASE("a request that matches no shard is answered with a merge of nothing") {
  GatherWorld world(2);
  auto tagged = SelectSpec::parse("tags:query:zone");
  REQUIRE(tagged.has_value());
  world.route.to = *tagged;
  world.start();
  TestClient& client = world.get("/x?zone=zone%3Dmoon");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[]");
  CHECK(answer.header("consort-coverage").starts_with("total=0, ok=0"));
  CHECK(world.leaf(0).calls() == 0);
}

TEST_CASE("a request may name its shards, and more than max_fanout of them are refused") {
  GatherWorld world(4);
  world.config.limits.fanout = 2;
  world.start();
  TestClient& client = world.get("/x?shards=s3,s1");
  world.leaf(3).answer(0, "3");
  world.leaf(1).answer(0, "1");
  CHECK(client.answer().body == "[1,3]");
  CHECK(world.leaf(1).call(0).header("consort-shards") == "4");
  const Answer refused = world.get("/x").answer();
  CHECK(refused.status == 400);
  CHECK(refused.has("urn:consort:gather:too-many-shards"));
  CHECK(world.limit_count(LimitHit::fanout) == 1);
  const Answer unknown = world.get("/x?shards=s9").answer();
  CHECK(unknown.status == 400);
  CHECK(unknown.has("urn:consort:gather:bad-request"));
}

TEST_CASE("HEAD is asked of leaves as GET, and answered without a body") {
  GatherWorld world(1);
  world.start();
  TestClient& client = world.ask("HEAD", "/x");
  CHECK(world.leaf(0).call(0).first == "GET /x HTTP/1.1");
  world.leaf(0).answer(0, "12345");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.header("content-length") == "7");
  CHECK(client.is_waiting());
}

TEST_CASE("before the leaves are known, and where no route leads, nothing is asked") {
  GatherWorld world(1);
  world.route.match = *RouteMatch::parse("GET /a");
  world.start();
  const Answer nowhere = world.get("/b").answer();
  CHECK(nowhere.status == 404);
  CHECK(nowhere.has("urn:consort:gather:no-route"));
  CHECK(world.ask("POST", "/a", {}, "x").answer().status == 404);

  GatherWorld early(1);
  early.start();
  Root root(early.services(), early.config, "early");
  root.set_routes({early.make_route(early.route)});
  CHECK_FALSE(root.epoch()->generation);
}

TEST_CASE("what a client sends before it is a request is refused as a problem, too") {
  GatherWorld world(1);
  world.config.limits.request_body = ByteSize{10};
  world.start();
  const Answer answer = world.ask("POST", "/x", {}, std::string(11, 'x')).answer();
  CHECK(answer.status == 413);
  CHECK(answer.header("content-type") == "application/problem+json");
  CHECK(answer.has("urn:consort:gather:body-too-large"));
  const http::Response busy = world.root().refuse(503, "too many connections");
  CHECK(busy.body.find("urn:consort:gather:overloaded") != std::string::npos);
}
