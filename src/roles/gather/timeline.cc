#include "roles/gather/timeline.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <vector>

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
  for (const Fanout::Attempt& attempt : leaf.attempts) write_attempt(json, attempt, started_ns);
  json.end_array();
  json.end_object();
}

/// In the request's order.
std::vector<const Fanout::Leaf*> most_telling(const Fanout& fanout, std::size_t most) {
  std::vector<const Fanout::Leaf*> leaves;
  leaves.reserve(fanout.leaves().size());
  for (const Fanout::Leaf& leaf : fanout.leaves()) leaves.push_back(&leaf);
  if (leaves.size() <= most) return leaves;
  const auto tells = [](const Fanout::Leaf* leaf) {
    return std::tuple(leaf->verdict != LeafVerdict::ok, leaf->attempts.size() > 1, leaf->ended_ns);
  };
  std::nth_element(leaves.begin(), leaves.begin() + static_cast<std::ptrdiff_t>(most), leaves.end(),
                   [&](auto* a, auto* b) { return tells(a) > tells(b); });
  leaves.resize(most);
  std::sort(leaves.begin(), leaves.end());  // they lie in one vector
  return leaves;
}

}  // namespace

std::string timeline_json(const TimelineFacts& facts, const Fanout& fanout, std::size_t most,
                          std::string_view answer) {
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
  const std::vector<const Fanout::Leaf*> shown = most_telling(fanout, most);
  for (const Fanout::Leaf* leaf : shown) write_leaf(json, *leaf, facts.started_ns);
  json.end_array();
  if (shown.size() < fanout.leaves().size()) {
    json.key("leaves_left_out").value(fanout.leaves().size() - shown.size());
  }
  if (!answer.empty()) json.key("answer").raw(answer);
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
