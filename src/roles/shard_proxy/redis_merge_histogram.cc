// Merging LATENCY HISTOGRAM.
//
//   reply     = [command [calls N histogram_usec [bound count bound count ...]] ...], maps in RESP3
//   count     = calls that took at most `bound` microseconds; a bound is left out when the count
//               is that of the bound before
//   example   = 16:1 33:5 and 8:2 33:3 are 8:2 16:3 33:8
#include <map>
#include <unordered_map>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

struct Histogram {
  std::string_view name;  ///< as raw bytes
  std::int64_t calls = 0;
  std::map<std::int64_t, std::int64_t> steps;  ///< by bound: how much the count grows there
};

/// The differences of cumulative counts add up over servers, whatever bounds each of them lists.
bool add_steps(std::string_view reply, char type, Histogram& histogram) {
  Elements elements(reply);
  if (elements.type() != type) return false;
  std::int64_t before = 0;
  for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
    std::optional<std::int64_t> bound = integer_of(elements.next());
    std::optional<std::int64_t> count = integer_of(elements.next());
    std::int64_t step = 0;
    if (!bound || !count || __builtin_sub_overflow(*count, before, &step)) return false;
    std::int64_t& sum = histogram.steps[*bound];
    if (__builtin_add_overflow(sum, step, &sum)) return false;
    before = *count;
  }
  return true;
}

bool add_command(std::string_view reply, char type, Histogram& histogram) {
  Elements fields(reply);
  if (fields.type() != type) return false;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::optional<std::string_view> name = text_of(fields.next());
    const std::string_view value = fields.next();
    if (name == "calls") {
      std::optional<std::int64_t> calls = integer_of(value);
      if (!calls || __builtin_add_overflow(histogram.calls, *calls, &histogram.calls)) return false;
    } else if (name != "histogram_usec" || !add_steps(value, type, histogram)) {
      return false;
    }
  }
  return true;
}

void append_histogram(std::string& out, char type, const Histogram& histogram) {
  out.append(histogram.name);
  append_aggregate(out, type, 4);
  resp::append_bulk(out, "calls");
  append_integer(out, histogram.calls);
  resp::append_bulk(out, "histogram_usec");
  append_aggregate(out, type, histogram.steps.size() * 2);
  std::uint64_t count = 0;  // unsigned: strange steps may wrap, which is defined
  for (const auto& [bound, step] : histogram.steps) {
    count += static_cast<std::uint64_t>(step);
    append_integer(out, bound);
    append_integer(out, static_cast<std::int64_t>(count));
  }
}

}  // namespace

std::string merge_latency_histogram(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  std::vector<Histogram> histograms;
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::string_view reply : replies) {
    Elements elements(reply);
    const bool is_like = elements.type() == type && (type == '*' || type == '%');
    if (!is_like) return std::string(kUnlikeReplies);
    for (std::string_view name = elements.next(); !name.empty(); name = elements.next()) {
      auto [at, is_new] = index.try_emplace(name, histograms.size());
      if (is_new) histograms.push_back({.name = name});
      if (!add_command(elements.next(), type, histograms[at->second])) {
        return std::string(kUnlikeReplies);
      }
    }
  }
  std::string out;
  append_aggregate(out, type, histograms.size() * 2);
  for (const Histogram& histogram : histograms) append_histogram(out, type, histogram);
  return out;
}

}  // namespace consort::shard_proxy
