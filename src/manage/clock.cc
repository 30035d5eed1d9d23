#include "manage/clock.hpp"

#include <cstdio>
#include <ctime>

namespace consort {

Moment system_moment() {
  timespec mono{};
  timespec wall{};
  ::clock_gettime(CLOCK_MONOTONIC, &mono);
  ::clock_gettime(CLOCK_REALTIME, &wall);
  return {.mono_ms = static_cast<std::uint64_t>(mono.tv_sec) * 1000 +
                     static_cast<std::uint64_t>(mono.tv_nsec) / 1'000'000,
          .wall_ms = static_cast<std::int64_t>(wall.tv_sec) * 1000 + wall.tv_nsec / 1'000'000};
}

std::string to_rfc3339(std::int64_t wall_ms) {
  std::int64_t second = wall_ms / 1000;
  std::int64_t rest = wall_ms % 1000;
  if (rest < 0) {  // before 1970: round down, so that the fraction stays positive
    rest += 1000;
    --second;
  }
  auto seconds = static_cast<time_t>(second);
  tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(rest));
  return text;
}

}  // namespace consort
