// The topology as a file, YAML or JSON.
//
//   epoch: 7                         # any number; without it the root counts changes
//   shards:
//   - id: s0                         # default s0, s1, ... in order
//     weight: 1000                   # documents behind it; default 1
//     range: {ts: [0, 999]}          # both ends with it; null is an open end
//     tags: {zone: a}
//     replicas:
//     - http://10.0.0.1:80
//     - {url: "unix:/run/leaf.sock", weight: 2, zone: a, priority: 1}
//
// or, instead of `shards`, replicas that say which partition of how many they hold (as the tags of
// brpc's PartitionChannel do); partition N becomes the shard sN:
//
//   replicas:
//   - {url: "http://10.0.0.1:80", tag: 0/2}
//   - {url: "http://10.0.0.2:80", tag: 1/2}
//
// Ranges of shards may overlap: a request then goes to each that it meets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/document.hpp"
#include "base/error.hpp"
#include "roles/gather/topology.hpp"

namespace consort::gather {

inline constexpr std::size_t kMaxTopologyFileBytes = 4 << 20;
/// Of each kind, of one shard.
inline constexpr std::size_t kMaxShardRanges = 16;
inline constexpr std::size_t kMaxShardTags = 32;

/// Everything wrong is added to the problems with its line and column; the result must not be used
/// then. The problems' source should be the file's name.
Topology read_topology(std::string_view text, Problems& problems);

/// The same as one error, "PATH:LINE:COL: what; PATH:LINE:COL: what", of at most kMaxTold problems.
inline constexpr std::size_t kMaxTold = 5;
Result<Topology> read_topology_file(std::string_view text, const std::string& path);

}  // namespace consort::gather
