// Requests are parsed as redis 7.0.15 parses them, its oddities included, because what we let
// through and what we refuse must be what the server behind us lets through and refuses:
//
//   - A header line ends at its first CR; the byte after it is skipped unseen, and so are the two
//     bytes after an argument.
//   - A header without CR is refused only when more than kMaxInline bytes of it are there.
//   - An argument's type byte is looked at when its whole header line has arrived.
//   - A NUL hides the rest of a header or inline line from the server: the line never ends, and is
//     refused as too big at last.
#include <algorithm>
#include <limits>

#include "wire/resp.hpp"

namespace consort::resp {

namespace {

constexpr std::size_t kKeepArguments = 4096;  // 64 KiB of spans survive a reset()
constexpr std::size_t kKeepInlineBytes = std::size_t{64} * 1024;  // and so much of unescaped words
constexpr std::int64_t kFastLimit = 1'000'000'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool ends_word(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// The server's own strictness: no plus sign, no leading zero, no "-0", nothing beyond 64 bits.
bool parse_number(std::string_view text, std::int64_t& value) {
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 19) return false;
  if (digits[0] == '0' && (negative || digits.size() > 1)) return false;
  std::uint64_t sum = 0;  // 19 digits always fit
  for (const char c : digits) {
    if (!is_digit(c)) return false;
    sum = sum * 10 + static_cast<std::uint64_t>(c - '0');
  }
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (sum > kMax + (negative ? 1 : 0)) return false;
  value = static_cast<std::int64_t>(negative ? 0 - sum : sum);
  return true;
}

/// The common case of a header: its type byte, plain digits, and CR LF, all there. Returns the
/// bytes of the line, or 0 when it needs the careful way.
std::size_t read_plain_header(std::string_view rest, char type, std::int64_t& value) {
  if (rest.size() < 4 || rest[0] != type || !is_digit(rest[1])) return 0;
  std::int64_t sum = rest[1] - '0';
  std::size_t at = 2;
  if (sum != 0) {
    while (at < rest.size() && is_digit(rest[at]) && sum < kFastLimit) {
      sum = sum * 10 + (rest[at++] - '0');
    }
  }
  if (at + 1 >= rest.size() || rest[at] != '\r') return 0;
  value = sum;
  return at + 2;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

/// The words of an inline line: quotes may open anywhere in a word, but must close at its end.
class WordReader {
 public:
  explicit WordReader(std::string_view line) : line_(line) {}

  bool skip_blanks() {
    while (at_ < line_.size() && is_blank(line_[at_])) ++at_;
    return at_ < line_.size();
  }
  /// Appends one word; false when its quotes are unbalanced.
  bool read(std::string& out) {
    while (at_ < line_.size() && !ends_word(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"') return read_double_quoted(out);
      if (c == '\'') return read_single_quoted(out);
      out += c;
    }
    return true;
  }

 private:
  bool closes_word() const { return at_ == line_.size() || is_blank(line_[at_]); }

  bool read_double_quoted(std::string& out) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '"') return closes_word();
      if (c != '\\' || at_ == line_.size()) {
        out += c;
        continue;
      }
      if (line_[at_] == 'x' && at_ + 2 < line_.size() && hex_value(line_[at_ + 1]) >= 0 &&
          hex_value(line_[at_ + 2]) >= 0) {
        out += static_cast<char>(hex_value(line_[at_ + 1]) * 16 + hex_value(line_[at_ + 2]));
        at_ += 3;
      } else {
        out += unescape(line_[at_++]);
      }
    }
    return false;
  }

  bool read_single_quoted(std::string& out) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '\'') return closes_word();
      if (c == '\\' && at_ < line_.size() && line_[at_] == '\'') {
        out += line_[at_++];
      } else {
        out += c;
      }
    }
    return false;
  }

  std::string_view line_;
  std::size_t at_ = 0;
};

/// The server's error replies turn line ends into blanks.
std::string expected_dollar(char got) {
  std::string text = "expected '$', got '";
  text += got == '\r' || got == '\n' ? ' ' : got;
  return text + "'";
}

}  // namespace

void RequestParser::reset() {
  arguments_.clear();
  if (arguments_.capacity() > kKeepArguments) arguments_.shrink_to_fit();
  if (is_inline_) {
    inline_words_.clear();
    if (inline_words_.capacity() > kKeepInlineBytes) inline_words_.shrink_to_fit();
  }
  if (!error_.empty()) error_.clear();
  position_ = scanned_ = 0;
  missing_ = bulk_length_ = -1;
  is_inline_ = started_ = endless_line_ = false;
}

Progress RequestParser::parse(std::string_view bytes) {
  if (!started_) {
    if (bytes.empty()) return Progress::more;
    started_ = true;
    is_inline_ = bytes[0] != '*';
  }
  return is_inline_ ? parse_inline(bytes) : parse_array(bytes);
}

Progress RequestParser::parse_array(std::string_view bytes) {
  if (missing_ < 0) {
    const Progress count = parse_count(bytes);
    if (count != Progress::done) return count;
  }
  while (missing_ > 0) {
    if (bulk_length_ < 0) {
      const Progress header = parse_bulk_header(bytes);
      if (header != Progress::done) return header;
    }
    const auto length = static_cast<std::size_t>(bulk_length_);
    if (bytes.size() - position_ < length + 2) return Progress::more;
    arguments_.push_back({position_, length});
    position_ += length + 2;
    bulk_length_ = -1;
    --missing_;
  }
  return Progress::done;
}

Progress RequestParser::parse_count(std::string_view bytes) {
  std::int64_t count = 0;
  if (const std::size_t used = read_plain_header(bytes, '*', count); used > 0) {
    position_ = used;
  } else {
    std::size_t end = 0;
    const Progress found = find_header_end(bytes, "too big mbulk count string", end);
    if (found != Progress::done) return found;
    if (!parse_number(bytes.substr(1, end - 1), count)) return refuse("invalid multibulk length");
    position_ = end + 2;
  }
  if (count > kMaxArgs) return refuse("invalid multibulk length");
  if (!trusted_ && count > kMaxStrangerArgs) return refuse("unauthenticated multibulk length");
  missing_ = std::max<std::int64_t>(count, 0);
  scanned_ = position_;
  return Progress::done;
}

Progress RequestParser::parse_bulk_header(std::string_view bytes) {
  std::int64_t length = 0;
  const std::string_view rest = bytes.substr(position_);
  if (const std::size_t used = read_plain_header(rest, '$', length); used > 0) {
    position_ += used;
  } else {
    std::size_t end = 0;
    const Progress found = find_header_end(bytes, "too big bulk count string", end);
    if (found != Progress::done) return found;
    if (bytes[position_] != '$') return refuse(expected_dollar(bytes[position_]));
    const std::size_t digits = position_ + 1;
    const bool valid = parse_number(bytes.substr(digits, end - digits), length);
    if (!valid || length < 0) return refuse("invalid bulk length");
    position_ = end + 2;
  }
  if (length > kMaxBulk) return refuse("invalid bulk length");
  if (!trusted_ && length > kMaxStrangerBulk) return refuse("unauthenticated bulk length");
  bulk_length_ = length;
  return Progress::done;
}

/// Finds the CR of the header line that starts at position_, once the byte after it is there too.
Progress RequestParser::find_header_end(std::string_view bytes, const char* too_big,
                                        std::size_t& end) {
  end = find_line_end(bytes, '\r');
  if (end - position_ > kMaxInline) return refuse(too_big);
  return end + 1 < bytes.size() ? Progress::done : Progress::more;
}

/// Goes on looking for the end of the line that starts at position_; bytes.size() when there is
/// none.
std::size_t RequestParser::find_line_end(std::string_view bytes, char line_end) {
  scanned_ = std::max(scanned_, position_);
  if (endless_line_) return bytes.size();
  const std::string_view fresh = bytes.substr(scanned_);
  const std::size_t found = std::min(fresh.find(line_end), fresh.size());
  endless_line_ = fresh.substr(0, found).find('\0') != std::string_view::npos;
  if (endless_line_) return bytes.size();
  scanned_ += found;
  return scanned_;
}

Progress RequestParser::parse_inline(std::string_view bytes) {
  const std::size_t end = find_line_end(bytes, '\n');
  if (end > kMaxInline) return refuse("too big inline request");
  if (end == bytes.size()) return Progress::more;
  position_ = end + 1;
  std::string_view line = bytes.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return split_words(line) ? Progress::done : refuse("unbalanced quotes in request");
}

bool RequestParser::split_words(std::string_view line) {
  inline_words_.clear();
  inline_words_.reserve(line.size());
  WordReader words(line);
  while (words.skip_blanks()) {
    const std::size_t start = inline_words_.size();
    if (!words.read(inline_words_)) return false;
    arguments_.push_back({start, inline_words_.size() - start});
  }
  return true;
}

Progress RequestParser::refuse(std::string_view text) {
  arguments_.clear();
  error_ = "ERR Protocol error: ";
  error_ += text;
  return Progress::error;
}

}  // namespace consort::resp
