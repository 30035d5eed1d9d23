#include "roles/gather/check_report.hpp"

#include <charconv>

#include "base/utf8.hpp"

namespace consort::gather {
namespace {

void append_printable(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (bytes == 0 || first < 0x20 || first == 0x7f) {
      out += '?';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

}  // namespace

void CheckReport::add(std::string_view subject, std::string_view check, const Finding& finding) {
  const bool is_ok = finding.verdict == Finding::Verdict::ok;
  std::string line;
  switch (finding.verdict) {
    case Finding::Verdict::ok:
      line = "ok    ";
      ++passed_;
      break;
    case Finding::Verdict::warn:
      line = "warn  ";
      ++warnings_;
      break;
    case Finding::Verdict::fail:
      line = "FAIL  ";
      ++failed_;
      break;
  }
  line.append(subject).append(": ").append(check);
  if (!finding.text.empty()) {
    line += is_ok ? " (" : ": ";
    const std::string_view shown = utf8_prefix(finding.text, kMaxTextBytes);
    append_printable(line, shown);
    if (shown.size() < finding.text.size()) line += "...";
    if (is_ok) line += ')';
  }
  line += '\n';
  write_(line);
}

void CheckReport::finish() {
  write_(std::to_string(passed_) + " passed, " + std::to_string(failed_) + " failed, " +
         counted(warnings_, "warning", "warnings") + "\n");
}

std::string in_ms(double ms) {
  char digits[32];
  const int places = ms < 100 ? 1 : 0;
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, ms, std::chars_format::fixed, places);
  return error == std::errc() ? std::string(digits, end) + " ms" : std::string("? ms");
}

}  // namespace consort::gather
