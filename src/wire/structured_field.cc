#include "wire/structured_field.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "wire/http1_text.hpp"

namespace consort::sf {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_alpha(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

bool is_key_char(char c) {
  return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

bool is_token_char(char c) {
  return c == ':' || c == '/' || http1::is_token({&c, 1});
}

bool is_base64_char(char c) {
  return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

/// The parsing algorithms of RFC 8941 section 4.2. Each function consumes what it reads and returns
/// false at the first mistake, which is then the reader's.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Dictionary> dictionary();

 private:
  bool members(Dictionary& out);
  bool member(Member& out);
  bool key(std::string_view& out);
  bool item(Item& out);
  bool number(Item& out);
  bool string(Item& out);
  bool token(Item& out);
  bool bytes(Item& out);
  bool boolean(Item& out);
  bool inner_list(Item& out);
  bool parameters();

  bool at_end() const { return at_ == text_.size(); }
  /// NUL at the end, which no part of the grammar takes.
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::string_view since(std::size_t start) const { return text_.substr(start, at_ - start); }
  void skip_spaces() {
    while (take(' ')) {
    }
  }
  void skip_blanks() {
    while (take(' ') || take('\t')) {
    }
  }
  bool wrong(const char* what, Errc code = Errc::invalid) {
    mistake_ = what;
    code_ = code;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const char* mistake_ = "";
  Errc code_ = Errc::invalid;
};

Result<Dictionary> Reader::dictionary() {
  Dictionary out;
  if (members(out)) return out;
  return fail(code_, std::string(mistake_) + " at byte " + std::to_string(at_));
}

bool Reader::members(Dictionary& out) {
  skip_spaces();
  if (at_end()) return true;
  while (true) {
    Member next;
    if (!member(next)) return false;
    if (!out.set(next)) return wrong("more than 32 keys", Errc::limit);
    skip_blanks();
    if (at_end()) return true;
    if (!take(',')) return wrong("no comma between two members");
    skip_blanks();
    if (at_end()) return wrong("a comma after the last member");
  }
}

bool Reader::member(Member& out) {
  if (!key(out.key)) return false;
  out.value = {.type = Type::boolean, .number = 1};
  if (take('=')) {
    const bool is_good = peek() == '(' ? inner_list(out.value) : item(out.value);
    if (!is_good) return false;
  }
  const std::size_t start = at_;
  if (!parameters()) return false;
  out.parameters = since(start);
  return true;
}

bool Reader::key(std::string_view& out) {
  const std::size_t start = at_;
  if (!is_lower(peek()) && peek() != '*') return wrong("a key begins with a-z or \"*\"");
  while (is_key_char(peek())) ++at_;
  out = since(start);
  return true;
}

bool Reader::item(Item& out) {
  const char c = peek();
  if (c == '-' || is_digit(c)) return number(out);
  if (c == '"') return string(out);
  if (c == '*' || is_alpha(c)) return token(out);
  if (c == ':') return bytes(out);
  if (c == '?') return boolean(out);
  return wrong("not a number, string, token, byte sequence or boolean");
}

bool Reader::number(Item& out) {
  const bool is_negative = take('-');
  std::int64_t value = 0;
  int digits = 0;
  for (; is_digit(peek()); ++at_) {
    if (++digits > 15) return wrong("an integer of more than 15 digits");
    value = value * 10 + (peek() - '0');
  }
  if (digits == 0) return wrong("a number without digits");
  out.type = Type::integer;
  if (take('.')) {
    if (digits > 12) return wrong("a decimal of more than 12 digits before the point");
    int places = 0;
    for (; is_digit(peek()); ++at_) {
      if (++places > 3) return wrong("a decimal of more than 3 digits after the point");
      value = value * 10 + (peek() - '0');
    }
    if (places == 0) return wrong("a decimal without digits after the point");
    for (; places < 3; ++places) value *= 10;
    out.type = Type::decimal;
  }
  out.number = is_negative ? -value : value;
  return true;
}

bool Reader::string(Item& out) {
  ++at_;  // the quote
  const std::size_t start = at_;
  while (peek() != '"') {
    if (at_end()) return wrong("a string without its end");
    if (take('\\') && peek() != '"' && peek() != '\\') {
      return wrong("a backslash in a string goes before a quote or a backslash");
    }
    if (!is_printable(peek())) return wrong("a byte that is no printable ASCII");
    ++at_;
  }
  out = {.type = Type::string, .text = since(start)};
  ++at_;
  return true;
}

bool Reader::token(Item& out) {
  const std::size_t start = at_;
  while (is_token_char(peek())) ++at_;
  out = {.type = Type::token, .text = since(start)};
  return true;
}

bool Reader::bytes(Item& out) {
  ++at_;  // the colon
  const std::size_t start = at_;
  while (is_base64_char(peek())) ++at_;
  out = {.type = Type::bytes, .text = since(start)};
  return take(':') ? true : wrong("a byte sequence is base64 between colons");
}

bool Reader::boolean(Item& out) {
  ++at_;  // the question mark
  if (peek() != '0' && peek() != '1') return wrong("a boolean is ?0 or ?1");
  out = {.type = Type::boolean, .number = peek() - '0'};
  ++at_;
  return true;
}

bool Reader::inner_list(Item& out) {
  ++at_;  // the bracket
  const std::size_t start = at_;
  while (true) {
    skip_spaces();
    if (peek() == ')') break;
    Item ignored;
    if (!item(ignored) || !parameters()) return false;
    if (peek() != ' ' && peek() != ')') return wrong("no space between two items of a list");
  }
  out = {.type = Type::inner_list, .text = since(start)};
  ++at_;
  return true;
}

bool Reader::parameters() {
  while (take(';')) {
    skip_spaces();
    std::string_view ignored_key;
    Item ignored;
    if (!key(ignored_key)) return false;
    if (take('=') && !item(ignored)) return false;
  }
  return true;
}

}  // namespace

std::optional<std::int64_t> Item::as_integer() const {
  if (type != Type::integer) return std::nullopt;
  return number;
}

std::optional<double> Item::as_number() const {
  if (type == Type::integer) return static_cast<double>(number);
  if (type == Type::decimal) return static_cast<double>(number) / 1000;
  return std::nullopt;
}

std::optional<std::string> Item::as_text() const {
  if (type == Type::token) return std::string(text);
  if (type != Type::string) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') ++i;  // the reader saw that something follows
    out += text[i];
  }
  return out;
}

const Member* Dictionary::find(std::string_view key) const {
  const Member* found =
      std::find_if(begin(), end(), [&](const Member& member) { return member.key == key; });
  return found == end() ? nullptr : found;
}

bool Dictionary::set(const Member& member) {
  for (std::size_t i = 0; i < size_; ++i) {
    if (members_[i].key != member.key) continue;
    members_[i] = member;
    return true;
  }
  if (size_ == kMaxKeys) return false;
  members_[size_++] = member;
  return true;
}

Result<Dictionary> parse_dictionary(std::string_view text) {
  return Reader(text).dictionary();
}

bool is_key(std::string_view text) {
  return !text.empty() && (is_lower(text.front()) || text.front() == '*') &&
         std::all_of(text.begin(), text.end(), is_key_char);
}

bool is_token(std::string_view text) {
  return !text.empty() && (is_alpha(text.front()) || text.front() == '*') &&
         std::all_of(text.begin(), text.end(), is_token_char);
}

bool append_integer(std::string& out, std::int64_t number) {
  if (number > kMaxInteger || number < -kMaxInteger) return false;
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  return true;
}

bool append_decimal(std::string& out, double number) {
  // to_chars rounds the exact value of the double, and real halves to even, as the RFC wants it.
  char digits[40];
  if (!(std::fabs(number) < 1e13)) return false;  // also NaN; keeps to_chars within its room
  const auto [end, code] =
      std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed, 3);
  std::string_view text(digits, static_cast<std::size_t>(end - digits));
  if (text == "-0.000") text.remove_prefix(1);  // a zero has no sign
  const std::size_t point = text.find('.');
  if (point - (text.front() == '-' ? 1U : 0U) > 12) return false;
  while (text.back() == '0' && text.size() > point + 2) text.remove_suffix(1);
  out += text;
  return true;
}

bool append_string(std::string& out, std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_printable)) return false;
  append_lossy_string(out, text);
  return true;
}

void append_lossy_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += is_printable(c) ? c : '?';
  }
  out += '"';
}

bool append_token(std::string& out, std::string_view token) {
  if (!is_token(token)) return false;
  out += token;
  return true;
}

}  // namespace consort::sf
