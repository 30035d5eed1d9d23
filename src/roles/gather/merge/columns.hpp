// Several JSON objects side by side, read by member: what the merges that go into values stand on.
//
//   {"a":1,"b":2}              a: 1, 3   (first_part 0)
//   {"c":4,"a":3}       ->     b: 2      (first_part 0)
//                              c: 4      (first_part 1)
//
// Keys are equal when the strings that they stand for are ("\u0061" is "a"). Within one object the
// last member of a name counts, as most readers have it. Members come in the order in which the
// first object that has them shows them.
//
// Merges go down level by level, and each level scans the bytes below it once more. That is why
// they stop at kMergeDepthMax: below it values are taken whole, and time stays within that many
// scans of the bodies, whatever they hold. The stack is bounded by the same.
//
// Cost: one scan; one comparison per member where objects have their members in the same order,
// else one search in a table. Memory is about 100 bytes per member.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace consort::gather {

inline constexpr std::size_t kMergeDepthMax = 64;

/// JSON values in shard order, without white space around them.
using Values = std::vector<std::string_view>;

struct Column {
  std::string_view raw_key;    ///< without quotes, escapes as they came; empty for elements
  std::size_t first_part = 0;  ///< which object gave the first of the values
  std::span<const std::string_view> values;  ///< one of each object that has the member
};

/// Movable; the columns point into it, and into the bodies.
struct Columns {
  std::vector<Column> list;
  Values values;
};

/// By key. Of bytes that are no objects: the members that can be found.
Columns columns_of(std::span<const std::string_view> objects);
/// By place: the first elements of all arrays, then the second ones, as far as the longest goes.
Columns rows_of(std::span<const std::string_view> arrays);

}  // namespace consort::gather
