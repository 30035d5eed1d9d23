#include "manage/process_metrics.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <vector>

namespace consort {

namespace {

/// At most 64 KiB: files of /proc have no size that could be asked for.
std::string read_proc(const char* path) {
  std::string text;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  std::array<char, 4096> buffer{};
  while (text.size() < 64 * 1024) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  return text;
}

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

double boot_time_s() {
  const std::string stat = read_proc("/proc/stat");
  constexpr std::string_view kKey = "\nbtime ";
  const std::size_t at = stat.find(kKey);
  if (at == std::string::npos) return 0;
  const std::string_view rest = std::string_view(stat).substr(at + kKey.size());
  return number(rest.substr(0, rest.find('\n')));
}

ProcessFacts read_self() {
  // Constant while the machine runs; a leap of the wall clock must not move our start.
  static const double booted_s = boot_time_s();
  return parse_proc_stat(read_proc("/proc/self/stat"), booted_s,
                         static_cast<double>(::sysconf(_SC_CLK_TCK)),
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
  metrics.counter_fn("process_cpu_seconds_total", "User and system CPU time spent.", {},
                     [] { return read_self().cpu_seconds; });
  metrics.gauge_fn("process_resident_memory_bytes", "Resident memory size.", {},
                   [] { return read_self().resident_bytes; });
  metrics.gauge_fn("process_virtual_memory_bytes", "Virtual memory size.", {},
                   [] { return read_self().virtual_bytes; });
  metrics.gauge_fn("process_start_time_seconds", "Start of the process since the Unix epoch.", {},
                   [] { return read_self().start_time_seconds; });
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
