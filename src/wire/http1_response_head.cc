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

using detail::count_controls;
using detail::is_blank;
using detail::is_same;
using detail::is_token_char;

namespace {

/// Buffers of a usual head are kept for the next one, an odd server's are not.
constexpr std::size_t kKeptTextBytes = 4096;
constexpr std::size_t kKeptFields = 64;

}  // namespace

std::string_view ResponseHead::find(std::string_view name) const {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name_bytes != name.size()) continue;
    const HeaderView header = (*this)[i];
    const auto lower = [](char c) { return detail::kLower[static_cast<unsigned char>(c)]; };
    std::size_t at = 0;
    while (at < name.size() && lower(header.name[at]) == lower(name[at])) ++at;
    if (at == name.size()) return header.value;
  }
  return {};
}

void ResponseHead::swap(ResponseHead& other) {
  text_.swap(other.text_);
  fields_.swap(other.fields_);
  std::swap(status_, other.status_);
  std::swap(minor_version_, other.minor_version_);
}

void ResponseHead::clear() {
  text_.clear();
  fields_.clear();
  status_ = 0;
  if (text_.capacity() > kKeptTextBytes) text_.shrink_to_fit();
  if (fields_.capacity() > kKeptFields) fields_.shrink_to_fit();
}

bool ResponseStream::on_status_line(std::string_view line) {
  const auto digit = [&](std::size_t i) { return line[i] >= '0' && line[i] <= '9'; };
  const bool is_status_line = line.size() >= 14 && line.starts_with("HTTP/1.") && digit(7) &&
                              line[8] == ' ' && digit(9) && digit(10) && digit(11) &&
                              line[9] != '0' && (line.size() == 14 || line[12] == ' ');
  if (!is_status_line) return refuse("the status line is malformed");
  if (line[7] > '1') return refuse("the peer answers in an unknown HTTP version");
  head_.minor_version_ = line[7] - '0';
  head_.status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  state_ = State::headers;
  return true;
}

bool ResponseStream::on_field_line(std::string_view line) {
  const char* const begin = line.data();
  const char* name_end = begin;
  while (is_token_char(*name_end)) ++name_end;
  if (name_end == begin || *name_end != ':') {
    return refuse(is_blank(*begin) ? "a folded header line"
                                   : "a header without a well-formed name");
  }
  if (++header_lines_ > limits_.header_count) {
    return refuse(ResponseFault::header_limit, "more headers than the limit");
  }
  const char* value = name_end + 1;
  const char* const line_end = begin + line.size() - 2;
  while (value < line_end && is_blank(*value)) ++value;
  const char* value_end = line_end;
  while (value < value_end && is_blank(value_end[-1])) --value_end;
  const auto name_bytes = static_cast<std::size_t>(name_end - begin);
  const auto value_bytes = static_cast<std::size_t>(value_end - value);
  head_.fields_.push_back(
      {static_cast<std::uint32_t>(line_at_), static_cast<std::uint32_t>(name_bytes),
       static_cast<std::uint32_t>(line_at_) + static_cast<std::uint32_t>(value - begin),
       static_cast<std::uint32_t>(value_bytes)});
  // Only names of these lengths matter here.
  if (name_bytes != 10 && name_bytes != 14 && name_bytes != 17) return true;
  return note_field({begin, name_bytes}, {value, value_bytes},
                    {value_end, static_cast<std::size_t>(line_end - value_end)});
}

/// The headers that say where the message ends and what becomes of the connection. `after` is what
/// follows the value.
bool ResponseStream::note_field(std::string_view name, std::string_view value,
                                std::string_view after) {
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
      if (after.find('\t') != after.npos) return refuse("the Content-Length is malformed");
      return read_length(value);
    case 17:
      if (!is_same(name, "transfer-encoding")) return true;
      if (++codings_ > 1) return refuse("more than one Transfer-Encoding header");
      if (value.empty()) return refuse("an empty Transfer-Encoding header");
      if (after.find('\t') != after.npos) return refuse("a HTAB behind the Transfer-Encoding");
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
  if (count_controls(lines) != 2 * (header_lines_ + 2)) {
    return refuse("a control byte outside a body");
  }
  if (codings_ > 0 && lengths_ > 0) return refuse("both Transfer-Encoding and Content-Length");
  if (head_.status_ == 101) return refuse("the peer switches protocols unasked");
  if (head_.status_ < 200) {
    // The header budget goes on, so that interim answers come to an end. What has come after this
    // one stays.
    head_.text_.erase(0, line_at_);
    head_.fields_.clear();
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
