// Children of a UvLoop: posix_spawn starts them, a pidfd per child tells when to reap it.
//
//   alive --pidfd readable--> the group is killed --> reaped --> on_exit
//     \--~Process: SIGKILL to the group--> forgotten --pidfd readable--> reaped
//
// Not uv_spawn: it forks a copy of the whole process and installs a SIGCHLD handler that reaps what
// it never started. posix_spawn shares memory until the exec, so its cost does not grow with ours.
// Where the kernel refuses pidfds (before 5.3, an old seccomp profile, no descriptors left) SIGCHLD
// says when to look. A group is killed before its leader is reaped: until then the number cannot
// belong to anybody else.
//
// As process 1 of a container we inherit what children leave behind: those are reaped as well.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>

#include "async/timer.hpp"
#include "io/process.hpp"
#include "io/signals.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/signals.hpp"

namespace consort::io {

struct UvProcessesOptions {
  bool use_pidfd = true;
  /// Reap children that nobody here started. Only for a process that has no others of its own.
  std::optional<bool> reap_orphans = {};  ///< unset: when we are process 1
};

/// Outlives its Processes. Its end waits up to a second for children that were killed and have not
/// been reaped yet. Makes the process ignore SIGPIPE.
class UvProcesses final : public Processes, public SignalHandler {
 public:
  explicit UvProcesses(UvLoop& loop, UvProcessesOptions options = {});
  ~UvProcesses();
  UvProcesses(const UvProcesses&) = delete;
  UvProcesses& operator=(const UvProcesses&) = delete;

  Result<std::unique_ptr<Process>> spawn(const Command& command, ProcessHandler& handler) override;
  Result<> look_for(const Command& command) const override;
  /// Children that have not been reaped.
  std::size_t size() const { return children_.size(); }

  void on_signal(int number) override;

 private:
  struct Child;
  class Handle;

  void adopt(pid_t pid, bool own_group, Handle& handle);
  void release(Child& child);
  void watch_signal();
  void look();
  void look_at(Child& child);
  void reap_orphans();
  void wait_for_the_rest();

  UvLoop& loop_;
  bool use_pidfd_;
  const bool reap_orphans_;
  std::map<pid_t, std::unique_ptr<Child>> children_;
  std::optional<UvSignals> signals_;  // only where SIGCHLD is needed
  Timer look_;                        // a child may end before SIGCHLD is watched
};

}  // namespace consort::io
