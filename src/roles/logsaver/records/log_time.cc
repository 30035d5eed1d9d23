#include "roles/logsaver/records/log_time.hpp"

#include <charconv>
#include <limits>
#include <system_error>

#include "wire/rfc3339.hpp"

namespace consort::logsaver {

namespace {

constexpr std::int64_t kTen11 = 100'000'000'000;

std::int64_t unit_ns(std::int64_t number) {
  if (number < kTen11) return 1'000'000'000;
  if (number < kTen11 * 1000) return 1'000'000;
  return number < kTen11 * 1'000'000 ? 1000 : 1;
}

}  // namespace

std::optional<std::int64_t> parse_log_time_ns(std::string_view text) {
  if (const std::optional<std::int64_t> time = parse_rfc3339_ns(text)) return time;
  std::int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc() || whole < 0 || text[0] == '-') return std::nullopt;
  std::int64_t unit = unit_ns(whole);
  if (whole > std::numeric_limits<std::int64_t>::max() / unit - 1) return std::nullopt;
  std::int64_t time = whole * unit;
  if (at == end) return time;
  const std::string_view fraction(at + 1, static_cast<std::size_t>(end - at - 1));
  if (*at != '.' || fraction.empty()) return std::nullopt;
  for (const char c : fraction) {
    if (c < '0' || c > '9') return std::nullopt;
    unit /= 10;
    time += (c - '0') * unit;
  }
  return time;
}

}  // namespace consort::logsaver
