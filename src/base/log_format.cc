#include "base/log_format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "base/json_writer.hpp"
#include "base/utf8.hpp"

namespace consort {
namespace {

/// Room kept free at the end of a body for the mark of a cut.
constexpr std::string_view kCutMark = "...";
constexpr std::size_t kMarkBytes = 32;
/// The longest escape (\u001b) stands for one byte.
constexpr std::size_t kEscapeBytesMax = 6;

constexpr std::array<std::string_view, 7> kOwnKeys = {"ts",  "level",    "role",     "name",
                                                      "msg", "repeated", "truncated"};

void append_digits(std::string& out, std::uint64_t number, int width) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  for (auto have = static_cast<int>(end - digits.data()); have < width; ++have) out += '0';
  out.append(digits.data(), end);
}

template <class N>
void append_number(std::string& out, N number) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// "12:04:05.123"
void append_time_of_day(std::string& out, WallTime time) {
  const std::chrono::hh_mm_ss clock(time - std::chrono::floor<std::chrono::days>(time));
  append_digits(out, static_cast<std::uint64_t>(clock.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<std::uint64_t>(clock.seconds().count()), 2);
  out += '.';
  append_digits(out, static_cast<std::uint64_t>(clock.subseconds().count()), 3);
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Characters that stand for themselves outside quotes, for every logfmt reader.
bool is_plain(std::string_view text) {
  constexpr std::string_view kMarks = ".-/:@,+%()[]{}<>*#&;!?~^$|";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return is_word(c) || kMarks.find(c) != std::string_view::npos;
  });
}

void append_text(std::string& out, LogFormat format, std::string_view text) {
  if (format != LogFormat::json && is_plain(text)) {
    out += text;
  } else {
    append_json_string(out, text);
  }
}

void append_key(std::string& out, LogFormat format, std::string_view key) {
  const bool taken = std::ranges::find(kOwnKeys, key) != kOwnKeys.end();
  if (format == LogFormat::json) {
    out += ',';
    append_json_string(out, taken ? std::string(key) + '_' : key);
    out += ':';
    return;
  }
  out += ' ';
  // An unquoted key must not look like another field.
  for (char c : key) out += is_word(c) || c == '.' || c == '-' ? c : '_';
  out += taken ? "_=" : "=";
}

void append_scalar(std::string& out, const LogField& field) {
  switch (field.kind) {
    case LogField::Kind::integer:
      return append_number(out, field.integer);
    case LogField::Kind::natural:
      return append_number(out, field.natural);
    case LogField::Kind::flag:
      out += field.natural != 0 ? "true" : "false";
      return;
    case LogField::Kind::real:
      // JSON has no word for infinity; one word in all formats is easier to search for.
      if (!std::isfinite(field.real)) {
        out += "null";
      } else {
        append_number(out, field.real);
      }
      return;
    case LogField::Kind::text:
      return;
  }
}

/// Appends what fits of text; false when it had to cut.
bool append_bounded(std::string& out, LogFormat format, std::string_view text,
                    std::size_t bytes_max) {
  const std::size_t start = out.size();
  const std::size_t room = bytes_max > start ? bytes_max - start : 0;
  if (text.size() <= room) {
    append_text(out, format, text);
    if (out.size() <= bytes_max) return true;
    out.resize(start);
  }
  // Plain text first; only text full of escapes has to be cut at their worst size.
  for (const std::size_t keep : {room, room / kEscapeBytesMax}) {
    std::string cut(utf8_prefix(text, keep > kMarkBytes ? keep - kMarkBytes : 0));
    cut += kCutMark;
    append_text(out, format, cut);
    if (out.size() <= bytes_max) return false;
    out.resize(start);
  }
  append_text(out, format, kCutMark);
  return false;
}

/// False when the field, or the end of it, had to be left out.
bool append_field(std::string& out, LogFormat format, const LogField& field,
                  std::size_t bytes_max) {
  const std::size_t start = out.size();
  append_key(out, format, field.key);
  bool whole = true;
  if (field.kind == LogField::Kind::text) {
    whole = append_bounded(out, format, field.text, bytes_max);
  } else {
    append_scalar(out, field);
  }
  if (out.size() <= bytes_max) return whole;
  out.resize(start);
  return false;
}

std::string_view level_name(LogLevel level) {
  return Choices<LogLevel>::names[static_cast<std::size_t>(level)];
}

void append_pretty_level(std::string& out, LogLevel level, bool color) {
  constexpr std::string_view kNames[] = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR"};
  constexpr std::string_view kColors[] = {"\x1b[90m", "\x1b[36m", "\x1b[32m", "\x1b[33m",
                                          "\x1b[31m"};
  const auto index = static_cast<std::size_t>(level);
  if (color) out += kColors[index];
  out += kNames[index];
  if (color) out += "\x1b[0m";
}

}  // namespace

std::string rfc3339(std::int64_t wall_ms) {
  const WallTime time{std::chrono::milliseconds(wall_ms)};
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  std::string out;
  append_digits(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_time_of_day(out, time);
  out += 'Z';
  return out;
}

std::string format_log_origin(LogFormat format, std::string_view role, std::string_view name) {
  std::string out;
  if (format == LogFormat::pretty) return out;  // for people, who know what they started
  const bool json = format == LogFormat::json;
  out += json ? ",\"role\":" : " role=";
  append_text(out, format, role);
  out += json ? ",\"name\":" : " name=";
  append_text(out, format, name);
  return out;
}

std::string format_log_body(LogFormat format, std::string_view event,
                            std::initializer_list<LogField> fields, std::size_t bytes_max) {
  bytes_max = bytes_max > kMarkBytes ? bytes_max - kMarkBytes : 0;
  std::string out;
  if (format == LogFormat::json) out += ",\"msg\":";
  if (format == LogFormat::logfmt) out += " msg=";
  bool whole = append_bounded(out, format, event, bytes_max);
  for (const LogField& field : fields) {
    if (!whole) break;
    whole = append_field(out, format, field, bytes_max);
  }
  if (!whole) out += format == LogFormat::json ? ",\"truncated\":true" : " truncated=true";
  return out;
}

std::string format_log_line(const LogLine& line) {
  const bool json = line.format == LogFormat::json;
  std::string out;
  out.reserve(96 + line.origin.size() + line.body.size());
  if (line.format == LogFormat::pretty) {
    append_time_of_day(out, WallTime(std::chrono::milliseconds(line.wall_ms)));
    out += ' ';
    append_pretty_level(out, line.level, line.color);
    out += ' ';
  } else {
    out += json ? "{\"ts\":\"" : "ts=";
    out += rfc3339(line.wall_ms);
    out += json ? "\",\"level\":\"" : " level=";
    out += level_name(line.level);
    if (json) out += '"';
    out += line.origin;
  }
  out += line.body;
  if (line.repeats > 0) {
    out += json ? ",\"repeated\":" : " repeated=";
    append_number(out, line.repeats);
  }
  if (json) out += '}';
  return out;
}

}  // namespace consort
