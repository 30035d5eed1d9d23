// Times as applications write them into fields: RFC 3339, or a number since 1970.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace consort::logsaver {

/// Nanoseconds since 1970. A number has digits and perhaps a fraction; its size tells its unit, as
/// no log tells of a time before 1973 or after 5138:
///
///   below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds
///
/// What is finer than a nanosecond is cut off. Nothing for what is neither, and for what 64 bits do
/// not hold.
std::optional<std::int64_t> parse_log_time_ns(std::string_view text);

}  // namespace consort::logsaver
