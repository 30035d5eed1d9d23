// Several Redis servers answer as one: the functions that merge their replies. Which command takes
// which of them stands in redis_fanout.cc.
//
// All are pure: complete replies in, one complete reply out, in the dialect (RESP2 or RESP3) that
// the servers spoke. The model is what one server with all the keys would have answered; where that
// cannot be known the comment says what is given instead. Replies that are well-formed but not of
// the shape that the command has give kUnlikeReplies. Time is linear in the bytes of the replies
// (times log n where something is sorted), memory a small multiple of them: the caller bounds them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace consort::shard_proxy {

inline constexpr std::string_view kUnlikeReplies =
    "-ERR the servers of the pool gave replies that do not fit together\r\n";

/// What a merge may need beside the replies. Views: used during the call only.
struct MergeArgs {
  std::span<const std::string_view> words;    ///< of the request, the command's name first
  std::span<const std::string_view> servers;  ///< the name of the server of each reply
  std::uint64_t random = 0;                   ///< for RANDOMKEY
};

using Replies = std::span<const std::string_view>;
using MergeFunction = std::string (*)(Replies replies, const MergeArgs& args);

bool is_error_reply(std::string_view reply);

// By the server's tips (response_policy); the numbers may be alone or in arrays of equal length.
std::string merge_sum(Replies replies, const MergeArgs& args);
std::string merge_min(Replies replies, const MergeArgs& args);
std::string merge_max(Replies replies, const MergeArgs& args);
std::string merge_logical_and(Replies replies, const MergeArgs& args);
std::string merge_logical_or(Replies replies, const MergeArgs& args);
/// The first reply that is no error, else the first error.
std::string merge_one_succeeded(Replies replies, const MergeArgs& args);
/// The first error, else the first reply.
std::string merge_all_succeeded(Replies replies, const MergeArgs& args);

// Lists.
/// The elements of all: KEYS. Also of maps.
std::string merge_concat(Replies replies, const MergeArgs& args);
/// The same, each element once: PUBSUB CHANNELS, SUNION.
std::string merge_union(Replies replies, const MergeArgs& args);
/// RANDOMKEY: one of those that are not null. Uniform over servers, not over keys: how many keys
/// each server has is not known here.
std::string merge_random(Replies replies, const MergeArgs& args);
/// PUBSUB NUMSUB: name and number by turns, the same names in the same order.
std::string merge_pair_sums(Replies replies, const MergeArgs& args);

// Logs and reports.
/// SLOWLOG GET [count]: the newest of all by time. Entries keep their server's id.
std::string merge_slowlog(Replies replies, const MergeArgs& args);
/// ACL LOG [count|RESET]: the newest of all by age.
std::string merge_acl_log(Replies replies, const MergeArgs& args);
/// LATENCY LATEST: per event the newest time with its latency, and the highest maximum.
std::string merge_latency_latest(Replies replies, const MergeArgs& args);
/// LATENCY HISTORY: by time; of one second the highest, as a server keeps it.
std::string merge_latency_history(Replies replies, const MergeArgs& args);
/// LATENCY HISTOGRAM: calls added; the counts are cumulative, so they add as step functions.
std::string merge_latency_histogram(Replies replies, const MergeArgs& args);
/// MEMORY DOCTOR, MALLOC-STATS..: each text under a line "# <server>".
std::string merge_texts(Replies replies, const MergeArgs& args);
/// MEMORY STATS: sizes and counts added, also per database; ratios averaged.
std::string merge_memory_stats(Replies replies, const MergeArgs& args);
/// INFO: see redis_merge_info.cc.
std::string merge_info(Replies replies, const MergeArgs& args);

}  // namespace consort::shard_proxy
