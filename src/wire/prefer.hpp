// What a client would like: the Prefer header (RFC 7240) and its echo, Preference-Applied.
//
//   Prefer: handling=strict, wait=10;foo="bar"
//   Prefer: respond-async
//
// Of the registered preferences consort knows two: `wait` (how many seconds the client waits) and
// `handling` (whether a partial answer will do). Names and values in any case of letters, values
// with or without quotes, parameters skipped; the rest of the list belongs to others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/http1.hpp"

namespace consort {

enum class Handling : std::uint8_t { strict, lenient };

struct Preferences {
  /// Longer waits are cut to this, as RFC 9111 section 1.2.2 does with its delta-seconds.
  static constexpr std::uint32_t kMaxWaitS = 2'147'483'647;

  std::optional<std::uint32_t> wait_s = {};
  std::optional<Handling> handling = {};
  std::uint32_t malformed_waits = 0;  ///< values that are none; ignored, to be counted
  std::uint32_t malformed_handlings = 0;

  /// Takes in one Prefer header's value. Of a preference that comes more than once the first one
  /// counts (RFC 7240, section 2), malformed ones aside: they are ignored as if they were not sent.
  void add(std::string_view field);
  /// Of all Prefer headers of a request.
  static Preferences from(const http1::Headers& headers);
};

/// The value of Preference-Applied for what was honoured: "handling=strict, wait=10". Empty when
/// nothing was: then the header is left out.
std::string preference_applied(const Preferences& honoured);

}  // namespace consort
