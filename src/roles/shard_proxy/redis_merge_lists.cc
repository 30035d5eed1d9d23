// Merging replies that are lists: their elements together, each once, or one of them.
#include <unordered_set>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"

namespace consort::shard_proxy {

// Nothing is taken apart but the headers: KEYS may list millions.
std::string merge_concat(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  std::size_t count = 0;
  std::size_t bytes = 32;
  for (std::string_view reply : replies) {
    Elements elements(reply);
    if (!elements.is_aggregate() || elements.type() != type) return std::string(kUnlikeReplies);
    count += elements.size();
    bytes += reply.size();
  }
  std::string out;
  out.reserve(bytes);
  append_aggregate(out, type, count);
  for (std::string_view reply : replies) out.append(Elements(reply).rest());
  return out;
}

std::string merge_union(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  std::unordered_set<std::string_view> seen;
  std::string members;  // in the order of their first appearance
  for (std::string_view reply : replies) {
    Elements elements(reply);
    if (elements.type() != type || (type != '*' && type != '~')) return std::string(kUnlikeReplies);
    for (std::string_view element = elements.next(); !element.empty(); element = elements.next()) {
      if (seen.insert(element).second) members.append(element);
    }
  }
  std::string out;
  out.reserve(members.size() + 32);
  append_aggregate(out, type, seen.size());
  return out.append(members);
}

std::string merge_random(Replies replies, const MergeArgs& args) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  std::vector<std::string_view> found;
  for (std::string_view reply : replies) {
    if (is_null(reply)) continue;
    if (type_of(reply) != '$') return std::string(kUnlikeReplies);
    found.push_back(reply);
  }
  return std::string(found.empty() ? replies.front() : found[args.random % found.size()]);
}

std::string merge_pair_sums(Replies replies, const MergeArgs&) {
  struct Pair {
    std::string_view name;
    std::int64_t sum;
  };
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  std::vector<Pair> pairs;
  for (std::size_t r = 0; r < replies.size(); ++r) {
    Elements elements(replies[r]);
    const bool is_like = elements.is_aggregate() && elements.type() == type &&
                         elements.size() % 2 == 0 &&
                         (r == 0 || elements.size() / 2 == pairs.size());
    if (!is_like) return std::string(kUnlikeReplies);
    for (std::size_t i = 0; i < elements.size() / 2; ++i) {
      std::string_view name = elements.next();
      std::optional<std::int64_t> value = integer_of(elements.next());
      if (!value) return std::string(kUnlikeReplies);
      if (r == 0) {
        pairs.push_back({name, *value});
      } else if (pairs[i].name != name ||
                 __builtin_add_overflow(pairs[i].sum, *value, &pairs[i].sum)) {
        return std::string(kUnlikeReplies);
      }
    }
  }
  std::string out;
  append_aggregate(out, type, pairs.size() * 2);
  for (const Pair& pair : pairs) {
    out.append(pair.name);
    append_integer(out, pair.sum);
  }
  return out;
}

}  // namespace consort::shard_proxy
