#include "wire/http1_text.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "wire/http1_text_scan.hpp"

namespace consort::http1 {

namespace {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool is_token(std::string_view text) {
  if (text.size() >= 8 && detail::holds_for_all(text, detail::usual_in_names)) return true;
  return !text.empty() && std::all_of(text.begin(), text.end(), detail::is_token_char);
}

bool is_field_value(std::string_view text) {
  const auto is_usual = [](const detail::Lanes& bytes) {
    return ~detail::unusual_in_values(bytes);
  };
  if (text.size() >= 8 && detail::holds_for_all(text, is_usual)) return true;
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool is_target(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

bool is_host(std::string_view text) {
  constexpr std::string_view kMarks = "-._~%!$&'()*+;=:[]";
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alnum(c) || kMarks.find(c) != std::string_view::npos;
  });
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && detail::is_same_in_any_case(a.data(), b.data(), a.size());
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), detail::lower);
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool list_contains(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (equals_ignoring_case(trim(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

Result<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus == Plus::is_blank) c = ' ';
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Errc::invalid, "\"%\" without two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return fail(Errc::invalid, "a NUL byte");
    out.push_back(c);
  }
  return out;
}

tl::expected<StatusLine, const char*> parse_status_line(std::string_view line) {
  const auto digit = [line](std::size_t i) { return line[i] >= '0' && line[i] <= '9'; };
  const bool is_status_line = line.size() >= 12 && line.starts_with("HTTP/1.") && digit(7) &&
                              line[8] == ' ' && digit(9) && digit(10) && digit(11) &&
                              line[9] != '0' && (line.size() == 12 || line[12] == ' ');
  if (!is_status_line) return tl::unexpected<const char*>("the status line is malformed");
  if (line[7] > '1') {
    return tl::unexpected<const char*>("the peer answers in an unknown HTTP version");
  }
  return StatusLine{.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'),
                    .minor_version = line[7] - '0'};
}

namespace {

/// Splits "http://authority/path?query" and leaves the origin form in target.
Result<std::string> take_authority(std::string_view& target) {
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) {
    return fail(Errc::invalid, "the request target is neither a path nor a URL");
  }
  const std::string_view scheme = target.substr(0, scheme_end);
  if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https")) {
    return fail(Errc::invalid, "the request target is not an http URL");
  }
  target.remove_prefix(scheme_end + 3);
  const std::size_t end = std::min(target.find_first_of("/?"), target.size());
  const std::string_view authority = target.substr(0, end);
  // is_host knows no '@': user information in a URL is a phishing device (RFC 9110, 4.2.4).
  if (authority.empty() || !is_host(authority)) {
    return fail(Errc::invalid, "the request target's host is malformed");
  }
  target.remove_prefix(end);
  return std::string(authority);
}

}  // namespace

Result<Target> parse_target(std::string_view method, std::string_view target) {
  if (!is_target(target)) return fail(Errc::invalid, "the request target is malformed");
  Target out;
  if (target == "*") {
    if (method != "OPTIONS") return fail(Errc::invalid, "\"*\" is a target for OPTIONS only");
    out.path = "*";
    return out;
  }
  if (target.front() != '/') {
    Result<std::string> authority = take_authority(target);
    if (!authority) return fail(std::move(authority.error()));
    out.authority = std::move(*authority);
  }
  const std::size_t mark = std::min(target.find('?'), target.size());
  Result<std::string> path = percent_decode(target.substr(0, mark), Plus::keep);
  if (!path) return fail(std::move(path.error()).in("the path is malformed"));
  out.path = path->empty() ? "/" : std::move(*path);
  out.query = target.substr(std::min(mark + 1, target.size()));
  Result<std::string> query = percent_decode(out.query, Plus::is_blank);
  if (!query) return fail(std::move(query.error()).in("the query is malformed"));
  return out;
}

}  // namespace consort::http1
