#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "gather_check_support.hpp"
#include "gather_command_support.hpp"
#include "roles/gather/check_merge.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

class PlayedMerge final : public ExternalMerge {
 public:
  explicit PlayedMerge(const Services& services) : services_(services) {}

  Task<MergeResult> merge(MergeRequest request, Deadline deadline) override {
    ++stats_.active;
    const bool is_short = deadline.left(services_.loop.now_ms()) < Millis(1000);
    if (is_short && is_slow) {
      const std::uint64_t over_ms = deadline.at_ms + late_ms;
      co_await sleep_until(services_.loop.timers(), over_ms);
      --stats_.active;
      was_late = true;
      co_return tl::unexpected(MergeFailure{true, "no answer in time"});
    }
    co_await sleep_until(services_.loop.timers(), services_.loop.now_ms() + 1);
    MergeResult made = answer(request);
    --stats_.active;
    co_return made;
  }
  std::string describe() const override { return "played"; }
  const MergeStats& stats() const override { return stats_; }

  static MergeResult good(const MergeRequest& request) {
    MergedAnswer made;
    made.content_type = "application/json";
    made.body = std::to_string(request.parts.size());
    return made;
  }
  static MergeResult dead() { return tl::unexpected(MergeFailure{false, "exit code 3"}); }

  std::function<MergeResult(const MergeRequest&)> answer = good;
  bool is_slow = true;
  bool was_late = false;
  std::uint64_t late_ms = 0;

 private:
  const Services& services_;
  MergeStats stats_;
};

struct MergeStage : PlayedWorld {
  PlayedMerge merge{services};
  TaskScope scope;

  std::string run(std::string sample = {}) {
    std::string out;
    bool is_done = false;
    CheckReport report([&out](std::string_view lines) { out += lines; });
    MergeUnderTest under_test{.merge = merge, .sample = std::move(sample)};
    scope.spawn(work(services, std::move(under_test), report, is_done));
    CHECK(world.loop.run_until([&is_done] { return is_done; }));
    report.finish();
    return out;
  }
  std::string run_with(std::function<MergeResult(const MergeRequest&)> answer) {
    merge.answer = std::move(answer);
    return run();
  }
  static Task<> work(const Services& services, MergeUnderTest under_test, CheckReport& report,
                     bool& is_done) {
    co_await check_merge(services, std::move(under_test), report);
    is_done = true;
  }
};

/// A part that `bad` is true of kills the merge.
std::function<MergeResult(const MergeRequest&)> dying_of(
    std::function<bool(const MergePart&)> bad) {
  return [bad = std::move(bad)](const MergeRequest& request) {
    for (const MergePart& part : request.parts) {
      if (bad(part)) return PlayedMerge::dead();
    }
    return PlayedMerge::good(request);
  };
}

}  // namespace

TEST_CASE("a good merge passes every check") {
  MergeStage stage;
  const std::string out = stage.run();
  INFO(out);
  CHECK(troubles(out).empty());
  CHECK(has(out, "12 passed, 0 failed, 0 warnings\n"));
}

TEST_CASE("of a merge that never answers only the first check is made") {
  MergeStage stage;
  const std::string out = stage.run_with([](const auto&) { return PlayedMerge::dead(); });
  check_only(out, "FAIL  merge: answers when all parts are there: exit code 3", "--log-level info");
  CHECK(has(out, "0 passed, 1 failed"));
}

TEST_CASE("each kind of part that a merge does not survive is named") {
  MergeStage stage;
  check_only(stage.run_with([](const MergeRequest& request) {
    return request.parts.empty() ? PlayedMerge::dead() : PlayedMerge::good(request);
  }),
             "FAIL  merge: answers without parts: exit code 3");
  check_only(stage.run_with(dying_of([](const MergePart& part) { return !part.ok; })),
             "FAIL  merge: answers when a part failed: exit code 3");
  check_only(
      stage.run_with(dying_of([](const MergePart& part) { return part.ok && part.body.empty(); })),
      "FAIL  merge: takes a part with an empty body: exit code 3");
  check_only(stage.run_with(
                 dying_of([](const MergePart& part) { return part.body.starts_with("<plain"); })),
             "FAIL  merge: takes a part that is no JSON: exit code 3");
  check_only(stage.run_with(dying_of([](const MergePart& part) { return has(part.body, "\xff"); })),
             "FAIL  merge: takes a part that is not UTF-8: exit code 3");
  check_only(stage.run_with(dying_of(
                 [](const MergePart& part) { return part.body.size() >= 8UL * 1024 * 1024; })),
             "FAIL  merge: takes a part of 8 MiB: exit code 3");
  stage.merge.is_slow = true;
  check_only(stage.run_with([](const MergeRequest& request) {
    return request.parts.size() >= 1000 ? PlayedMerge::dead() : PlayedMerge::good(request);
  }),
             "FAIL  merge: takes 1000 parts: exit code 3");
}

TEST_CASE("a status other than 2xx is a failure for usual parts and a warning for strange ones") {
  MergeStage stage;
  const auto answering = [](int status, bool is_for_empty) {
    return [status, is_for_empty](const MergeRequest& request) {
      MergeResult made = PlayedMerge::good(request);
      const bool is_empty =
          !request.parts.empty() && request.parts[3].ok && request.parts[3].body.empty();
      if (is_for_empty ? is_empty : request.parts.empty()) made->status = status;
      return made;
    };
  };
  check_only(stage.run_with(answering(500, true)),
             "warn  merge: takes a part with an empty body: it answers 500");
  check_only(stage.run_with(answering(404, false)),
             "FAIL  merge: answers without parts: it answers 404");
}

TEST_CASE("a merge must take several requests at once") {
  MergeStage stage;
  check_only(
      stage.run_with([&stage](const MergeRequest& request) {
        return stage.merge.stats().active > 1 ? PlayedMerge::dead() : PlayedMerge::good(request);
      }),
      "FAIL  merge: takes 8 requests at once: only 1 of 8 get an answer; another: exit code");
}

TEST_CASE("a merge must go on after a request that ran out of time, and end that one in time") {
  MergeStage stage;
  int answers_left = 1;
  check_only(stage.run_with([&](const MergeRequest& request) {
    if (!stage.merge.was_late || answers_left-- != 1) return PlayedMerge::good(request);
    return PlayedMerge::dead();
  }),
             "FAIL  merge: goes on after a deadline: the request after one that ran out of time: ");
  stage.merge.late_ms = 2000;
  check_only(stage.run_with(PlayedMerge::good),
             "FAIL  merge: goes on after a deadline: it was over after 2020 ms of 20 ms");
}

TEST_CASE("answers that change, and JSON that is none, are seen") {
  MergeStage stage;
  check_only(stage.run_with([](const MergeRequest&) { return MergedAnswer(); }),
             "warn  merge: answers when all parts are there: its answer is empty");
  int number = 0;
  check_only(stage.run_with([&number](const MergeRequest& request) {
    MergeResult made = PlayedMerge::good(request);
    made->body = std::to_string(++number);
    return made;
  }),
             "warn  merge: gives the same bytes again");
  check_only(stage.run_with([](const MergeRequest& request) {
    MergeResult made = PlayedMerge::good(request);
    if (request.parts.empty()) made->body = "[,]";
    return made;
  }),
             "FAIL  merge: says what its answers are: Content-Type is application/json, and");
}

TEST_CASE("parts hold the sample, and their coverage and counts fit") {
  MergeStage stage;
  std::string body;
  std::string coverage;
  stage.merge.answer = [&](const MergeRequest& request) {
    if (body.empty()) body = request.parts.at(0).body;
    if (request.ok + 1 == request.total) coverage = request.coverage_json;
    return PlayedMerge::good(request);
  };
  CHECK(troubles(stage.run(R"({"mine":[1]})")).empty());
  CHECK(body == R"({"mine":[1]})");
  CHECK(has(coverage, "\"total\":10,\"ok\":9"));
}

TEST_CASE("a sample is blown up without a change to its value") {
  CHECK(blown_up("{\"a\":1}", 10) == "{   \"a\":1}");
  CHECK(blown_up(" [1]\n", 8) == "[     1]");
  CHECK(blown_up("3", 6) == "\"xxxx\"");
  CHECK(blown_up("abc", 7) == "abcabca");
  CHECK(blown_up("", 3) == "xxx");
  CHECK(blown_up("{\"a\":1}", 2) == "{\"a\":1}");
}
