#include "roles/logsaver/records/json_places.hpp"

#include <algorithm>

namespace consort::logsaver {

namespace {

/// Of the byte or escape at `at` inside a string.
std::size_t unit_bytes(std::string_view text, std::size_t at) {
  if (text[at] != '\\') return 1;
  const bool has_code = at + 1 < text.size() && text[at + 1] == 'u';
  return std::min<std::size_t>(has_code ? 6 : 2, text.size() - at);
}

/// Numbers, true, false, null.
bool is_scalar_byte(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '+' || c == '-' ||
         c == '.';
}

}  // namespace

bool JsonPlaces::is_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{';
}

bool JsonPlaces::widen(std::size_t from, std::size_t& begin, std::size_t& end) {
  seek(begin);
  const bool in_string = in_string_;
  begin = begin_;
  const std::string_view piece = text_.substr(begin, end - begin);
  if (!in_string && std::all_of(piece.begin(), piece.end(), is_scalar_byte)) {
    while (begin > from && is_scalar_byte(text_[begin - 1])) --begin;
    while (end < text_.size() && is_scalar_byte(text_[end])) ++end;
    return true;
  }
  if (end < text_.size()) {
    seek(end);
    if (begin_ != end) end = std::min(begin_ + unit_bytes(text_, begin_), text_.size());
  }
  return false;
}

void JsonPlaces::seek(std::size_t at) {
  while (begin_ < text_.size()) {
    const std::size_t bytes = in_string_ ? unit_bytes(text_, begin_) : 1;
    if (begin_ + bytes > at) return;
    if (text_[begin_] == '"') in_string_ = !in_string_;
    begin_ += bytes;
  }
}

}  // namespace consort::logsaver
