// check_json: the grammar of RFC 8259 as one loop over values, with a bit per open bracket instead
// of a stack of calls.
//
//            +--------------------- , (and in an object: key :) <----+
//            v                                                       |
//   value ---+--- [ or { not empty --> (key :) --> value             |
//            +--- scalar, [] or {} ------------> after --------------+
//                                                  ^   |
//                                                  +-- ] or }, until the outermost is closed
#include <array>
#include <cstdint>
#include <string>

#include "base/utf8.hpp"
#include "wire/json_scan.hpp"
#include "wire/json_scan_blocks.hpp"

namespace consort {

namespace {

using json_blocks::Fastest;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

bool is_escape_letter(char c) {
  return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
         c == 't';
}

/// Which brackets are open: bit i of word i/64 is set for an object.
class Brackets {
 public:
  std::size_t depth() const { return depth_; }
  bool in_object() const { return in_object_; }
  void push(bool is_object) {
    std::uint64_t& word = words_[depth_ / 64];
    const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
    word = is_object ? word | bit : word & ~bit;
    in_object_ = is_object;
    ++depth_;
  }
  void pop() {
    --depth_;
    in_object_ = depth_ > 0 && (words_[(depth_ - 1) / 64] >> ((depth_ - 1) % 64) & 1) != 0;
  }

 private:
  std::array<std::uint64_t, kMaxJsonDepth / 64> words_{};
  std::size_t depth_ = 0;
  bool in_object_ = false;
};

/// Every function takes a position and gives the one behind what it took, or null when that is not
/// JSON: problem_ and where_ then say why. Positions are passed by value to stay in registers.
class Checker {
 public:
  explicit Checker(std::string_view text)
      : begin_(text.data()), end_(text.data() + text.size()), where_(text.data()) {}

  Result<std::string_view> run() {
    const char* const first = skip_space(begin_);
    const char* const last = document(first);
    if (last != nullptr) {
      const char* const more = skip_space(last);
      if (more == end_) return std::string_view(first, static_cast<std::size_t>(last - first));
      wrong(more, "something follows the value");
    }
    return fail(Errc::protocol, describe());
  }

 private:
  const char* wrong(const char* at, const char* problem) {
    where_ = at;
    problem_ = problem;
    return nullptr;
  }

  std::string describe() const {
    std::string text = "JSON: ";
    text += where_ == end_ ? "the text ends too early: " : "";
    text += problem_;
    return text + " at byte " + std::to_string(where_ - begin_);
  }

  const char* skip_space(const char* at) const { return json_blocks::skip_space(at, end_); }

  const char* document(const char* at) {
    for (;;) {
      bool is_whole = true;
      at = value(at, is_whole);
      if (at == nullptr) return nullptr;
      if (!is_whole) continue;
      bool is_last = false;
      at = after(at, is_last);
      if (at == nullptr || is_last) return at;
    }
  }

  /// Takes a scalar or an empty array or object; of others (is_whole is then false) only what
  /// stands before their first value.
  const char* value(const char* at, bool& is_whole) {
    if (at == end_) return wrong(at, "a value is missing");
    switch (*at) {
      case '"':
        return string(at + 1);
      case '{':
      case '[':
        return open(at, is_whole);
      case 't':
        return literal(at, "true");
      case 'f':
        return literal(at, "false");
      case 'n':
        return literal(at, "null");
      default:
        return number(at);
    }
  }

  const char* open(const char* at, bool& is_whole) {
    if (brackets_.depth() == kMaxJsonDepth) {
      return wrong(at, "arrays and objects are nested deeper than 512");
    }
    const bool is_object = *at == '{';
    at = skip_space(at + 1);
    if (at < end_ && *at == (is_object ? '}' : ']')) return at + 1;
    brackets_.push(is_object);
    is_whole = false;
    return is_object ? key(at) : at;
  }

  /// After a value: closes brackets, up to the next value or (is_last) the end of the document.
  const char* after(const char* at, bool& is_last) {
    while (brackets_.depth() > 0) {
      const bool in_object = brackets_.in_object();
      at = skip_space(at);
      if (at == end_) return wrong(at, in_object ? "'}' is missing" : "']' is missing");
      if (*at == ',') {
        at = skip_space(at + 1);
        return in_object ? key(at) : at;
      }
      if (*at != (in_object ? '}' : ']')) {
        return wrong(at, in_object ? "neither ',' nor '}' follows a member"
                                   : "neither ',' nor ']' follows an element");
      }
      ++at;
      brackets_.pop();
    }
    is_last = true;
    return at;
  }

  /// A name with its colon, up to the value.
  const char* key(const char* at) {
    if (at == end_ || *at != '"') return wrong(at, "a member's name in quotes is missing");
    at = string(at + 1);
    if (at == nullptr) return nullptr;
    at = skip_space(at);
    if (at == end_ || *at != ':') return wrong(at, "no ':' follows a member's name");
    return skip_space(at + 1);
  }

  /// From behind the first quote.
  const char* string(const char* at) {
    for (;;) {
      at = Fastest::find_special(at, end_);
      if (at == end_) return wrong(at, "a string does not end");
      const auto byte = static_cast<unsigned char>(*at);
      if (byte == '"') return at + 1;
      if (byte < 0x20) return wrong(at, "a control character stands in a string without escape");
      at = byte == '\\' ? escape(at) : characters(at);
      if (at == nullptr) return nullptr;
    }
  }

  const char* escape(const char* at) {
    if (end_ - at < 2) return wrong(end_, "a string does not end");
    if (at[1] != 'u') {
      return is_escape_letter(at[1]) ? at + 2 : wrong(at, "a string has an unknown escape");
    }
    for (int i = 2; i < 6; ++i) {
      if (at + i == end_ || !is_hex(at[i])) return wrong(at, "\\u is not followed by 4 hex digits");
    }
    return at + 6;
  }

  /// All characters beyond ASCII that stand together. Those of two bytes (Latin, Greek, Cyrillic,
  /// Hebrew, Arabic) are taken here: a call for each would halve the speed of such text.
  const char* characters(const char* at) {
    do {
      const auto lead = static_cast<unsigned char>(*at);
      if (lead >= 0xC2 && lead < 0xE0 && end_ - at >= 2 && is_continuation(at[1])) {
        at += 2;
        continue;
      }
      const std::size_t bytes = utf8_character_bytes({at, static_cast<std::size_t>(end_ - at)});
      if (bytes == 0) return wrong(at, "a string is not UTF-8");
      at += bytes;
    } while (at < end_ && static_cast<signed char>(*at) < 0);
    return at;
  }

  const char* literal(const char* at, std::string_view word) {
    const std::string_view rest(at, static_cast<std::size_t>(end_ - at));
    return rest.starts_with(word) ? at + word.size() : wrong(at, "no value begins like this");
  }

  const char* digits(const char* at) {
    if (at == end_ || !is_digit(*at)) return wrong(at, "a digit is missing in a number");
    while (at < end_ && is_digit(*at)) ++at;
    return at;
  }

  const char* number(const char* at) {
    if (*at != '-' && !is_digit(*at)) return wrong(at, "no value begins like this");
    if (*at == '-') ++at;
    const char* const first = at;
    at = digits(at);
    if (at == nullptr) return nullptr;
    if (*first == '0' && at - first > 1) return wrong(first, "a number begins with 0");
    if (at < end_ && *at == '.') at = digits(at + 1);
    if (at == nullptr || at == end_ || (*at != 'e' && *at != 'E')) return at;
    ++at;
    if (at < end_ && (*at == '+' || *at == '-')) ++at;
    return digits(at);
  }

  const char* begin_;
  const char* end_;
  const char* where_;
  const char* problem_ = "";
  Brackets brackets_;
};

}  // namespace

Result<std::string_view> check_json(std::string_view text) {
  return Checker(text).run();
}

}  // namespace consort
