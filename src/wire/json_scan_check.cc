// check_json: the grammar of RFC 8259 as one loop over values, with a byte per open bracket instead
// of a stack of calls.
//
//            +------------- , (and in an object: key :) <------------+
//            |        +--- not empty (and in an object: key :)       |
//            v        |                                              |
//   value ---+--- [ or {                                             |
//            |        +--- empty --------+                           |
//            |                           v                           |
//            +--- scalar ------------> after ------------------------+
//                                      ^   |
//                                      +-- ] or }, until the outermost is closed
//
// The answer of a leaf is often a few hundred bytes of short tokens, so what counts is how many
// instructions a token takes, about 17 of them:
//
//   - White space is looked for only where the byte that is wanted does not stand.
//   - A text between brackets (Text::enclosed) is read with hardly a look at where it ends: its
//     last byte closes something, so behind every other byte there is one more. Only what closes
//     brackets, and what reads ahead (strings, escapes, literals), has to see where the text ends.
//   - What is rare (escapes, characters beyond ASCII) is a call, out of the way.
//
// All other texts, and those that turn out to be no JSON, are read (again) as Text::any, which
// looks everywhere and knows what is wrong and where: errors cost up to twice the time.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.hpp"
#include "wire/json_scan.hpp"
#include "wire/json_scan_blocks.hpp"

namespace consort {

namespace {

using json_blocks::Fastest;
using json_blocks::is_space;
using json_blocks::kWideBytes;
using json_blocks::skip_space;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

bool is_lead(const char* at, unsigned char first, unsigned char last) {
  const auto byte = static_cast<unsigned char>(*at);
  return byte >= first && byte <= last;
}

bool is_escape_letter(char c) {
  return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
         c == 't';
}

struct Problem {
  const char* where = nullptr;
  const char* what = "";
};

/// What a function returns that finds no JSON.
const char* wrong(Problem& problem, const char* at, const char* what) {
  problem = {at, what};
  return nullptr;
}

const char* escape(const char* at, const char* end, Problem& problem) {
  if (end - at < 2) return wrong(problem, end, "a string does not end");
  if (at[1] != 'u') {
    return is_escape_letter(at[1]) ? at + 2 : wrong(problem, at, "a string has an unknown escape");
  }
  for (int i = 2; i < 6; ++i) {
    if (at + i == end || !is_hex(at[i])) {
      return wrong(problem, at, "\\u is not followed by 4 hex digits");
    }
  }
  return at + 6;
}

/// All characters beyond ASCII that stand together. Those of two bytes (Latin, Greek, Cyrillic,
/// Hebrew, Arabic), and those of three where every continuation will do (nearly all of Chinese and
/// Japanese), are taken here: a call for each would halve the speed of such text.
const char* characters(const char* at, const char* end, Problem& problem) {
  for (;;) {
    while (end - at >= 2 && is_lead(at, 0xC2, 0xDF) && is_continuation(at[1])) at += 2;
    while (end - at >= 3 && is_lead(at, 0xE1, 0xEC) && is_continuation(at[1]) &&
           is_continuation(at[2])) {
      at += 3;
    }
    if (at == end || static_cast<signed char>(*at) >= 0) return at;
    const std::size_t bytes = utf8_character_bytes({at, static_cast<std::size_t>(end - at)});
    if (bytes == 0) return wrong(problem, at, "a string is not UTF-8");
    at += bytes;
  }
}

/// To the last quote of a string, from its first byte that needs a closer look or from the end of
/// the text.
[[gnu::noinline]] const char* special_string(const char* at, const char* end, Problem& problem) {
  for (;;) {
    if (at == end) return wrong(problem, at, "a string does not end");
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"') return at;
    if (byte < 0x20) {
      return wrong(problem, at, "a control character stands in a string without escape");
    }
    at = byte == '\\' ? escape(at, end, problem) : characters(at, end, problem);
    if (at == nullptr) return nullptr;
    at = Fastest::find_special(at, end);
  }
}

enum class Text { any, enclosed };

/// Every function takes a position and gives the one behind what it took, or null when that is not
/// JSON: problem_ then says why (of Text::any). Positions are passed by value to stay in registers;
/// the members stay there too as long as the stack, which is indexed, is none of them.
template <Text kText>
class Checker {
 public:
  /// The stack has kMaxJsonDepth bytes.
  Checker(std::string_view text, char* stack, Problem& problem)
      : end_(text.data() + text.size()),
        is_wide_(text.size() >= kWideBytes),
        wide_end_(is_wide_ ? end_ - kWideBytes + 1 : text.data()),
        stack_(stack),
        problem_(problem) {}

  /// A value from its first byte.
  const char* document(const char* at) {
    for (;;) {
      if (ended(at)) return wrong(at, "a value is missing");
      const char first = *at;
      bool is_whole = true;
      if (first == '"') {
        at = string(at + 1);
        if (at == nullptr) return nullptr;
        ++at;
      } else if (is_digit(first)) {
        at = number(at);
      } else if (first == '{' || first == '[') {
        at = open(at);
        is_whole = at != nullptr && !ended(at) && *at == closing_;
      } else if (is_space(first)) {
        at = skip_space(at + 1, end_);
        continue;
      } else {
        at = first == '-' ? negative_number(at) : literal(at);
      }
      if (at == nullptr) return nullptr;
      if (is_whole) {
        at = after(at);
        if (at == nullptr) return last_;
      }
      if (closing_ == '}') {
        at = key(at);
        if (at == nullptr) return nullptr;
      }
    }
  }

 private:
  const char* wrong(const char* at, const char* what) {
    return kText == Text::any ? consort::wrong(problem_, at, what) : nullptr;
  }

  bool ended(const char* at) const { return kText == Text::any && at == end_; }

  /// To what stands first in the bracket; may be what closes it.
  const char* open(const char* at) {
    if (depth_ == kMaxJsonDepth) return wrong(at, "arrays and objects are nested deeper than 512");
    stack_[depth_++] = closing_;
    closing_ = static_cast<char>(*at + 2);  // in ASCII, of both kinds
    ++at;
    return !ended(at) && is_space(*at) ? skip_space(at + 1, end_) : at;
  }

  /// From behind a value to behind the next comma; null also where the document ends, at last_.
  const char* after(const char* at) {
    while (kText == Text::enclosed || depth_ > 0) {
      const bool in_object = closing_ == '}';
      if (ended(at)) return wrong(at, in_object ? "'}' is missing" : "']' is missing");
      if (*at == ',') return at + 1;
      if (*at == closing_) {
        ++at;
        if (--depth_ == 0) break;
        closing_ = stack_[depth_];
        if (kText == Text::enclosed && at == end_) return nullptr;
      } else if (is_space(*at)) {
        at = skip_space(at + 1, end_);
      } else {
        return wrong(at, in_object ? "neither ',' nor '}' follows a member"
                                   : "neither ',' nor ']' follows an element");
      }
    }
    last_ = at;
    return nullptr;
  }

  /// A name with its colon, up to the value.
  const char* key(const char* at) {
    if (ended(at) || *at != '"') {
      at = skip_space(at, end_);
      if (ended(at) || *at != '"') return wrong(at, "a member's name in quotes is missing");
    }
    at = string(at + 1);
    if (at == nullptr) return nullptr;
    if (!ended(at + 1) && at[1] == ':') return at + 2;
    ++at;
    if (ended(at) || *at != ':') {
      at = skip_space(at, end_);
      if (ended(at) || *at != ':') return wrong(at, "no ':' follows a member's name");
    }
    return at + 1;
  }

  /// From behind the first quote to the last one.
  [[gnu::always_inline]] const char* string(const char* at) {
    for (; at < wide_end_; at += kWideBytes) {
      const char* const found = Fastest::find_special_wide(at);
      if (found == nullptr) continue;
      if (*found == '"') return found;
      return special_string(found, end_, problem_);
    }
    return last_string(at);
  }

  /// The same where fewer than kWideBytes are left: those before them are read once more.
  const char* last_string(const char* at) {
    const char* const found =
        is_wide_ ? Fastest::find_special_back(at, end_) : Fastest::find_special(at, end_);
    if (found < end_ && *found == '"') return found;
    return special_string(found, end_, problem_);
  }

  const char* literal(const char* at) {
    const std::string_view rest(at, static_cast<std::size_t>(end_ - at));
    if (rest.starts_with("true") || rest.starts_with("null")) return at + 4;
    if (rest.starts_with("false")) return at + 5;
    return wrong(at, "no value begins like this");
  }

  const char* negative_number(const char* at) {
    ++at;
    if (ended(at) || !is_digit(*at)) return wrong(at, "a digit is missing in a number");
    return number(at);
  }

  /// From its first digit.
  const char* number(const char* at) {
    if (*at == '0') {
      ++at;
      if (!ended(at) && is_digit(*at)) return wrong(at - 1, "a number begins with 0");
    } else {
      at = more_digits(at);
    }
    if (!ended(at) && *at == '.') {
      at = digits(at + 1);
      if (at == nullptr) return nullptr;
    }
    if (ended(at) || (*at != 'e' && *at != 'E')) return at;
    ++at;
    if (!ended(at) && (*at == '+' || *at == '-')) ++at;
    return digits(at);
  }

  const char* digits(const char* at) {
    if (ended(at) || !is_digit(*at)) return wrong(at, "a digit is missing in a number");
    return more_digits(at);
  }

  /// From the first of them.
  const char* more_digits(const char* at) {
    do {
      ++at;
    } while (!ended(at) && is_digit(*at));
    return at;
  }

  const char* const end_;
  const bool is_wide_;
  const char* const wide_end_;  ///< before it, kWideBytes can be read
  char* const stack_;           ///< closing_ of the brackets around the innermost open one
  const char* last_ = nullptr;  ///< where the document ends
  std::size_t depth_ = 0;
  char closing_ = 0;  ///< what closes the innermost open bracket
  Problem& problem_;
};

using Stack = std::array<char, kMaxJsonDepth>;

/// Out of line for its stack and its error text, which the usual document does not need.
[[gnu::noinline]] Result<std::string_view> check_any(std::string_view text) {
  const char* const end = text.data() + text.size();
  Stack stack;
  Problem problem;
  const char* const first = skip_space(text.data(), end);
  const char* const last = Checker<Text::any>(text, stack.data(), problem).document(first);
  if (last != nullptr) {
    const char* const more = skip_space(last, end);
    if (more == end) return std::string_view(first, static_cast<std::size_t>(last - first));
    wrong(problem, more, "something follows the value");
  }
  std::string error = "JSON: ";
  if (problem.where == end) error += "the text ends too early: ";
  error += problem.what;
  return fail(Errc::protocol, error + " at byte " + std::to_string(problem.where - text.data()));
}

bool is_enclosed(std::string_view text) {
  return !text.empty() && (text.front() == '{' || text.front() == '[') &&
         (text.back() == '}' || text.back() == ']');
}

std::string_view without_space(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

}  // namespace

Result<std::string_view> check_json(std::string_view text) {
  const std::string_view value = without_space(text);
  if (is_enclosed(value)) {
    Stack stack;
    Problem unused;  // check_any() knows better
    Checker<Text::enclosed> checker(value, stack.data(), unused);
    const char* const last = checker.document(value.data());
    if (last == value.data() + value.size()) return value;
  }
  return check_any(text);
}

}  // namespace consort
