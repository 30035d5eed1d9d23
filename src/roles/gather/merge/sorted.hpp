// sorted: all elements of the lists that all leaves answer, in order.
//
//   s0 [{"t":5},{"t":1}]     sorted:t
//   s1 [{"t":3}]             [{"t":1},{"t":3},{"t":5}]
//
// The order is that of top-k: keys by compare_json(), equal keys by shard, then by position;
// elements without a key come last. A list that is in order already (most are) costs one comparison
// per element when it comes; another is sorted then. finish() merges them k ways.
//
// Memory: the text of all lists, and one cursor per leaf; finish() writes the answer beside it and
// drops each list as it runs out. Sorting a list needs 24 bytes per element of it, for the moment.
#pragma once

#include <cstdint>
#include <memory>

#include "roles/gather/merge/merge.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

struct SortedOptions {
  JsonPointer items;  ///< the array in each body; the root: each body is the array
  JsonPointer key;    ///< what elements are ordered by; the root: the element itself
  bool descending = false;
  bool validate = true;  ///< off for trusted leaves: only quotes and brackets are followed
};

/// width: the number of leaves; each index that is fed is below it.
std::unique_ptr<Merge> make_sorted(const SortedOptions& options, std::uint32_t width);

}  // namespace consort::gather
