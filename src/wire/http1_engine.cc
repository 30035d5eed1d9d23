#include "wire/http1_engine.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1::detail {

Engine::Engine(const Limits& limits, Kind kind) : limits_(limits), kind_(kind) {
  llhttp_init(&parser_, is_request() ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
  parser_.data = this;
}

Step Engine::parse(std::string_view bytes) {
  std::string_view rest = bytes;
  while (!rest.empty() && state_ != State::done && state_ != State::failed) step(rest);
  const std::size_t used = bytes.size() - rest.size();
  if (state_ == State::failed) return {Progress::error, used};
  return {state_ == State::done ? Progress::done : Progress::more, used};
}

void Engine::step(std::string_view& rest) {
  switch (state_) {
    case State::first_line:
    case State::headers:
    case State::trailers: {
      const auto line = take_line(rest, limits_.header_bytes - head_bytes_);
      if (!line) return;
      head_bytes_ += line->size();
      return state_ == State::first_line ? on_first_line(*line) : on_header_line(*line);
    }
    case State::chunk_line: {
      const auto line = take_line(rest, kMaxChunkLine);
      if (line) on_chunk_line(*line);
      return;
    }
    case State::length_body:
    case State::chunk_data:
    case State::until_end:
      return on_body(rest);
    case State::done:
    case State::failed:
      return;
  }
}

/// The next whole line with its CRLF, of at most `room` bytes. Every check is made at its byte, so
/// that the outcome cannot depend on how the bytes were split.
std::optional<std::string_view> Engine::take_line(std::string_view& rest, std::size_t room) {
  if (const auto line = take_whole_line(rest, room)) return line;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (line_.size() + i == room) {
      refuse_long_line();
      return std::nullopt;
    }
    if (!check_line_byte(rest[i])) return std::nullopt;
    if (rest[i] != '\n') continue;
    const std::string_view line = rest.substr(0, i + 1);
    rest.remove_prefix(i + 1);
    if (line_.empty()) return line;
    line_.append(line);
    whole_.swap(line_);
    line_.clear();
    return whole_;
  }
  line_.append(rest);
  rest = {};
  return std::nullopt;
}

/// The usual case, a tenth of the work: a line that is there whole and well-formed. Else nothing,
/// and nothing has changed: the walk byte by byte says what is wrong, and where.
std::optional<std::string_view> Engine::take_whole_line(std::string_view& rest, std::size_t room) {
  if (!line_.empty() || saw_cr_) return std::nullopt;
  const std::size_t bytes = rest.substr(0, room).find('\n') + 1;
  if (bytes < 2 || rest[bytes - 2] != '\r') return std::nullopt;
  const std::string_view line = rest.substr(0, bytes);
  if (!is_field_value(line.substr(0, bytes - 2))) return std::nullopt;
  rest.remove_prefix(bytes);
  return line;
}

bool Engine::check_line_byte(char c) {
  if (saw_cr_ && c != '\n') return refuse("a CR without LF");
  if (!saw_cr_ && c == '\n') return refuse("a line that does not end in CRLF");
  saw_cr_ = c == '\r';
  const auto byte = static_cast<unsigned char>(c);
  const bool is_control = (byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7f;
  return !is_control || refuse("a control byte outside a body");
}

void Engine::refuse_long_line() {
  if (state_ == State::chunk_line) {
    refuse(400, Errc::limit, "a chunk's size line is longer than the limit");
  } else if (state_ == State::first_line && is_request()) {
    refuse(414, Errc::limit, "the request line is longer than the header limit");
  } else {
    refuse(431, Errc::limit, "the headers are longer than the header limit");
  }
}

void Engine::on_first_line(std::string_view line) {
  const std::string_view text = line.substr(0, line.size() - 2);
  if (is_request()) {
    // RFC 9112, 2.2: some old clients send a blank line after a body.
    if (text.empty()) return;
    if (!check_request_line(text)) return;
  } else if (!check_status_line(text)) {
    return;
  }
  if (feed(line)) state_ = State::headers;
}

/// A header, a trailer, or the empty line after them.
void Engine::on_header_line(std::string_view line) {
  if (line.size() == 2) return on_head_end(line);
  if (line.front() == ' ' || line.front() == '\t') {
    refuse("a folded header line");
    return;
  }
  if (!is_token(line.substr(0, line.find(':')))) {
    refuse("a header without a well-formed name");
    return;
  }
  if (++header_lines_ > limits_.header_count) {
    refuse(431, Errc::limit, "more headers than the limit");
    return;
  }
  feed(line);
}

void Engine::on_head_end(std::string_view line) {
  if (state_ == State::trailers) {
    if (feed(line)) end_message();
    return;
  }
  if (message_.headers.size() != header_lines_) {
    refuse("the headers are ambiguous");
    return;
  }
  for (auto& [name, value] : message_.headers) {
    name = to_lower(name);
    value = trim(value);
  }
  if (is_request() && !check_request_head()) return;
  if (!work_out_framing()) return;
  note_persistence();
  if (!feed(line)) return;
  if (!agrees()) {
    refuse("the end of the message is ambiguous");
    return;
  }
  switch (framing_) {
    case Framing::none:
      return end_message();
    case Framing::length:
      state_ = State::length_body;
      break;
    case Framing::chunked:
      state_ = State::chunk_line;
      break;
    case Framing::until_end:
      state_ = State::until_end;
      break;
  }
}

void Engine::on_chunk_line(std::string_view line) {
  chunk_length_.reset();
  if (!feed(line)) return;
  if (!chunk_length_) {
    refuse("a chunk's size is ambiguous");
  } else if (*chunk_length_ == 0) {
    state_ = State::trailers;
  } else if (*chunk_length_ > limits_.body_bytes - message_.body.size()) {
    refuse(413, Errc::limit, "the body is longer than the limit");
  } else {
    left_ = *chunk_length_ + 2;
    state_ = State::chunk_data;
  }
}

void Engine::on_body(std::string_view& rest) {
  const bool is_bounded = state_ != State::until_end;
  const std::size_t room = limits_.body_bytes - message_.body.size();
  if (!is_bounded && rest.size() > room) {
    refuse(413, Errc::limit, "the body is longer than the limit");
    return;
  }
  const std::string_view piece =
      is_bounded
          ? rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size())))
          : rest;
  rest.remove_prefix(piece.size());
  if (!feed(piece) || !is_bounded) return;
  left_ -= piece.size();
  if (left_ > 0) return;
  if (state_ == State::chunk_data) {
    state_ = State::chunk_line;
  } else {
    end_message();
  }
}

void Engine::end_message() {
  if (!complete_) {
    refuse("the end of the message is ambiguous");
    return;
  }
  if (!is_request() && message_.status == 101) {
    refuse("the peer switches protocols unasked");
    return;
  }
  if (!is_request() && message_.status < 200) {
    // The header budget goes on, so that interim answers come to an end.
    begin_message();
    return;
  }
  state_ = State::done;
}

Progress Engine::finish() {
  if (state_ == State::until_end) {
    if (llhttp_finish(&parser_) == HPE_OK) end_message();
  } else if (state_ != State::done && state_ != State::failed) {
    const bool nothing_came = idle() && head_bytes_ == 0;
    refuse(400, Errc::closed,
           nothing_came ? "the peer closed without an answer" : "the peer closed in mid-answer");
  }
  return state_ == State::done ? Progress::done : Progress::error;
}

Message Engine::take() {
  CHECK(state_ == State::done);
  Message out = std::move(message_);
  head_bytes_ = 0;
  begin_message();
  return out;
}

void Engine::begin_message() {
  llhttp_reset(&parser_);
  state_ = State::first_line;
  message_ = Message();
  header_lines_ = 0;
  left_ = 0;
  wants_continue_ = false;
  complete_ = false;
  is_chunked_ = false;
  length_ = 0;
  chunk_length_.reset();
}

const Error& Engine::error() const {
  CHECK(error_.has_value());
  return *error_;
}

bool Engine::refuse(int status, Errc code, std::string text) {
  state_ = State::failed;
  status_ = status;
  error_.emplace(code, std::move(text));
  return false;
}

bool Engine::refuse(std::string text) {
  return refuse(400, Errc::protocol, std::move(text));
}

bool Engine::feed(std::string_view bytes) {
  const llhttp_errno_t found = llhttp_execute(&parser_, bytes.data(), bytes.size());
  if (found == HPE_OK) return true;
  // check_request_line has seen a well-formed line: what llhttp does not know then is the method.
  const bool is_unknown_method = is_request() && state_ == State::first_line &&
                                 (found == HPE_INVALID_METHOD || found == HPE_INVALID_CONSTANT);
  if (is_unknown_method) {
    refuse(501, Errc::protocol, "an unknown method");
  } else {
    const char* reason = llhttp_get_error_reason(&parser_);
    refuse(reason != nullptr && *reason != '\0' ? reason : llhttp_errno_name(found));
  }
  return false;
}

const llhttp_settings_t& Engine::settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    // Names and values always lie in one call: lines are handed over whole. Trailers are dropped.
    made.on_header_field = [](llhttp_t* parser, const char* at, std::size_t length) {
      Engine& engine = self(parser);
      if (engine.state_ == State::headers) {
        engine.message_.headers.emplace_back(std::string(at, length), std::string());
      }
      return 0;
    };
    made.on_header_value = [](llhttp_t* parser, const char* at, std::size_t length) {
      Engine& engine = self(parser);
      if (engine.state_ == State::headers && !engine.message_.headers.empty()) {
        engine.message_.headers.back().second.append(at, length);
      }
      return 0;
    };
    made.on_headers_complete = [](llhttp_t* parser) {
      Engine& engine = self(parser);
      engine.is_chunked_ = (parser->flags & F_CHUNKED) != 0;
      engine.length_ = parser->content_length;
      // An offered Upgrade is never taken, so what follows stays HTTP.
      parser->upgrade = 0;
      return engine.has_no_body_by_status() ? 1 : 0;
    };
    made.on_chunk_header = [](llhttp_t* parser) {
      self(parser).chunk_length_ = parser->content_length;
      return 0;
    };
    made.on_body = [](llhttp_t* parser, const char* at, std::size_t length) {
      self(parser).message_.body.append(at, length);
      return 0;
    };
    made.on_message_complete = [](llhttp_t* parser) {
      self(parser).complete_ = true;
      return 0;
    };
    return made;
  }();
  return kSettings;
}

}  // namespace consort::http1::detail
