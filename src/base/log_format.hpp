// The text of a log line in its three formats. Pure: base/log.cc adds time, order and a sink.
//
//   line = time and level | origin (role, name) | body (event, fields) | repeats | end
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/log.hpp"

namespace consort {

/// Milliseconds since 1970 as RFC 3339: "2024-05-01T12:04:05.123Z".
std::string rfc3339(std::int64_t wall_ms);

std::string format_log_origin(LogFormat format, std::string_view role, std::string_view name);

/// Event and fields. At most bytes_max long: a value that does not fit is cut, what follows it is
/// left out, and truncated=true is put at the end. A field whose key is one of the line's own
/// (ts, level, role, name, msg, repeated, truncated) gets a "_" behind it.
std::string format_log_body(LogFormat format, std::string_view event,
                            std::initializer_list<LogField> fields, std::size_t bytes_max);

struct LogLine {
  LogFormat format;
  bool color;  ///< pretty only
  std::int64_t wall_ms;
  LogLevel level;
  std::string_view origin;
  std::string_view body;
  std::uint64_t repeats;  ///< 0: an ordinary line
};
/// Without a newline.
std::string format_log_line(const LogLine& line);

}  // namespace consort
