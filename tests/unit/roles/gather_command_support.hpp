// What runs commands needs, with children that the test plays or with real ones; log lines kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "io/uv/process.hpp"
#include "manage/role.hpp"
#include "roles/gather/external_merge.hpp"
#include "sim/world.hpp"
#include "unit/io/uv_support.hpp"

namespace consort::gather::test {

struct LogLines {
  std::size_t count(std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(
        lines.begin(), lines.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  static Logger::Options options() {
    Logger::Options options;
    options.format = LogFormat::logfmt;
    return options;
  }
  std::vector<std::string> lines;
  Logger logger{{.write =
                     [](void* self, std::string_view line) {
                       static_cast<LogLines*>(self)->lines.emplace_back(line);
                     },
                 .wall_ms = [](void*) { return std::int64_t{0}; },
                 .context = this},
                options()};
};

/// Children that the test plays, in virtual time.
struct PlayedWorld {
  sim::World world;
  Registry metrics;
  CheckBoard checks;
  LogLines log;
  Services services{.loop = world.loop,
                    .network = world.network,
                    .dns = world.dns,
                    .files = world.files,
                    .disk = world.disk,
                    .processes = world.processes,
                    .random = world.random,
                    .metrics = metrics,
                    .checks = checks,
                    .log = log.logger};
  Deadline within(std::int64_t ms) const {
    return Deadline::after(world.loop.now_ms(), std::chrono::milliseconds(ms));
  }
};

/// Real children on a real loop; the rest is simulated and unused.
struct RealWorld {
  io::UvLoop loop;
  io::UvProcesses processes{loop};
  sim::World world;
  Registry metrics;
  CheckBoard checks;
  LogLines log;
  Services services{.loop = loop,
                    .network = world.network,
                    .dns = world.dns,
                    .files = world.files,
                    .disk = world.disk,
                    .processes = processes,
                    .random = world.random,
                    .metrics = metrics,
                    .checks = checks,
                    .log = log.logger};
  Deadline within(std::int64_t ms) const {
    return Deadline::after(loop.now_ms(), std::chrono::milliseconds(ms));
  }
};

/// A merge in a scope, and what became of it.
struct Merging {
  explicit Merging(std::string id = "r") : id_(std::move(id)) {}

  void start(ExternalMerge& merge, Deadline deadline) { scope_.spawn(run(*this, merge, deadline)); }
  void drop() { scope_.cancel(); }
  bool is_done() const { return result.has_value(); }
  /// "200 text/plain body", "failed: why", "timed out: why", "under way".
  std::string told() const {
    if (!result) return "under way";
    if (!*result)
      return (result->error().timed_out ? "timed out: " : "failed: ") + result->error().why;
    return std::to_string((*result)->status) + " " + (*result)->content_type + " " +
           (*result)->body;
  }

  std::vector<std::pair<std::string, std::string>> headers = {{"accept", "*/*"}};
  std::vector<MergePart> parts = {
      {.shard = "s0", .index = 0, .ok = true, .status = 200, .ms = 1, .body = "[1]"},
      {.shard = "s/1", .index = 1, .ms = 2, .error = "connection_refused"}};
  std::optional<MergeResult> result;

 private:
  static Task<> run(Merging& self, ExternalMerge& merge, Deadline deadline) {
    MergeRequest request{.id = self.id_,
                         .method = "GET",
                         .path = "/search",
                         .query = "q=a",
                         .headers = &self.headers,
                         .coverage_json = R"({"total":2})",
                         .total = 2,
                         .ok = 1,
                         .parts = self.parts};
    MergeResult made = co_await merge.merge(std::move(request), deadline);
    self.result = std::move(made);
  }

  std::string id_;
  TaskScope scope_;
};

}  // namespace consort::gather::test
