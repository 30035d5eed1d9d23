#include "wire/server_timing.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "base/text.hpp"
#include "wire/http1_text.hpp"
#include "wire/http1_text_scan.hpp"
#include "wire/structured_field.hpp"

namespace consort {
namespace {

void skip_blanks(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
}

bool take(std::string_view& rest, char wanted) {
  if (rest.empty() || rest.front() != wanted) return false;
  rest.remove_prefix(1);
  return true;
}

std::string_view take_token(std::string_view& rest) {
  const char* const begin = rest.data();
  const char* const end = http1::detail::skip_token(begin, begin + rest.size());
  rest.remove_prefix(static_cast<std::size_t>(end - begin));
  return {begin, static_cast<std::size_t>(end - begin)};
}

/// A token or what is between quotes; a quote without its end takes the rest, as in browsers.
std::string_view take_value(std::string_view& rest) {
  if (!take(rest, '"')) return take_token(rest);
  std::size_t length = 0;
  while (length < rest.size() && rest[length] != '"') length += rest[length] == '\\' ? 2 : 1;
  length = std::min(length, rest.size());
  const std::string_view value = rest.substr(0, length);
  rest.remove_prefix(std::min(length + 1, rest.size()));
  return value;
}

/// Up to the next mark that is not inside quotes; what is passed over is malformed.
void skip_until(std::string_view& rest, std::string_view marks) {
  while (!rest.empty() && marks.find(rest.front()) == std::string_view::npos) {
    if (rest.front() == '"') {
      take_value(rest);
    } else {
      rest.remove_prefix(1);
    }
  }
}

std::optional<double> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::general);
  const bool is_whole = code == std::errc() && end == text.data() + text.size();
  if (!is_whole || !std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

/// The parameters of an entry, up to its end. The first of a name counts, also when its value is
/// malformed.
void take_parameters(std::string_view& rest, Timing& timing) {
  bool has_dur = false;
  bool has_desc = false;
  while (true) {
    skip_until(rest, ",;");
    if (!take(rest, ';')) return;
    skip_blanks(rest);
    const std::string_view name = take_token(rest);
    skip_blanks(rest);
    std::string_view value;
    if (take(rest, '=')) {
      skip_blanks(rest);
      value = take_value(rest);
    }
    if (equals_ignoring_case(name, "dur") && !has_dur) {
      timing.dur_ms = parse_duration(value);
      has_dur = true;
    } else if (equals_ignoring_case(name, "desc") && !has_desc) {
      timing.desc = value;
      has_desc = true;
    }
  }
}

}  // namespace

bool next_timing(std::string_view& rest, Timing& timing) {
  while (!rest.empty()) {
    skip_blanks(rest);
    timing = {.name = take_token(rest)};
    if (timing.name.empty()) {
      skip_until(rest, ",");
    } else {
      take_parameters(rest, timing);
    }
    take(rest, ',');
    if (!timing.name.empty()) return true;
  }
  return false;
}

std::optional<double> first_duration_ms(std::string_view value) {
  Timing timing;
  while (next_timing(value, timing)) {
    if (timing.dur_ms) return timing.dur_ms;
  }
  return std::nullopt;
}

void append_timing(std::string& out, std::string_view name, std::chrono::microseconds duration,
                   std::string_view desc) {
  constexpr std::size_t kUsualListBytes = 96;
  if (out.empty()) {
    out.reserve(kUsualListBytes);
  } else {
    out += ", ";
  }
  out += name;
  if (!desc.empty()) {
    out += ";desc=";
    sf::append_lossy_string(out, desc);
  }
  // At most three digits after the point and none without need: "1.2", "40".
  const std::int64_t us = std::max<std::int64_t>(duration.count(), 0);
  constexpr std::string_view kDur = ";dur=";
  char text[32];
  kDur.copy(text, kDur.size());
  char* end = std::to_chars(text + kDur.size(), text + sizeof text - 4, us / 1000).ptr;
  int places = static_cast<int>(us % 1000);
  if (places != 0) *end++ = '.';
  for (int scale = 100; places != 0; scale /= 10) {
    *end++ = static_cast<char>('0' + places / scale);
    places %= scale;
  }
  out.append(text, end);
}

}  // namespace consort
