#include "wire/request_deadline.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace consort {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kGrpcDigits = 8;
constexpr std::size_t kEnvoyDigits = 12;

struct Unit {
  char letter;
  std::int64_t us;
};
/// Largest first. Nanoseconds are read, but never needed to write a microsecond.
constexpr std::array<Unit, 5> kUnits = {
    {{'H', 3'600'000'000}, {'M', 60'000'000}, {'S', 1'000'000}, {'m', 1000}, {'u', 1}}};

std::optional<std::int64_t> parse_digits(std::string_view text, std::size_t digits_max) {
  if (text.empty() || text.size() > digits_max) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::string with_unit(std::int64_t count, char letter) {
  char text[24];
  char* end = std::to_chars(text, text + sizeof text - 1, count).ptr;
  *end++ = letter;
  return {text, end};
}

}  // namespace

void AskedDeadline::add(std::string_view lower_case_name, std::string_view value) {
  std::optional<microseconds> asked;
  if (lower_case_name == "grpc-timeout") {
    asked = parse_grpc_timeout(value);
  } else if (lower_case_name == "x-envoy-expected-rq-timeout-ms" ||
             lower_case_name == "x-envoy-upstream-rq-timeout-ms") {
    asked = parse_timeout_ms(value);
  } else {
    return;
  }
  if (!asked) {
    ++malformed;
    return;
  }
  left = left ? std::min(*left, *asked) : *asked;
}

AskedDeadline AskedDeadline::from(const http1::Headers& headers) {
  AskedDeadline deadline;
  Preferences preferences;
  for (const auto& [name, value] : headers) {
    if (name == "prefer") {
      preferences.add(value);
    } else {
      deadline.add(name, value);
    }
  }
  deadline.add(preferences);
  return deadline;
}

void AskedDeadline::add(const Preferences& preferences) {
  malformed += preferences.malformed_waits;
  if (!preferences.wait_s) return;
  const microseconds wait = std::chrono::seconds(*preferences.wait_s);
  left = left ? std::min(*left, wait) : wait;
}

std::optional<microseconds> parse_grpc_timeout(std::string_view value) {
  if (value.empty()) return std::nullopt;
  const char letter = value.back();
  const auto count = parse_digits(value.substr(0, value.size() - 1), kGrpcDigits);
  if (!count) return std::nullopt;
  if (letter == 'n') return microseconds(*count / 1000);
  for (const Unit& unit : kUnits) {
    if (unit.letter == letter) return microseconds(*count * unit.us);
  }
  return std::nullopt;
}

std::optional<microseconds> parse_timeout_ms(std::string_view value) {
  const auto count = parse_digits(value, kEnvoyDigits);
  if (!count) return std::nullopt;
  return std::chrono::milliseconds(*count);
}

std::string grpc_timeout(microseconds left) {
  constexpr std::int64_t kMaxCount = 99'999'999;
  const std::int64_t us = left.count();
  if (us <= 0) return "0m";
  for (const Unit& unit : kUnits) {
    if (us % unit.us == 0 && us / unit.us <= kMaxCount) return with_unit(us / unit.us, unit.letter);
  }
  // No unit says it exactly in eight digits: the smallest one that fits loses least.
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (us / unit->us <= kMaxCount) return with_unit(us / unit->us, unit->letter);
  }
  return with_unit(kMaxCount, kUnits.front().letter);
}

std::string envoy_timeout_ms(microseconds left) {
  const std::int64_t us = left.count();
  if (us <= 0) return "0";
  return std::to_string(std::max<std::int64_t>(us / 1000, 1));
}

}  // namespace consort
