// Merging logs, which are lists in the order of time, and reports, which are texts for people.
#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::size_t kDefaultEntries = 10;  ///< of SLOWLOG GET and ACL LOG without a count

struct Entry {
  double age;         ///< the smallest is the newest
  std::size_t order;  ///< of arrival, for those of one age
  std::string_view raw;
};
/// The age of an entry; nothing when it has not the shape of one.
using AgeOf = std::optional<double> (*)(std::string_view entry);

/// The count that the request asks for; a server has checked it.
std::size_t wanted_entries(const MergeArgs& args) {
  if (args.words.size() < 3) return kDefaultEntries;
  const std::int64_t count = parse_integer(args.words[2]).value_or(-1);
  return count < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(count);
}

std::string merge_newest(Replies replies, const MergeArgs& args, AgeOf age_of) {
  std::vector<Entry> entries;
  for (std::string_view reply : replies) {
    Elements elements(reply);
    if (elements.type() != '*') return std::string(kUnlikeReplies);
    for (std::string_view raw = elements.next(); !raw.empty(); raw = elements.next()) {
      std::optional<double> age = age_of(raw);
      if (!age) return std::string(kUnlikeReplies);
      entries.push_back({*age, entries.size(), raw});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.age, a.order) < std::tie(b.age, b.order);
  });
  entries.resize(std::min(entries.size(), wanted_entries(args)));
  std::string out;
  append_aggregate(out, '*', entries.size());
  for (const Entry& entry : entries) out.append(entry.raw);
  return out;
}

// An entry: id, unix time, microseconds, words, client, client name.
std::optional<double> slowlog_age(std::string_view entry) {
  Elements fields(entry);
  if (!fields.is_aggregate()) return std::nullopt;
  fields.next();
  std::optional<std::int64_t> time = integer_of(fields.next());
  if (!time) return std::nullopt;
  return -static_cast<double>(*time);
}

// An entry: names and values by turns.
std::optional<double> acl_log_age(std::string_view entry) {
  Elements fields(entry);
  if (!fields.is_aggregate()) return std::nullopt;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string_view name = fields.next();
    const std::string_view value = fields.next();
    if (value.empty()) return std::nullopt;
    if (text_of(name) == "age-seconds") return parse_double(text_of(value).value_or(""));
  }
  return std::nullopt;
}

struct Event {
  std::string_view name;
  std::int64_t time;
  std::int64_t latest_ms;
  std::int64_t max_ms;
};

bool read_event(std::string_view raw, Event& event) {
  Elements fields(raw);
  if (fields.type() != '*' || fields.size() != 4) return false;
  event.name = fields.next();
  std::optional<std::int64_t> time = integer_of(fields.next());
  std::optional<std::int64_t> latest = integer_of(fields.next());
  std::optional<std::int64_t> max = integer_of(fields.next());
  if (!time || !latest || !max) return false;
  event.time = *time;
  event.latest_ms = *latest;
  event.max_ms = *max;
  return true;
}

void add_event(std::vector<Event>& events, const Event& event) {
  auto known = std::find_if(events.begin(), events.end(),
                            [&](const Event& other) { return other.name == event.name; });
  if (known == events.end()) {
    events.push_back(event);
    return;
  }
  known->max_ms = std::max(known->max_ms, event.max_ms);
  if (event.time > known->time) {
    known->time = event.time;
    known->latest_ms = event.latest_ms;
  } else if (event.time == known->time) {
    known->latest_ms = std::max(known->latest_ms, event.latest_ms);
  }
}

}  // namespace

std::string merge_slowlog(Replies replies, const MergeArgs& args) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  return merge_newest(replies, args, slowlog_age);
}

std::string merge_acl_log(Replies replies, const MergeArgs& args) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  if (type_of(replies.front()) == '+') return merge_all_succeeded(replies, args);  // RESET
  return merge_newest(replies, args, acl_log_age);
}

// Linear in events for each: a server knows about twenty.
std::string merge_latency_latest(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  constexpr std::size_t kMaxEvents = 1000;
  std::vector<Event> events;
  for (std::string_view reply : replies) {
    Elements elements(reply);
    if (elements.type() != '*') return std::string(kUnlikeReplies);
    for (std::string_view raw = elements.next(); !raw.empty(); raw = elements.next()) {
      Event event{};
      if (!read_event(raw, event) || events.size() > kMaxEvents) return std::string(kUnlikeReplies);
      add_event(events, event);
    }
  }
  std::string out;
  append_aggregate(out, '*', events.size());
  for (const Event& event : events) {
    append_aggregate(out, '*', 4);
    out.append(event.name);
    append_integer(out, event.time);
    append_integer(out, event.latest_ms);
    append_integer(out, event.max_ms);
  }
  return out;
}

std::string merge_latency_history(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  std::map<std::int64_t, std::int64_t> samples;
  for (std::string_view reply : replies) {
    Elements elements(reply);
    if (elements.type() != '*') return std::string(kUnlikeReplies);
    for (std::string_view raw = elements.next(); !raw.empty(); raw = elements.next()) {
      Elements sample(raw);
      std::optional<std::int64_t> time = integer_of(sample.next());
      std::optional<std::int64_t> latency = integer_of(sample.next());
      if (!time || !latency) return std::string(kUnlikeReplies);
      auto [at, is_new] = samples.try_emplace(*time, *latency);
      if (!is_new) at->second = std::max(at->second, *latency);
    }
  }
  std::string out;
  append_aggregate(out, '*', samples.size());
  for (const auto& [time, latency] : samples) {
    append_aggregate(out, '*', 2);
    append_integer(out, time);
    append_integer(out, latency);
  }
  return out;
}

std::string merge_texts(Replies replies, const MergeArgs& args) {
  if (replies.empty() || args.servers.size() != replies.size()) return std::string(kUnlikeReplies);
  std::string text;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const char type = type_of(replies[i]);
    std::optional<std::string_view> part = text_of(replies[i]);
    if (!part || (type != '$' && type != '=')) return std::string(kUnlikeReplies);
    if (i > 0) text += '\n';
    text.append("# ").append(args.servers[i]).append("\n").append(*part);
    if (!text.ends_with('\n')) text += '\n';
  }
  std::string out;
  append_text(out, type_of(replies.front()), text);
  return out;
}

}  // namespace consort::shard_proxy
