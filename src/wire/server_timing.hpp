// Where the time went: the Server-Timing header (W3C Server Timing).
//
//   Server-Timing: scatter;dur=1.2, slowest;desc="s7";dur=1.1, merge;dur=0.04
//                  name, then parameters in any order; dur is in milliseconds
//
// Reading follows the browsers: names of parameters in any case, values as tokens or quoted, the
// first parameter of a name counts, and what is malformed is skipped up to the next comma. Nothing
// is allocated.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace consort {

struct Timing {
  std::string_view name;
  std::optional<double> dur_ms = {};  ///< finite and not negative
  std::string_view desc = {};         ///< between its quotes, with its escapes
};

/// Takes the first entry off the front of a header's value; false at its end. Entries without a
/// name are passed over.
bool next_timing(std::string_view& rest, Timing& timing);

/// The first duration of the list, whatever its name: what a leaf says it worked.
std::optional<double> first_duration_ms(std::string_view value);

/// Appends an entry, after ", " when out is not empty. `name` is a token; an empty desc is left
/// out; the duration has microseconds. Bytes of desc that a header cannot hold become "?".
void append_timing(std::string& out, std::string_view name, std::chrono::microseconds duration,
                   std::string_view desc = {});

}  // namespace consort
