#include "roles/gather/check_rules.hpp"

#include <algorithm>
#include <string>

#include "base/options.hpp"
#include "base/utf8.hpp"
#include "roles/gather/coverage.hpp"
#include "roles/gather/merge/parts.hpp"
#include "wire/http1_text.hpp"
#include "wire/json_scan.hpp"
#include "wire/server_timing.hpp"

namespace consort::gather {
namespace {

constexpr std::size_t kMaxWeightDigits = 15;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "text/plain" of "Text/Plain; charset=utf-8".
std::string media_type(std::string_view content_type) {
  return http1::to_lower(http1::trim(content_type.substr(0, content_type.find(';'))));
}

/// Every entry has a name, and what says dur= has a number.
bool is_server_timing(std::string_view value) {
  std::size_t entries = 0;
  std::size_t durations = 0;
  std::string_view rest = value;
  for (Timing timing; next_timing(rest, timing);) {
    ++entries;
    if (timing.dur_ms) ++durations;
  }
  const std::string lower = http1::to_lower(value);
  std::size_t promised = 0;
  for (std::size_t at = lower.find("dur="); at != std::string::npos;
       at = lower.find("dur=", at + 1))
    ++promised;
  return entries > 0 && durations >= promised;
}

std::string has(std::string_view name, std::string_view value, std::string_view wanted) {
  std::string text(name);
  text += ": " + in_quotes(value) + " is no ";
  return text.append(wanted);
}

}  // namespace

Finding judge_framing(const SeenAnswer& answer) {
  if (answer.stray_bytes > 0) {
    return Finding::fail(std::to_string(answer.stray_bytes) +
                         (answer.stray_bytes == 1 ? " byte follows" : " bytes follow") +
                         " the answer; Content-Length must be the length of the body");
  }
  if (answer.until_end) {
    return Finding::warn(
        "only the end of the connection ends the answer, so one that is cut off looks whole; send "
        "Content-Length, or chunks");
  }
  return Finding::ok();
}

Finding judge_content(std::string_view content_type, std::string_view body) {
  if (content_type.empty()) {
    if (body.empty()) return Finding::ok("no body");
    return Finding::warn("there is no Content-Type; say what the body is");
  }
  const std::string type = media_type(content_type);
  if (is_json_type(content_type)) {
    const Result<std::string_view> value = check_json(body);
    if (!value) {
      return Finding::fail("Content-Type is " + type + ", and " + value.error().message() +
                           "; a root counts this leaf as failed when it merges JSON");
    }
    return Finding::ok(type);
  }
  const std::string parameters = http1::to_lower(content_type);
  const std::size_t charset = parameters.find("charset=");
  const bool is_unicode = charset == std::string::npos
                              ? type.starts_with("text/")
                              : parameters.find("utf-8", charset) != std::string::npos;
  if (is_unicode && !is_utf8(body)) {
    return Finding::warn(
        "Content-Type is " + type +
        ", and the body is not UTF-8; name its charset, or a type that is no text");
  }
  return Finding::ok(type);
}

Finding judge_coding(const SeenAnswer& answer) {
  const std::string_view coding = answer.header("content-encoding");
  if (coding.empty() || http1::equals_ignoring_case(coding, "identity")) return Finding::ok();
  return Finding::fail("it sends Content-Encoding: " + std::string(coding) +
                       " although the request has Accept-Encoding: identity; a merge cannot read "
                       "that");
}

Finding judge_optional_headers(const SeenAnswer& answer) {
  std::string seen;
  for (const auto& [name, value] : answer.headers) {
    if (name == "consort-weight") {
      if (!is_digits(value) || value.size() > kMaxWeightDigits) {
        return Finding::fail(has("Consort-Weight", value, "number of documents, as 1200 is"));
      }
    } else if (name == "consort-coverage") {
      if (!Coverage::parse(value)) {
        return Finding::fail(
            has("Consort-Coverage", value, "coverage; send total=2, ok=1, failed=1"));
      }
    } else if (name == "server-timing") {
      if (!is_server_timing(value)) {
        return Finding::fail(has("Server-Timing", value, "list of timings, as search;dur=1.2 is"));
      }
    } else {
      continue;
    }
    seen += (seen.empty() ? "" : ", ") + name;
  }
  return Finding::ok(seen.empty() ? "none is sent" : seen);
}

}  // namespace consort::gather
