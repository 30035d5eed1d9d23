// Child processes as an interface: start one, talk through its pipes, hear when it ends.
//
//   spawn --> running --ends--> on_exit(ExitStatus), once; the pipes may still hold its last words
//                \--Process destroyed--> SIGKILL to its group; reaped later, nobody is told
//
// A child leads a process group of its own, and the group ends with its leader: whatever the leader
// leaves behind when it exits is killed, so that a forgotten background job can neither keep a pipe
// open for ever nor outlive the request that it was started for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "io/stream.hpp"

namespace consort::io {

/// What a child has as its standard input, output or errors.
enum class Stdio : std::uint8_t {
  null,     ///< /dev/null
  pipe,     ///< a pipe to us (a real one: scripts may open /dev/stdin)
  inherit,  ///< ours
};

/// What to run, and in which surroundings. Text with a NUL byte is cut there.
struct Command {
  /// The program and its arguments. A program without a slash is looked up in the PATH that the
  /// child will have. Not given to a shell.
  std::vector<std::string> argv;
  /// "KEY=value". Replaces variables of the same name when ours are inherited, else it is all.
  std::vector<std::string> environment;
  bool inherit_environment = true;
  std::string directory;  ///< where it starts; empty for ours
  Stdio input = Stdio::null;
  Stdio output = Stdio::null;
  Stdio errors = Stdio::inherit;
  bool own_group = true;  ///< false: it stays in our group, and is signalled and killed alone
};

/// How a child ended: by exit code, or by a signal (then signal is not 0).
struct ExitStatus {
  int code = 0;
  int signal = 0;

  bool is_success() const { return code == 0 && signal == 0; }
  /// "exit code 3", "killed by signal 9 (KILL)".
  std::string in_words() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

class ProcessHandler {
 public:
  /// The child has ended and has been reaped. Comes once, never during a call into the Process,
  /// and may destroy it. Output that nobody has read yet still comes through the pipes.
  virtual void on_exit(const ExitStatus& status) = 0;

 protected:
  ~ProcessHandler() = default;
};

/// A child. Destroying it closes its pipes, kills its group with SIGKILL if it still runs and
/// silences the handler; it is reaped without blocking.
class Process {
 public:
  virtual ~Process() = default;

  /// Its pipes; null where the command asked for none. They belong to the Process and end with it.
  /// input() is write-only, output() and errors() are read-only and end with Errc::closed, sys() 0
  /// when the last writer is gone. They stay silent until they have a handler.
  virtual Stream* input() = 0;
  virtual Stream* output() = 0;
  virtual Stream* errors() = 0;
  /// The child reads the end of its input. Also from within the input's own callbacks.
  virtual void close_input() = 0;
  /// To the whole group; nothing once the child has been reaped.
  virtual void signal(int number) = 0;
  virtual pid_t pid() const = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;
  /// The program runs when this returns: one that is missing or not executable is an error here, in
  /// words that name it. Blocks for the fork and exec, well under a millisecond on most systems.
  virtual Result<std::unique_ptr<Process>> spawn(const Command& command,
                                                 ProcessHandler& handler) = 0;
  /// Whether spawn() would find the program now, in the same words. Nothing is run.
  virtual Result<> look_for(const Command& command) const = 0;
};

}  // namespace consort::io
