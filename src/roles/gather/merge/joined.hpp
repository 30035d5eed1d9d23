// Merges that put the answers side by side and look no further into them: concat, array, object,
// ndjson.
//
//   leaves s0: {"a":1}  s2: [2]  s1: timed out, so not fed
//   concat:,   {"a":1},[2]          the bytes; content type of the first shard that answered
//   array      [{"a":1},[2]]        application/json
//   object     {"s0":{"a":1},"s2":[2]}
//   ndjson     {"a":1}\n[2]\n       application/x-ndjson
//
// The bytes of a value stay as they came: digits, escapes, the order of members, inner white space.
// Only ndjson takes line breaks (and the indentation after them) out of values that were printed
// over several lines. No answers at all give "", [], {} and "".
//
// Cost: one check of each body as it comes, one copy at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "roles/gather/merge/merge.hpp"

namespace consort::gather {

/// Any bytes, of any content type; nothing is checked.
std::unique_ptr<Merge> make_concat(std::string separator, std::uint32_t width);
std::unique_ptr<Merge> make_array(bool validate, std::uint32_t width);
/// By shard id. Where two shards have one id (a fault of the topology) both members are there.
std::unique_ptr<Merge> make_object(bool validate, std::uint32_t width);
/// A body whose content type says that it is lines of JSON gives its lines, without the empty ones;
/// one line that is no JSON makes the leaf failed. Any other body must be one value.
std::unique_ptr<Merge> make_ndjson(bool validate, std::uint32_t width);

}  // namespace consort::gather
