// A role that does what a test says, and everything around it in virtual time.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "io/burst.hpp"
#include "manage/supervisor.hpp"
#include "sim/world.hpp"

namespace consort::test {

/// What the role does, and what was done to it.
struct Script {
  Millis start_time{0};
  bool start_fails = false;
  Millis drain_time{0};
  bool reload_fails = false;
  bool run_fails = false;
  Event over;  ///< set it to let run() return

  int drains = 0;
  bool drain_finished = false;
  std::uint64_t drain_deadline_ms = 0;
  std::string greeting;
  bool role_lives = false;
  std::vector<std::string> asked;  ///< questions to the role's pages: "GET /greet who=you"
};

/// Where RoleSpec's plain functions find the script of the test under way.
inline Script* script = nullptr;

struct TestOptions {
  std::string greeting = "hello";
  std::string note;
};
inline constexpr Option kTestOptions[] = {
    option<&TestOptions::greeting>("greeting", "takes effect on reload", kReload),
    option<&TestOptions::note>("note", "needs a restart"),
};

inline constexpr AdminPage kTestPages[] = {
    {"GET", "/greet", "says the greeting; ?who=NAME"},
    {"PUT", "/greet", "sets it from the body"},
    {"POST", "/forget", "forgets it"},
};

class TestConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override { return {{kTestOptions, &options}}; }
  TestOptions options;
};

class TestRole final : public Role {
 public:
  TestRole(const Services& services, const RoleConfig& config) : services_(services) {
    script->role_lives = true;
    script->greeting = static_cast<const TestConfig&>(config).options.greeting;
  }
  ~TestRole() override { script->role_lives = false; }

  Task<Result<>> start() override {
    if (script->start_time.count() > 0) {
      co_await sleep_until(services_.loop.timers(), after(script->start_time));
    }
    if (script->start_fails) co_return fail(Errc::unavailable, "listen on :1: taken");
    co_return Result<>{};
  }
  Task<Result<>> run() override {
    co_await script->over.wait();
    if (script->run_fails) co_return fail(Errc::io, "the disk is gone");
    co_return Result<>{};
  }
  Task<> drain(std::uint64_t deadline_ms) override {
    ++script->drains;
    script->drain_deadline_ms = deadline_ms;
    if (script->drain_time.count() > 0) {
      co_await sleep_until(services_.loop.timers(), after(script->drain_time));
    }
    script->drain_finished = true;
  }
  Result<> reload(const RoleConfig& config) override {
    if (script->reload_fails) return fail(Errc::unavailable, "not now");
    script->greeting = static_cast<const TestConfig&>(config).options.greeting;
    return {};
  }
  Result<std::string> would_reload(const RoleConfig& config) const override {
    if (script->reload_fails) return fail(Errc::unavailable, "not now");
    const std::string& greeting = static_cast<const TestConfig&>(config).options.greeting;
    return "would say " + greeting + " instead of " + script->greeting;
  }
  AdminAnswer ask(const AdminQuestion& question) override {
    script->asked.push_back(question.method + " " + question.path + " " + question.query);
    AdminAnswer answer;
    if (question.method == "PUT") script->greeting = question.body;
    answer.body = script->greeting + " " + question.query_value("who") + "\n";
    return answer;
  }

 private:
  std::uint64_t after(Millis wait) const {
    return services_.loop.now_ms() + static_cast<std::uint64_t>(wait.count());
  }
  Services services_;
};

inline constexpr RoleSpec kTestSpec = {
    .group = "",
    .name = "test",
    .summary = "",
    .examples = "",
    .admin_port = 9999,
    .make_config = [] { return std::unique_ptr<RoleConfig>(std::make_unique<TestConfig>()); },
    .make =
        [](const Services& services, const RoleConfig& config) {
          return std::unique_ptr<Role>(std::make_unique<TestRole>(services, config));
        },
    .pages = kTestPages,
};

/// One supervised role. `file` is what --config reads.
struct Bench {
  explicit Bench(std::vector<Flag> flags = {}) {
    script = &role;
    sources.flags = std::move(flags);
    sources.flags.push_back({.name = "config", .value = "test.yaml"});
    sources.environment = [](const std::string&) -> std::optional<std::string> { return {}; };
    sources.read_file = [this](const std::string&) -> Result<std::string> { return file; };
    Problems problems;
    LoadedConfig loaded = load_config(kTestSpec, sources, problems);
    REQUIRE(problems.ok());
    supervisor.emplace(Supervisor::Parts{.spec = kTestSpec,
                                         .services = {.loop = world.loop,
                                                      .network = world.network,
                                                      .dns = world.dns,
                                                      .files = world.files,
                                                      .disk = world.disk,
                                                      .processes = world.processes,
                                                      .random = world.random,
                                                      .metrics = metrics,
                                                      .checks = checks,
                                                      .log = log},
                                         .lifecycle = lifecycle,
                                         .config_view = config,
                                         .sources = sources,
                                         .clock = clock(),
                                         .on_stop = [this](std::uint64_t at) { end_by = at; }},
                       std::move(loaded));
  }
  ~Bench() {
    supervisor.reset();
    script = nullptr;
  }

  Clock clock() {
    return [this] {
      const std::uint64_t now_ms = world.loop.now_ms();
      return Moment{.mono_ms = now_ms, .wall_ms = static_cast<std::int64_t>(now_ms)};
    };
  }
  /// Begins and lets everything happen that is due now.
  void begin() {
    supervisor->begin();
    world.loop.settle();
  }
  State state() const { return lifecycle.state(); }
  /// The way so far: "INITIALIZING STARTING READY".
  std::string way() const {
    std::string out;
    for (const Transition& made : lifecycle.history()) {
      if (!out.empty()) out += ' ';
      out += to_string(made.to);
    }
    return out;
  }
  bool logged(std::string_view text) const { return times_logged(text) > 0; }
  int times_logged(std::string_view text) const {
    int times = 0;
    for (const std::string& line : log.tail(Logger::kRingLines)) {
      if (line.find(text) != std::string::npos) ++times;
    }
    return times;
  }
  std::string metrics_text() const {
    return "\n" + metrics.render(Registry::Format::prometheus_text);
  }
  /// The file gets that content, and time passes until the burst is told.
  void write_file(std::string text) {
    file = std::move(text);
    world.files.touch("test.yaml");
    world.loop.run_for(io::Burst::kQuietMs);
  }

  Script role;
  std::string file = "greeting: hello\n";
  sim::World world;
  Registry metrics;
  CheckBoard checks;
  Logger log{
      {.write = nullptr, .wall_ms = [](void*) { return std::int64_t{0}; }, .context = nullptr}, {}};
  ConfigStore config;
  Lifecycle lifecycle{clock()};
  ConfigSources sources;
  std::optional<std::uint64_t> end_by;
  std::optional<Supervisor> supervisor;
};

}  // namespace consort::test
