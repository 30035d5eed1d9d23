#include "roles/shard_proxy/redis_gather.hpp"

#include <algorithm>

#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kUnlikeReplies =
    "-ERR the servers of the pool gave replies that do not fit together\r\n";

bool is_error(std::string_view reply) {
  return reply.empty() || reply.front() == '-' || reply.front() == '!';
}

}  // namespace

std::string redis_failure_line(const Failure& failure) {
  std::string line = "-ERR ";
  line.append(failure.server).append(" ").append(failure.reason);
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return line + "\r\n";
}

RedisGather::RedisGather(Client& client, std::uint32_t slot, std::uint32_t parts, RedisMerge merge,
                         std::vector<std::uint32_t> part_of_key)
    : Gather(client, slot, parts), merge_(merge), part_of_key_(std::move(part_of_key)) {}

std::string RedisGather::failure_line(const Failure& failure) const {
  return redis_failure_line(failure);
}

// One failed part fails the command, as it would fail on one server: a partial answer would be a
// wrong one. The first part in the order of the request speaks for all.
std::string RedisGather::merge() {
  for (const Part& part : parts_) {
    if (part.failed) return part.failure;
    if (is_error(part.reply)) return part.reply;
  }
  switch (merge_) {
    case RedisMerge::array:
      return merge_array();
    case RedisMerge::sum:
      return merge_sum();
    case RedisMerge::logical_and:
      return merge_flags();
    case RedisMerge::all_succeeded:
      return parts_.front().reply;
  }
  return std::string(kUnlikeReplies);
}

std::string RedisGather::merge_array() const {
  std::vector<resp::ArrayReader> readers;
  readers.reserve(parts_.size());
  std::size_t bytes = 32;
  for (const Part& part : parts_) {
    readers.emplace_back(part.reply);
    bytes += part.reply.size();
    if (!readers.back().is_array()) return std::string(kUnlikeReplies);
  }
  std::string out;
  out.reserve(bytes);
  resp::append_array_header(out, part_of_key_.size());
  for (std::uint32_t part : part_of_key_) {
    std::string_view element = readers[part].next();
    if (element.empty()) return std::string(kUnlikeReplies);
    out.append(element);
  }
  return out;
}

std::string RedisGather::merge_sum() const {
  std::int64_t sum = 0;
  for (const Part& part : parts_) {
    std::int64_t value = 0;
    bool is_number = resp::read_integer(part.reply, value);
    if (!is_number || __builtin_add_overflow(sum, value, &sum)) return std::string(kUnlikeReplies);
  }
  return ":" + std::to_string(sum) + "\r\n";
}

std::string RedisGather::merge_flags() const {
  std::vector<std::int64_t> flags;
  for (const Part& part : parts_) {
    resp::ArrayReader reader(part.reply);
    if (!reader.is_array()) return std::string(kUnlikeReplies);
    if (flags.empty()) flags.assign(reader.size(), 1);
    if (flags.size() != reader.size()) return std::string(kUnlikeReplies);
    for (std::int64_t& flag : flags) {
      std::int64_t value = 0;
      if (!resp::read_integer(reader.next(), value)) return std::string(kUnlikeReplies);
      flag = flag != 0 && value != 0 ? 1 : 0;
    }
  }
  std::string out;
  resp::append_array_header(out, flags.size());
  for (std::int64_t flag : flags) out += ":" + std::to_string(flag) + "\r\n";
  return out;
}

}  // namespace consort::shard_proxy
