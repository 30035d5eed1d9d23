#include "roles/logsaver/sinks/path_template.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>

#include "base/content_hash.hpp"
#include "base/options.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kHashDigits = 16;
constexpr std::string_view kTimes = "YmdHMS";

/// A path as part of a name.
std::string as_name(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  std::string name(path);
  std::replace(name.begin(), name.end(), '/', '_');
  // Two dots would be another directory, where the sink's path ends with /{file}.
  if (name.empty() || name == "." || name == "..") name.insert(0, "_");
  return name;
}

/// The last name of the path, if it is too long.
void cut_name(std::string& path) {
  const std::size_t start = path.rfind('/') + 1;
  if (path.size() - start <= kNameBytesMax) return;
  const ContentHash hash = content_hash(std::string_view(path).substr(start));
  std::array<char, kHashDigits + 1> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash.low));
  path.resize(start + kNameBytesMax - kHashDigits - 1);
  path.append("-").append(digits.data());
}

std::string time_text(char letter, std::int64_t created_ms) {
  using namespace std::chrono;
  const sys_seconds now(floor<seconds>(milliseconds(created_ms)));
  const sys_days day = floor<days>(now);
  const year_month_day date(day);
  const hh_mm_ss<seconds> time(now - day);
  long number = 0;
  if (letter == 'Y') number = static_cast<int>(date.year());
  if (letter == 'm') number = static_cast<long>(static_cast<unsigned>(date.month()));
  if (letter == 'd') number = static_cast<long>(static_cast<unsigned>(date.day()));
  if (letter == 'H') number = time.hours().count();
  if (letter == 'M') number = time.minutes().count();
  if (letter == 'S') number = time.seconds().count();
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), letter == 'Y' ? "%04ld" : "%02ld", number);
  return text.data();
}

tl::unexpected<Error> unknown(std::string_view place) {
  return fail(Errc::invalid, in_quotes(place).append(
                                 " is no place in a file's path: there are {host}, {file}, %Y, %m, "
                                 "%d, %H, %M, %S, and %% for a percent sign (a path is taken as it "
                                 "is written: a blank is a blank, not %20)"));
}

}  // namespace

Result<PathTemplate> PathTemplate::parse(std::string_view text) {
  PathTemplate made;
  made.pieces_.emplace_back();
  while (!text.empty()) {
    std::size_t used = 1;
    if (text.starts_with("{host}") || text.starts_with("{file}")) {
      used = 6;
      made.pieces_.push_back({.place = text[1] == 'h' ? kHost : kFile});
    } else if (text[0] == '{') {
      return unknown(text.substr(0, text.find('}') == text.npos ? 1 : text.find('}') + 1));
    } else if (text.starts_with("%%")) {
      used = 2;
      made.pieces_.push_back({.text = "%"});
    } else if (text[0] == '%') {
      if (text.size() < 2 || kTimes.find(text[1]) == kTimes.npos) return unknown(text.substr(0, 2));
      used = 2;
      made.pieces_.push_back({.place = text[1]});
    } else {
      if (made.pieces_.back().place != kText) made.pieces_.emplace_back();
      made.pieces_.back().text += text[0];
    }
    text.remove_prefix(used);
  }
  return made;
}

std::string PathTemplate::path(const Values& values) const {
  std::string made;
  for (const Piece& piece : pieces_) {
    if (piece.place == kText) {
      made += piece.text;
    } else if (piece.place == kHost) {
      made += as_name(values.host);
    } else if (piece.place == kFile) {
      made += as_name(values.file);
    } else {
      made += time_text(piece.place, values.created_ms);
    }
  }
  cut_name(made);
  return made;
}

bool PathTemplate::has_file() const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [](const Piece& each) { return each.place == kFile; });
}

bool PathTemplate::has_time() const {
  return std::any_of(pieces_.begin(), pieces_.end(), [](const Piece& each) {
    return each.place != kText && each.place != kHost && each.place != kFile;
  });
}

std::string PathTemplate::fixed_directory() const {
  std::string text;
  for (const Piece& piece : pieces_) {
    if (piece.place != kText) break;
    text += piece.text;
  }
  const std::size_t end = text.rfind('/');
  if (end == text.npos) return {};
  return end == 0 ? "/" : text.substr(0, end);
}

}  // namespace consort::logsaver
