// The standard process_* series of Prometheus clients and the consort_* series of every role.
#pragma once

#include <string>
#include <string_view>

#include "base/metrics.hpp"
#include "manage/lifecycle.hpp"
#include "manage/loop_watch.hpp"

namespace consort {

/// What /proc says of one process. A value that cannot be read stays 0.
struct ProcessFacts {
  double cpu_seconds = 0;
  double start_time_seconds = 0;  ///< since 1970
  double resident_bytes = 0;
  double virtual_bytes = 0;
};
/// Reads the text of /proc/PID/stat (proc(5)); `boot_time_s` is since 1970.
ProcessFacts parse_proc_stat(std::string_view stat, double boot_time_s, double ticks_per_second,
                             double page_bytes);

/// process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, ...: read from /proc
/// at scrape time, so they cost nothing in between. Without /proc the values are 0.
void add_process_metrics(Registry& metrics);

/// consort_build_info, consort_state, consort_transitions_total, consort_loop_utilization_ratio.
/// `lifecycle` and `watch` must outlive the registry's last rendering.
void add_lifecycle_metrics(Registry& metrics, const Lifecycle& lifecycle, LoopWatch& watch,
                           std::string_view role, std::string_view version);

}  // namespace consort
