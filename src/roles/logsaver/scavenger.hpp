// --scavenger: takes only what others leave of processor and disk.
//
// Two means. The kernel's: the loop's thread runs when nobody else wants to (SCHED_IDLE), and its
// reads come after all others' (I/O class idle). And our own, for what those cannot give back
// (caches, memory bandwidth, a disk's queue): nothing is read while others have to wait.
//
//   free --pressure >= max--> held --something unread for `delay`--> trickle
//     ^                       |  ^                                     |  |
//     +--- pressure < max/2 --+--|-------------------------------------+  |
//                                +-------------- all is read -------------+
//
// Pressure is `some avg10` of the kernel's pressure stall information (Documentation/accounting/
// psi.rst): the share of the last ten seconds in which some task waited for the processor, or for
// the disk; the larger of the two counts. Our own waiting counts too, as the kernel does not tell
// whose it is: on a busy machine we find that out by being held, and it goes within seconds.
//
// Without such information (a kernel before 4.20, psi=0) only the priorities are left.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "io/loop.hpp"

namespace consort::logsaver {

struct ScavengerSettings {
  double pressure_max = 20;         ///< percent
  std::uint64_t delay_ms = 60'000;  ///< nothing is held longer
};

/// When to read: numbers in, decision out.
class ScavengerPolicy {
 public:
  enum class Pace : std::uint8_t {
    free,     ///< as fast as it goes
    held,     ///< not at all
    trickle,  ///< kTrickleMs of each period
  };
  static constexpr std::uint64_t kPeriodMs = 500;
  static constexpr std::uint64_t kTrickleMs = 50;

  explicit ScavengerPolicy(ScavengerSettings settings) : settings_(settings) {}

  /// Once each period. Nothing for a pressure that is not known; is_behind: something is unread.
  Pace next(std::uint64_t now_ms, std::optional<double> pressure, bool is_behind);
  Pace pace() const { return pace_; }

 private:
  const ScavengerSettings settings_;
  Pace pace_ = Pace::free;
  std::uint64_t held_since_ms_ = 0;  ///< nothing that is unread waits longer
};

/// `some avg10` of a pressure file's text, in percent; nothing for what is none.
std::optional<double> read_pressure(std::string_view text);

/// The cgroup's directory in the file system, by the text of /proc/self/cgroup; empty without
/// cgroup v2.
std::string cgroup_directory(std::string_view text);

/// Of the calling thread, and of those that it starts from now on. What the kernel refuses is
/// logged, and the next best taken.
void lower_priorities(Logger& log);

/// Looks at the pressure each period and yields. Belongs to the loop's thread.
class Scavenger {
 public:
  struct World {
    io::Loop& loop;
    Logger& log;
    std::function<Result<std::string>(const std::string& path)> read_file;
    std::function<bool()> is_behind;  ///< something is unread
    /// True: read nothing until it is said otherwise. Told only when it changes.
    std::function<void(bool)> yield;
  };

  Scavenger(World world, ScavengerSettings settings);

  /// Finds out what the kernel tells; free until the first period has passed.
  void start();
  /// Yields no more: what is left must be brought to an end.
  void stop();
  ScavengerPolicy::Pace pace() const { return policy_.pace(); }
  /// What is read now, and why: for people.
  std::string describe() const;
  /// The last pressure, in percent; nothing while it is not known.
  std::optional<double> pressure() const { return pressure_; }

 private:
  void tick();
  void say(bool is_yielding);
  std::string find(const std::string& cgroup, const std::string& name) const;
  std::optional<double> look() const;

  const World world_;
  ScavengerPolicy policy_;
  std::string cpu_path_;  ///< empty: not told
  std::string io_path_;
  std::optional<double> pressure_;
  bool is_yielding_ = false;
  bool is_trickling_ = false;  ///< within the part of a period in which is read
  Timer timer_;
};

}  // namespace consort::logsaver
