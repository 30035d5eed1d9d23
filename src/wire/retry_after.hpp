// When a server wants to be asked again: Retry-After (RFC 9110, 10.2.3), and gRPC's pushback.
//
//   Retry-After: 120                                 seconds
//   Retry-After: Sun, 06 Nov 1994 08:49:37 GMT       IMF-fixdate; the obsolete formats are not read
//   grpc-retry-pushback-ms: 250                      gRPC proposal A6; negative or malformed: never
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/http1.hpp"

namespace consort {

/// Longer waits are cut to this: one year.
inline constexpr std::chrono::seconds kMaxRetryAfter{365 * 24 * 3600};

/// From `wall_ms` on (milliseconds since 1970); zero for a date that has passed. Nothing when
/// malformed.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::int64_t wall_ms);

/// Seconds since 1970, for "Sun, 06 Nov 1994 08:49:37 GMT". The day's name must be the date's.
std::optional<std::int64_t> parse_http_date(std::string_view text);

struct Pushback {
  bool never = false;  ///< do not retry at all
  std::chrono::milliseconds wait{0};
};
/// What an answer's headers say; nothing when they do not. grpc-retry-pushback-ms goes before
/// Retry-After; of either the first header counts, and one that is malformed means never.
std::optional<Pushback> pushback_of(const http1::Headers& headers, std::int64_t wall_ms);

}  // namespace consort
