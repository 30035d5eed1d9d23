#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gather_command_support.hpp"
#include "roles/gather/command_run.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

/// One run in a scope, and its outcome.
struct Running {
  void start(CommandRunner& runner, const std::string& line, std::string input, Deadline deadline) {
    CommandRun wanted;
    wanted.command.argv = command_argv(line);
    wanted.input = std::move(input);
    wanted.deadline = deadline;
    wanted.id = "r1";
    start(runner, std::move(wanted));
  }
  void start(CommandRunner& runner, CommandRun wanted) {
    scope.spawn(run(*this, runner, std::move(wanted)));
  }
  std::string told() const {
    if (!outcome) return "under way";
    static constexpr const char* kEnds[] = {"exited", "timed out", "not started", "too large",
                                            "busy"};
    std::string text = kEnds[static_cast<int>(outcome->end)];
    if (!outcome->why.empty()) text += ": " + outcome->why;
    return text;
  }
  std::string output() const { return outcome ? outcome->output : "under way"; }

  std::optional<CommandOutcome> outcome;
  TaskScope scope;

 private:
  static Task<> run(Running& self, CommandRunner& runner, CommandRun wanted) {
    CommandOutcome made = co_await runner.run(std::move(wanted));
    self.outcome = std::move(made);
  }
};

struct Played : PlayedWorld {
  explicit Played(RunnerOptions options = {}) { runner.emplace(services, options); }
  void run(Running& running, std::string input = "in", std::int64_t ms = 1000) {
    running.start(*runner, "merge --fast", std::move(input), within(ms));
    world.loop.settle();
  }
  sim::SimChild& child(std::size_t index) { return world.processes.at(index); }
  std::optional<CommandRunner> runner;
};

struct Real : RealWorld {
  std::string run(const std::string& line, std::string input = {}, std::int64_t ms = 5000) {
    running.start(runner, line, std::move(input), within(ms));
    consort::test::run_until(loop, [this] { return running.outcome.has_value(); });
    return running.told();
  }
  CommandRunner runner{services,
                       {.processes_max = 4, .waiting_max = 4, .output_bytes_max = 4 << 20}};
  Running running;
};

}  // namespace

TEST_CASE("plain words run without a shell, everything else with one") {
  using Words = std::vector<std::string>;
  CHECK(command_argv("python3 /srv/merge.py --top=") ==
        Words{"/bin/sh", "-c", "python3 /srv/merge.py --top="});
  CHECK(command_argv("  ./merge.py\t--top 10 a@b:c,d%+ ") ==
        Words{"./merge.py", "--top", "10", "a@b:c,d%+"});
  for (const std::string line :
       {"a | b", "a 'b c'", "a $HOME", "a; b", "a > f", "a *", "a \\b", "A=1 b", "exit 3",
        "cd /tmp", "read x", "~/merge", "a # b", "a (b)"}) {
    CAPTURE(line);
    CHECK(command_argv(line) == Words{"/bin/sh", "-c", line});
  }
  CHECK(command_argv("  ").empty());
}

TEST_CASE("a command gets its input, then its end, and its output comes back") {
  Played bench;
  Running running;
  bench.run(running, "hello");
  auto& child = bench.child(0);
  CHECK(child.command().argv == std::vector<std::string>{"merge", "--fast"});
  CHECK(child.variable("CONSORT_DEADLINE_MS") == "1000");
  CHECK(child.input() == "hello");
  CHECK(child.input_ended());
  child.write("out");
  child.write("put");
  child.exit(0);
  CHECK(running.told() == "under way");
  bench.world.loop.settle();
  CHECK(running.told() == "exited");
  CHECK(running.output() == "output");
  CHECK(bench.runner->running() == 0);
  CHECK_FALSE(child.was_killed());
}

TEST_CASE("a command without input has the null device") {
  Played bench;
  Running running;
  bench.run(running, "");
  CHECK(bench.child(0).command().input == io::Stdio::null);
  bench.child(0).exit(0);
  bench.world.loop.settle();
  CHECK(running.told() == "exited");
}

TEST_CASE("how a command ended is told in words") {
  const std::pair<io::ExitStatus, std::string> table[] = {
      {{.code = 3, .signal = 0}, "exited: exit code 3"},
      {{.code = 127, .signal = 0}, "exited: exit code 127 (command not found)"},
      {{.code = 126, .signal = 0}, "exited: exit code 126 (command not executable)"},
      {{.code = 0, .signal = 11}, "exited: killed by signal 11 (SEGV)"},
  };
  for (const auto& [status, words] : table) {
    Played bench;
    Running running;
    bench.run(running);
    bench.child(0).end(status);
    bench.world.loop.settle();
    CHECK(running.told() == words);
    CHECK_FALSE(running.outcome->is_success());
  }
}

TEST_CASE("a command that cannot start is told at once") {
  Played bench;
  bench.world.processes.refuse(Error(Errc::not_found, "cannot run \"merge\": no such file"));
  Running running;
  bench.run(running);
  CHECK(running.told() == "not started: cannot run \"merge\": no such file");
  CHECK(bench.runner->running() == 0);
  Running empty;
  empty.start(*bench.runner, "  ", "", bench.within(100));
  CHECK(empty.told() == "not started: there is no command to run");
}

TEST_CASE("at the deadline the answer is due, and the child gets 200 ms to end") {
  Played bench;
  bench.world.processes.on_spawn = [](sim::SimChild& child) { child.ignores_term = true; };
  Running running;
  bench.run(running, "in", 300);
  auto& child = bench.child(0);
  bench.world.loop.run_for(299);
  CHECK(running.told() == "under way");
  bench.world.loop.run_for(1);
  CHECK(running.told() == "timed out: it did not end within its deadline");
  CHECK(child.signals() == std::vector<int>{SIGTERM});
  CHECK(bench.runner->running() == 1);
  bench.world.loop.run_for(CommandRunner::kTermMs);
  CHECK(child.signals() == std::vector<int>{SIGTERM, SIGKILL});
  bench.world.loop.settle();
  CHECK(bench.runner->running() == 0);
}

TEST_CASE("a child that ends on SIGTERM is not killed") {
  Played bench;
  Running running;
  bench.run(running, "in", 300);
  bench.world.loop.run_for(1000);
  CHECK(running.told() == "timed out: it did not end within its deadline");
  CHECK(bench.child(0).signals() == std::vector<int>{SIGTERM});
  CHECK(bench.runner->running() == 0);
}

TEST_CASE("a dropped task kills its child at once") {
  Played bench;
  Running running;
  bench.run(running);
  running.scope.cancel();
  CHECK(bench.child(0).was_killed());
  CHECK(bench.runner->running() == 0);
}

TEST_CASE("a runner that goes kills what is still dying") {
  Played bench;
  bench.world.processes.on_spawn = [](sim::SimChild& child) { child.ignores_term = true; };
  Running running;
  bench.run(running, "in", 10);
  bench.world.loop.run_for(10);
  CHECK_FALSE(bench.child(0).was_killed());
  bench.runner.reset();
  CHECK(bench.child(0).was_killed());
}

TEST_CASE("too much output ends a command") {
  Played bench({.processes_max = 1, .waiting_max = 1, .output_bytes_max = 1024});
  Running running;
  bench.run(running);
  bench.child(0).write(std::string(1024, 'x'));
  bench.world.loop.settle();
  CHECK(running.told() == "under way");
  bench.child(0).write("x");
  bench.world.loop.settle();
  CHECK(running.told() == "too large: its output is larger than 1KiB");
  running.scope.cancel();
  CHECK(bench.child(0).was_killed());
  CHECK(bench.runner->running() == 0);
}

TEST_CASE("requests wait in line for a place, in order") {
  Played bench({.processes_max = 2, .waiting_max = 2});
  Running running[5];
  for (Running& each : running) bench.run(each);
  CHECK(bench.world.processes.size() == 2);
  CHECK(bench.runner->waiting() == 2);
  CHECK(running[4].told() == "busy: too many requests wait for a process");
  bench.world.loop.run_for(400);
  bench.child(1).exit(0);
  bench.world.loop.settle();
  CHECK(running[1].told() == "exited");
  REQUIRE(bench.world.processes.size() == 3);
  CHECK(bench.child(2).variable("CONSORT_DEADLINE_MS") == "600");
  running[3].scope.cancel();
  CHECK(bench.runner->waiting() == 0);
  bench.child(0).exit(0);
  bench.child(2).exit(0);
  bench.world.loop.settle();
  CHECK(running[0].told() == "exited");
  CHECK(running[2].told() == "exited");
  CHECK(running[3].told() == "under way");
  CHECK(bench.world.processes.size() == 3);
}

TEST_CASE("the deadline counts in the line as well") {
  Played bench({.processes_max = 1, .waiting_max = 2});
  Running first;
  Running second;
  bench.run(first, "in", 1000);
  bench.run(second, "in", 100);
  bench.world.loop.run_for(100);
  CHECK(second.told() == "timed out: no process became free in time");
  CHECK(bench.runner->waiting() == 0);
  CHECK(bench.world.processes.size() == 1);
  Running third;
  bench.run(third, "in", 0);
  CHECK(third.told() == "timed out: no process became free in time");
}

TEST_CASE("commands that cannot start do not hold up the line") {
  Played bench({.processes_max = 1, .waiting_max = 100});
  Running first;
  bench.run(first);
  std::vector<std::unique_ptr<Running>> others;
  for (int i = 0; i < 100; ++i) {
    others.push_back(std::make_unique<Running>());
    bench.run(*others.back());
  }
  bench.world.processes.refuse(Error(Errc::limit, "no processes left"));
  bench.child(0).exit(0);
  bench.world.loop.settle();
  for (const auto& other : others) CHECK(other->told() == "not started: no processes left");
  CHECK(bench.runner->running() == 0);
  CHECK(bench.runner->waiting() == 0);
}

TEST_CASE("what is prepared is prepared when there is a place") {
  Played bench({.processes_max = 1, .waiting_max = 2});
  Running first;
  Running second;
  int prepared = 0;
  const auto run = [&](Running& running, bool fails) {
    CommandRun wanted;
    wanted.command.argv = {"merge"};
    wanted.deadline = bench.within(1000);
    wanted.prepare = [&prepared, fails](CommandRun& made) -> Result<> {
      ++prepared;
      if (fails) return fail(Errc::io, "the disk is full");
      made.input = "late";
      return {};
    };
    running.start(*bench.runner, std::move(wanted));
    bench.world.loop.settle();
  };
  run(first, false);
  run(second, true);
  CHECK(prepared == 1);
  CHECK(bench.child(0).input() == "late");
  bench.child(0).exit(0);
  bench.world.loop.settle();
  CHECK(prepared == 2);
  CHECK(second.told() == "not started: the disk is full");
  CHECK(bench.runner->running() == 0);
}

TEST_CASE("standard error is logged by line, not without end") {
  Played bench;
  Running running;
  bench.run(running);
  bench.child(0).write_errors("one\ntw");
  bench.child(0).write_errors("o\n\nlast");
  bench.world.loop.settle();
  CHECK(bench.log.count("line=one") == 1);
  CHECK(bench.log.count("line=two") == 1);
  CHECK(bench.log.count("line=last") == 0);
  bench.child(0).exit(0);
  bench.world.loop.settle();
  CHECK(bench.log.count("line=last") == 1);
  CHECK(bench.log.count("id=r1") == bench.log.lines.size());

  Running loud;
  bench.run(loud);
  for (int i = 0; i < 50; ++i) bench.child(1).write_errors("line " + std::to_string(i) + "\n");
  bench.child(1).write_errors(std::string(5000, 'x') + "\n");
  bench.child(1).exit(0);
  bench.world.loop.settle();
  CHECK(bench.log.count("line=\"line ") == 20);
  CHECK(bench.log.count("command.stderr_cut") == 1);
  CHECK(bench.log.count("lines=31") == 1);
}

TEST_CASE("output that somebody outside the group keeps open does not keep the answer") {
  Real bench;
  CHECK(bench.run("setsid sleep 3 2>/dev/null & echo done") == "exited");
  CHECK(bench.running.output() == "done\n");
}

TEST_CASE("a real command is fed and read, large data too") {
  Real bench;
  const std::string much(3 << 20, 'x');
  CHECK(bench.run("cat", much) == "exited");
  CHECK(bench.running.output() == much);
}

TEST_CASE("a real command may ignore its input, fail, and explain itself") {
  Real bench;
  CHECK(bench.run("echo sorry >&2; exit 3", std::string(1 << 20, 'x')) == "exited: exit code 3");
  CHECK(bench.log.count("line=sorry") == 1);
}

TEST_CASE("a real command that is missing is named, with a shell and without") {
  CHECK(Real().run("consort-mrge") ==
        "not started: cannot run \"consort-mrge\": no such file (looked in PATH)");
  CHECK(Real().run("consort-mrge | cat; exit 127") == "exited: exit code 127 (command not found)");
}

TEST_CASE("a real command is stopped at its deadline") {
  Real bench;
  CHECK(bench.run("trap '' TERM; sleep 60; echo no", "", 50) ==
        "timed out: it did not end within its deadline");
  CHECK(bench.runner.running() == 1);
  consort::test::run_until(bench.loop, [&bench] { return bench.processes.size() == 0; });
  CHECK(bench.runner.running() == 0);
}

TEST_CASE("a real command that floods its output is killed") {
  Real bench;
  CHECK(bench.run("yes") == "too large: its output is larger than 4MiB");
  bench.running.scope.cancel();
  CHECK(bench.runner.running() == 0);
}
