#include "wire/retry_after.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace consort {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/// The digits' number; nothing when there are none or other characters. Cut to kMaxNumber, which is
/// more than any wait that counts.
std::optional<std::int64_t> parse_number(std::string_view text) {
  constexpr std::int64_t kMaxNumber = 1'000'000'000'000;
  if (text.empty()) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = std::min(number * 10 + (c - '0'), kMaxNumber);
  }
  return number;
}

template <std::size_t N>
std::optional<unsigned> index_in(const std::array<std::string_view, N>& names,
                                 std::string_view name) {
  const auto* found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<unsigned>(found - names.begin());
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  // Every part has its place: "Sun, 06 Nov 1994 08:49:37 GMT".
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
      text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  const auto week_day = index_in(kDays, text.substr(0, 3));
  const auto day = parse_number(text.substr(5, 2));
  const auto month = index_in(kMonths, text.substr(8, 3));
  const auto year = parse_number(text.substr(12, 4));
  const auto hour = parse_number(text.substr(17, 2));
  const auto minute = parse_number(text.substr(20, 2));
  const auto second = parse_number(text.substr(23, 2));
  if (!week_day || !day || !month || !year || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;  // 60: a leap second

  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month + 1),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  const std::chrono::sys_days days(date);
  if (std::chrono::weekday(days).c_encoding() != *week_day) return std::nullopt;
  return std::int64_t{days.time_since_epoch().count()} * 86400 + *hour * 3600 + *minute * 60 +
         *second;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::int64_t wall_ms) {
  std::optional<std::int64_t> seconds = parse_number(value);
  if (!seconds) {
    const auto date = parse_http_date(value);
    if (!date) return std::nullopt;
    // Round up: a retry must not come before the date.
    const std::int64_t left_ms = *date * 1000 - wall_ms;
    seconds = left_ms <= 0 ? 0 : (left_ms + 999) / 1000;
  }
  return std::min(std::chrono::seconds(*seconds), kMaxRetryAfter);
}

std::optional<Pushback> pushback_of(const http1::Headers& headers, std::int64_t wall_ms) {
  const std::string* retry_after = nullptr;
  for (const auto& [name, value] : headers) {
    if (name == "grpc-retry-pushback-ms") {
      const auto wait_ms = parse_number(value);
      if (!wait_ms) return Pushback{.never = true};
      const std::chrono::milliseconds wait(*wait_ms);
      return Pushback{.wait = std::min<std::chrono::milliseconds>(wait, kMaxRetryAfter)};
    }
    if (name == "retry-after" && retry_after == nullptr) retry_after = &value;
  }
  if (retry_after == nullptr) return std::nullopt;
  const auto wait = parse_retry_after(*retry_after, wall_ms);
  if (!wait) return Pushback{.never = true};
  return Pushback{.wait = *wait};
}

}  // namespace consort
