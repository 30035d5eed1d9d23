#include "manage/admin_views.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/json_writer.hpp"

namespace consort {

namespace {

std::string seconds(Millis time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(time.count()) / 1000.0);
  return text;
}

bool is_stalled(const HealthFacts& facts) {
  return facts.busy_for > facts.stall_limit;
}

std::string stall_text(const HealthFacts& facts) {
  return "the role's loop has not turned for " + seconds(facts.busy_for) + " (limit " +
         seconds(facts.stall_limit) + ")";
}

/// Marks a line as passed or failed, the way Kubernetes' own components do.
std::string mark(bool ok, std::string_view name, std::string_view text) {
  std::string line = ok ? "[+]" : "[-]";
  line.append(name);
  if (!text.empty()) line.append(" ").append(text);
  return line;
}

/// A deadline on the monotonic clock, as wall time.
std::int64_t wall_of(const Moment& now, std::uint64_t mono_ms) {
  return now.wall_ms + static_cast<std::int64_t>(mono_ms) - static_cast<std::int64_t>(now.mono_ms);
}

void put_check(JsonWriter& json, const Check& check) {
  json.key(check.name).begin_object();
  json.key("status").value(to_string(check.health));
  if (!check.text.empty()) json.key("text").value(check.text);
  json.key("gates_readiness").value(check.gates_readiness).end_object();
}

void put_transition(JsonWriter& json, const Transition& made) {
  json.begin_object();
  json.key("seq").value(made.seq);
  json.key("from").value(to_string(made.from)).key("to").value(to_string(made.to));
  json.key("t").value(to_rfc3339(made.at.wall_ms));
  json.key("mono_ms").value(made.at.mono_ms);
  json.key("cause").value(made.cause).end_object();
}

/// The level of a line in any of the log's three forms; nothing for other text.
std::optional<LogLevel> level_of(std::string_view line) {
  // Pretty lines carry the level among their first words; a message may hold any word.
  const std::string_view head = line.substr(0, 64);
  for (std::size_t i = 0; i < std::size(Choices<LogLevel>::names); ++i) {
    const std::string name(Choices<LogLevel>::names[i]);
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
    const bool is_it = line.find("\"level\":\"" + name + "\"") != std::string_view::npos ||
                       line.find("level=" + name) != std::string_view::npos ||
                       head.find(upper) != std::string_view::npos;
    if (is_it) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

}  // namespace

Probe live(const HealthFacts& facts) {
  Probe probe;
  const bool is_failed = facts.state.to == State::failed;
  const bool stalled = is_stalled(facts);
  probe.ok = !stalled && !is_failed;
  if (is_failed) probe.failure = "FAILED: " + facts.state.cause;
  if (stalled) probe.failure = stall_text(facts);
  probe.lines.push_back(mark(!is_failed, "state", to_string(facts.state.to)));
  probe.lines.push_back(mark(!stalled, "loop", stalled ? stall_text(facts) : "turning"));
  return probe;
}

Probe ready(const HealthFacts& facts) {
  Probe probe;
  const State state = facts.state.to;
  // UNREADY means that a check fails; the check's own line says which.
  if (state != State::ready) {
    probe.ok = false;
    probe.failure = std::string(to_string(state)) + ": " + facts.state.cause;
  }
  probe.lines.push_back(mark(state == State::ready, "state", to_string(state)));
  for (const Check& check : facts.checks) {
    const bool passes = !check.gates_readiness || check.health != Health::fail;
    if (!passes && probe.ok) probe.failure = "check " + check.name + ": " + check.text;
    probe.ok = probe.ok && passes;
    probe.lines.push_back(mark(passes, check.name, check.text));
  }
  return probe;
}

Probe startup(const HealthFacts& facts) {
  Probe probe;
  probe.ok = has_started(facts.state.to);
  const std::string_view state = to_string(facts.state.to);
  if (!probe.ok) probe.failure = "not started yet: " + std::string(state);
  probe.lines.push_back(mark(probe.ok, "state", state));
  return probe;
}

std::string probe_text(std::string_view probe_name, const Probe& probe, bool verbose) {
  std::string body;
  if (verbose) {
    for (const std::string& line : probe.lines) body.append(line).append("\n");
    body.append(probe_name).append(probe.ok ? " check passed\n" : " check failed\n");
    return body;
  }
  return (probe.ok ? "ok" : probe.failure) + "\n";
}

Health overall(const HealthFacts& facts) {
  const State state = facts.state.to;
  if (!has_started(state) || state == State::unready || is_stalled(facts)) return Health::fail;
  Health worst = is_ending(state) ? Health::warn : Health::pass;
  for (const Check& check : facts.checks) {
    const bool is_fatal = check.gates_readiness && !is_ending(state);
    const Health counted = is_fatal ? check.health : std::min(check.health, Health::warn);
    worst = std::max(worst, counted);
  }
  return worst;
}

std::string health_json(const Identity& identity, const HealthFacts& facts) {
  JsonWriter json;
  json.begin_object();
  json.key("status").value(to_string(overall(facts)));
  json.key("role").value(identity.role).key("name").value(identity.name);
  json.key("version").value(identity.version);
  json.key("state").value(to_string(facts.state.to)).key("cause").value(facts.state.cause);
  json.key("since").value(to_rfc3339(facts.state.at.wall_ms));
  const std::uint64_t up_ms = facts.now.mono_ms - facts.born.mono_ms;
  json.key("uptime_s").value(static_cast<double>(up_ms) / 1000.0);
  json.key("checks").begin_object();
  for (const Check& check : facts.checks) put_check(json, check);
  json.key("loop").begin_object();
  json.key("status").value(to_string(is_stalled(facts) ? Health::fail : Health::pass));
  if (is_stalled(facts)) json.key("text").value(stall_text(facts));
  json.key("gates_readiness").value(false).end_object();
  json.end_object().end_object();
  return json.take() + "\n";
}

std::string lifecycle_json(const HealthFacts& facts, const std::vector<Transition>& history) {
  JsonWriter json;
  json.begin_object();
  json.key("state").value(to_string(facts.state.to)).key("seq").value(facts.state.seq);
  json.key("cause").value(facts.state.cause);
  json.key("since").value(to_rfc3339(facts.state.at.wall_ms));
  json.key("deadline");
  if (facts.state.deadline_mono_ms != 0) {
    json.value(to_rfc3339(wall_of(facts.now, facts.state.deadline_mono_ms)));
  } else {
    json.null();
  }
  json.key("history").begin_array();
  for (const Transition& made : history) put_transition(json, made);
  json.end_array().end_object();
  return json.take() + "\n";
}

std::string config_json(const ConfigView& view) {
  JsonWriter json;
  json.begin_object();
  json.key("generation").value(view.generation);
  json.key("loaded_at").value(to_rfc3339(view.loaded_wall_ms));
  json.key("needs_restart").begin_array();
  for (const std::string& key : view.needs_restart) json.value(key);
  json.end_array();
  json.key("keys").begin_object();
  for (const Setting& setting : view.settings) {
    json.key(setting.key).begin_object().key("value");
    if (setting.repeats) {
      json.begin_array();
      for (const std::string& value : setting.values) json.value(value);
      json.end_array();
    } else if (setting.values.empty()) {
      json.null();
    } else {
      json.value(setting.values.front());
    }
    json.key("source").value(setting.source).key("runtime").value(setting.reloads);
    if (setting.secret) json.key("secret").value(true);
    json.end_object();
  }
  json.end_object().end_object();
  return json.take() + "\n";
}

std::string loop_json(const HealthFacts& facts, LoopWatch& watch, const LatencyHistogram& turns) {
  constexpr auto& kBounds = LatencyHistogram::kBoundsNs;
  JsonWriter json;
  json.begin_object();
  json.key("stalled").value(is_stalled(facts)).key("busy_ms").value(facts.busy_for.count());
  json.key("stall_limit_ms").value(facts.stall_limit.count());
  json.key("utilization").value(watch.utilization()).key("turns").value(watch.turns());
  json.key("turn_seconds").begin_object();
  json.key("sum").value(static_cast<double>(turns.sum_ns()) / 1e9);
  json.key("buckets").begin_array();
  for (std::size_t i = 0; i <= kBounds.size(); ++i) {
    json.begin_object().key("le");
    if (i < kBounds.size()) {
      json.value(static_cast<double>(kBounds[i]) / 1e9);
    } else {
      json.value("+Inf");
    }
    json.key("count").value(turns.bucket(i)).end_object();
  }
  json.end_array().end_object().end_object();
  return json.take() + "\n";
}

bool has_level(std::string_view line, LogLevel least) {
  return level_of(line).value_or(LogLevel::error) >= least;
}

}  // namespace consort
