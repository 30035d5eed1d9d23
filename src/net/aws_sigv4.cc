#include "net/aws_sigv4.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>

#include "io/digest.hpp"
#include "wire/http1_text.hpp"

namespace consort::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/// Trimmed, with one blank for each inner run of them.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : http1::trim(value)) {
    const bool is_blank = c == ' ' || c == '\t';
    if (is_blank && out.ends_with(' ')) continue;
    out += is_blank ? ' ' : c;
  }
  return out;
}

/// Names in lower case and in order, each once.
using CanonicalHeaders = std::map<std::string, std::string>;

CanonicalHeaders canonical_headers(const http1::Headers& headers) {
  CanonicalHeaders out;
  for (const auto& [name, value] : headers) {
    const auto [place, is_new] = out.try_emplace(http1::to_lower(name));
    if (!is_new) place->second += ',';
    place->second += canonical_value(value);
  }
  return out;
}

std::string names_of(const CanonicalHeaders& headers) {
  std::string names;
  for (const auto& [name, value] : headers) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string canonical_with(const Signable& request, const CanonicalHeaders& headers,
                           std::string_view names) {
  std::string out;
  out.append(request.method).append("\n");
  out.append(request.path).append("\n");
  out.append(request.query).append("\n");
  for (const auto& [name, value] : headers) out.append(name).append(":").append(value).append("\n");
  out.append("\n").append(names).append("\n").append(request.payload_hash);
  return out;
}

std::string_view date_of(const Scope& scope) {
  return scope.time.substr(0, 8);
}

std::string scope_text(const Scope& scope) {
  std::string out(date_of(scope));
  out.append("/").append(scope.region).append("/").append(scope.service);
  return out.append("/").append(kTerminator);
}

std::string sign(const Keys& keys, const Scope& scope, std::string_view text) {
  auto key = io::hmac_sha256("AWS4" + keys.secret_access_key, date_of(scope));
  for (const std::string_view part : {scope.region, scope.service, kTerminator}) {
    key = io::hmac_sha256(io::as_text(key), part);
  }
  return io::to_hex(io::hmac_sha256(io::as_text(key), text));
}

/// All of the digits, or nothing.
std::optional<int> parse_digits(std::string_view text) {
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace

std::string uri_encode(std::string_view text, Slash slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c) || (c == '/' && slash == Slash::keep)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

std::string encode_query(const Parameters& parameters) {
  Parameters encoded;
  encoded.reserve(parameters.size());
  for (const auto& [name, value] : parameters) {
    encoded.emplace_back(uri_encode(name, Slash::escape), uri_encode(value, Slash::escape));
  }
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::string normalize_path(std::string_view path) {
  std::vector<std::string_view> segments;
  bool ends_in_slash = true;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
    // What a dot segment leaves is a directory.
    ends_in_slash = slash != std::string_view::npos || segment == "." || segment == "..";
    if (segment == ".." && !segments.empty()) segments.pop_back();
    if (!segment.empty() && segment != "." && segment != "..") segments.push_back(segment);
  }
  std::string out;
  for (const std::string_view segment : segments) out.append("/").append(segment);
  if (ends_in_slash || out.empty()) out += '/';
  return out;
}

std::string amz_date(std::int64_t wall_ms) {
  const std::chrono::sys_seconds time(
      std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(wall_ms)));
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(time - days);
  char text[64];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

std::string canonical_request(const Signable& request) {
  const auto headers = canonical_headers(*request.headers);
  return canonical_with(request, headers, names_of(headers));
}

std::string string_to_sign(const Scope& scope, std::string_view canonical) {
  std::string out(kAlgorithm);
  out.append("\n").append(scope.time).append("\n").append(scope_text(scope)).append("\n");
  return out.append(io::to_hex(io::sha256(canonical)));
}

std::string authorization(const Keys& keys, const Scope& scope, const Signable& request) {
  const auto headers = canonical_headers(*request.headers);
  const std::string names = names_of(headers);
  const std::string text = string_to_sign(scope, canonical_with(request, headers, names));
  std::string out(kAlgorithm);
  out.append(" Credential=").append(keys.access_key_id).append("/").append(scope_text(scope));
  out.append(", SignedHeaders=").append(names);
  return out.append(", Signature=").append(sign(keys, scope, text));
}

std::int64_t parse_expiration(std::string_view text) {
  // Every part has its place: "2025-09-01T12:00:00", then "Z" or ".123Z".
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || !text.ends_with('Z')) {
    return kNever;
  }
  const std::string_view rest = text.substr(19, text.size() - 20);
  if (!rest.empty() && (rest.front() != '.' || !parse_digits(rest.substr(1, 9)))) return kNever;
  const auto year = parse_digits(text.substr(0, 4));
  const auto month = parse_digits(text.substr(5, 2));
  const auto day = parse_digits(text.substr(8, 2));
  const auto hour = parse_digits(text.substr(11, 2));
  const auto minute = parse_digits(text.substr(14, 2));
  const auto second = parse_digits(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return kNever;
  if (*hour > 23 || *minute > 59 || *second > 60) return kNever;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return kNever;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (days * 86'400 + *hour * 3600 + *minute * 60 + *second) * 1000;
}

}  // namespace consort::aws
