// What ends a request besides the last leaf (first, first-n, majority, quorum), and who makes the
// answer: a built-in merge, or one of the user's own.
#include <doctest/doctest.h>

#include "async/deadline.hpp"
#include "gather_world.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

LeafAnswer status(int code, std::string body = {}) {
  LeafAnswer answer;
  answer.status = code;
  answer.body = std::move(body);
  return answer;
}

/// `shards` leaves with that mode; quorum votes by the whole answer.
struct ModeWorld : GatherWorld {
  ModeWorld(std::size_t shards, std::string_view mode) : GatherWorld(shards) {
    route.mode = *Mode::parse(mode);
    if (route.mode.kind == Mode::Kind::quorum) route.merge = *MergeSpec::parse("quorum");
  }
};

/// A merge of the user's own, as the test plays it.
class FakeMerge final : public ExternalMerge {
 public:
  explicit FakeMerge(sim::SimLoop& loop) : loop_(loop) {}

  Task<MergeResult> merge(MergeRequest request, Deadline deadline) override {
    ++stats_.runs;
    seen.clear();
    for (const MergePart& part : request.parts) {
      seen += std::string(part.shard) + "=" +
              (part.ok ? std::string(part.body) : "!" + std::string(part.error)) + " ";
    }
    coverage = request.coverage_json;
    path = std::string(request.method) + " " + std::string(request.path) + "?" +
           std::string(request.query);
    deadline_ms = deadline.at_ms;
    ++active;
    const Leaving leaving{*this};
    const std::uint64_t until_ms = std::min(deadline.at_ms, loop_.now_ms() + takes_ms);
    co_await sleep_until(loop_.timers(), until_ms);
    if (loop_.now_ms() >= deadline.at_ms) {
      co_return tl::unexpected(MergeFailure{.timed_out = true, .why = "too slow"});
    }
    if (fails) co_return tl::unexpected(MergeFailure{.timed_out = false, .why = "exit code 3"});
    co_return MergedAnswer{.status = 201,
                           .content_type = "text/x",
                           .headers = {{"X-Merged", "yes"}},
                           .body = "merged"};
  }
  std::string describe() const override { return "fake"; }
  const MergeStats& stats() const override { return stats_; }

  std::uint64_t takes_ms = 0;
  bool fails = false;
  std::string seen;
  std::string coverage;
  std::string path;
  std::uint64_t deadline_ms = 0;
  int active = 0;

 private:
  struct Leaving {
    FakeMerge& merge;
    ~Leaving() { --merge.active; }
  };
  sim::SimLoop& loop_;
  MergeStats stats_;
};

struct MergeWorld : GatherWorld {
  explicit MergeWorld(std::size_t shards) : GatherWorld(shards) {}
  FakeMerge& begin() {
    start();
    auto made = std::make_unique<FakeMerge>(world.loop);
    FakeMerge& merge = *made;
    state().merge = std::move(made);
    return merge;
  }
};

}  // namespace

TEST_CASE("first: the first good answer is all, and the others are given up") {
  ModeWorld world(3, "first");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, status(500));
  CHECK(client.is_waiting());
  world.leaf(2).answer(0, "3");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[3]");
  CHECK(answer.header("consort-coverage") ==
        "total=3, ok=1, failed=1, timeout=0, skipped=1, hedged=0, percent=50.0");
  CHECK(world.leaf(1).was_cancelled(0));
  CHECK(world.stats(1).tally().consecutive_errors == 0);
}

TEST_CASE("first: when none is good the failure is told") {
  ModeWorld world(2, "first");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, status(500));
  world.leaf(1).answer(0, status(404));
  CHECK(client.answer().status == 502);
  TestClient& same = world.get("/x");
  world.leaf(0).answer(1, status(404));
  CHECK(same.is_waiting());
  world.leaf(1).answer(1, status(404, "nothing"));
  CHECK(same.answer().status == 404);
}

TEST_CASE("first-n: as many good answers as were asked for, and no more than there are leaves") {
  {
    ModeWorld world(4, "first-n:2");
    world.start();
    TestClient& client = world.get("/x");
    world.leaf(3).answer(0, "4");
    world.leaf(0).answer(0, status(500));
    CHECK(client.is_waiting());
    world.leaf(1).answer(0, "2");
    CHECK(client.answer().body == "[2,4]");
    CHECK(world.leaf(2).was_cancelled(0));
  }
  ModeWorld world(2, "first-n:5");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  CHECK(client.is_waiting());
  world.leaf(1).answer(0, "2");
  CHECK(client.answer().body == "[1,2]");
}

TEST_CASE("first-n and majority end as soon as there are too few left to be enough") {
  for (const char* mode : {"first-n:3", "majority"}) {
    CAPTURE(mode);
    ModeWorld world(4, mode);
    world.start();
    TestClient& client = world.get("/x");
    world.leaf(0).answer(0, "1");
    world.leaf(1).answer(0, status(500));
    CHECK(client.is_waiting());
    world.leaf(2).answer(0, status(500));
    CHECK(client.answer().status == 502);
    CHECK(world.leaf(3).was_cancelled(0));
  }
}

TEST_CASE("majority: more than half of the leaves") {
  for (const std::size_t width : {1U, 2U, 3U, 4U, 5U}) {
    ModeWorld world(width, "majority");
    world.start();
    TestClient& client = world.get("/x");
    for (std::size_t i = 0; i < width / 2; ++i) world.leaf(i).answer(0, "1");
    CHECK(client.is_waiting());
    world.leaf(width / 2).answer(0, "1");
    CHECK(client.answer().status == 200);
  }
}

TEST_CASE("a majority that is not reached in time is no answer, whatever min_coverage says") {
  ModeWorld world(4, "majority");
  world.route.min_coverage = 10;
  world.route.timeout = Millis(500);
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, "1");
  world.run_for(499);
  CHECK(client.answer().status == 504);
}

TEST_CASE("quorum: more than half say the same, in any order, and the rest is given up") {
  ModeWorld world(5, "quorum");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, R"({"a":1})");
  world.leaf(1).answer(0, R"({"a":2})");
  world.leaf(2).answer(0, R"({"a":2})");
  CHECK(client.is_waiting());
  world.leaf(4).answer(0, R"({"a":2})");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"a":2})");
  CHECK(world.leaf(3).was_cancelled(0));
}

TEST_CASE("quorum: a vote that cannot be won any more ends with the vote") {
  ModeWorld world(5, "quorum");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, "2");
  world.leaf(2).answer(0, "3");
  CHECK(client.is_waiting());
  world.leaf(3).answer(0, "4");
  CHECK(client.answer().status == 502);
  CHECK(world.leaf(4).was_cancelled(0));

  // Leaves that fail do not vote, and are missed.
  TestClient& other = world.get("/x");
  world.leaf(0).answer(1, "1");
  world.leaf(1).answer(1, "1");
  world.leaf(2).answer(1, status(500));
  world.leaf(3).answer(world.leaf(3).calls() - 1, status(500));
  CHECK(other.is_waiting());
  world.leaf(4).answer(world.leaf(4).calls() - 1, status(500));
  const Answer lost = other.answer();
  CHECK(lost.status == 502);
  CHECK(lost.has("urn:consort:gather:no-quorum"));
}

TEST_CASE("the merge may be satisfied before the leaves are all in") {
  GatherWorld world(3);
  world.route.merge = *MergeSpec::parse("first");
  world.start();
  TestClient& client = world.get("/x");
  world.leaf(1).answer(0, "2");
  CHECK(client.answer().body == "2");
  CHECK(world.leaf(0).was_cancelled(0));
  CHECK(world.leaf(2).was_cancelled(0));
}

TEST_CASE("the query may say how many are wanted of the best") {
  GatherWorld world(2);
  world.route.merge = *MergeSpec::parse("top-k:score:2:k-query=size");
  world.start();
  const auto best = [&](const std::string& target) {
    TestClient& client = world.get(target);
    const std::size_t n = world.leaf(0).calls() - 1;
    world.leaf(0).answer(n, R"([{"score":1},{"score":4}])");
    world.leaf(1).answer(n, R"([{"score":3},{"score":2}])");
    const std::string body = client.answer().body;
    return std::count(body.begin(), body.end(), '{');
  };
  CHECK(best("/x") == 2);
  CHECK(best("/x?size=3") == 3);
  CHECK(best("/x?size=0") == 0);
  CHECK(best("/x?size=-1") == 2);
  CHECK(best("/x?size=many") == 2);
}

TEST_CASE("a merge of one's own gets all parts, and its answer is the client's") {
  MergeWorld world(3);
  world.route.min_coverage = 60;
  FakeMerge& merge = world.begin();
  TestClient& client = world.get("/s?q=1");
  LeafAnswer packed = status(200, "zipped");
  packed.headers.emplace_back("Content-Encoding", "gzip");
  world.leaf(2).answer(0, packed);
  world.leaf(0).answer(0, status(500));
  CHECK(merge.stats().runs == 0);
  world.leaf(1).answer(0, "not JSON");
  const Answer answer = client.answer();
  CHECK(answer.status == 201);
  CHECK(answer.body == "merged");
  CHECK(answer.header("content-type") == "text/x");
  CHECK(answer.header("x-merged") == "yes");
  CHECK(merge.seen == "s0=!failed s1=not JSON s2=zipped ");
  CHECK(merge.path == "GET /s?q=1");
  CHECK(merge.coverage.find(R"("total":3,"ok":2,"failed":1)") != std::string::npos);
}

TEST_CASE("a merge that fails is 502, one that is too slow 504, and both say so") {
  for (const bool is_slow : {false, true}) {
    MergeWorld world(1);
    world.route.timeout = Millis(500);
    FakeMerge& merge = world.begin();
    merge.fails = !is_slow;
    merge.takes_ms = is_slow ? 10'000 : 5;
    TestClient& client = world.get("/x");
    const std::uint64_t start_ms = world.now_ms();
    world.leaf(0).answer(0, "1");
    world.run_for(500);
    const Answer answer = client.answer();
    CHECK(answer.status == (is_slow ? 504 : 502));
    CHECK(merge.deadline_ms == start_ms + 500);
    CHECK(answer.has(is_slow ? "urn:consort:gather:merge-timeout"
                             : "urn:consort:gather:merge-failed"));
    CHECK(answer.has(is_slow ? "too slow" : "exit code 3"));
    CHECK(answer.header("proxy-status").find("details=\"merge\"") != std::string::npos);
    CHECK(world.logged("merge.failed") == 1);
  }
}

TEST_CASE("the built-in merge that stands in for one that fails takes what it can") {
  MergeWorld world(3);
  world.route.merge_fallback.spec = *MergeSpec::parse("array");
  FakeMerge& merge = world.begin();
  merge.fails = true;
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, "1");
  world.leaf(1).answer(0, "not JSON");
  world.leaf(2).answer(0, "3");
  const Answer answer = client.answer();
  CHECK(answer.status == 200);
  CHECK(answer.body == "[1,3]");
  CHECK(answer.header("consort-merge") == "fallback");
  CHECK(world.logged("merge.failed") == 1);
}

TEST_CASE("a merge is not asked when the leaves are too few, nor when they all refuse") {
  MergeWorld world(2);
  FakeMerge& merge = world.begin();
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, status(500));
  CHECK(client.answer().status == 502);
  TestClient& refused = world.get("/x");
  for (std::size_t i = 0; i < 2; ++i) {
    world.leaf(i).answer(world.leaf(i).calls() - 1, status(403, "no"));
  }
  CHECK(refused.answer().status == 403);
  CHECK(merge.stats().runs == 0);
}

TEST_CASE("a client that leaves gives the merge up, and the bodies are given back after it") {
  MergeWorld world(1);
  FakeMerge& merge = world.begin();
  merge.takes_ms = 100;
  TestClient& client = world.get("/x");
  world.leaf(0).answer(0, std::string(1000, '1'));
  CHECK(merge.active == 1);
  CHECK(world.memory_bytes() == 1000);
  client.leave();
  CHECK(merge.active == 0);
  CHECK(world.memory_bytes() == 0);
  CHECK(world.root().inside() == 0);
}

TEST_CASE("what merges took lately is kept free at the end of the leaves' time") {
  MergeWorld world(1);
  world.route.timeout = Millis(1000);
  FakeMerge& merge = world.begin();
  world.leaf(0).always("1");
  world.get("/x");
  CHECK(world.leaf(0).call(0).header("x-envoy-expected-rq-timeout-ms") == "958");
  merge.takes_ms = 100;
  for (int i = 0; i < 20; ++i) {
    TestClient& client = world.get("/x");
    world.run_for(100);
    CHECK(client.answer().status == 201);
  }
  TestClient& client = world.get("/x");
  const int left_ms = std::stoi(
      world.leaf(0).call(world.leaf(0).calls() - 1).header("x-envoy-expected-rq-timeout-ms"));
  // Its percentile is known to an eighth; and leaves are told 4 % less.
  CHECK(left_ms <= 900 * 96 / 100);
  CHECK(left_ms >= 880 * 96 / 100);
  world.run_for(100);
  CHECK(client.answer().status == 201);
  // One that needs all of the time leaves the leaves half of it.
  merge.takes_ms = 999;
  for (int i = 0; i < 40; ++i) {
    world.get("/x");
    world.run_for(1000);
  }
  world.get("/x");
  CHECK(world.leaf(0).call(world.leaf(0).calls() - 1).header("grpc-timeout") == "480m");
}
