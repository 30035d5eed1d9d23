#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gather_command_support.hpp"
#include "roles/gather/merge_coprocess.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using Json = nlohmann::json;

namespace {

CoprocessMergeOptions merge_options(std::uint32_t processes = 1, std::string command = "merge -v") {
  CoprocessMergeOptions options;
  options.command = std::move(command);
  options.processes = processes;
  return options;
}

struct Played : PlayedWorld {
  explicit Played(CoprocessMergeOptions options = merge_options()) {
    merge = std::make_unique<CoprocessMerge>(services, std::move(options));
    world.loop.settle();
  }
  ~Played() { merge.reset(); }
  Played(const Played&) = delete;
  Played& operator=(const Played&) = delete;

  sim::SimChild& child(std::size_t index) { return world.processes.at(index); }
  /// The id on the wire of the only line that the child has got since the last look.
  std::string start(Merging& merging, std::size_t index = 0, std::int64_t ms = 1000) {
    merging.start(*merge, within(ms));
    world.loop.settle();
    const std::string line = child(index).take_input();
    REQUIRE(line.ends_with('\n'));
    return Json::parse(line).at("id");
  }
  void answer(const std::string& line, std::size_t index = 0) {
    child(index).write(line + "\n");
    world.loop.settle();
  }
  static std::string reply(const std::string& id, const std::string& body) {
    return Json({{"id", id}, {"body", body}}).dump();
  }
  std::unique_ptr<CoprocessMerge> merge;
};

}  // namespace

TEST_CASE("a coprocess starts with the merge and gets one line per request") {
  Played bench;
  REQUIRE(bench.world.processes.size() == 1);
  CHECK(bench.child(0).command().argv == std::vector<std::string>{"merge", "-v"});
  Merging merging;
  merging.start(*bench.merge, bench.within(1000));
  bench.world.loop.settle();
  const std::string line = bench.child(0).take_input();
  CHECK(line.find('\n') == line.size() - 1);
  const Json document = Json::parse(line);
  CHECK(document.at("id") == "r-1");
  CHECK(document.at("parts").size() == 2);
  CHECK(document.at("coverage").at("total") == 2);
  CHECK_FALSE(bench.child(0).input_ended());
  CHECK(bench.merge->stats().active == 1);
  bench.answer(R"({"id":"r-1","status":201,"headers":{"content-type":"text/x"},"body":"hi"})");
  CHECK(merging.told() == "201 text/x hi");
  CHECK(bench.merge->stats().active == 0);
  CHECK(bench.merge->stats().runs == 1);
  CHECK(bench.merge->describe() == "coprocess merge -v");
}

TEST_CASE("answers may come in any order and in any pieces") {
  Played bench;
  Merging one;
  Merging two;
  const std::string first = bench.start(one);
  const std::string second = bench.start(two);
  CHECK(first != second);
  const std::string text =
      Played::reply(second, "two") + "\r\n\n" + Played::reply(first, "one") + "\n";
  for (const char c : text) bench.child(0).write(std::string_view(&c, 1));
  bench.world.loop.settle();
  CHECK(one.told() == "200 application/json one");
  CHECK(two.told() == "200 application/json two");
}

TEST_CASE("a merge may say that it failed") {
  Played bench;
  Merging merging;
  const std::string id = bench.start(merging);
  bench.answer(R"({"id":")" + id + R"(","error":"no model"})");
  CHECK(merging.told() == "failed: no model");
  CHECK(bench.merge->stats().failed == 1);
  CHECK(bench.child(0).has_ended() == false);
}

TEST_CASE("requests go to the child with the fewest open ones") {
  Played bench(merge_options(2));
  REQUIRE(bench.world.processes.size() == 2);
  std::vector<std::unique_ptr<Merging>> merging;
  for (int i = 0; i < 4; ++i) {
    merging.push_back(std::make_unique<Merging>());
    merging.back()->start(*bench.merge, bench.within(1000));
  }
  bench.world.loop.settle();
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string& input = bench.child(i).input();
    CHECK(std::count(input.begin(), input.end(), '\n') == 2);
  }
}

TEST_CASE("a silent child is killed at the deadline, and all of its requests time out") {
  Played bench;
  Merging patient;
  Merging hasty;
  bench.start(patient, 0, 5000);
  bench.start(hasty, 0, 500);
  bench.world.loop.run_for(499);
  CHECK(hasty.told() == "under way");
  bench.world.loop.run_for(1);
  CHECK(hasty.told() == "timed out: it did not answer within its deadline");
  CHECK(bench.child(0).was_killed());
  CHECK(patient.told() == "timed out: the merge ended: it did not answer within the deadline");
  CHECK(bench.merge->stats().timed_out == 2);
  bench.world.loop.run_for(Coprocess::kBackOffMinMs);
  CHECK(bench.world.processes.size() == 2);
  CHECK(bench.merge->stats().restarts == 1);
}

TEST_CASE("a child that answers others is not killed for one late answer") {
  Played bench;
  Merging late;
  Merging other;
  const std::string id = bench.start(late, 0, 500);
  bench.world.loop.run_for(300);
  bench.answer(Played::reply(bench.start(other), "ok"));
  bench.world.loop.run_for(200);
  CHECK(late.told() == "timed out: it did not answer within its deadline");
  CHECK_FALSE(bench.child(0).was_killed());
  // Its late answer is thrown away, and so are answers that nobody asked for.
  bench.answer(Played::reply(id, "late"));
  bench.answer(Played::reply("unknown", "x"));
  Merging next;
  bench.answer(Played::reply(bench.start(next), "next"));
  CHECK(next.told() == "200 application/json next");
}

TEST_CASE("a client's short deadline does not have the child killed") {
  Played bench;
  Merging hasty;
  Merging other;
  bench.start(other);
  bench.start(hasty, 0, 1);
  bench.world.loop.run_for(CoprocessMerge::kPatienceMs - 1);
  CHECK(hasty.told() == "timed out: it did not answer within its deadline");
  CHECK_FALSE(bench.child(0).was_killed());
  SUBCASE("when it answers within its patience") {
    bench.child(0).write("\n");
    bench.world.loop.run_for(100);
    CHECK_FALSE(bench.child(0).was_killed());
  }
  SUBCASE("unless it stays silent") {
    bench.world.loop.run_for(1);
    CHECK(bench.child(0).was_killed());
  }
}

TEST_CASE("a child that dies fails its requests at once and is started again") {
  Played bench;
  Merging merging;
  bench.start(merging);
  bench.child(0).exit(3);
  bench.world.loop.settle();
  CHECK(merging.told() == "failed: the merge ended: exit code 3");
  CHECK(bench.log.count("merge.ended") == 1);
  SUBCASE("requests wait for a restart that is near") {
    Merging waiting;
    waiting.start(*bench.merge, bench.within(1000));
    CHECK(bench.merge->stats().waiting == 1);
    bench.world.loop.run_for(100);
    REQUIRE(bench.world.processes.size() == 2);
    CHECK(bench.merge->stats().waiting == 0);
    const std::string id = Json::parse(bench.child(1).take_input()).at("id");
    bench.answer(Played::reply(id, "again"), 1);
    CHECK(waiting.told() == "200 application/json again");
  }
  SUBCASE("not beyond their deadline") {
    Merging waiting;
    waiting.start(*bench.merge, bench.within(50));
    bench.world.loop.run_for(50);
    CHECK(waiting.told() == "timed out: no merge process started in time: exit code 3");
    CHECK(bench.merge->stats().waiting == 0);
  }
  SUBCASE("and may be dropped meanwhile") {
    Merging waiting;
    waiting.start(*bench.merge, bench.within(1000));
    waiting.drop();
    CHECK(bench.merge->stats().waiting == 0);
    bench.world.loop.run_for(100);
    CHECK(bench.child(1).input().empty());
  }
}

TEST_CASE("a child that keeps dying is started ever more rarely, and nobody waits for it") {
  PlayedWorld world;
  world.world.processes.on_spawn = [](sim::SimChild& child) { child.exit(1); };
  CoprocessMerge merge(world.services, merge_options());
  std::vector<std::uint64_t> starts;
  const std::uint64_t began_ms = world.world.loop.now_ms();
  while (world.world.loop.now_ms() < began_ms + 30'000) {
    if (world.world.processes.size() > starts.size()) {
      starts.push_back(world.world.loop.now_ms() - began_ms);
    }
    world.world.loop.run_for(1);
  }
  // 100, 200, 400 .. 6400 ms, then 10 s; each start is seen a millisecond late at most.
  REQUIRE(starts.size() == 9);
  CHECK(starts[1] - starts[0] <= 102);
  CHECK(starts[3] - starts[2] >= 399);
  CHECK(starts[8] - starts[7] >= 6399);
  Merging merging;
  merging.start(merge, world.within(1000));
  CHECK(merging.told() == "failed: no merge process runs: exit code 1");
}

TEST_CASE("after ten seconds of health the back-off begins anew") {
  Played bench;
  bench.child(0).exit(1);
  bench.world.loop.run_for(100);
  bench.child(1).exit(1);
  bench.world.loop.run_for(200);
  REQUIRE(bench.world.processes.size() == 3);
  bench.world.loop.run_for(Coprocess::kHealthyMs);
  bench.child(2).exit(1);
  bench.world.loop.run_for(100);
  CHECK(bench.world.processes.size() == 4);
}

TEST_CASE("a program that cannot run is an error of each request, in words") {
  Played bench;
  bench.child(0).exit(0);
  bench.world.processes.refuse(Error(Errc::not_found, "cannot run \"merge\": no such file"));
  bench.world.loop.run_for(100);
  Merging merging;
  merging.start(*bench.merge, bench.within(1000));
  CHECK(merging.told() == "failed: no merge process runs: cannot run \"merge\": no such file");
  bench.world.processes.allow();
  bench.world.loop.run_for(200);
  Merging next;
  bench.answer(Played::reply(bench.start(next, 1), "up"), 1);
  CHECK(next.told() == "200 application/json up");
}

TEST_CASE("a line that is no answer kills the child and fails its requests") {
  Played bench;
  Merging merging;
  bench.start(merging);
  bench.answer("Traceback (most recent call last):");
  CHECK(bench.child(0).was_killed());
  CHECK(merging.told().starts_with("failed: the merge ended: it wrote a line that is no answer"));
  CHECK(bench.log.count("Traceback") == 1);
}

TEST_CASE("answers before a line that is no answer still count") {
  Played bench;
  Merging one;
  Merging two;
  const std::string id = bench.start(one);
  bench.start(two);
  bench.answer(Played::reply(id, "one") + "\n[]");
  CHECK(one.told() == "200 application/json one");
  CHECK(two.told().starts_with("failed: "));
}

TEST_CASE("a child that closes its output and lives on is killed") {
  Played bench;
  Merging merging;
  bench.start(merging);
  bench.child(0).close_output();
  bench.world.loop.run_for(Coprocess::kExitMs);
  CHECK(bench.child(0).was_killed());
  CHECK(merging.told() == "failed: the merge ended: it closed its output");
}

TEST_CASE("a dropped request is forgotten, and its answer too") {
  Played bench;
  Merging dropped;
  const std::string id = bench.start(dropped);
  dropped.drop();
  CHECK(bench.merge->stats().active == 0);
  bench.answer(Played::reply(id, "late"));
  bench.world.loop.run_for(10'000);
  CHECK_FALSE(bench.child(0).was_killed());
}

TEST_CASE("what a coprocess says on standard error is logged, at most 20 lines a second") {
  Played bench;
  for (int i = 0; i < 30; ++i) bench.child(0).write_errors("line " + std::to_string(i) + "\n");
  bench.world.loop.settle();
  CHECK(bench.log.count("line=\"line ") == 20);
  bench.world.loop.run_for(1000);
  bench.child(0).write_errors("more\n");
  bench.world.loop.settle();
  CHECK(bench.log.count("line=more") == 1);
}

TEST_CASE("a merge that ends kills its children") {
  Played bench(merge_options(2));
  bench.merge.reset();
  CHECK(bench.child(0).was_killed());
  CHECK(bench.child(1).was_killed());
}

TEST_CASE("a task that was answered may destroy its merge") {
  struct Owner {
    static Task<> run(Owner& self, Deadline deadline) {
      MergeRequest request{.id = "r", .method = "GET", .path = "/"};
      MergeResult result = co_await self.merge->merge(std::move(request), deadline);
      self.answered = result.has_value();
      self.merge.reset();
    }
    std::unique_ptr<CoprocessMerge> merge;
    bool answered = false;
  };
  PlayedWorld world;
  Owner owner;
  owner.merge = std::make_unique<CoprocessMerge>(world.services, merge_options());
  world.world.loop.settle();
  TaskScope scope;
  scope.spawn(Owner::run(owner, world.within(1000)));
  world.world.loop.settle();
  SUBCASE("by an answer") {
    world.world.processes.last().write("{\"id\":\"r-1\",\"body\":1}\n");
    world.world.loop.settle();
    CHECK(owner.answered);
  }
  SUBCASE("by its child's end") {
    world.world.processes.last().exit(1);
    world.world.loop.settle();
    CHECK_FALSE(owner.answered);
  }
  SUBCASE("by its deadline") {
    world.world.loop.run_for(1000);
    CHECK_FALSE(owner.answered);
  }
  CHECK(owner.merge == nullptr);
}

TEST_CASE("a real coprocess answers many requests, and a stuck one is replaced") {
  RealWorld bench;
  // Answers each line with its id, until one asks it to hang.
  const std::string script =
      "while read -r line; do case $line in *hang*) sleep 60;; esac; id=${line#*\\\"id\\\":\\\"}; "
      "echo \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"body\\\":[1, 2]}\"; done";
  CoprocessMerge merge(bench.services, merge_options(2, script));
  std::vector<std::unique_ptr<Merging>> many;
  for (int i = 0; i < 50; ++i) {
    many.push_back(std::make_unique<Merging>());
    many.back()->start(merge, bench.within(5000));
  }
  CHECK(consort::test::run_until(bench.loop, [&many] {
    return std::all_of(many.begin(), many.end(), [](const auto& each) { return each->is_done(); });
  }));
  for (const auto& each : many) CHECK(each->told() == "200 application/json [1, 2]");
  Merging stuck("hang");
  stuck.start(merge, bench.within(150));
  CHECK(consort::test::run_until(bench.loop, [&stuck] { return stuck.is_done(); }));
  CHECK(stuck.told() == "timed out: it did not answer within its deadline");
  CHECK(consort::test::run_until(bench.loop, [&merge] { return merge.stats().restarts == 1; }));
  Merging after;
  after.start(merge, bench.within(5000));
  CHECK(consort::test::run_until(bench.loop, [&after] { return after.is_done(); }));
  CHECK(after.told() == "200 application/json [1, 2]");
}

TEST_CASE("a real coprocess takes and gives lines larger than a pipe") {
  RealWorld bench;
  const std::string script =
      "while read -r line; do id=${line#*\\\"id\\\":\\\"}; "
      "x=$(head -c 500000 /dev/zero | tr '\\0' x); "
      "echo \"{\\\"id\\\":\\\"${id%%\\\"*}\\\",\\\"body\\\":\\\"$x\\\"}\"; done";
  CoprocessMerge merge(bench.services, merge_options(1, script));
  Merging merging;
  const std::string body = "\"" + std::string(300'000, 'y') + "\"";
  merging.parts.at(0).body = body;
  merging.start(merge, bench.within(20'000));
  CHECK(consort::test::run_until(bench.loop, [&merging] { return merging.is_done(); }, 20'000));
  const std::string expected = "200 application/json " + std::string(500'000, 'x');
  CHECK((merging.told() == expected));  // not printed when it fails
}
