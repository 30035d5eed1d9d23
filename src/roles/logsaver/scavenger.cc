#include "roles/logsaver/scavenger.hpp"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace consort::logsaver {
namespace {

using Pace = ScavengerPolicy::Pace;

constexpr double kResumeShare = 0.5;
constexpr int kLeastNice = 19;
constexpr std::string_view kSome = "some avg10=";
constexpr std::string_view kUnified = "0::";

}  // namespace

Pace ScavengerPolicy::next(std::uint64_t now_ms, std::optional<double> pressure, bool is_behind) {
  const double bound =
      pace_ == Pace::free ? settings_.pressure_max : settings_.pressure_max * kResumeShare;
  if (!pressure || *pressure < bound) {
    pace_ = Pace::free;
    return pace_;
  }
  if (pace_ == Pace::free || !is_behind) {
    held_since_ms_ = now_ms;
    pace_ = Pace::held;
  }
  if (now_ms - held_since_ms_ >= settings_.delay_ms) pace_ = Pace::trickle;
  return pace_;
}

std::optional<double> read_pressure(std::string_view text) {
  if (!text.starts_with(kSome)) return std::nullopt;
  text.remove_prefix(kSome.size());
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || !(percent >= 0 && percent <= 100)) return std::nullopt;
  return percent;
}

std::string cgroup_directory(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("0::/")) {
      return "/sys/fs/cgroup" + std::string(line.substr(kUnified.size()));
    }
  }
  return {};
}

void lower_priorities(Logger& log) {
  sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
    const int why = errno;
    // For the thread alone, whatever POSIX says: setpriority(2), "C library/kernel differences".
    const bool is_nice = ::setpriority(PRIO_PROCESS, 0, kLeastNice) == 0;
    log.warn("scavenger.no_idle_scheduling",
             {{"why", Error::from_errno(why, "sched_setscheduler").message()},
              {"instead", is_nice ? "nice 19" : "nothing: neither was nice 19 allowed"}});
  }
  // glibc has no function for it.
  if (::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)) !=
      0) {
    log.warn("scavenger.no_idle_io", {{"why", Error::from_errno(errno, "ioprio_set").message()},
                                      {"instead", "the disk serves us like all others"}});
  }
}

Scavenger::Scavenger(World world, ScavengerSettings settings)
    : world_(std::move(world)),
      policy_(settings),
      timer_(
          world_.loop.timers(), [](void* self) { static_cast<Scavenger*>(self)->tick(); }, this) {}

void Scavenger::start() {
  const auto own = world_.read_file("/proc/self/cgroup");
  const std::string cgroup = own ? cgroup_directory(*own) : "";
  cpu_path_ = find(cgroup, "cpu");
  io_path_ = find(cgroup, "io");
  if (cpu_path_.empty() && io_path_.empty()) {
    world_.log.info("scavenger.no_pressure",
                    {{"why", "the kernel does not tell: neither /proc/pressure nor the cgroup's"},
                     {"instead", "only the priorities are lowered"}});
    return;
  }
  timer_.arm_at(world_.loop.now_ms() + ScavengerPolicy::kPeriodMs);
}

void Scavenger::stop() {
  timer_.cancel();
  say(false);
}

/// The machine's first: whom we make way for may be in another container than we are.
std::string Scavenger::find(const std::string& cgroup, const std::string& name) const {
  for (const std::string& path :
       {"/proc/pressure/" + name, cgroup.empty() ? "" : cgroup + "/" + name + ".pressure"}) {
    if (path.empty()) continue;
    const auto text = world_.read_file(path);
    if (text && read_pressure(*text)) return path;
  }
  return {};
}

std::optional<double> Scavenger::look() const {
  std::optional<double> most;
  for (const std::string* path : {&cpu_path_, &io_path_}) {
    if (path->empty()) continue;
    const auto text = world_.read_file(*path);
    const auto percent = text ? read_pressure(*text) : std::nullopt;
    if (percent) most = std::max(most.value_or(0), *percent);
  }
  return most;
}

void Scavenger::tick() {
  const std::uint64_t now_ms = world_.loop.now_ms();
  if (std::exchange(is_trickling_, false)) {
    timer_.arm_at(now_ms + ScavengerPolicy::kPeriodMs - ScavengerPolicy::kTrickleMs);
    return say(true);
  }
  pressure_ = look();
  const Pace before = policy_.pace();
  const Pace pace = policy_.next(now_ms, pressure_, world_.is_behind());
  if (pace != before) {
    world_.log.debug("scavenger.pace", {{"now", describe()}});
  }
  is_trickling_ = pace == Pace::trickle;
  timer_.arm_at(now_ms +
                (is_trickling_ ? ScavengerPolicy::kTrickleMs : ScavengerPolicy::kPeriodMs));
  say(pace == Pace::held);
}

std::string Scavenger::describe() const {
  if (cpu_path_.empty() && io_path_.empty()) return "reads freely: the pressure is not known";
  const Pace pace = policy_.pace();
  const std::string_view what = pace == Pace::free   ? "reads freely"
                                : pace == Pace::held ? "reads nothing"
                                                     : "reads a little";
  return std::string(what) + ": others wait " +
         std::to_string(static_cast<int>(pressure_.value_or(0))) + " % of the time";
}

void Scavenger::say(bool is_yielding) {
  if (std::exchange(is_yielding_, is_yielding) != is_yielding) world_.yield(is_yielding);
}

}  // namespace consort::logsaver
