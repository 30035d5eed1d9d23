// What the words of a line say. All that begins a trace stands before a colon, or at the end.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "roles/logsaver/records/multiline_automata.hpp"

namespace consort::logsaver::multiline {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word_char(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return is_digit(c) || (lower >= 'a' && lower <= 'z') || c == '_';
}

/// A word that says what went wrong, with something before it: a package, a name, a time.
bool ends_in_java_error(std::string_view before) {
  for (const std::string_view word :
       {std::string_view("Exception"), std::string_view("Error"), std::string_view("Throwable"),
        std::string_view("V8 errors stack trace")}) {
    if (before.ends_with(word)) return before.size() > word.size();
  }
  return false;
}

/// Without " [ERR_X]" or " (0x80004005)" at the end: runtimes put a code there.
std::string_view without_code(std::string_view before, char open) {
  constexpr std::size_t kCodeBytesMax = 64;
  const std::size_t from = before.size() > kCodeBytesMax ? before.size() - kCodeBytesMax : 0;
  const std::size_t at = before.substr(from).rfind(open);
  if (at == std::string_view::npos || from + at == 0 || before[from + at - 1] != ' ') return {};
  return before.substr(0, from + at - 1);
}

/// Of what lies before a colon or the end of the line.
std::uint8_t marks_of_words(std::string_view before) {
  if (before.empty()) return 0;
  switch (before.back()) {
    case 'n':  // Exception
    case 'r':  // Error
    case 'e':  // Throwable, trace
      return static_cast<std::uint8_t>(
          (ends_in_java_error(before) ? Line::java_error : 0) |
          (before.ends_with("Error") || before.ends_with("Exception") ? Line::node_error : 0) |
          (before.ends_with("Exception") ? Line::dotnet_error : 0));
    case ']':
      return without_code(before, '[').ends_with("Error") ? Line::node_error : std::uint8_t{0};
    case ')':
      return without_code(before, '(').ends_with("Exception") ? Line::dotnet_error
                                                              : std::uint8_t{0};
    default:
      return 0;
  }
}

/// ":12:in " behind ".rb".
bool is_ruby_place(std::string_view after) {
  const auto digits = static_cast<std::size_t>(
      std::find_if_not(after.begin(), after.end(), is_digit) - after.begin());
  return digits > 0 && after.substr(digits).starts_with(":in ");
}

/// Of a colon between two texts, for those that need what comes after it.
std::uint8_t marks_of_colon(std::string_view before, std::string_view after) {
  if (before.empty()) return 0;
  switch (before.back()) {
    case 'c': {
      constexpr std::string_view kPanic = "panic";
      if (!before.ends_with(kPanic) || !after.starts_with(' ')) return 0;
      const bool is_word = before.size() == kPanic.size() ||
                           !is_word_char(before[before.size() - kPanic.size() - 1]);
      return is_word ? Line::go_panic : std::uint8_t{0};
    }
    case 'p':
      return before.ends_with("http") && after.starts_with(" panic serving") ? Line::http_panic
                                                                             : std::uint8_t{0};
    case 'b':
      return before.ends_with(".rb") && is_ruby_place(after) ? Line::ruby_frame : std::uint8_t{0};
    default:
      return 0;
  }
}

}  // namespace

Line::Line(std::string_view text) : text_(text) {
  if (text_.ends_with('\r')) text_.remove_suffix(1);
  inner_ = text_.substr(std::min(text_.find_first_not_of(" \t"), text_.size()));
}

bool Line::has(Mark mark) {
  if (marks_ == 0) {
    marks_ = scanned;
    const char* const begin = text_.data();
    const char* const end = begin + text_.size();
    for (const char* at = begin; at < end; ++at) {
      at = static_cast<const char*>(std::memchr(at, ':', static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
      const std::string_view before(begin, static_cast<std::size_t>(at - begin));
      const std::string_view after(at + 1, static_cast<std::size_t>(end - at - 1));
      marks_ |= marks_of_words(before) | marks_of_colon(before, after);
    }
    marks_ |= marks_of_words(text_);
  }
  return (marks_ & mark) != 0;
}

}  // namespace consort::logsaver::multiline
