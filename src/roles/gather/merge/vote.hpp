// first and quorum: one of the answers is the answer.
//
// first is the part that is fed first, whatever its shard: the one merge that depends on time.
//
// quorum counts equal answers. JSON is compared as values: white space, the order of members and
// the way a character is escaped do not count, the digits of a number do (ballot.hpp). Any other
// body is compared byte by byte. With a pointer only the value there is compared; the body must be
// JSON and have one.
//
//   width 5, so 3 must agree:   A . A B A   satisfied at the third A
//                               A B C A B   impossible at the last B: A can get no third
//
// The answer is the body of the first shard among those that agree, as it came. Votes that come
// after the quorum still count for this, so that the bytes do not depend on the order of arrival.
// Of leaves that fail the merge learns by lost(); without it, impossible comes late or not at all,
// and why() says how the votes stand at any time.
//
// Both demand JSON of a body whose content type says that it is (unless validate is off).
#pragma once

#include <cstdint>
#include <memory>

#include "roles/gather/merge/merge.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

std::unique_ptr<Merge> make_first(bool validate);

struct QuorumOptions {
  JsonPointer pointer;  ///< the root: the whole body
  bool validate = true;
};

/// More than half of width must agree. Of no leaves at all: satisfied, with an empty answer.
std::unique_ptr<Merge> make_quorum(QuorumOptions options, std::uint32_t width);

}  // namespace consort::gather
