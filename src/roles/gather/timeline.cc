#include "roles/gather/timeline.hpp"

#include <algorithm>

#include "base/json_writer.hpp"

namespace consort::gather {
namespace {

double ms_between(std::uint64_t from_ns, std::uint64_t to_ns) {
  if (to_ns <= from_ns) return 0;
  return static_cast<double>((to_ns - from_ns) / 1000) / 1000;
}

void write_moment(JsonWriter& json, std::string_view name, std::uint64_t from_ns,
                  std::uint64_t at_ns) {
  json.key(name);
  if (at_ns == 0) {
    json.null();
  } else {
    json.value(ms_between(from_ns, at_ns));
  }
}

void write_attempt(JsonWriter& json, const Fanout::Attempt& attempt, std::uint64_t started_ns) {
  const http::CallTimes& times = attempt.times();
  json.begin_object();
  json.key("number").value(attempt.number);
  json.key("replica").value(attempt.backend.name());
  json.key("hedge").value(attempt.is_hedge);
  json.key("result").value(to_string(attempt.end));
  if (!attempt.why.empty()) json.key("why").value(attempt.why);
  if (attempt.status_seen != 0) json.key("status").value(attempt.status_seen);
  json.key("at_ms").value(ms_between(started_ns, attempt.asked_ns));
  write_moment(json, "queue_ms", attempt.asked_ns, attempt.started_ns);
  json.key("reused").value(times.reused);
  write_moment(json, "connect_ms", times.started_ns, times.connected_ns);
  write_moment(json, "sent_ms", times.started_ns, times.sent_ns);
  write_moment(json, "first_byte_ms", times.started_ns, times.first_byte_ns);
  write_moment(json, "last_byte_ms", times.started_ns, times.last_byte_ns);
  write_moment(json, "ms", attempt.started_ns, attempt.ended_ns);
  json.key("bytes_out").value(attempt.bytes_out());
  json.key("bytes_in").value(attempt.bytes_in());
  json.end_object();
}

void write_leaf(JsonWriter& json, const Fanout::Leaf& leaf, std::uint64_t started_ns) {
  json.begin_object();
  json.key("shard").value(leaf.id());
  json.key("outcome").value(to_string(leaf.verdict));
  if (leaf.error) json.key("error").value(to_string(*leaf.error));
  if (!leaf.details.empty()) json.key("details").value(leaf.details);
  write_moment(json, "ms", started_ns, leaf.ended_ns);
  if (!leaf.hedge_note.empty()) json.key("hedge").value(leaf.hedge_note);
  json.key("attempts").begin_array();
  for (const auto& attempt : leaf.attempts) write_attempt(json, *attempt, started_ns);
  json.end_array();
  json.end_object();
}

}  // namespace

std::string timeline_json(const TimelineFacts& facts, const Fanout& fanout,
                          std::string_view extra) {
  JsonWriter json;
  json.begin_object();
  json.key("id").value(facts.id);
  json.key("method").value(facts.method);
  json.key("target").value(facts.target);
  json.key("route").value(facts.route);
  json.key("epoch").value(facts.epoch);
  json.key("status").value(facts.status);
  json.key("ms").value(ms_between(facts.started_ns, facts.merged_ns));
  json.key("scatter_ms").value(ms_between(facts.started_ns, facts.scattered_ns));
  json.key("merge_ms").value(ms_between(facts.scattered_ns, facts.merged_ns));
  json.key("coverage").raw(facts.coverage.to_json());
  json.key("leaves").begin_array();
  const std::size_t shown = std::min(fanout.leaves().size(), kMaxTimelineLeaves);
  for (std::size_t i = 0; i < shown; ++i) {
    write_leaf(json, fanout.leaves()[i], facts.started_ns);
  }
  json.end_array();
  if (shown < fanout.leaves().size()) {
    json.key("leaves_left_out").value(fanout.leaves().size() - shown);
  }
  if (!extra.empty()) json.key("answer").raw(extra);
  json.end_object();
  return json.take();
}

const Fanout::Leaf* slowest_leaf(const Fanout& fanout) {
  const auto last =
      std::max_element(fanout.leaves().begin(), fanout.leaves().end(),
                       [](const auto& a, const auto& b) { return a.ended_ns < b.ended_ns; });
  return last == fanout.leaves().end() ? nullptr : &*last;
}

}  // namespace consort::gather
