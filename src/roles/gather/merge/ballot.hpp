// One text for all ways to write a JSON value: what a vote compares.
//
//   { "b": [1, 2.0], "\u0061": "\/" }   ->   {"a":"/","b":[1,2.0]}
//
// White space goes, members are sorted by name and, of several with one name, the last counts;
// strings have only the escapes that they need. Numbers stay as they are written: 1 and 1.0 differ,
// since one leaf that rounds is what a vote should find. (canonical_json() in wire/json_scan.hpp is
// for keys: it takes those two for one, and looks less deep.)
//
// One pass and no recursion. An object whose members are not in order is copied once more, at each
// level; that is why below kMergeDepthMax levels members stay as they are, and their order counts.
#pragma once

#include <string>
#include <string_view>

namespace consort::gather {

/// Of what check_json() or trim_json() returned. Bytes that are no JSON give some text.
std::string ballot_text(std::string_view value);

}  // namespace consort::gather
