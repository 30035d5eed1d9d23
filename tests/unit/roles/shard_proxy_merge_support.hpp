// Replies and requests in short, for the tests of merging.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "roles/shard_proxy/redis_fanout.hpp"
#include "wire/redis_commands.hpp"

namespace consort::shard_proxy::test {

constexpr MergeFunction kAllMerges[] = {merge_sum,           merge_min,
                                        merge_max,           merge_logical_and,
                                        merge_logical_or,    merge_one_succeeded,
                                        merge_all_succeeded, merge_concat,
                                        merge_union,         merge_random,
                                        merge_pair_sums,     merge_slowlog,
                                        merge_acl_log,       merge_latency_latest,
                                        merge_texts,         merge_latency_history,
                                        merge_memory_stats,  merge_latency_histogram,
                                        merge_info};

inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

inline std::string integer(int value) {
  return ":" + std::to_string(value) + "\r\n";
}

inline std::string list(const std::vector<std::string>& elements) {
  std::string out = "*" + std::to_string(elements.size()) + "\r\n";
  for (const std::string& element : elements) out += element;
  return out;
}

inline std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

inline std::string lower(std::string_view text) {
  std::string out;
  for (char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

/// The rule of a request in words; nullptr for none.
inline const FanoutRule* rule_of(std::string_view request) {
  const std::vector<std::string_view> words = split_words(request);
  const redis::Command* command = redis::find_command(words[0]);
  REQUIRE(command != nullptr);
  const bool has_subcommand = command->is_container() && words.size() > 1;
  return find_fanout(lower(words[0]), has_subcommand ? lower(words[1]) : "");
}

inline std::string merge_with(MergeFunction function, const std::vector<std::string>& replies,
                              std::string_view request = "X", std::uint64_t random = 0) {
  static constexpr std::string_view kNames[] = {"s0:6379", "s1:6379", "s2:6379", "s3:6379"};
  const std::vector<std::string_view> words = split_words(request);
  const std::vector<std::string_view> views(replies.begin(), replies.end());
  MergeArgs args{.words = words, .random = random};
  args.servers = std::span(kNames).first(std::min<std::size_t>(replies.size(), 4));
  return function(views, args);
}

/// As a client of the pool would see it: errors first, unless the rule wants to see them.
inline std::string merge(std::string_view request, const std::vector<std::string>& replies,
                         std::uint64_t random = 0) {
  const FanoutRule* rule = rule_of(request);
  REQUIRE(rule != nullptr);
  REQUIRE(rule->target == Target::every_server);
  for (const std::string& reply : replies) {
    if (is_error_reply(reply) && !rule->sees_errors) return reply;
  }
  return merge_with(rule->merge, replies, request, random);
}

}  // namespace consort::shard_proxy::test
