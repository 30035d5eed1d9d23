// Merging by the server's command tips: numbers folded, successes chosen.
#include <algorithm>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"

namespace consort::shard_proxy {
namespace {

/// False when the two cannot be taken together.
using Fold = bool (*)(std::int64_t& into, std::int64_t value);

/// The numbers of an integer reply or of an array of them.
std::optional<std::vector<std::int64_t>> numbers_of(std::string_view reply) {
  std::vector<std::int64_t> numbers;
  if (std::optional<std::int64_t> alone = integer_of(reply)) {
    numbers.push_back(*alone);
    return numbers;
  }
  Elements elements(reply);
  if (elements.type() != '*') return std::nullopt;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    std::optional<std::int64_t> value = integer_of(elements.next());
    if (!value) return std::nullopt;
    numbers.push_back(*value);
  }
  return numbers;
}

std::string fold(Replies replies, Fold combine) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  const char type = type_of(replies.front());
  std::vector<std::int64_t> folded;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    std::optional<std::vector<std::int64_t>> numbers = numbers_of(replies[i]);
    if (!numbers || type_of(replies[i]) != type) return std::string(kUnlikeReplies);
    if (i == 0) {
      folded = std::move(*numbers);
      continue;
    }
    if (numbers->size() != folded.size()) return std::string(kUnlikeReplies);
    for (std::size_t k = 0; k < folded.size(); ++k) {
      if (!combine(folded[k], (*numbers)[k])) return std::string(kUnlikeReplies);
    }
  }
  std::string out;
  if (type == '*') append_aggregate(out, '*', folded.size());
  for (std::int64_t value : folded) append_integer(out, value);
  return out;
}

}  // namespace

bool is_error_reply(std::string_view reply) {
  const char type = type_of(reply);
  return type == 0 || type == '-' || type == '!';
}

std::string merge_sum(Replies replies, const MergeArgs&) {
  return fold(replies, [](std::int64_t& into, std::int64_t value) {
    return !__builtin_add_overflow(into, value, &into);
  });
}

std::string merge_min(Replies replies, const MergeArgs&) {
  return fold(replies, [](std::int64_t& into, std::int64_t value) {
    into = std::min(into, value);
    return true;
  });
}

std::string merge_max(Replies replies, const MergeArgs&) {
  return fold(replies, [](std::int64_t& into, std::int64_t value) {
    into = std::max(into, value);
    return true;
  });
}

std::string merge_logical_and(Replies replies, const MergeArgs&) {
  return fold(replies, [](std::int64_t& into, std::int64_t value) {
    into = into != 0 && value != 0 ? 1 : 0;
    return true;
  });
}

std::string merge_logical_or(Replies replies, const MergeArgs&) {
  return fold(replies, [](std::int64_t& into, std::int64_t value) {
    into = into != 0 || value != 0 ? 1 : 0;
    return true;
  });
}

std::string merge_one_succeeded(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  for (std::string_view reply : replies) {
    if (!is_error_reply(reply)) return std::string(reply);
  }
  return std::string(replies.front());
}

std::string merge_all_succeeded(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  for (std::string_view reply : replies) {
    if (is_error_reply(reply)) return std::string(reply);
  }
  return std::string(replies.front());
}

}  // namespace consort::shard_proxy
