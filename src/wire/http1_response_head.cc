// What ResponseStream checks in a head: the status line, the headers that matter, the framing.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#include "wire/http1_response.hpp"
#include "wire/http1_response_scan.hpp"
#include "wire/http1_text.hpp"

namespace consort::http1 {

using detail::is_blank;
using detail::is_same;
using detail::is_same_in_any_case;
using detail::trim_blanks;

namespace {

/// Buffers of a usual head are kept for the next one, an odd server's are not.
constexpr std::size_t kKeptTextBytes = 4096;
constexpr std::size_t kKeptFields = 64;

}  // namespace

HeaderView ResponseHead::operator[](std::size_t index) const {
  const Field& field = fields_[index];
  return {{text_.data() + field.name_at, field.name_bytes}, value_of(field)};
}

std::string_view ResponseHead::search(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name_bytes == name.size() &&
        is_same_in_any_case(text_.data() + field.name_at, name.data(), name.size())) {
      return value_of(field);
    }
  }
  return {};
}

/// Most values are never asked for: the blanks around them are looked for here, not as lines come.
std::string_view ResponseHead::value_of(const Field& field) const {
  const std::size_t at = std::size_t{field.name_at} + field.name_bytes + 1;
  return trim_blanks({text_.data() + at, field.end_at - at});
}

void ResponseHead::swap(ResponseHead& other) {
  text_.swap(other.text_);
  fields_.swap(other.fields_);
  std::swap(lengths_, other.lengths_);
  std::swap(status_, other.status_);
  std::swap(minor_version_, other.minor_version_);
}

void ResponseHead::clear() {
  text_.clear();
  fields_.clear();
  lengths_ = 0;
  status_ = 0;
  if (text_.capacity() > kKeptTextBytes) text_.shrink_to_fit();
  if (fields_.capacity() > kKeptFields) fields_.shrink_to_fit();
}

/// Lines are read in the head's own buffer, into which the input goes in steps: what turns out to
/// be body is given back.
ResponseStream::Item ResponseStream::step_head(std::string_view& rest) {
  constexpr std::size_t kStepBytes = 1024;
  while (!rest.empty()) {
    has_begun_ = true;
    const std::size_t taken = std::min(rest.size(), kStepBytes);
    head_.text_.append(rest.data(), taken);
    rest.remove_prefix(taken);
    if (!read_lines()) return {Event::error, {}};
    if (state_ <= State::headers) continue;
    const std::size_t too_much = head_.text_.size() - line_at_;
    head_.text_.resize(line_at_);
    rest = std::string_view(rest.data() - too_much, rest.size() + too_much);
    return {Event::head, {}};
  }
  return {Event::more, {}};
}

/// Called in one place, and for every header: not to be a call spares a fifth of its instructions.
[[gnu::always_inline]] inline bool ResponseStream::on_field_line(std::string_view line) {
  const char* const begin = line.data();
  const char* const line_end = begin + line.size() - 2;
  const char* const name_end = detail::skip_token(begin, line_end);
  if (name_end == begin || *name_end != ':') {
    return refuse(is_blank(*begin) ? "a folded header line"
                                   : "a header without a well-formed name");
  }
  if (++header_lines_ > limits_.header_count) {
    return refuse(ResponseFault::header_limit, "more headers than the limit");
  }
  const auto name_bytes = static_cast<std::size_t>(name_end - begin);
  const auto at = static_cast<std::uint32_t>(line_at_);
  head_.fields_.push_back({at, static_cast<std::uint32_t>(name_bytes),
                           at + static_cast<std::uint32_t>(line.size() - 2)});
  head_.lengths_ |= ResponseHead::length_bit(name_bytes);
  // Only names of these lengths matter here.
  if (name_bytes != 10 && name_bytes != 14 && name_bytes != 17) return true;
  return note_field({begin, name_bytes},
                    {name_end + 1, static_cast<std::size_t>(line_end - name_end - 1)});
}

/// All the whole lines that are there, up to the head's end; false when one is refused. Lines are
/// judged when they are whole, so that the outcome cannot depend on how the bytes were split.
bool ResponseStream::read_lines() {
  while (state_ <= State::headers) {
    const char* const text = head_.text_.data();
    const char* const end = text + head_.text_.size();
    const char* const line = text + line_at_;
    const char* const next = detail::skip_past_newline(text + searched_, end);
    const auto bytes = static_cast<std::size_t>((next == nullptr ? end : next) - line);
    searched_ = line_at_ + bytes;
    if (bytes > limits_.header_bytes - head_bytes_) {
      return refuse(ResponseFault::header_limit, "the headers are longer than the limit");
    }
    if (next == nullptr) return true;
    if (bytes < 2 || next[-2] != '\r') return refuse("a line that does not end in CRLF");
    head_bytes_ += bytes;
    if (bytes == 2) {
      line_at_ += bytes;
      if (!on_head_end()) return false;
      continue;
    }
    const bool is_good =
        state_ == State::headers ? on_field_line({line, bytes}) : on_status_line({line, bytes});
    if (!is_good) return false;
    line_at_ += bytes;
  }
  return true;
}

bool ResponseStream::on_status_line(std::string_view line) {
  const auto parsed = parse_status_line(line.substr(0, line.size() - 2));
  if (!parsed) return refuse(parsed.error());
  head_.minor_version_ = parsed->minor_version;
  head_.status_ = parsed->status;
  state_ = State::headers;
  return true;
}

/// The headers that say where the message ends and what becomes of the connection. `text` is what
/// follows the colon.
bool ResponseStream::note_field(std::string_view name, std::string_view text) {
  const std::string_view value = trim_blanks(text);
  const auto has_tab_behind = [text, value] {
    const std::string_view before(text.data(), static_cast<std::size_t>(value.end() - text.data()));
    return text.find('\t', before.size()) != text.npos;
  };
  switch (name.size()) {
    case 10:
      if (is_same(name, "connection")) {
        const bool is_keep_alive = is_same(value, "keep-alive");
        says_keep_alive_ = says_keep_alive_ || is_keep_alive || list_contains(value, "keep-alive");
        says_close_ = says_close_ || (!is_keep_alive && list_contains(value, "close"));
      } else if (is_same(name, "keep-alive")) {
        note_keep_alive(value);
      }
      return true;
    case 14:
      if (!is_same(name, "content-length")) return true;
      if (++lengths_ > 1) return refuse("more than one Content-Length header");
      // llhttp takes no HTAB behind this value and the next.
      if (has_tab_behind()) return refuse("the Content-Length is malformed");
      return read_length(value);
    case 17:
      if (!is_same(name, "transfer-encoding")) return true;
      if (++codings_ > 1) return refuse("more than one Transfer-Encoding header");
      if (value.empty()) return refuse("an empty Transfer-Encoding header");
      if (has_tab_behind()) return refuse("a HTAB behind the Transfer-Encoding");
      if (head_.minor_version_ == 0) return refuse("Transfer-Encoding in HTTP/1.0");
      return equals_ignoring_case(value, "chunked") ||
             refuse("the only transfer coding understood is chunked");
    default:
      return true;
  }
}

bool ResponseStream::read_length(std::string_view digits) {
  // 18 digits fit into 64 bits, and no limit of ours is near them.
  if (digits.empty() || digits.size() > 18) return refuse("the Content-Length is malformed");
  left_ = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return refuse("the Content-Length is malformed");
    left_ = left_ * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

/// "timeout=5, max=100"; what is malformed says nothing.
void ResponseStream::note_keep_alive(std::string_view value) {
  constexpr std::string_view kTimeout = "timeout=";
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view item = trim(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (!equals_ignoring_case(item.substr(0, kTimeout.size()), kTimeout)) continue;
    std::uint32_t seconds = 0;
    const auto read =
        std::from_chars(item.data() + kTimeout.size(), item.data() + item.size(), seconds);
    if (read.ec == std::errc() && read.ptr == item.data() + item.size()) {
      timeout_s_ = std::min(seconds, timeout_s_.value_or(seconds));
    }
  }
}

/// RFC 9112, 6.3, without its tolerance.
bool ResponseStream::on_head_end() {
  // A CR and an LF for each line, the first and the last among them.
  const std::string_view lines(head_.text_.data(), line_at_);
  if (!detail::has_only_controls(lines, 2 * (header_lines_ + 2))) {
    return refuse("a control byte outside a body");
  }
  if (codings_ > 0 && lengths_ > 0) return refuse("both Transfer-Encoding and Content-Length");
  if (head_.status_ == 101) return refuse("the peer switches protocols unasked");
  if (head_.status_ < 200) {
    // The header budget goes on, so that interim answers come to an end. What has come after this
    // one stays.
    head_.text_.erase(0, line_at_);
    head_.fields_.clear();
    head_.lengths_ = 0;
    begin_message();
    return true;
  }
  if (has_no_body_by_status()) {
    state_ = State::ended;
  } else if (codings_ > 0) {
    state_ = State::chunk_line;
  } else if (lengths_ == 0) {
    state_ = State::until_end;
  } else if (left_ > limits_.body_bytes) {
    return refuse(ResponseFault::body_limit, "the body is longer than the limit");
  } else {
    state_ = left_ > 0 ? State::length_body : State::ended;
  }
  keep_alive_ =
      !says_close_ && (head_.minor_version_ == 1 || says_keep_alive_) && state_ != State::until_end;
  return true;
}

bool ResponseStream::has_no_body_by_status() const {
  return request_ == AnswerTo::head || head_.status_ == 204 || head_.status_ == 304;
}

}  // namespace consort::http1
