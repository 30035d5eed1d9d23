// What a root scatters to: shards, each with the replicas that hold the same data.
//
//   Topology (epoch 7)
//     s0  weight 1000, ts 0..999, zone=a    http://10.0.0.1:80 | unix:/run/leaf.sock
//     s1  weight 1200, ts 1000..            http://10.0.0.2:80
//
// Immutable values. A request keeps the std::shared_ptr<const Topology> that it started with, and a
// change makes another one, so that no request sees half a change. Shards are numbered by their
// place in `shards`; that number orders parts and coverage, and means nothing in another topology.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "net/url.hpp"

namespace consort::gather {

inline constexpr std::size_t kMaxShards = 4096;
/// Of one shard.
inline constexpr std::size_t kMaxReplicas = 64;
inline constexpr std::size_t kMaxShardIdBytes = 64;
/// Documents behind one shard: the sum over kMaxShards stays below 2^63.
inline constexpr std::uint64_t kMaxShardWeight = 1'000'000'000'000'000;
inline constexpr std::uint32_t kMaxReplicaWeight = 10'000;

struct ReplicaSpec {
  http::Url url;
  std::uint32_t weight = 1;  ///< share of the shard's calls, 1 to kMaxReplicaWeight
  std::string zone;          ///< where it runs, empty is unknown; shown, not used
  /// 0 is preferred; a higher one is for when no lower one is usable (as in SRV records).
  std::uint16_t priority = 0;

  friend bool operator==(const ReplicaSpec&, const ReplicaSpec&) = default;
};

/// One end of a range, or the value that is looked for.
struct RangeValue {
  std::string text;
  /// Of a number that fits: exact as an integer, else the nearest double.
  std::optional<std::int64_t> integer{};
  std::optional<double> real{};

  /// Decimal numbers as JSON has them, with an optional '+' and leading zeros; all else is text.
  static RangeValue parse(std::string_view text);
  /// Text whatever it looks like: "0042" sorts before "5".
  static RangeValue as_text(std::string_view text) { return {std::string(text)}; }
  bool is_number() const { return integer || real; }
  friend bool operator==(const RangeValue&, const RangeValue&) = default;
};
/// Below, equal to or above 0. Numbers by value when both are; else both texts by their bytes.
int compare_values(const RangeValue& a, const RangeValue& b);

/// The values of one field that a shard holds, both ends with it; an end that is missing is open.
struct ShardRange {
  std::string field;
  std::optional<RangeValue> lo;
  std::optional<RangeValue> hi;

  /// A range with a number at an end holds numbers only; any other holds texts, also "5".
  bool is_numeric() const { return (lo && lo->is_number()) || (hi && hi->is_number()); }
  friend bool operator==(const ShardRange&, const ShardRange&) = default;
};

struct ShardSpec {
  std::string id;                  ///< distinct; letters, digits, '_', '-' and '.'
  std::uint64_t weight = 1;        ///< documents behind it; shown, not used; 1 to kMaxShardWeight
  std::vector<ShardRange> ranges;  ///< fields distinct
  std::vector<std::pair<std::string, std::string>> tags;  ///< names distinct
  std::vector<ReplicaSpec> replicas;  ///< never empty; URLs distinct; sorted by priority

  const ShardRange* range(std::string_view field) const;
  bool has_tag(std::string_view name, std::string_view value) const;
  friend bool operator==(const ShardSpec&, const ShardSpec&) = default;
};

struct Topology {
  /// As the file says (whoever writes it raises it), else counted by the source from 1.
  std::uint64_t epoch = 0;
  std::vector<ShardSpec> shards;  ///< 1 to kMaxShards

  friend bool operator==(const Topology&, const Topology&) = default;
};

/// "s0", "s1", ...: the id of a shard that nobody named.
std::string default_shard_id(std::size_t index);
/// 1 to kMaxShardIdBytes of letters, digits, '_', '-' and '.', for ids stand in headers and paths.
bool is_shard_id(std::string_view text);

/// Adds a replica to its place by priority, behind those of the same one. Refuses a URL that the
/// shard has already, and one more than kMaxReplicas.
Result<> add_replica(ShardSpec& shard, ReplicaSpec replica);

}  // namespace consort::gather
