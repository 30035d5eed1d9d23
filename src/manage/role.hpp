// What a role is: everything that a subcommand supplies. All the rest (flags, files, health,
// metrics, signals, logs) is given to it by the layers below.
//
// Adding a role: one folder src/roles/<role>/, one line in src/app/roles.cc, one man page, tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "base/checks.hpp"
#include "base/document.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/options.hpp"
#include "base/random.hpp"
#include "io/dns.hpp"
#include "io/file_system.hpp"
#include "io/files.hpp"
#include "io/loop.hpp"
#include "io/process.hpp"
#include "io/stream.hpp"
#include "manage/admin_page.hpp"

namespace consort {

/// Every effect a role may have. All members belong to the role's thread.
struct Services {
  io::Loop& loop;
  io::Network& network;
  io::Dns& dns;
  io::Files& files;
  io::FileSystem& disk;
  io::Processes& processes;
  Random& random;
  Registry& metrics;
  CheckBoard& checks;
  Logger& log;
};

class RoleConfig;

/// Loads the configuration with that file in place of its own. Problems have been printed when it
/// gives an error, and the command ends with exit code 78 whatever else is answered.
using LoadOther = std::function<Result<std::unique_ptr<RoleConfig>>(const std::string& path)>;

/// A role's options as they are filled in. One object per loading: reload makes a new one.
class RoleConfig {
 public:
  virtual ~RoleConfig() = default;
  /// The tables that flags, environment and files fill.
  virtual std::vector<BoundTable> tables() = 0;
  /// Sees the file before the tables do: accepts a foreign form by rewriting it into ours.
  virtual void adapt_file(Node& root, Problems& problems) {
    (void)root;
    (void)problems;
  }
  /// After every source: what one option alone cannot say. Reports all problems and warnings.
  virtual void validate(Problems& problems) { (void)problems; }
  /// A question that the command line asks instead of running (`--explain KEY`): fills `out` for
  /// stdout and returns the exit code.
  virtual std::optional<int> answer(std::string& out) const {
    (void)out;
    return std::nullopt;
  }
  /// The same, for questions that take a second configuration (`--diff OTHER_CONFIG`). This one is
  /// asked; it leaves the others to answer().
  virtual std::optional<int> answer_with(const LoadOther& load_other, std::string& out) const {
    (void)load_other;
    return answer(out);
  }
};

class Role {
 public:
  virtual ~Role() = default;
  /// Until it can serve: listeners bound. An error ends the process with exit code 69.
  virtual Task<Result<>> start() = 0;
  /// Until the work is done; servers wait until they are dropped. An error is exit code 1.
  virtual Task<Result<>> run() = 0;
  /// Of a process whose run() has ended well, or that was told to stop: its exit code.
  virtual int exit_code() const { return 0; }
  /// Stop taking work and finish what is in flight. Dropped at deadline_ms (the loop's clock).
  virtual Task<> drain(std::uint64_t deadline_ms) = 0;
  /// Takes over a new, valid configuration, whole or not at all.
  virtual Result<> reload(const RoleConfig& config) = 0;
  /// What reload() would do, in words for an operator; empty for nothing to say. Changes nothing.
  /// An error is what reload() would refuse with.
  virtual Result<std::string> would_reload(const RoleConfig& config) const {
    (void)config;
    return std::string();
  }
  /// Answers one of RoleSpec::pages, on the role's loop, from start() until the role is dropped.
  virtual AdminAnswer ask(const AdminQuestion& question) {
    AdminAnswer answer;
    answer.status = 501;
    answer.body = "not answered yet: " + question.path + "\n";
    return answer;
  }
};

struct RoleSpec {
  std::string_view group;     ///< "ambassador"; empty for top-level commands
  std::string_view name;      ///< "shard-proxy"; also the environment prefix and man page
  std::string_view summary;   ///< one line for --help
  std::string_view examples;  ///< lines for --help and the man page
  std::uint16_t admin_port;
  std::unique_ptr<RoleConfig> (*make_config)();
  std::unique_ptr<Role> (*make)(const Services& services, const RoleConfig& config);
  std::span<const AdminPage> pages = {};  ///< of the admin interface, answered by Role::ask
  /// That of `pages` which SIGUSR1 asks for too, as a POST; empty leaves the signal alone.
  std::string_view usr1_page = {};
  /// A command that does its work and ends: no admin interface, no lifecycle, no reload. It is
  /// started and run; a signal drops it where it waits.
  bool is_job = false;
  /// The option that words without a dash are values of; empty: there are no such words.
  std::string_view argument = {};
};

}  // namespace consort
