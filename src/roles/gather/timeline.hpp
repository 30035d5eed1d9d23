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

/// More leaves are counted in "leaves_left_out".
inline constexpr std::size_t kMaxTimelineLeaves = 256;

/// An object on one line. `extra` is appended inside it when not empty: ",\"answer\":..".
std::string timeline_json(const TimelineFacts& facts, const Fanout& fanout,
                          std::string_view extra = {});

/// The leaf that was done last; null without leaves.
const Fanout::Leaf* slowest_leaf(const Fanout& fanout);

}  // namespace consort::gather
