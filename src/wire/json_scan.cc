#include "wire/json_scan.hpp"

#include <array>
#include <string>

#include "wire/json_scan_blocks.hpp"

namespace consort {

namespace {

using json_blocks::Fastest;
using json_blocks::skip_space;

/// What ends a number or a literal.
constexpr std::array<bool, 256> kEndsWord = [] {
  std::array<bool, 256> ends{};
  for (const char c : std::string_view(" \n\r\t,:\"[]{}"))
    ends[static_cast<unsigned char>(c)] = true;
  return ends;
}();

/// One past the quote that ends the string which begins behind a quote, before `at`; or null.
const char* string_end(const char* at, const char* end) {
  for (;;) {
    at = Fastest::find_quote(at, end);
    if (at == end) return nullptr;
    if (*at == '"') return at + 1;
    if (end - at < 2) return nullptr;
    at += 2;
  }
}

/// One past the value at `at`, which is not end; null when it does not end.
const char* value_end(const char* at, const char* end) {
  if (*at == '"') return string_end(at + 1, end);
  if (*at == '{' || *at == '[') return json_blocks::BracketWalker<Fastest>::find_end(at, end);
  const char* const begin = at;
  while (at < end && !kEndsWord[static_cast<unsigned char>(*at)]) ++at;
  return at == begin ? nullptr : at;
}

std::string_view view(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

tl::unexpected<Error> refuse(std::string_view what, const char* begin, const char* at) {
  return fail(Errc::protocol,
              "JSON: " + std::string(what) + " at byte " + std::to_string(at - begin));
}

}  // namespace

JsonKind json_kind(std::string_view value) {
  if (value.empty()) return JsonKind::null;
  switch (value[0]) {
    case 'n':
      return JsonKind::null;
    case 't':
    case 'f':
      return JsonKind::boolean;
    case '"':
      return JsonKind::string;
    case '[':
      return JsonKind::array;
    case '{':
      return JsonKind::object;
    default:
      return JsonKind::number;
  }
}

Result<std::string_view> trim_json(std::string_view text) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* const first = skip_space(begin, end);
  if (first == end) return refuse("the text ends where a value should begin", begin, end);
  const char* const last = value_end(first, end);
  if (last == nullptr) return refuse("a value without an end begins", begin, first);
  const char* const more = skip_space(last, end);
  if (more != end) return refuse("something follows the value", begin, more);
  return view(first, last);
}

JsonArrayReader::JsonArrayReader(std::string_view array)
    : at_(array.data()), end_(array.data() + array.size()) {
  if (array.starts_with('[')) {
    ++at_;
  } else {
    stop(true);
  }
}

bool JsonArrayReader::stop(bool failed) {
  failed_ = failed;
  at_ = nullptr;
  return false;
}

bool JsonArrayReader::next(std::string_view& element) {
  if (at_ == nullptr) return false;
  const char* at = skip_space(at_, end_);
  if (at == end_) return stop(true);
  if (*at == ']') return stop(at + 1 != end_);
  if (!first_) {
    if (*at != ',') return stop(true);
    at = skip_space(at + 1, end_);
    if (at == end_) return stop(true);
  }
  first_ = false;
  const char* const last = value_end(at, end_);
  if (last == nullptr) return stop(true);
  element = view(at, last);
  at_ = last;
  return true;
}

JsonObjectReader::JsonObjectReader(std::string_view object)
    : at_(object.data()), end_(object.data() + object.size()) {
  if (object.starts_with('{')) {
    ++at_;
  } else {
    stop(true);
  }
}

bool JsonObjectReader::stop(bool failed) {
  failed_ = failed;
  at_ = nullptr;
  return false;
}

bool JsonObjectReader::next(std::string_view& raw_key, std::string_view& value) {
  if (at_ == nullptr) return false;
  const char* at = skip_space(at_, end_);
  if (at == end_) return stop(true);
  if (*at == '}') return stop(at + 1 != end_);
  if (!first_) {
    if (*at != ',') return stop(true);
    at = skip_space(at + 1, end_);
  }
  first_ = false;
  at_ = at;
  if (!read_key(raw_key)) return stop(true);
  const char* const last = value_end(at_, end_);
  if (last == nullptr) return stop(true);
  value = view(at_, last);
  at_ = last;
  return true;
}

/// From the key's first quote to the first byte of the value.
bool JsonObjectReader::read_key(std::string_view& raw_key) {
  if (at_ == end_ || *at_ != '"') return false;
  const char* const last = string_end(at_ + 1, end_);
  if (last == nullptr) return false;
  raw_key = view(at_ + 1, last - 1);
  const char* const colon = skip_space(last, end_);
  if (colon == end_ || *colon != ':') return false;
  at_ = skip_space(colon + 1, end_);
  return at_ != end_;
}

bool json_has_member(std::string_view object, std::string_view name) {
  const char* at = object.data();
  const char* const end = at + object.size();
  for (;; ++at) {
    at = Fastest::find_quotes_apart(at, end, name.size() + 1);
    if (at == end) return false;
    if (std::string_view(at + 1, name.size()) == name) break;
  }
  std::string_view key;
  std::string_view value;
  for (JsonObjectReader members(object); members.next(key, value);) {
    if (key == name) return true;
  }
  return false;
}

}  // namespace consort
