// One command for one request: start it, feed it, take its output, end it in time.
//
//   run --> a place is free --> started --exit, output closed--> exited
//    |      (at most processes_max)   \--deadline--> timed_out at once; SIGTERM, and SIGKILL after
//    |                                 \             200 ms, while nobody waits any more
//    \--> waits in line                 \--too much output--> killed
//          \--deadline--> timed_out
//   the line is full: busy              the task is dropped: SIGKILL to the child's group
//
// Used by the merge that runs a command per request and by gather-leaf. What the command writes to
// its standard error is logged, kLogLinesMax lines of each run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "async/task.hpp"
#include "io/process.hpp"
#include "io/scratch_directory.hpp"
#include "manage/role.hpp"

namespace consort::gather {

/// How a user's command line is run: plain words become a program and its arguments, without a
/// shell (faster, no /bin/sh needed in the image, and a missing program is told by name). Whatever
/// else a shell would understand (quotes, variables, pipes, built-in commands) goes to
/// `/bin/sh -c`.
std::vector<std::string> command_argv(std::string_view line);

/// Logged when a program is not there: at start and after a reload, so that not only the first
/// request finds out. It is no error, since the program may come with a volume later.
void warn_if_missing(const Services& services, std::string_view line);

struct CommandRun {
  io::Command command;  ///< its three descriptors are set by the runner
  std::string input;    ///< the child's whole standard input
  Deadline deadline;
  std::string id;  ///< of the request, for logs
  /// Run when there is a place and before the start: what costs memory is made then, so that
  /// requests in line hold nothing. May fill in everything but the deadline.
  std::function<Result<>(CommandRun&)> prepare;
  /// Removed when the child has ended.
  std::unique_ptr<io::ScratchDirectory> scratch;
};

struct CommandOutcome {
  enum class End : std::uint8_t { exited, timed_out, not_started, too_large, busy };
  End end = End::exited;
  io::ExitStatus status;  ///< of a command that exited
  std::string output;     ///< of a command that exited
  std::string why;        ///< for a person; empty after success

  bool is_success() const { return end == End::exited && status.is_success(); }
};

struct RunnerOptions {
  std::uint32_t processes_max = 16;
  std::uint32_t waiting_max = 1024;
  std::size_t output_bytes_max = 64UL << 20;
  /// Kept up to date when given; they outlive the runner.
  Gauge* running = nullptr;
  Gauge* waiting = nullptr;
};

/// Belongs to the role's loop and must outlive its runs. Its end kills what is still dying.
class CommandRunner {
 public:
  static constexpr std::uint64_t kTermMs = 200;  ///< between SIGTERM and SIGKILL
  /// How long output may go on after the exit: only who left the group still holds the pipe.
  static constexpr std::uint64_t kLingerMs = 200;
  static constexpr int kLogLinesMax = 20;
  static constexpr std::size_t kLogLineBytesMax = 1000;

  CommandRunner(const Services& services, RunnerOptions options);
  ~CommandRunner();
  CommandRunner(const CommandRunner&) = delete;
  CommandRunner& operator=(const CommandRunner&) = delete;

  /// The child finds what is left of its time in CONSORT_DEADLINE_MS.
  Task<CommandOutcome> run(CommandRun wanted);
  /// Children that run or are dying.
  std::size_t running() const { return running_; }
  std::size_t waiting() const { return line_.size(); }

 private:
  class Ticket;
  class Run;

  void grant();
  void tell_gauges();
  void let_die(std::unique_ptr<Run> run);
  void bury(Run& run);

  const Services services_;
  const RunnerOptions options_;
  std::size_t running_ = 0;
  std::list<Ticket*> line_;
  Timer grant_;
  std::list<std::unique_ptr<Run>> dying_;
};

}  // namespace consort::gather
