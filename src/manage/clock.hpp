// The two clocks of the management layer, read together so that they can be compared later.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace consort {

/// Monotonic for deadlines and durations (the same clock as io::Loop::now_ms), wall only to print.
struct Moment {
  std::uint64_t mono_ms = 0;
  std::int64_t wall_ms = 0;  ///< since 1970
};

/// Injected, so that tests decide what time it is. Must be callable from any thread.
using Clock = std::function<Moment()>;

Moment system_moment();

/// 1970-01-01T00:00:00.000Z: RFC 3339 in UTC with milliseconds.
std::string to_rfc3339(std::int64_t wall_ms);

}  // namespace consort
