#include "io/uv/spawn.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/options.hpp"

namespace consort::io {

namespace {

/// What shells assume without a PATH.
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> all;
  for (char** each = command.inherit_environment ? environ : nullptr;
       each != nullptr && *each != nullptr; ++each) {
    const std::string_view name = name_of(*each);
    const bool is_replaced =
        std::any_of(command.environment.begin(), command.environment.end(),
                    [name](const std::string& ours) { return name_of(ours) == name; });
    if (!is_replaced) all.emplace_back(*each);
  }
  all.insert(all.end(), command.environment.begin(), command.environment.end());
  return all;
}

std::string_view path_in(const std::vector<std::string>& environment) {
  constexpr std::string_view kName = "PATH=";
  // The last of several counts nowhere reliably; libc's getenv takes the first.
  for (const std::string_view variable : environment) {
    if (variable.starts_with(kName)) return variable.substr(kName.size());
  }
  return kDefaultPath;
}

tl::unexpected<Error> cannot_run(const std::string& program, Errc code, const std::string& why) {
  return fail(code, "cannot run " + in_quotes(program) + ": " + why);
}

bool is_file(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

/// As a shell looks for it: directories in order, the first executable file wins.
Result<std::string> look_up(const std::string& program, std::string_view path) {
  std::string forbidden;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string_view directory = path.substr(begin, end - begin);
    std::string candidate(directory.empty() ? "." : directory);
    candidate.append("/").append(program);
    begin = end + 1;
    if (!is_file(candidate)) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (forbidden.empty()) forbidden = candidate;
  }
  if (forbidden.empty()) {
    return cannot_run(program, Errc::not_found, "no such file (looked in PATH)");
  }
  return cannot_run(program, Errc::denied, forbidden + " is not executable (chmod +x it)");
}

/// A relative path counts from where the child starts.
std::string file_of(const std::string& program, const Command& command) {
  const bool is_elsewhere = !command.directory.empty() && !program.starts_with('/');
  return is_elsewhere ? command.directory + "/" + program : program;
}

/// Why posix_spawn failed, for the cases whose errno alone would lead astray.
tl::unexpected<Error> explain(int why, const std::string& program, const Command& command) {
  struct stat directory{};
  if (!command.directory.empty() &&
      (::stat(command.directory.c_str(), &directory) != 0 || !S_ISDIR(directory.st_mode))) {
    return cannot_run(program, Errc::not_found,
                      "the directory " + in_quotes(command.directory) + " does not exist");
  }
  const std::string file = file_of(program, command);
  switch (why) {
    case ENOENT:
      if (is_file(file)) {
        return cannot_run(program, Errc::not_found,
                          "the interpreter or loader that it names does not exist (see its first "
                          "line)");
      }
      return cannot_run(program, Errc::not_found, "no such file");
    case EACCES:
      if (!is_file(file)) return cannot_run(program, Errc::denied, "not a file to execute");
      return cannot_run(program, Errc::denied, "not executable (chmod +x it)");
    case ENOEXEC:
      return cannot_run(program, Errc::invalid,
                        "not a program (a script needs a first line such as #!/bin/sh)");
    default:
      return fail(Error::from_errno(why, "cannot run " + in_quotes(program)));
  }
}

Result<std::string> find_program(const Command& command,
                                 const std::vector<std::string>& environment) {
  if (command.argv.empty() || command.argv.front().empty()) {
    return fail(Errc::invalid, "cannot run a command without a program");
  }
  const std::string& program = command.argv.front();
  if (program.find('/') == std::string::npos) return look_up(program, path_in(environment));
  return program;
}

/// posix_spawn's two lists, freed at the end.
class Plan {
 public:
  Plan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~Plan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// The child's descriptor `number`; `ours` gets the other end of a pipe.
  Result<> set(int number, Stdio kind, Fd& ours) {
    if (kind == Stdio::inherit) return {};
    if (kind == Stdio::null) {
      Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      if (!null) return fail(Error::from_errno(errno, "/dev/null"));
      return hand_over(number, std::move(null));
    }
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Error::from_errno(errno, "make a pipe"));
    Fd reading(ends[0]);
    Fd writing(ends[1]);
    const bool child_reads = number == STDIN_FILENO;
    ours = std::move(child_reads ? writing : reading);
    return hand_over(number, std::move(child_reads ? reading : writing));
  }

  void start_in(const std::string& directory) {
    if (directory.empty()) return;
    ::posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
  }

  /// 0 or an errno value.
  int run(const std::string& program, const Command& command,
          const std::vector<std::string>& environment, pid_t& pid) {
    // Ours are blocked and ignored for good reasons that the child does not have (SIGPIPE).
    sigset_t all{};
    sigset_t none{};
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (command.own_group) flags |= POSIX_SPAWN_SETPGROUP;
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
    const std::vector<char*> argv = pointers_to(command.argv);
    const std::vector<char*> envp = pointers_to(environment);
    return ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, argv.data(), envp.data());
  }

 private:
  Result<> hand_over(int number, Fd fd) {
    const int why = ::posix_spawn_file_actions_adddup2(&actions_, fd.get(), number);
    if (why != 0) return fail(Error::from_errno(why, "hand a descriptor over"));
    theirs_.push_back(std::move(fd));
    return {};
  }

  /// C's type for argv has no const, though nobody writes there.
  static std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
  }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  std::vector<Fd> theirs_;  // closed here once the child has its copies
};

}  // namespace

Result<Spawned> spawn_child(const Command& command) {
  const std::vector<std::string> environment = environment_of(command);
  Result<std::string> found = find_program(command, environment);
  if (!found) return fail(std::move(found.error()));
  const std::string& program = *found;
  Plan plan;
  Spawned child;
  for (auto [number, kind, ours] : {std::tuple(STDIN_FILENO, command.input, &child.input),
                                    std::tuple(STDOUT_FILENO, command.output, &child.output),
                                    std::tuple(STDERR_FILENO, command.errors, &child.errors)}) {
    Result<> set = plan.set(number, kind, *ours);
    if (!set) {
      return fail(std::move(set.error()).in("cannot run " + in_quotes(command.argv.front())));
    }
  }
  plan.start_in(command.directory);
  const int why = plan.run(program, command, environment, child.pid);
  if (why != 0) return explain(why, program, command);
  return child;
}

Result<> look_for_program(const Command& command) {
  Result<std::string> program = find_program(command, environment_of(command));
  if (!program) return fail(std::move(program.error()));
  const std::string file = file_of(*program, command);
  if (::access(file.c_str(), X_OK) != 0) return explain(errno, *program, command);
  if (!is_file(file)) return explain(EACCES, *program, command);
  return {};
}

}  // namespace consort::io
