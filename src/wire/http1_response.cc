#include "wire/http1_response.hpp"

#include <algorithm>
#include <utility>

#include "wire/http1_response_scan.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1 {

using detail::is_blank;
using detail::is_same;
using detail::is_token_char;

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// *( ";" token [ "=" ( token / quoted-string ) ] ): RFC 9112, 7.1.1, without blanks and
/// backslashes. llhttp 8.1 differs here: it takes empty names, and refuses ";a=b;c".
bool is_chunk_extension(std::string_view text) {
  const auto skip_token = [&text] {
    const std::size_t before = text.size();
    while (!text.empty() && is_token_char(text.front())) text.remove_prefix(1);
    return text.size() < before;
  };
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    if (!skip_token()) return false;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    if (skip_token()) continue;
    if (!text.starts_with('"')) return false;
    const std::size_t end = text.find_first_of("\"\\", 1);
    if (end == text.npos || text[end] == '\\') return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace

void ResponseStream::begin(AnswerTo request) {
  request_ = request;
  fault_ = ResponseFault::none;
  head_bytes_ = 0;
  has_begun_ = false;
  head_.clear();
  line_.clear();
  begin_message();
}

void ResponseStream::begin_message() {
  state_ = State::status_line;
  says_close_ = false;
  says_keep_alive_ = false;
  keep_alive_ = true;
  codings_ = 0;
  lengths_ = 0;
  timeout_s_.reset();
  line_at_ = 0;
  searched_ = 0;
  header_lines_ = 0;
  left_ = 0;
  body_bytes_ = 0;
}

ResponseStream::Item ResponseStream::next(std::string_view& rest) {
  if (state_ <= State::headers) return step_head(rest);
  return step_body(rest);
}

ResponseStream::Item ResponseStream::step_body(std::string_view& rest) {
  for (;;) {
    switch (state_) {
      case State::chunk_line:
        if (!take_line(rest, kMaxChunkLine)) break;
        if (!on_chunk_line()) break;
        line_.clear();
        continue;
      case State::trailers:
        if (!take_line(rest, limits_.header_bytes - head_bytes_)) break;
        if (!on_trailer_line()) break;
        line_.clear();
        continue;
      case State::chunk_end:
        if (rest.empty()) break;
        if (rest.front() != (line_end_left_ == 2 ? '\r' : '\n')) {
          refuse("a chunk does not end in CRLF");
          break;
        }
        rest.remove_prefix(1);
        if (--line_end_left_ == 0) state_ = State::chunk_line;
        continue;
      case State::length_body:
      case State::chunk_data: {
        if (rest.empty()) break;
        const std::string_view piece =
            rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size())));
        rest.remove_prefix(piece.size());
        left_ -= piece.size();
        if (left_ == 0) {
          line_end_left_ = 2;
          state_ = state_ == State::chunk_data ? State::chunk_end : State::ended;
        }
        return {Event::body, piece};
      }
      case State::until_end: {
        if (rest.empty()) break;
        if (rest.size() > limits_.body_bytes - body_bytes_) {
          refuse(ResponseFault::body_limit, "the body is longer than the limit");
          break;
        }
        body_bytes_ += rest.size();
        return {Event::body, std::exchange(rest, {})};
      }
      case State::ended:
        state_ = State::done;
        return {Event::done, {}};
      case State::done:
        return {Event::done, {}};
      case State::status_line:
      case State::headers:
      case State::failed:
        break;
    }
    return {state_ == State::failed ? Event::error : Event::more, {}};
  }
}

/// Moves bytes into line_ until it holds a whole and well-formed line of at most `room` bytes;
/// false: not yet, or refused.
bool ResponseStream::take_line(std::string_view& rest, std::size_t room) {
  if (rest.empty()) return false;
  const std::size_t newline = rest.find('\n');
  const std::size_t bytes = newline == rest.npos ? rest.size() : newline + 1;
  if (bytes > room - line_.size()) {
    return state_ == State::chunk_line
               ? refuse("a chunk's size line is longer than the limit")
               : refuse(ResponseFault::header_limit, "the headers are longer than the limit");
  }
  const bool is_whole = newline != rest.npos;
  line_.append(rest.data(), bytes);
  rest.remove_prefix(bytes);
  if (!is_whole) return false;
  const std::string_view line(line_);
  return (line.ends_with("\r\n") && is_field_value(line.substr(0, line.size() - 2))) ||
         refuse("a line that does not end in CRLF, or with a control byte");
}

bool ResponseStream::on_chunk_line() {
  const std::string_view line = std::string_view(line_).substr(0, line_.size() - 2);
  // Beyond any limit a size need not be exact.
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 59;
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size() && hex_digit(line[digits]) >= 0; ++digits) {
    size = std::min(size, kHuge) * 16 + static_cast<std::uint64_t>(hex_digit(line[digits]));
  }
  if (digits == 0 || !is_chunk_extension(line.substr(digits))) {
    return refuse("a chunk's size line is malformed");
  }
  if (size == 0) {
    state_ = State::trailers;
    return true;
  }
  if (size > limits_.body_bytes - body_bytes_) {
    return refuse(ResponseFault::body_limit, "the body is longer than the limit");
  }
  body_bytes_ += static_cast<std::size_t>(size);
  left_ = size;
  state_ = State::chunk_data;
  return true;
}

/// Trailers are checked, counted and dropped.
bool ResponseStream::on_trailer_line() {
  head_bytes_ += line_.size();
  if (line_.size() == 2) {
    state_ = State::ended;
    return true;
  }
  if (is_blank(line_.front())) return refuse("a folded trailer line");
  const std::string_view name = std::string_view(line_).substr(0, line_.find(':'));
  if (!is_token(name)) return refuse("a trailer without a well-formed name");
  if (is_same(name, "content-length")) return refuse("a Content-Length among the trailers");
  return ++header_lines_ <= limits_.header_count ||
         refuse(ResponseFault::header_limit, "more headers than the limit");
}

ResponseStream::Event ResponseStream::finish() {
  if (state_ == State::until_end || state_ == State::ended) state_ = State::done;
  if (state_ == State::done) return Event::done;
  if (state_ != State::failed) {
    refuse(ResponseFault::closed,
           untouched() ? "the peer closed without an answer" : "the peer closed in mid-answer");
  }
  return Event::error;
}

std::optional<std::uint64_t> ResponseStream::length_left() const {
  if (state_ == State::length_body) return left_;
  if (state_ == State::ended || state_ == State::done) return 0;
  return std::nullopt;
}

bool ResponseStream::refuse(ResponseFault fault, const char* text) {
  state_ = State::failed;
  fault_ = fault;
  fault_text_ = text;
  keep_alive_ = false;
  return false;
}

}  // namespace consort::http1
