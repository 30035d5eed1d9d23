// union: the elements of the lists that all leaves answer, each key once.
//
//   s0 [{"id":1,"n":"a"},{"id":2}]       union:id
//   s1 [{"id":1.0,"n":"b"},{"id":3}]     [{"id":1,"n":"a"},{"id":2},{"id":3}]
//
// Keys are equal when they are the same value, however it is written (canonical_json()). Of equal
// ones the first in shard order stays, within a shard the first of its list; that is also the order
// of the answer. Elements without a key all stay.
//
// Memory: each distinct element and its key once, with about 100 bytes around them; a body is
// dropped when it has been read.
#pragma once

#include <cstdint>
#include <memory>

#include "roles/gather/merge/merge.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

struct UnionOptions {
  JsonPointer items;     ///< the array in each body; the root: each body is the array
  JsonPointer key;       ///< what makes elements the same; the root: the whole element
  bool validate = true;  ///< off for trusted leaves: only quotes and brackets are followed
};

/// width: the number of leaves; each index that is fed is below it.
std::unique_ptr<Merge> make_union(const UnionOptions& options, std::uint32_t width);

}  // namespace consort::gather
