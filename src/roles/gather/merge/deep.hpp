// deep and json-merge-patch: JSON documents laid over each other in shard order.
//
//   s0 {"n":1,"tags":["a"],"x":{"p":1}}    s1 {"n":2,"tags":["b"],"x":{"q":null}}
//   deep              {"n":2,"tags":["a","b"],"x":{"p":1,"q":null}}
//   json-merge-patch  {"n":2,"tags":["b"],"x":{"p":1}}
//
// deep: objects merge member by member, arrays are joined, of anything else the value of the last
// shard counts; so it does where two values are not of one kind. null is a value like others.
// json-merge-patch: RFC 7396. The document of the first shard that answered is the target, those
// after it are applied as patches: null takes a member away, arrays are replaced.
//
// Bytes of values are never changed: numbers keep their digits, and what one shard alone gives
// passes as it is. Within one object the last member of a name counts where objects are merged.
// Members come in the order in which the shards first show them. No answers at all give {}.
//
// Limit: below kMergeDepthMax levels the last shard's value counts whole (columns.hpp says why).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "roles/gather/merge/merge.hpp"

namespace consort::gather {

std::unique_ptr<Merge> make_deep(bool validate, std::uint32_t width);
std::unique_ptr<Merge> make_json_merge_patch(bool validate, std::uint32_t width);

/// What the two do, of at least one value without white space around it, in shard order.
std::string merge_deep(std::span<const std::string_view> values);
std::string merge_patches(std::span<const std::string_view> values);

}  // namespace consort::gather
