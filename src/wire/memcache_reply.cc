// The end of a reply can be told from its lines alone:
//
//   reply  = *( listed ) final
//   listed = "VALUE" key flags length .. CRLF body CRLF     get, gets, gat
//          | "CONFIG" type flags length CRLF body CRLF      ElastiCache's discovery
//          | ( "STAT" | "ITEM" | "PREFIX" | "key=" ) .. LF  stats, cachedump, detail, metadump
//   final  = "VA" length .. CRLF body CRLF | every other line
//
// Replies to "watch" never end and are not understood.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "wire/memcache.hpp"

namespace consort::memcache {

namespace {

constexpr std::uint64_t kMaxReplyBody = std::uint64_t{1} << 32;

/// The next word, with its blank cut off.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

/// The bytes of a body with its CRLF; 0 when the word is no length.
std::uint64_t read_body_size(std::string_view word) {
  std::uint64_t length = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), length);
  if (word.empty() || error != std::errc() || stop != end || length > kMaxReplyBody) return 0;
  return length + 2;
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_listed(std::string_view line) {
  return line.starts_with("STAT ") || line.starts_with("ITEM ") || line.starts_with("PREFIX ") ||
         line.starts_with("key=");
}
bool is_value(std::string_view line) {
  return line.starts_with("VALUE ") || line.starts_with("CONFIG ");
}

/// "VALUE key flags length [cas]" or "CONFIG type flags length": the body's bytes, 0 if malformed.
std::uint64_t read_value_line(std::string_view line) {
  for (int skipped = 0; skipped < 3; ++skipped) take_word(line);
  return read_body_size(take_word(line));
}

}  // namespace

ReplyScanner::Step ReplyScanner::scan(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (body_left_ == 0) {
      const Progress line = take_line(bytes, at);
      if (line == Progress::error) return {Progress::error, at};
      if (line == Progress::done) {
        in_list_ = false;
        return {Progress::done, at};
      }
      continue;
    }
    if (!skip_body(bytes, at)) return {Progress::error, at};
    if (body_left_ == 0 && body_is_final_) {
      in_list_ = body_is_final_ = false;
      return {Progress::done, at};
    }
  }
  return {Progress::more, bytes.size()};
}

/// done: the line ends the reply.
Progress ReplyScanner::take_line(std::string_view bytes, std::size_t& at) {
  std::string_view rest = bytes.substr(at);
  const void* lf = std::memchr(rest.data(), '\n', rest.size());
  if (lf != nullptr) {
    rest = rest.substr(0, static_cast<std::size_t>(static_cast<const char*>(lf) - rest.data()) + 1);
  }
  at += rest.size();
  if (lf == nullptr || line_length_ > 0) {
    const std::size_t take = std::min(rest.size(), sizeof line_ - line_length_);
    std::memcpy(line_ + line_length_, rest.data(), take);
    line_length_ += take;
    if (lf == nullptr) return Progress::more;
    rest = {line_, line_length_};
    line_length_ = 0;
  }
  switch (read_line(rest)) {
    case Line::final:
      return Progress::done;
    case Line::broken:
      return Progress::error;
    case Line::meta_value:
      body_is_final_ = true;
      return Progress::more;
    case Line::value:
    case Line::list:
      in_list_ = true;
      return Progress::more;
  }
  return Progress::error;
}

/// What a line is; sets body_left_ when a body follows. A line that filled the buffer was cut: its
/// words cannot be trusted, which matters only where one is a length.
ReplyScanner::Line ReplyScanner::read_line(std::string_view line) {
  const bool whole = line.size() < sizeof line_;
  if (is_value(line)) {
    body_left_ = whole ? read_value_line(without_line_end(line)) : 0;
    return body_left_ > 0 ? Line::value : Line::broken;
  }
  if (line.starts_with("VA ")) {
    std::string_view words = without_line_end(line).substr(3);
    body_left_ = whole ? read_body_size(take_word(words)) : 0;
    return body_left_ > 0 ? Line::meta_value : Line::broken;
  }
  return is_listed(line) ? Line::list : Line::final;
}

/// False when the body does not end as its length says.
bool ReplyScanner::skip_body(std::string_view bytes, std::size_t& at) {
  if (body_left_ > 2) {
    const std::uint64_t take = std::min<std::uint64_t>(body_left_ - 2, bytes.size() - at);
    body_left_ -= take;
    at += static_cast<std::size_t>(take);
  }
  while (body_left_ > 0 && body_left_ <= 2 && at < bytes.size()) {
    if (bytes[at] != (body_left_ == 2 ? '\r' : '\n')) return false;
    ++at;
    --body_left_;
  }
  return true;
}

Answer classify(std::string_view reply) {
  constexpr std::string_view kMisses[] = {"END", "NOT_STORED", "NOT_FOUND", "EXISTS",
                                          "EN",  "NF",         "NS",        "EX"};
  constexpr std::string_view kSuccesses[] = {
      "HD", "VA",    "VALUE", "STORED", "DELETED", "TOUCHED", "OK",     "VERSION",
      "MN", "RESET", "STAT",  "ITEM",   "ME",      "CONFIG",  "PREFIX",
  };
  std::string_view line = without_line_end(reply.substr(0, reply.find('\n')));
  const bool is_number = !line.empty() && line[0] >= '0' && line[0] <= '9';
  if (is_number || line.starts_with("key=")) return Answer::success;
  const std::string_view word = take_word(line);
  if (std::ranges::find(kSuccesses, word) != std::end(kSuccesses)) return Answer::success;
  if (std::ranges::find(kMisses, word) != std::end(kMisses)) return Answer::miss;
  return Answer::error;
}

bool ValueReader::next(Value& value) {
  if (!rest_.starts_with("VALUE ")) return false;
  const std::size_t lf = rest_.find('\n');
  if (lf == std::string_view::npos) return false;
  std::string_view line = without_line_end(rest_.substr(0, lf));
  const std::uint64_t body = read_value_line(line);
  if (body == 0 || body > rest_.size() - lf - 1) return false;
  take_word(line);
  value.key = take_word(line);
  value.block = rest_.substr(0, lf + 1 + static_cast<std::size_t>(body));
  rest_.remove_prefix(value.block.size());
  return true;
}

}  // namespace consort::memcache
