#include "manage/process_metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <vector>

#include "io/read_file.hpp"
#include "manage/clock.hpp"

namespace consort {

namespace {

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

double number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return static_cast<double>(value);
}

/// /proc/stat knows it too, but behind a line per processor and a number per interrupt.
double boot_time_s() {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const double up_s =
      static_cast<double>(since_boot.tv_sec) + static_cast<double>(since_boot.tv_nsec) / 1e9;
  return static_cast<double>(system_moment().wall_ms) / 1000.0 - up_s;
}

ProcessFacts read_self(double booted_s) {
  constexpr std::size_t kStatBytesMax = 4096;
  const Result<std::string> stat = io::read_file("/proc/self/stat", kStatBytesMax);
  if (!stat) return {};
  return parse_proc_stat(*stat, booted_s, static_cast<double>(::sysconf(_SC_CLK_TCK)),
                         static_cast<double>(::sysconf(_SC_PAGESIZE)));
}

double open_fds() {
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = 0;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(dir);
  return count - 1;  // without the one that reads the directory
}

double max_fds() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

ProcessFacts parse_proc_stat(std::string_view stat, double boot_time_s, double ticks_per_second,
                             double page_bytes) {
  // The command name is in parentheses and may hold blanks and parentheses itself.
  const std::size_t end = stat.rfind(')');
  if (end == std::string_view::npos || ticks_per_second <= 0) return {};
  // Words after the name; proc(5) counts from 1 and the first of these is its field 3.
  const std::vector<std::string_view> words = split_words(stat.substr(end + 1));
  constexpr std::size_t kFirstField = 3;
  auto field = [&](std::size_t n) {
    return n - kFirstField < words.size() ? number(words[n - kFirstField]) : 0;
  };
  return {.cpu_seconds = (field(14) + field(15)) / ticks_per_second,
          .start_time_seconds = boot_time_s + field(22) / ticks_per_second,
          .resident_bytes = field(24) * page_bytes,
          .virtual_bytes = field(23)};
}

void add_process_metrics(Registry& metrics) {
  // Looked at once: a leap of the wall clock must not move our start.
  const double booted_s = boot_time_s();
  auto add = [&metrics, booted_s](std::string_view name, std::string_view help,
                                  double ProcessFacts::* fact) {
    metrics.gauge_fn(name, help, {}, [booted_s, fact] { return read_self(booted_s).*fact; });
  };
  metrics.counter_fn("process_cpu_seconds_total", "User and system CPU time spent.", {},
                     [booted_s] { return read_self(booted_s).cpu_seconds; });
  add("process_resident_memory_bytes", "Resident memory size.", &ProcessFacts::resident_bytes);
  add("process_virtual_memory_bytes", "Virtual memory size.", &ProcessFacts::virtual_bytes);
  add("process_start_time_seconds", "Start of the process since the Unix epoch.",
      &ProcessFacts::start_time_seconds);
  metrics.gauge_fn("process_open_fds", "Open file descriptors.", {}, open_fds);
  metrics.gauge_fn("process_max_fds", "Limit of open file descriptors.", {}, max_fds);
}

void add_lifecycle_metrics(Registry& metrics, const Lifecycle& lifecycle, LoopWatch& watch,
                           std::string_view role, std::string_view version) {
  metrics
      .gauge("consort_build_info", "Constant 1; the labels say what is running.",
             {{"version", std::string(version)}, {"role", std::string(role)}})
      .set(1);
  for (std::size_t i = 0; i < kStates; ++i) {
    const auto state = static_cast<State>(i);
    metrics.gauge_fn("consort_state", "1 for the state of the lifecycle, 0 for the others.",
                     {{"state", std::string(to_string(state))}},
                     [&lifecycle, state] { return lifecycle.state() == state ? 1.0 : 0.0; });
  }
  for (std::size_t i = 0; i < kStates * kStates; ++i) {
    const auto from = static_cast<State>(i / kStates);
    const auto to = static_cast<State>(i % kStates);
    if (!is_legal(from, to)) continue;
    metrics.counter_fn(
        "consort_transitions_total", "Transitions of the lifecycle.",
        {{"from", std::string(to_string(from))}, {"to", std::string(to_string(to))}},
        [&lifecycle, from, to] { return static_cast<double>(lifecycle.count(from, to)); });
  }
  metrics.gauge_fn("consort_loop_utilization_ratio",
                   "Share of time that the role's loop worked since the previous scrape.", {},
                   [&watch] { return watch.utilization(); });
}

}  // namespace consort
