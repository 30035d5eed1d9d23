#include "roles/logsaver/sinks/http_answers.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "base/options.hpp"
#include "wire/json_scan.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kReasonBytesMax = 1024;

/// The first member of that name; empty when there is none.
std::string_view member(std::string_view object, std::string_view wanted) {
  std::string_view name;
  std::string_view value;
  for (JsonObjectReader each(object); each.next(name, value);) {
    if (json_string_equals(name, wanted)) return value;
  }
  return {};
}

std::string text_of(std::string_view value) {
  if (json_kind(value) != JsonKind::string) return {};
  return unescape_json_string(value.substr(1, value.size() - 2)).substr(0, kReasonBytesMax);
}

std::optional<std::uint64_t> number_of(std::string_view value) {
  if (json_kind(value) == JsonKind::string) value = value.substr(1, value.size() - 2);
  std::uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data(), end, number);
  if (value.empty() || error != std::errc() || at != end) return std::nullopt;
  return number;
}

HttpReading not_understood(std::string_view what) {
  HttpReading reading;
  reading.is_unfinished = true;
  reading.why = "the answer is none of _bulk's: " + std::string(what);
  return reading;
}

std::string reason_of(std::string_view item, std::uint64_t status) {
  const std::string_view error = member(item, "error");
  std::string reason = std::to_string(status);
  if (json_kind(error) == JsonKind::object) {
    return reason + " " + text_of(member(error, "type")) + ": " + text_of(member(error, "reason"));
  }
  return reason + " " + text_of(error);
}

/// Takes one item's part of the answer into `reading`; false when it is no item.
bool read_item(std::string_view item, std::size_t index, HttpReading& reading) {
  JsonObjectReader actions(item);
  std::string_view action;
  std::string_view result;
  if (!actions.next(action, result)) return false;
  const std::optional<std::uint64_t> status = number_of(member(result, "status"));
  if (!status) return false;
  if (*status < 300 || *status == 409) return true;
  if (*status == 429 || *status >= 500) {
    if (!reading.is_unfinished) reading.why = reason_of(result, *status);
    reading.is_unfinished = true;
    reading.waiting.push_back(index);
    reading.is_overload = reading.is_overload || *status == 429 || *status == 503;
    return true;
  }
  reading.rejected.emplace_back(index, reason_of(result, *status));
  return true;
}

}  // namespace

HttpReading read_bulk_answer(std::string_view body, std::size_t records) {
  const Result<std::string_view> answer = check_json(body);
  if (!answer) return not_understood(answer.error().text());
  if (member(*answer, "errors") == "false") return {};
  const std::string_view items = member(*answer, "items");
  if (json_kind(items) != JsonKind::array) return not_understood("it has no items");
  HttpReading reading;
  std::size_t index = 0;
  JsonArrayReader reader(items);
  for (std::string_view item; reader.next(item); ++index) {
    if (index >= records || !read_item(item, index, reading)) {
      return not_understood("item " + std::to_string(index));
    }
  }
  if (index != records) return not_understood("it has too few items");
  return reading;
}

OtlpPartial read_otlp_answer(std::string_view body) {
  OtlpPartial partial;
  const Result<std::string_view> answer = check_json(body);
  if (!answer) return partial;
  std::string_view told = member(*answer, "partialSuccess");
  if (told.empty()) told = member(*answer, "partial_success");
  std::string_view count = member(told, "rejectedLogRecords");
  if (count.empty()) count = member(told, "rejected_log_records");
  partial.rejected = number_of(count).value_or(0);
  partial.message = text_of(member(told, "errorMessage"));
  return partial;
}

bool says_all_ignored(std::string_view body, std::size_t records) {
  const std::string count = std::to_string(records);
  return body.find("total ignored: " + count + " out of " + count + "\n") != body.npos ||
         body.ends_with("total ignored: " + count + " out of " + count);
}

bool says_too_old(std::string_view body) {
  for (const std::string_view words :
       {"too far behind", "timestamp too old", "greater_than_max_sample_age"}) {
    if (body.find(words) != body.npos) return true;
  }
  return false;
}

}  // namespace consort::logsaver
