// A reply is skipped, not stored: of each nesting level only the number of values still to come is
// kept, and of a bulk only the number of bytes.
//
//            type byte and length            type byte alone
//   header ------------------------> body   ---------------> line
//      ^   \ aggregate: push a level   |                       |
//      |    `--> header                | CR LF                 | CR LF
//      `-------------------------------+-----------------------'
//               the value ends: count it, pop the levels that it completes
//
// An attribute is a level that counts for nobody: the value after it stands in its place.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "wire/resp.hpp"

namespace consort::resp {

namespace {

/// Marks a level that holds an attribute's keys and values.
constexpr std::uint64_t kAttribute = std::uint64_t{1} << 63;
/// A length beyond it is taken for garbage; nothing is ever allocated by a length.
constexpr std::int64_t kMaxLength = std::int64_t{1} << 40;

struct Header {
  Progress progress = Progress::more;
  char type = 0;
  std::int64_t length = -1;  ///< -1 for a null
  std::size_t size = 0;      ///< bytes of the line
};

bool is_line_type(char c) {
  return c == '+' || c == ':' || c == '-' || c == '_' || c == '#' || c == ',' || c == '(';
}
bool is_bulk_type(char c) {
  return c == '$' || c == '=' || c == '!';
}
bool is_aggregate_type(char c) {
  return c == '*' || c == '%' || c == '~' || c == '>' || c == '|';
}

Header wrong() {
  return {.progress = Progress::error};
}

/// Reads "type digits CR LF" from the front. Refuses at the first byte that cannot be right, so
/// that the answer does not depend on how much of the line has arrived.
Header parse_header(std::string_view text) {
  Header header{.type = text[0]};
  std::size_t at = 1;
  if (at < text.size() && text[at] == '-') {  // only "$-1" and "*-1" exist
    constexpr std::string_view kNull = "-1\r\n";
    if (header.type != '$' && header.type != '*') return wrong();
    const std::string_view tail = text.substr(at, kNull.size());
    if (tail != kNull.substr(0, tail.size())) return wrong();
    header.size = at + kNull.size();
    header.progress = tail.size() == kNull.size() ? Progress::done : Progress::more;
    return header;
  }
  std::int64_t sum = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    sum = sum * 10 + (text[at] - '0');
    if (sum > kMaxLength || at > 20) return wrong();
  }
  if (at == text.size()) return header;
  if (at == 1 || text[at] != '\r') return wrong();
  if (at + 1 == text.size()) return header;
  if (text[at + 1] != '\n') return wrong();
  header.length = sum;
  header.size = at + 2;
  header.progress = Progress::done;
  return header;
}

}  // namespace

ReplyScanner::Step ReplyScanner::scan(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    Progress value = Progress::more;
    switch (state_) {
      case State::header:
        value = read_header(bytes, at);
        break;
      case State::line:
        value = skip_line(bytes, at);
        break;
      case State::body:
        value = skip_body(bytes, at);
        break;
    }
    if (value == Progress::error) return {Progress::error, at};
    if (value == Progress::done && end_value()) {
      busy_ = false;
      return {Progress::done, at};
    }
  }
  busy_ = busy_ || !bytes.empty();
  return {Progress::more, bytes.size()};
}

/// Reads a type byte and its length line. done: the value is already over (a null, an empty
/// aggregate).
Progress ReplyScanner::read_header(std::string_view bytes, std::size_t& at) {
  if (header_length_ == 0) {
    const char type = bytes[at];
    if (is_line_type(type)) {
      ++at;
      return begin_value(type, 0);
    }
    if (!is_bulk_type(type) && !is_aggregate_type(type)) return Progress::error;
    const Header header = parse_header(bytes.substr(at));
    if (header.progress == Progress::done) {
      at += header.size;
      return begin_value(type, header.length);
    }
    if (header.progress == Progress::error) return Progress::error;
  }
  const std::size_t take = std::min(bytes.size() - at, sizeof header_ - header_length_);
  std::memcpy(header_ + header_length_, bytes.data() + at, take);
  const Header header = parse_header({header_, header_length_ + take});
  if (header.progress == Progress::error) return Progress::error;
  if (header.progress == Progress::more) {
    header_length_ = static_cast<std::uint8_t>(header_length_ + take);
    at += take;
    return Progress::more;
  }
  at += header.size - header_length_;
  header_length_ = 0;
  return begin_value(header.type, header.length);
}

Progress ReplyScanner::begin_value(char type, std::int64_t length) {
  if (depth_ == 0 && type != '|') type_ = type;
  if (is_line_type(type)) {
    state_ = State::line;
    after_cr_ = false;
    return Progress::more;
  }
  if (length < 0) return Progress::done;
  if (is_bulk_type(type)) {
    state_ = State::body;
    body_left_ = static_cast<std::uint64_t>(length) + 2;
    return Progress::more;
  }
  const bool is_attribute = type == '|';
  const auto count = static_cast<std::uint64_t>(length) * (type == '%' || is_attribute ? 2 : 1);
  if (count == 0) return is_attribute ? Progress::more : Progress::done;
  return push_level(count | (is_attribute ? kAttribute : 0)) ? Progress::more : Progress::error;
}

bool ReplyScanner::push_level(std::uint64_t pending) {
  if (depth_ == kMaxDepth) return false;
  if (depth_ < kInlineDepth) {
    pending_[depth_] = pending;
  } else {
    deep_pending_.push_back(pending);
  }
  ++depth_;
  return true;
}

void ReplyScanner::pop_level() {
  if (depth_ > kInlineDepth) deep_pending_.pop_back();
  --depth_;
  if (depth_ == 0 && deep_pending_.capacity() > 0) deep_pending_ = {};
}

Progress ReplyScanner::skip_line(std::string_view bytes, std::size_t& at) {
  const std::string_view rest = bytes.substr(at);
  const void* lf = std::memchr(rest.data(), '\n', rest.size());
  if (lf == nullptr) {
    after_cr_ = rest.back() == '\r';
    at = bytes.size();
    return Progress::more;
  }
  const auto length = static_cast<std::size_t>(static_cast<const char*>(lf) - rest.data());
  at += length + 1;
  state_ = State::header;
  const bool has_cr = length > 0 ? rest[length - 1] == '\r' : after_cr_;
  return has_cr ? Progress::done : Progress::error;
}

Progress ReplyScanner::skip_body(std::string_view bytes, std::size_t& at) {
  if (body_left_ > 2) {
    const std::uint64_t take = std::min<std::uint64_t>(body_left_ - 2, bytes.size() - at);
    body_left_ -= take;
    at += static_cast<std::size_t>(take);
  }
  while (body_left_ > 0 && body_left_ <= 2 && at < bytes.size()) {
    if (bytes[at] != (body_left_ == 2 ? '\r' : '\n')) return Progress::error;
    ++at;
    --body_left_;
  }
  if (body_left_ > 0) return Progress::more;
  state_ = State::header;
  return Progress::done;
}

/// Counts a finished value in its level and ends the levels that it completes. True when the whole
/// reply is over.
bool ReplyScanner::end_value() {
  while (depth_ > 0) {
    const std::uint64_t pending = --top_level();
    if ((pending & ~kAttribute) > 0) return false;
    const bool was_attribute = pending == kAttribute;
    pop_level();
    if (was_attribute) return false;
  }
  return true;
}

ArrayReader::ArrayReader(std::string_view reply) {
  while (!reply.empty() && reply[0] == '|') {
    const Header attribute = parse_header(reply);
    if (attribute.progress != Progress::done) return;
    rest_ = reply.substr(attribute.size);
    for (std::int64_t i = 0; i < attribute.length * 2; ++i) {
      if (next().empty()) return;
    }
    reply = rest_;
    rest_ = {};
  }
  if (reply.empty() || (reply[0] != '*' && reply[0] != '~' && reply[0] != '>')) return;
  const Header header = parse_header(reply);
  if (header.progress != Progress::done || header.length < 0) return;
  is_array_ = true;
  size_ = static_cast<std::size_t>(header.length);
  rest_ = reply.substr(header.size);
}

std::string_view ArrayReader::next() {
  ReplyScanner scanner;
  const ReplyScanner::Step step = scanner.scan(rest_);
  if (step.progress != Progress::done) return {};
  const std::string_view element = rest_.substr(0, step.used);
  rest_.remove_prefix(step.used);
  return element;
}

bool read_integer(std::string_view reply, std::int64_t& value) {
  if (reply.size() < 4 || reply[0] != ':' || !reply.ends_with("\r\n")) return false;
  const char* first = reply.data() + 1;
  const char* last = reply.data() + reply.size() - 2;
  const auto [end, error] = std::from_chars(first, last, value);
  return error == std::errc() && end == last;
}

namespace {

void append_header(std::string& out, char type, std::size_t number) {
  char line[24];
  line[0] = type;
  const auto [end, error] = std::to_chars(line + 1, line + sizeof line - 2, number);
  *end = '\r';
  end[1] = '\n';
  out.append(line, static_cast<std::size_t>(end + 2 - line));
}

}  // namespace

void append_array_header(std::string& out, std::size_t count) {
  append_header(out, '*', count);
}

void append_bulk(std::string& out, std::string_view bytes) {
  append_header(out, '$', bytes.size());
  out.append(bytes);
  out.append("\r\n");
}

std::string request(std::initializer_list<std::string_view> words) {
  std::string out;
  append_array_header(out, words.size());
  for (std::string_view word : words) append_bulk(out, word);
  return out;
}

}  // namespace consort::resp
