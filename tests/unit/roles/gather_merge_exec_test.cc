#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "gather_command_support.hpp"
#include "roles/gather/merge_exec.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using Json = nlohmann::json;

namespace {

ExecMergeOptions merge_options(std::string command = "merge") {
  ExecMergeOptions options;
  options.command = std::move(command);
  return options;
}

struct Played : PlayedWorld {
  explicit Played(ExecMergeOptions options = merge_options()) {
    merge.emplace(services, std::move(options));
  }
  sim::SimChild& start(Merging& merging, std::int64_t ms = 1000) {
    merging.start(*merge, within(ms));
    world.loop.settle();
    return world.processes.last();
  }
  void answer(sim::SimChild& child, std::string_view text, int code = 0) {
    child.write(text);
    child.exit(code);
    world.loop.settle();
  }
  std::optional<ExecMerge> merge;
};

/// Runs a real shell script as the merge.
std::string run_real(ExecMergeOptions options, std::int64_t ms = 5000) {
  RealWorld bench;
  ExecMerge merge(bench.services, std::move(options));
  Merging merging;
  merging.start(merge, bench.within(ms));
  consort::test::run_until(bench.loop, [&merging] { return merging.is_done(); });
  return merging.told();
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return "none";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("an exec merge gets lines and variables, and its output is the answer") {
  Played bench;
  Merging merging;
  sim::SimChild& child = bench.start(merging);
  const std::string lines = child.input();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);
  CHECK(Json::parse(lines.substr(0, lines.find('\n'))).at("id") == "r");
  CHECK(child.input_ended());
  CHECK(child.variable("REQUEST_METHOD") == "GET");
  CHECK(child.variable("PATH_INFO") == "/search");
  CHECK(child.variable("QUERY_STRING") == "q=a");
  CHECK(child.variable("CONSORT_TOTAL") == "2");
  CHECK(child.variable("CONSORT_OK") == "1");
  CHECK(child.variable("CONSORT_REQUEST_ID") == "r");
  CHECK(child.variable("CONSORT_DEADLINE_MS") == "1000");
  CHECK(child.variable("CONSORT_PARTS_DIR") == "none");
  bench.answer(child, "{\"n\": 1}\n");
  CHECK(merging.told() == "200 application/json {\"n\": 1}\n");
  CHECK(bench.merge->stats().runs == 1);
  CHECK(bench.merge->stats().failed == 0);
  CHECK(bench.merge->describe() == "exec merge");
}

TEST_CASE("an exec merge that is not JSON is plain text") {
  Played bench;
  Merging merging;
  bench.answer(bench.start(merging), "three hits\n");
  CHECK(merging.told() == "200 text/plain; charset=utf-8 three hits\n");
}

TEST_CASE("with cgi the answer begins with headers") {
  ExecMergeOptions options = merge_options();
  options.cgi = true;
  Played bench(options);
  Merging merging;
  bench.answer(bench.start(merging), "Status: 203\nContent-Type: text/x\nX-A: 1\n\n\nbody");
  CHECK(merging.told() == "203 text/x \nbody");
  CHECK((*merging.result)->headers == http1::Headers{{"X-A", "1"}});
  Merging wrong;
  bench.answer(bench.start(wrong), "hello");
  CHECK(wrong.told() == "failed: its headers have no empty line at their end");
  CHECK(bench.merge->stats().failed == 1);
}

TEST_CASE("an exec merge fails by its exit code, and times out by the deadline") {
  Played bench;
  Merging failing;
  bench.answer(bench.start(failing), "half", 3);
  CHECK(failing.told() == "failed: exit code 3");
  Merging late;
  bench.start(late, 100);
  bench.world.loop.run_for(100);
  CHECK(late.told() == "timed out: it did not end within its deadline");
  CHECK(bench.merge->stats().failed == 1);
  CHECK(bench.merge->stats().timed_out == 1);
  CHECK(bench.merge->stats().runs == 2);
}

TEST_CASE("an exec merge that nobody waits for is killed") {
  Played bench;
  Merging merging;
  sim::SimChild& child = bench.start(merging);
  CHECK(bench.merge->stats().active == 1);
  merging.drop();
  CHECK(child.was_killed());
  CHECK(bench.merge->stats().active == 0);
}

TEST_CASE("with files the parts lie in a private directory, which goes afterwards") {
  ExecMergeOptions options = merge_options();
  options.files = true;
  Played bench(options);
  Merging merging;
  sim::SimChild& child = bench.start(merging);
  CHECK(child.command().input == io::Stdio::null);
  const std::string directory = child.variable("CONSORT_PARTS_DIR");
  REQUIRE(std::filesystem::is_directory(directory));
  CHECK(std::filesystem::status(directory).permissions() == std::filesystem::perms::owner_all);
  const Json request = Json::parse(read(directory + "/request.json"));
  CHECK(request.at("id") == "r");
  CHECK(request.at("parts").size() == 2);
  CHECK(request.at("parts").at(0).at("file") == "s0");
  CHECK_FALSE(request.at("parts").at(0).contains("body"));
  CHECK(read(directory + "/s0.body") == "[1]");
  CHECK(Json::parse(read(directory + "/s0.json")) == request.at("parts").at(0));
  CHECK(Json::parse(read(directory + "/part-1.json")).at("error") == "connection_refused");
  CHECK(read(directory + "/part-1.body") == "none");
  // What the merge leaves there goes as well.
  std::filesystem::create_directories(directory + "/a/b");
  std::filesystem::create_symlink("/etc", directory + "/a/link");
  std::ofstream(directory + "/a/b/c") << "x";
  bench.answer(child, "done");
  CHECK(merging.told() == "200 text/plain; charset=utf-8 done");
  CHECK_FALSE(std::filesystem::exists(directory));
  CHECK(std::filesystem::exists("/etc/passwd"));
}

TEST_CASE("without parts the list in request.json is empty") {
  ExecMergeOptions options = merge_options();
  options.files = true;
  Played bench(options);
  Merging merging;
  merging.parts.clear();
  sim::SimChild& child = bench.start(merging);
  CHECK(Json::parse(read(child.variable("CONSORT_PARTS_DIR") + "/request.json")).at("parts") ==
        Json::array());
}

TEST_CASE("the directory stays until a child that is out of time has ended") {
  ExecMergeOptions options = merge_options();
  options.files = true;
  Played bench(options);
  bench.world.processes.on_spawn = [](sim::SimChild& child) { child.ignores_term = true; };
  Merging merging;
  const std::string directory = bench.start(merging, 100).variable("CONSORT_PARTS_DIR");
  bench.world.loop.run_for(100);
  CHECK(merging.is_done());
  CHECK(std::filesystem::exists(directory));
  bench.world.loop.run_for(300);
  CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("shards with odd ids have files by their number") {
  const auto names = [](std::vector<std::string> ids) {
    std::vector<MergePart> parts;
    for (const std::string& id : ids) {
      parts.push_back({.shard = id, .index = static_cast<std::uint32_t>(parts.size())});
    }
    return part_file_names(parts);
  };
  CHECK(names({"s0", "shard-1_a.b", "..", ".x", "a/b", "request", "s0", "", "part-1",
               std::string(65, 'x')}) ==
        std::vector<std::string>{"s0", "shard-1_a.b", "part-2", "part-3", "part-4", "part-5",
                                 "part-6", "part-7", "part-8", "part-9"});
}

TEST_CASE("a real exec merge reads lines and writes an answer") {
  CHECK(run_real(merge_options("grep -c shard")) == "200 application/json 2\n");
  CHECK(run_real(merge_options("cat >/dev/null; echo \"$REQUEST_METHOD $QUERY_STRING\"")) ==
        "200 text/plain; charset=utf-8 GET q=a\n");
  CHECK(run_real(merge_options("cat >/dev/null; exit 4")) == "failed: exit code 4");
  CHECK(run_real(merge_options("kill -SEGV $$")) == "failed: killed by signal 11 (SEGV)");
  CHECK(run_real(merge_options("consort-mrge")) ==
        "failed: cannot run \"consort-mrge\": no such file (looked in PATH)");
  CHECK(run_real(merge_options("sleep 60"), 30) == "timed out: it did not end within its deadline");
}

TEST_CASE("a real exec merge reads files") {
  ExecMergeOptions options = merge_options("cd $CONSORT_PARTS_DIR; ls; cat s0.body");
  options.files = true;
  CHECK(run_real(options) ==
        "200 text/plain; charset=utf-8 part-1.json\nrequest.json\ns0.body\ns0.json\n[1]");
}
