// The documents of the admin interface, made from snapshots: no I/O, no routing.
#pragma once

#include <string>
#include <vector>

#include "base/checks.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/options.hpp"
#include "manage/control.hpp"
#include "manage/lifecycle.hpp"
#include "manage/loop_watch.hpp"

namespace consort {

/// Who this process is; fixed for its life.
struct Identity {
  std::string role;
  std::string name;
  std::string hostname;
  std::string version;
};

/// Everything that health answers are made from, at one moment.
struct HealthFacts {
  Moment now;
  Moment born;
  Transition state;
  std::vector<Check> checks;
  Millis busy_for{0};  ///< how long the role's loop has not slept
  Millis stall_limit{0};
};

/// One answer to a probe: whether it passes, and the lines of `?verbose`.
struct Probe {
  bool ok = true;
  std::string failure;             ///< why not, in one line
  std::vector<std::string> lines;  ///< "[+]state READY"
};
/// The loop of the role turns. Draining or failing checks do not matter: a restart would not help.
Probe live(const HealthFacts& facts);
/// READY and every check that gates readiness passes.
Probe ready(const HealthFacts& facts);
/// STARTING is over.
Probe startup(const HealthFacts& facts);
/// The body of a probe: "ok\n" or the failure, with the lines when asked for.
std::string probe_text(std::string_view probe_name, const Probe& probe, bool verbose);

/// fail: not serving (not started, a gating check fails, the loop hangs, FAILED). warn: serving, or
/// leaving in good order, but somebody should look.
Health overall(const HealthFacts& facts);
std::string health_json(const Identity& identity, const HealthFacts& facts);
std::string lifecycle_json(const HealthFacts& facts, const std::vector<Transition>& history);
std::string config_json(const ConfigView& view);
std::string loop_json(const HealthFacts& facts, LoopWatch& watch, const LatencyHistogram& turns);
/// True for a line of at least that level, in any form of the log; unknown text counts as error.
bool has_level(std::string_view line, LogLevel least);

}  // namespace consort
