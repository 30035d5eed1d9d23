#include "roles/shard_proxy/redis_merge_sets.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/text.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"
#include "wire/redis_hll.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kWrongType =
    "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
constexpr std::string_view kCorrupt = "-INVALIDOBJ Corrupted HLL object detected\r\n";

/// Of SINTERCARD numkeys key.. [LIMIT n]: the n, 0 without; nothing when a server would refuse it.
/// LIMIT may be repeated: the last counts.
std::optional<std::uint64_t> read_limit(const KeyedRequest& request) {
  std::uint64_t limit = 0;
  for (std::size_t i = request.key_positions.back() + std::size_t{1}; i < request.words.size();
       i += 2) {
    if (!equals_ignoring_case(request.words[i], "limit")) return std::nullopt;
    if (i + 1 == request.words.size()) return std::nullopt;
    std::optional<std::int64_t> value = parse_integer(request.words[i + 1]);
    if (!value || *value < 0) return std::nullopt;
    limit = static_cast<std::uint64_t>(*value);
  }
  return limit;
}

bool read_members(std::string_view reply, char type, std::vector<std::string_view>& members) {
  Elements elements(reply);
  if (elements.type() != type || (type != '*' && type != '~')) return false;
  for (std::string_view member = elements.next(); !member.empty(); member = elements.next()) {
    members.push_back(member);
  }
  return true;
}

enum class Keep : std::uint8_t { common, missing };

/// The members of the first reply that every other one has, or that none has.
std::optional<std::vector<std::string_view>> filter_first(Replies replies, Keep keep) {
  const char type = type_of(replies.front());
  std::vector<std::string_view> kept;
  if (!read_members(replies.front(), type, kept)) return std::nullopt;
  for (std::string_view reply : replies.subspan(1)) {
    std::vector<std::string_view> members;
    if (!read_members(reply, type, members)) return std::nullopt;
    const std::unordered_set<std::string_view> other(members.begin(), members.end());
    std::erase_if(kept, [&](std::string_view member) {
      return other.contains(member) != (keep == Keep::common);
    });
  }
  return kept;
}

std::string append_members(char type, const std::vector<std::string_view>& members) {
  std::string out;
  append_aggregate(out, type, members.size());
  for (std::string_view member : members) out.append(member);
  return out;
}

std::string count_hlls(Replies replies) {
  redis::HyperLogLog all;
  for (std::string_view reply : replies) {
    if (is_error_reply(reply)) return std::string(reply);
    if (is_null(reply)) continue;
    std::optional<std::string_view> value = text_of(reply);
    if (!value || type_of(reply) != '$') return std::string(kUnlikeReplies);
    switch (all.add(*value)) {
      case redis::HyperLogLog::Added::yes:
        break;
      case redis::HyperLogLog::Added::not_one:
        return std::string(kWrongType);
      case redis::HyperLogLog::Added::corrupt:
        return std::string(kCorrupt);
    }
  }
  return ":" + std::to_string(all.count()) + "\r\n";
}

}  // namespace

bool CrossRead::covers(std::string_view command) {
  return command == "sunion" || command == "sinter" || command == "sdiff" ||
         command == "sintercard" || command == "pfcount";
}

std::optional<CrossRead> CrossRead::plan(const KeyedRequest& request) {
  if (!covers(request.command) || request.key_positions.empty()) return std::nullopt;
  CrossRead read;
  std::string_view first_word = "SUNION";
  std::string_view later_word = "SUNION";
  if (request.command == "sintercard") {
    std::optional<std::uint64_t> limit = read_limit(request);
    if (!limit) return std::nullopt;
    read.limit_ = *limit;
    read.kind_ = Kind::cardinality;
    first_word = later_word = "SINTER";
  } else if (request.command == "sinter") {
    read.kind_ = Kind::intersection;
    first_word = later_word = "SINTER";
  } else if (request.command == "sdiff") {
    read.kind_ = Kind::difference;
    first_word = "SDIFF";
  } else if (request.command == "pfcount") {
    read.kind_ = Kind::hll_count;
    first_word = later_word = "GET";
  }
  for (std::size_t i = 0; i < request.key_positions.size(); ++i) {
    const std::uint32_t server = request.key_servers[i];
    auto part = std::find_if(read.parts_.begin(), read.parts_.end(),
                             [&](const Part& other) { return other.server == server; });
    if (part == read.parts_.end() || read.kind_ == Kind::hll_count) {
      const std::string_view word = read.parts_.empty() ? first_word : later_word;
      part = read.parts_.insert(read.parts_.end(), Part{server, {word}});
    }
    part->words.push_back(request.words[request.key_positions[i]]);
  }
  return read;
}

void CrossRead::release_words() {
  for (Part& part : parts_) part.words = {};
}

std::string CrossRead::finish(Replies replies) const {
  if (replies.empty()) return std::string(kUnlikeReplies);
  if (kind_ == Kind::hll_count) return count_hlls(replies);
  for (std::string_view reply : replies) {
    if (is_error_reply(reply)) return std::string(reply);
  }
  if (kind_ == Kind::set_union) return merge_union(replies, {});
  const Keep keep = kind_ == Kind::difference ? Keep::missing : Keep::common;
  std::optional<std::vector<std::string_view>> members = filter_first(replies, keep);
  if (!members) return std::string(kUnlikeReplies);
  if (kind_ != Kind::cardinality) return append_members(type_of(replies.front()), *members);
  const std::uint64_t count = members->size();
  return ":" + std::to_string(limit_ > 0 ? std::min(limit_, count) : count) + "\r\n";
}

}  // namespace consort::shard_proxy
