// What happened at each leaf of a request, as JSON: for Consort-Explain, the flight recorder, logs.
//
//   {"id":"..","method":"GET","target":"/search?q=x","route":"search","epoch":7,"status":200,
//    "ms":4.1,"scatter_ms":3.9,"merge_ms":0.1,"coverage":{..},
//    "leaves":[{"shard":"s0","outcome":"ok","ms":3.2,"hedge":"sent","attempts":[
//      {"number":1,"replica":"http://..","result":"superseded","at_ms":0.1,"queue_ms":0,
//       "connect_ms":null,"sent_ms":0.02,"first_byte_ms":null,"last_byte_ms":null,"bytes_in":0},
//      ..]}]}
//
// Times of an attempt count from its own start, at_ms from the request's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "roles/gather/fanout.hpp"

namespace consort::gather {

struct TimelineFacts {
  std::string_view id;
  std::string_view method;
  std::string_view target;
  std::string_view route;
  std::uint64_t epoch = 0;
  int status = 0;
  std::uint64_t started_ns = 0;
  std::uint64_t scattered_ns = 0;
  std::uint64_t merged_ns = 0;
  const Coverage& coverage;
};

inline constexpr std::size_t kMaxTimelineLeaves = 256;

/// An object on one line. Of more leaves than `most`, shown are those that are not ok, then those
/// with more than one attempt, then the last to answer; the rest is counted in "leaves_left_out".
/// `answer` is a member of that name when not empty.
std::string timeline_json(const TimelineFacts& facts, const Fanout& fanout, std::size_t most,
                          std::string_view answer = {});

/// The leaf that was done last; null without leaves.
const Fanout::Leaf* slowest_leaf(const Fanout& fanout);

}  // namespace consort::gather
