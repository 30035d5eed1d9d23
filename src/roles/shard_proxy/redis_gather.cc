#include "roles/shard_proxy/redis_gather.hpp"

#include <algorithm>

#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"
#include "roles/shard_proxy/redis_merge_scan.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {
namespace {

std::vector<std::string> copies_of(const redis::Arguments& arguments) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < arguments.size(); ++i) words.emplace_back(arguments[i]);
  return words;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
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
  std::vector<std::string_view> replies;
  bool may_miss = merge_ == RedisMerge::array && !null_.empty();
  for (const Part& part : parts_) {
    if (part.failed && may_miss) continue;
    if (part.failed) return part.failure;
    if (is_error_reply(part.reply)) return part.reply;
    replies.push_back(part.reply);
  }
  switch (merge_) {
    case RedisMerge::array:
      return merge_array();
    case RedisMerge::sum:
      return merge_sum(replies, {});
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
    if (!part.failed && !readers.back().is_array()) return std::string(kUnlikeReplies);
  }
  std::string out;
  out.reserve(bytes);
  resp::append_array_header(out, part_of_key_.size());
  for (std::uint32_t part : part_of_key_) {
    std::string_view element = parts_[part].failed ? null_ : readers[part].next();
    if (element.empty()) return std::string(kUnlikeReplies);
    out.append(element);
  }
  return out;
}

FanoutGather::FanoutGather(RedisClient& client, std::uint32_t slot, const FanoutRule& rule,
                           const redis::Arguments& arguments)
    : Gather(client, slot, client.pool().servers()),
      rule_(rule),
      words_(copies_of(arguments)),
      random_(client.pool().random().next()) {
  limit_to(client.pool().config().cross_server_limit.bytes);
  for (std::uint32_t i = 0; i < client.pool().servers(); ++i) {
    servers_.push_back(client.pool().upstream(i).spec().name);
  }
}

std::string FanoutGather::failure_line(const Failure& failure) const {
  return redis_failure_line(failure);
}

std::string FanoutGather::merge() {
  std::vector<std::string_view> replies;
  std::vector<std::string_view> servers;
  const std::string* failure = nullptr;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].failed) {
      failure = &parts_[i].failure;
      continue;
    }
    if (!rule_.sees_errors && is_error_reply(parts_[i].reply)) return parts_[i].reply;
    replies.push_back(parts_[i].reply);
    servers.push_back(servers_[i]);
  }
  if (failure != nullptr && (!rule_.partial_ok || replies.empty())) return *failure;
  std::vector<std::string_view> words = views_of(words_);
  return rule_.merge(replies, MergeArgs{words, servers, random_});
}

ScanGather::ScanGather(RedisClient& client, std::uint32_t slot, std::uint32_t server,
                       std::uint32_t servers)
    : Gather(client, slot, 1), server_(server), servers_(servers) {}

std::string ScanGather::failure_line(const Failure& failure) const {
  return redis_failure_line(failure);
}

std::string ScanGather::merge() {
  const Part& part = parts_.front();
  return part.failed ? part.failure : encode_cursor(part.reply, server_, servers_);
}

CrossGather::CrossGather(RedisClient& client, std::uint32_t slot, CrossRead read)
    : Gather(client, slot, static_cast<std::uint32_t>(read.parts().size())),
      read_(std::move(read)) {
  limit_to(client.pool().config().cross_server_limit.bytes);
}

std::string CrossGather::failure_line(const Failure& failure) const {
  return redis_failure_line(failure);
}

std::string CrossGather::merge() {
  std::vector<std::string_view> replies;
  for (const Part& part : parts_) {
    if (part.failed) return part.failure;
    replies.push_back(part.reply);
  }
  return read_.finish(replies);
}

}  // namespace consort::shard_proxy
