#include "base/regex_literal.hpp"

#include <algorithm>
#include <cstddef>

namespace consort {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z';
}

bool is_above_ascii(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

/// Reads the outermost level of a pattern. Every read_ returns false where it cannot tell.
class LiteralReader {
 public:
  LiteralReader(std::string_view pattern, bool ignore_case)
      : rest_(pattern), ignore_case_(ignore_case) {}

  bool read() {
    while (!rest_.empty()) {
      if (!read_one()) return false;
    }
    end_run();
    return true;
  }
  std::string take_longest() { return std::move(longest_); }

 private:
  /// How often what stands before may stand: as the pattern says, once, or perhaps not at all.
  enum class Times { once, once_or_more, perhaps };

  bool read_one() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    switch (c) {
      case '|':
      case ')':
      case '?':
      case '*':
      case '+':
      case '{':
        return false;
      case '(':
        return skip_group() && read_gap();
      case '[':
        return skip_class() && read_gap();
      case '.':
      case '^':
      case '$':
        return read_gap();
      case '\\':
        return read_escape();
      default:
        return read_literal(c);
    }
  }

  bool read_literal(char c) {
    // Folding is up to the pattern's tables: not only letters, perhaps, above ASCII.
    if (ignore_case_ && (is_letter(c) || is_above_ascii(c))) return read_gap();
    Times times = Times::once;
    if (!read_times(times)) return false;
    if (times != Times::perhaps) run_ += c;
    if (times != Times::once) end_run();
    return true;
  }

  /// Something that has no one text.
  bool read_gap() {
    Times times = Times::once;
    end_run();
    return read_times(times);
  }

  bool read_escape() {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (!is_letter(c) && !is_digit(c) && !is_above_ascii(c)) return read_literal(c);
    if (c == 't') return read_literal('\t');
    if (c == 'n') return read_literal('\n');
    if (c == 'r') return read_literal('\r');
    constexpr std::string_view kWithoutArgument = "dDwWsSbBAzZhHvVR";
    return kWithoutArgument.find(c) != kWithoutArgument.npos && read_gap();
  }

  /// The quantifier that may follow.
  bool read_times(Times& times) {
    times = Times::once;
    if (rest_.empty()) return true;
    const char c = rest_.front();
    if (c == '{') {
      if (!read_braces(times)) return false;
    } else if (c == '?' || c == '*' || c == '+') {
      times = c == '+' ? Times::once_or_more : Times::perhaps;
      rest_.remove_prefix(1);
    } else {
      return true;
    }
    // Lazy, possessive; a quantifier of the quantifier could take back what this one says.
    if (rest_.starts_with('?') || rest_.starts_with('+')) rest_.remove_prefix(1);
    constexpr std::string_view kQuantifiers = "?*+{";
    return rest_.empty() || kQuantifiers.find(rest_.front()) == kQuantifiers.npos;
  }

  /// {2}, {2,} and {2,5}. Other braces may be literal, depending on the library's version.
  bool read_braces(Times& times) {
    const std::size_t close = rest_.find('}');
    if (close == rest_.npos) return false;
    const std::string_view inside = rest_.substr(1, close - 1);
    const std::size_t digits = std::min(inside.find(','), inside.size());
    if (digits == 0) return false;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      if (i != digits && !is_digit(inside[i])) return false;
    }
    const bool is_zero = inside.substr(0, digits).find_first_not_of('0') == inside.npos;
    times = is_zero ? Times::perhaps : Times::once_or_more;
    rest_.remove_prefix(close + 1);
    return true;
  }

  /// Behind an opening parenthesis, to behind the one that closes it.
  bool skip_group() {
    for (std::size_t depth = 1; depth > 0;) {
      if (is_unclear_group()) return false;
      std::size_t next = rest_.find_first_of("()[\\");
      if (next == rest_.npos) return false;
      const char c = rest_[next];
      rest_.remove_prefix(next + 1);
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if (c == '[' && !skip_class()) return false;
      if (c == '\\' && !skip_escape()) return false;
      at_group_begin_ = c == '(';
    }
    at_group_begin_ = true;
    return true;
  }

  /// Of the group that begins here: options, verbs, comments, conditions, callouts and whatever
  /// else is not plainly a group.
  bool is_unclear_group() const {
    if (!at_group_begin_) return false;
    if (rest_.starts_with('*')) return true;
    if (!rest_.starts_with('?')) return false;
    const std::string_view kind = rest_.substr(1);
    for (const std::string_view clear : {":", ">", "|", "=", "!", "<", "P<", "'"}) {
      if (kind.starts_with(clear)) return false;
    }
    return true;
  }

  /// Inside a group or class, where only those matter that could hide its end: \Q and \c].
  bool skip_escape() {
    if (rest_.empty() || rest_.front() == 'Q' || rest_.front() == 'c') return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Behind an opening bracket, to behind the one that closes it.
  bool skip_class() {
    if (rest_.starts_with('^')) rest_.remove_prefix(1);
    if (rest_.starts_with(']')) rest_.remove_prefix(1);
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == ']') return true;
      if (c == '\\' && !skip_escape()) return false;
      if (c == '[' && !skip_named_class()) return false;
    }
    return false;
  }

  /// [:alpha:] inside a class; any other bracket there is one.
  bool skip_named_class() {
    if (rest_.starts_with('.') || rest_.starts_with('=')) return false;
    if (!rest_.starts_with(':')) return true;
    const std::size_t close = rest_.find(":]");
    const std::size_t other = rest_.find_first_of("\\[]");
    if (close == rest_.npos || other != close + 1) return false;
    rest_.remove_prefix(close + 2);
    return true;
  }

  void end_run() {
    if (run_.size() > longest_.size()) longest_ = run_;
    run_.clear();
  }

  std::string_view rest_;
  bool ignore_case_;
  bool at_group_begin_ = true;
  std::string run_;
  std::string longest_;
};

}  // namespace

std::string required_literal(std::string_view pattern, bool ignore_case) {
  LiteralReader reader(pattern, ignore_case);
  if (!reader.read()) return {};
  return reader.take_longest();
}

}  // namespace consort
