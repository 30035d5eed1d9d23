// sum, min, max, avg, count: the numbers that stand at equal places in the answers become one.
//
//   s0 {"hits":3,"max":{"a":7},"rows":[1,2],"host":"x"}
//   s1 {"hits":4,"max":{"a":9},"rows":[10,20,30],"host":"y"}
//   sum           {"hits":7,"max":{"a":16},"rows":[11,22,30],"host":"x"}
//   sum:/hits     7
//
// Places are JSON pointers, so members meet by name and elements by position; where one array is
// longer, what it has more stays. null counts as not there. Of the values at one place, the first
// that is there (in shard order) says of what kind it is: those of other kinds are left out. What
// is no number, object or array is that of the first shard.
//
//   sum    exact to 38 digits, then a double (decimal_sum.hpp)
//   avg    the sum divided by how many have the number, not by how many shards there are
//   count  how many shards have a number there
//   min, max   the text of the number as its shard wrote it; of equal ones the first shard's
//
// With a pointer only the value there is merged, and is the whole answer; a body that has nothing
// there makes its leaf failed. No answers at all give {}; with a pointer 0 for sum and count, and
// null for the others.
//
// Limit: below kMergeDepthMax levels the first shard's value counts whole (columns.hpp says why).
#pragma once

#include <cstdint>
#include <memory>

#include "roles/gather/merge/merge.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

enum class Fold : std::uint8_t { sum, min, max, avg, count };

struct NumberOptions {
  Fold fold = Fold::sum;
  JsonPointer pointer;  ///< the root: everything in the body
  bool validate = true;
};

std::unique_ptr<Merge> make_numbers(NumberOptions options, std::uint32_t width);

}  // namespace consort::gather
