#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/uv/process.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

namespace {

constexpr UvProcessesOptions kBySignal{.use_pidfd = false, .reap_orphans = false};

/// One child at a time, its pipes and its end written down.
struct Bench final : ProcessHandler {
  explicit Bench(UvProcessesOptions options = {}) : processes(loop, options) {}

  struct Pipe final : StreamHandler {
    void on_data(std::string_view bytes) override { text.append(bytes); }
    void on_writable() override { push(); }
    void on_end(const Error& why) override {
      ended = std::string(to_string(why.code())) + (why.sys() == 0 ? "" : " failed");
    }
    void push() {
      const Result<std::size_t> taken = stream->try_write(rest);
      if (!taken) return;
      rest.remove_prefix(*taken);
      if (!rest.empty()) return stream->want_writable();
      if (on_sent) on_sent();
    }
    Stream* stream = nullptr;
    std::string_view rest;
    std::string text;
    std::string ended;
    std::function<void()> on_sent;
  };

  void on_exit(const ExitStatus& ended) override {
    ++exits;
    status = ended;
    if (drop_on_exit) process.reset();
  }

  static Command shell(const std::string& script) {
    Command command;
    command.argv = {"/bin/sh", "-c", script};
    command.output = Stdio::pipe;
    command.errors = Stdio::pipe;
    return command;
  }
  /// Empty, or why it could not be started.
  std::string start(const Command& command) {
    auto made = processes.spawn(command, *this);
    if (!made) return made.error().message();
    process = std::move(*made);
    if (process->output() != nullptr) process->output()->set_handler(output);
    if (process->errors() != nullptr) process->errors()->set_handler(errors);
    if (process->input() != nullptr) {
      input.stream = process->input();
      input.stream->set_handler(input);
    }
    return {};
  }
  bool until(std::function<bool()> done) { return run_until(loop, std::move(done)); }
  /// True when the child ended and both of its outputs did.
  bool finish() {
    return until([this] {
      const bool closed = (process->output() == nullptr || !output.ended.empty()) &&
                          (process->errors() == nullptr || !errors.ended.empty());
      return exits > 0 && closed;
    });
  }
  std::string run(const Command& command) {
    std::string failure = start(command);
    if (!failure.empty()) return failure;
    if (!finish()) return "hangs";
    return output.text;
  }
  std::string run(const std::string& script) { return run(shell(script)); }

  UvLoop loop;
  UvProcesses processes;
  std::unique_ptr<Process> process;
  Pipe input;
  Pipe output;
  Pipe errors;
  std::optional<ExitStatus> status;
  int exits = 0;
  bool drop_on_exit = false;
};

std::set<int> descriptors_of(pid_t pid) {
  std::set<int> found;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    found.insert(std::atoi(entry.path().filename().c_str()));
  }
  return found;
}

/// Whether this process has any child, zombies included.
bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Whether a process of that number exists and is no zombie.
bool lives(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.at(name_end + 2) != 'Z';
}

/// A process that is nobody's child of ours ends without an event: look again and again.
bool ends(UvLoop& loop, pid_t pid) {
  for (int i = 0; i < 2000 && lives(pid); ++i) run_for(loop, 1);
  return !lives(pid);
}

struct ScratchDirectory {
  ScratchDirectory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~ScratchDirectory() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text, mode_t mode) const {
    const std::string file = path + "/" + name;
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
    return file;
  }
  std::string path = "/tmp/consort-process-XXXXXX";
};

}  // namespace

TEST_CASE("a child's output and exit code come back") {
  Bench bench;
  CHECK(bench.run("echo hello; echo oops >&2; exit 3") == "hello\n");
  CHECK(bench.errors.text == "oops\n");
  CHECK(*bench.status == ExitStatus{.code = 3, .signal = 0});
  CHECK(bench.status->in_words() == "exit code 3");
  CHECK(bench.output.ended == "closed");
  CHECK(bench.errors.ended == "closed");
  CHECK(bench.exits == 1);
  CHECK(bench.processes.size() == 0);
  CHECK_FALSE(has_children());
}

TEST_CASE("a signal that ends a child is told by number and name") {
  Bench bench;
  CHECK(bench.run("kill -9 $$") == "");
  CHECK(*bench.status == ExitStatus{.code = 0, .signal = 9});
  CHECK(bench.status->in_words() == "killed by signal 9 (KILL)");
}

TEST_CASE("large data goes through cat both ways at once") {
  Bench bench;
  std::string sent(8 << 20, ' ');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('!' + i * 7 % 90);
  Command command;
  command.argv = {"cat"};
  command.input = Stdio::pipe;
  command.output = Stdio::pipe;
  REQUIRE(bench.start(command) == "");
  bench.input.rest = sent;
  bench.input.on_sent = [&bench] { bench.process->close_input(); };
  bench.input.push();
  REQUIRE(bench.finish());
  CHECK(bench.output.text == sent);
  CHECK(bench.status->is_success());
  CHECK(bench.process->input() == nullptr);
}

TEST_CASE("scripts may open their standard input and output by name") {
  Bench bench;
  Command command = Bench::shell("cat /dev/stdin > /dev/stdout");
  command.input = Stdio::pipe;
  REQUIRE(bench.start(command) == "");
  bench.input.rest = "by name";
  bench.input.on_sent = [&bench] { bench.process->close_input(); };
  bench.input.push();
  REQUIRE(bench.finish());
  CHECK(bench.output.text == "by name");
}

TEST_CASE("a child that does not read its input ends the pipe and nothing else") {
  Bench bench;
  Command command = Bench::shell("exec <&-; echo done");
  command.input = Stdio::pipe;
  REQUIRE(bench.start(command) == "");
  const std::string much(1 << 20, 'x');
  bench.input.rest = much;
  bench.input.push();
  REQUIRE(bench.until([&bench] { return !bench.input.ended.empty(); }));
  CHECK(bench.input.ended == "closed failed");
  REQUIRE(bench.finish());
  CHECK(bench.output.text == "done\n");
}

TEST_CASE("a paused output waits, and loses nothing") {
  Bench bench;
  REQUIRE(bench.start(Bench::shell("head -c 300000 /dev/zero")) == "");
  bench.process->output()->pause_reading();
  run_for(bench.loop, 50);
  CHECK(bench.output.text.empty());
  CHECK(bench.exits == 0);
  bench.process->output()->resume_reading();
  REQUIRE(bench.finish());
  CHECK(bench.output.text.size() == 300000);
}

TEST_CASE("without a pipe a child has the null device") {
  Bench bench;
  Command command = Bench::shell("cat; readlink /proc/self/fd/0");
  CHECK(bench.run(command) == "/dev/null\n");
  CHECK(bench.process->input() == nullptr);
}

TEST_CASE("a program that cannot run is an error that names it and says why") {
  ScratchDirectory scratch;
  const auto failure = [](const std::string& program, const std::string& directory = "") {
    Bench bench;
    Command command;
    command.argv = {program};
    command.directory = directory;
    return bench.run(command);
  };
  CHECK(failure("consort-no-such-program") ==
        "cannot run \"consort-no-such-program\": no such file (looked in PATH)");
  CHECK(failure("/nowhere/merge") == "cannot run \"/nowhere/merge\": no such file");
  CHECK(failure("/tmp") == "cannot run \"/tmp\": not a file to execute");
  CHECK(failure("") == "cannot run a command without a program");
  const std::string plain = scratch.write("plain", "#!/bin/sh\n", 0600);
  CHECK(failure(plain) == "cannot run \"" + plain + "\": not executable (chmod +x it)");
  const std::string bare = scratch.write("bare", "echo hello\n", 0700);
  CHECK(failure(bare) == "cannot run \"" + bare +
                             "\": not a program (a script needs a first line such as "
                             "#!/bin/sh)");
  const std::string odd = scratch.write("odd", "#!/nowhere/python\n", 0700);
  CHECK(failure(odd) == "cannot run \"" + odd +
                            "\": the interpreter or loader that it names does not exist (see its "
                            "first line)");
  CHECK(failure("/bin/true", "/nowhere") ==
        "cannot run \"/bin/true\": the directory \"/nowhere\" does not exist");
  CHECK_FALSE(has_children());
}

TEST_CASE("a program that is not there is found out without running it") {
  ScratchDirectory scratch;
  Bench bench;
  const auto failure = [&bench](const std::string& program, const std::string& directory = "") {
    Command command;
    command.argv = {program};
    command.directory = directory;
    const Result<> found = bench.processes.look_for(command);
    return found ? std::string() : found.error().text();
  };
  const std::string ran = scratch.path + "/ran";
  const std::string good = scratch.write("good", "#!/bin/sh\ntouch " + ran + "\n", 0700);
  CHECK(failure(good) == "");
  CHECK(failure("./good", scratch.path) == "");
  CHECK(failure("sh") == "");
  CHECK(::access(ran.c_str(), F_OK) != 0);
  const std::string plain = scratch.write("plain", "#!/bin/sh\n", 0600);
  for (const std::string& program :
       {std::string("consort-no-such-program"), plain, std::string("/nowhere/merge"),
        std::string("/tmp"), std::string("./good"), std::string()}) {
    CAPTURE(program);
    Command command;
    command.argv = {program};
    CHECK(failure(program) != "");
    CHECK(failure(program) == Bench().run(command));
  }
  CHECK_FALSE(has_children());
}

TEST_CASE("programs are looked up in the PATH that the child will have") {
  ScratchDirectory scratch;
  const std::string file = scratch.write("consort-hello", "#!/bin/sh\necho \"hello $1\"\n", 0700);
  Command command;
  command.argv = {"consort-hello", "you; echo me"};
  command.environment = {"PATH=/nowhere:" + scratch.path + ":/bin"};
  command.output = Stdio::pipe;
  CHECK(Bench().run(command) == "hello you; echo me\n");
  ::chmod(file.c_str(), 0600);
  CHECK(Bench().run(command) ==
        "cannot run \"consort-hello\": " + file + " is not executable (chmod +x it)");
}

TEST_CASE("the environment is ours with additions, or exactly what is given") {
  ::setenv("CONSORT_TEST_OURS", "ours", 1);
  ::setenv("CONSORT_TEST_BOTH", "old", 1);
  Command command = Bench::shell("echo $CONSORT_TEST_OURS $CONSORT_TEST_BOTH $CONSORT_TEST_NEW");
  command.environment = {"CONSORT_TEST_BOTH=new", "CONSORT_TEST_NEW=a b"};
  CHECK(Bench().run(command) == "ours new a b\n");
  command.argv = {"env"};
  command.inherit_environment = false;
  CHECK(Bench().run(command) == "CONSORT_TEST_BOTH=new\nCONSORT_TEST_NEW=a b\n");
  ::unsetenv("CONSORT_TEST_OURS");
  ::unsetenv("CONSORT_TEST_BOTH");
}

TEST_CASE("a child starts in its directory, with default signals and no descriptors of ours") {
  Bench bench;
  std::signal(SIGUSR1, SIG_IGN);
  sigset_t blocked{};
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  Command command;
  // Without 32 and 33, which belong to libc: nobody can change those.
  command.argv = {"sed", "-nE", "s/^Sig(Blk|Ign):\t(.{8}).(.{7})$/\\1 \\3/p", "self/status"};
  command.directory = "/proc";
  command.output = Stdio::pipe;
  CHECK(bench.run(command) == "Blk 0000000\nIgn 0000000\n");
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  std::signal(SIGUSR1, SIG_DFL);
  // Descriptors that whoever runs the tests left open are not ours to judge.
  std::set<int> allowed = {0, 1, 2};
  for (const int fd : descriptors_of(::getpid())) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) allowed.insert(fd);
  }
  Bench other;
  Command waiting = Bench::shell("echo up; read line");
  waiting.input = Stdio::pipe;
  REQUIRE(other.start(waiting) == "");
  REQUIRE(other.until([&other] { return !other.output.text.empty(); }));
  CHECK(descriptors_of(other.process->pid()) == allowed);
}

TEST_CASE("a signal reaches the whole group") {
  Bench bench;
  REQUIRE(bench.start(Bench::shell("sleep 60 & echo $!; wait")) == "");
  REQUIRE(bench.until([&bench] { return bench.output.text.ends_with("\n"); }));
  const pid_t grandchild = std::atoi(bench.output.text.c_str());
  REQUIRE(lives(grandchild));
  bench.process->signal(SIGTERM);
  REQUIRE(bench.finish());
  CHECK(bench.status->signal == SIGTERM);
  CHECK(ends(bench.loop, grandchild));
  bench.process->signal(SIGKILL);  // nobody is left to hit
}

TEST_CASE("what a child leaves behind when it exits is killed") {
  Bench bench;
  CHECK(bench.run("sleep 60 & echo $!") != "hangs");
  const pid_t grandchild = std::atoi(bench.output.text.c_str());
  REQUIRE(grandchild > 1);
  CHECK(ends(bench.loop, grandchild));
}

TEST_CASE("a child without a group of its own is signalled alone") {
  Bench bench;
  Command command = Bench::shell("echo $$; exec sleep 60");
  command.own_group = false;
  REQUIRE(bench.start(command) == "");
  CHECK(::getpgid(bench.process->pid()) == ::getpgid(0));
  bench.process->signal(SIGTERM);
  REQUIRE(bench.finish());
  CHECK(bench.status->signal == SIGTERM);
}

TEST_CASE("destroying a running child kills its group, reaps it and tells nobody") {
  for (const UvProcessesOptions options : {UvProcessesOptions{}, kBySignal}) {
    Bench bench(options);
    REQUIRE(bench.start(Bench::shell("trap '' TERM; sleep 60 & echo $!; wait")) == "");
    REQUIRE(bench.until([&bench] { return bench.output.text.ends_with("\n"); }));
    const pid_t child = bench.process->pid();
    const pid_t grandchild = std::atoi(bench.output.text.c_str());
    bench.process.reset();
    CHECK(bench.until([&bench] { return bench.processes.size() == 0; }));
    CHECK_FALSE(lives(child));
    CHECK(ends(bench.loop, grandchild));
    CHECK(bench.exits == 0);
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("the handler may destroy its process") {
  Bench bench;
  bench.drop_on_exit = true;
  REQUIRE(bench.start(Bench::shell("exit 4")) == "");
  REQUIRE(bench.until([&bench] { return bench.exits == 1; }));
  CHECK(bench.process == nullptr);
  CHECK(bench.status->code == 4);
}

TEST_CASE("children that still run when everything ends are killed and reaped") {
  for (const UvProcessesOptions options : {UvProcessesOptions{}, kBySignal}) {
    {
      Bench bench(options);
      for (int i = 0; i < 5; ++i) REQUIRE(bench.start(Bench::shell("sleep 60")) == "");
    }
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("two hundred children in a row leave no descriptor and no zombie") {
  for (const UvProcessesOptions options : {UvProcessesOptions{}, kBySignal}) {
    Bench bench(options);
    CHECK(bench.run("echo first") == "first\n");
    bench.process.reset();
    run_for(bench.loop, 1);
    const std::size_t before = descriptors_of(::getpid()).size();
    for (int i = 0; i < 200; ++i) {
      bench.exits = 0;
      Command command;
      command.argv = {"/bin/true"};
      command.input = Stdio::pipe;
      command.output = Stdio::pipe;
      bench.output.ended.clear();
      REQUIRE(bench.start(command) == "");
      REQUIRE(bench.until([&bench] { return bench.exits == 1; }));
    }
    bench.process.reset();
    run_for(bench.loop, 1);
    CHECK(descriptors_of(::getpid()).size() == before);
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("without pidfds every child is still noticed, many at once too") {
  Bench bench(kBySignal);
  struct Count final : ProcessHandler {
    void on_exit(const ExitStatus& status) override { codes += status.code; }
    int codes = 0;
  } count;
  std::vector<std::unique_ptr<Process>> many;
  for (int i = 0; i < 50; ++i) {
    auto made = bench.processes.spawn(Bench::shell("exit 2"), count);
    REQUIRE(made.has_value());
    many.push_back(std::move(*made));
  }
  CHECK(bench.until([&count] { return count.codes == 100; }));
  CHECK(bench.processes.size() == 0);
  CHECK_FALSE(has_children());
}

TEST_CASE("as process 1 we reap what children leave behind") {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  {
    Bench bench({.use_pidfd = true, .reap_orphans = true});
    CHECK(bench.run("setsid sleep 0.02 >/dev/null 2>&1 & sleep 60 & echo left") == "left\n");
    for (int i = 0; i < 2000 && has_children(); ++i) run_for(bench.loop, 1);
    CHECK_FALSE(has_children());
    CHECK(bench.status->is_success());
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}
