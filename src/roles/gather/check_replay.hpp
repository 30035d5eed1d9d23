// One request of a root's flight recorder once more, and what took how long then and now.
//
//   GET /search?q=x (7f)           then         now
//   status                          200         200
//   total                      410.2 ms     12.0 ms
//   scatter                    409.9 ms     11.6 ms
//   merge                        0.2 ms      0.3 ms
//   coverage                    9 of 10    10 of 10
//
//   shard                          then         now  outcome
//   s0                           3.2 ms      2.9 ms  ok
//   s7                         400.1 ms      3.0 ms  timeout (http_response_timeout) --> ok
//   s8                                -      3.0 ms  (not there) --> ok
//
// Read are the answers of GET /requests (a list, the slowest first) and of a request with
// Consort-Explain: 1 (timeline.hpp has both). Neither holds headers or a body, so only a request
// that needs none is replayed: GET and HEAD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort::gather {

struct ReplayLeaf {
  std::string shard;
  std::string outcome;
  std::string error;         ///< empty for none
  std::optional<double> ms;  ///< nothing when it did not end
  std::size_t attempts = 0;
};

/// What is compared of one timeline.
struct ReplayTimeline {
  std::string id;
  std::string method;
  std::string target;
  int status = 0;
  double ms = 0;
  double scatter_ms = 0;
  double merge_ms = 0;
  std::uint64_t ok = 0;
  std::uint64_t total = 0;
  std::vector<ReplayLeaf> leaves;
  std::uint64_t leaves_left_out = 0;
};

inline constexpr std::size_t kMaxReplayBytes = 16 * 1024 * 1024;

/// The request of that id in a list of timelines or in a single one; with an empty id the first.
/// Errors say what the text is instead.
Result<ReplayTimeline> pick_timeline(std::string_view text, std::string_view id);

/// Whether the record holds all that is needed to send it again; an error says why not.
Result<> check_replayable(const ReplayTimeline& timeline);

/// The table above; shards in the order of `then`, those that are new behind them.
std::string side_by_side(const ReplayTimeline& then, const ReplayTimeline& now);

}  // namespace consort::gather
