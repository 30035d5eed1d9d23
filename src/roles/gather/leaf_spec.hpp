// Shards as typed: `--leaf 'http://a:80|http://b:80'`, one shard for each --leaf or brace range.
//
//   http://a:80|http://b:80                    one shard with two replicas
//   http://c-{0..9}.leaf:80                    ten shards; {00..11} keeps the zeros
//   http://{a,b}-{0..3}:80                     eight: a-0, a-1, .. b-3; the last brace runs fastest
//   http://a-{0..9}:80|http://b-{0..9}:80      ten shards of two replicas, a-0 with b-0
//   http://a-{0..9}:80|http://spare:80         ten shards that share a replica
//   s7=http://a:80, east-{0..9}=http://..      ids; otherwise s0, s1, ... in order
//
// Alternatives of one --leaf have as many expansions each, or one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/options.hpp"
#include "roles/gather/topology.hpp"

namespace consort::gather {

struct LeafSpec {
  std::string text;               ///< as typed
  std::vector<ShardSpec> shards;  ///< at least one; an empty id is one to be numbered

  /// An error is one sentence that quotes the part that is wrong.
  static Result<LeafSpec> parse(std::string_view text);
  friend bool operator==(const LeafSpec&, const LeafSpec&) = default;
};

/// All of them as one topology of epoch 0. A shard without an id is called by its place among all.
/// Refuses an id that is there twice, more than kMaxShards, and none at all.
Result<Topology> topology_of(std::span<const LeafSpec> leaves);

}  // namespace consort::gather

namespace consort {
template <>
struct Text<gather::LeafSpec> : PlainText<gather::LeafSpec> {
  static constexpr std::string_view kind = "leaf";
  static Result<gather::LeafSpec> parse(std::string_view text) {
    return gather::LeafSpec::parse(text);
  }
  static std::string print(const gather::LeafSpec& leaf) { return leaf.text; }
};
}  // namespace consort
