#include "roles/logsaver/sinks/syslog_encoding.hpp"

#include <algorithm>
#include <cstddef>

#include "base/utf8.hpp"
#include "roles/logsaver/sinks/json_text.hpp"
#include "wire/rfc3339.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kHostMax = 255;
constexpr std::size_t kAppMax = 48;
constexpr std::size_t kPathMax = 1024;
constexpr std::string_view kBom = "\xEF\xBB\xBF";
constexpr std::string_view kInfo = "<14>1 ";
constexpr std::string_view kError = "<11>1 ";

/// PRINTUSASCII without blanks; "-" for nothing.
std::string header_field(std::string_view text, std::size_t bytes_max) {
  std::string field;
  for (const char c : text.substr(0, bytes_max)) field += c > 32 && c < 127 ? c : '_';
  return field.empty() ? "-" : field;
}

std::string_view label(const TailFacts& facts, std::string_view name) {
  for (const auto& [key, value] : facts.labels) {
    if (key == name) return value;
  }
  return {};
}

/// "/var/log/app.log.1" is "app".
std::string_view stem(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);
  return path.substr(0, path.find('.', 1));
}

/// RFC 5424, 6.3.3: UTF-8, with a backslash before '"', '\' and ']'.
std::string parameter_value(std::string_view text) {
  std::string value;
  while (!text.empty() && value.size() < kPathMax) {
    const std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) {
      value += "\xEF\xBF\xBD";
    } else {
      if (text[0] == '"' || text[0] == '\\' || text[0] == ']') value += '\\';
      value += text.substr(0, bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return value;
}

bool wants_bom(std::string_view text) {
  bool is_plain = true;
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) return false;
    is_plain = is_plain && bytes == 1;
    text.remove_prefix(bytes);
  }
  return !is_plain;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
}

}  // namespace

void SyslogEncoding::begin(const BatchHead& head, std::string&) {
  created_ns_ = head.created_ms * 1'000'000;
  prepared_ = nullptr;
}

void SyslogEncoding::prepare(const TailFacts& facts) {
  if (prepared_ == &facts) return;
  prepared_ = &facts;
  std::string_view app = app_name_;
  if (app.empty()) app = label(facts, "container");
  if (app.empty()) app = stem(facts.file);
  origin_ = " " + header_field(label(facts, "host"), kHostMax);
  origin_ += " " + header_field(app, kAppMax) + " - - ";
  path_ = parameter_value(facts.file);
}

void SyslogEncoding::record(const Record& record, const TailFacts& facts, std::string& out) {
  prepare(facts);
  message_ = record.stream == "stderr" ? kError : kInfo;
  append_rfc3339_ns(message_, record.time_ns == Record::kNoTime ? created_ns_ : record.time_ns);
  message_.resize(message_.size() - 4);  // "789Z": the nanoseconds
  message_ += 'Z';
  message_ += origin_;
  message_.append("[consort@32473 f=\"").append(path_).append("\" o=\"");
  append_number(message_, record.place.offset);
  message_ += "\"] ";
  if (!is_ascii(record.text) && wants_bom(record.text)) message_ += kBom;
  message_ += record.text;
  append_number(out, static_cast<std::uint64_t>(message_.size()));
  out += ' ';
  out += message_;
}

}  // namespace consort::logsaver
