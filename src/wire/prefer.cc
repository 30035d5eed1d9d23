#include "wire/prefer.hpp"

#include <algorithm>
#include <cstddef>

#include "base/text.hpp"
#include "wire/http1_text.hpp"

namespace consort {
namespace {

/// Takes the text before the next mark off the front, and the mark; marks inside quotes do not
/// count. A quote without its end goes to the end of the text.
std::string_view take_until(std::string_view& rest, char mark) {
  bool is_quoted = false;
  std::size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    if (c == '"') is_quoted = !is_quoted;
    if (c == '\\' && is_quoted) ++at;
    if (c == mark && !is_quoted) break;
  }
  at = std::min(at, rest.size());
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return taken;
}

/// What is between the quotes; a token stays as it is. The words that we look for need no escapes,
/// so one with escapes is none of them.
std::string_view unquote(std::string_view word) {
  const bool is_quoted = word.size() >= 2 && word.front() == '"' && word.back() == '"';
  return is_quoted ? word.substr(1, word.size() - 2) : word;
}

std::optional<std::uint32_t> parse_wait(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t seconds = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = std::min<std::uint64_t>(seconds * 10 + static_cast<std::uint64_t>(c - '0'),
                                      Preferences::kMaxWaitS);
  }
  return static_cast<std::uint32_t>(seconds);
}

std::optional<Handling> parse_handling(std::string_view text) {
  if (equals_ignoring_case(text, "strict")) return Handling::strict;
  if (equals_ignoring_case(text, "lenient")) return Handling::lenient;
  return std::nullopt;
}

}  // namespace

void Preferences::add(std::string_view field) {
  while (!field.empty()) {
    std::string_view element = take_until(field, ',');
    std::string_view preference = take_until(element, ';');  // what is left are parameters
    const std::string_view name = http1::trim(take_until(preference, '='));
    const std::string_view value = unquote(http1::trim(preference));
    if (equals_ignoring_case(name, "wait")) {
      const auto wait = parse_wait(value);
      if (!wait) ++malformed_waits;
      if (!wait_s) wait_s = wait;
    } else if (equals_ignoring_case(name, "handling")) {
      const auto wanted = parse_handling(value);
      if (!wanted) ++malformed_handlings;
      if (!handling) handling = wanted;
    }
  }
}

Preferences Preferences::from(const http1::Headers& headers) {
  Preferences preferences;
  for (const auto& [name, value] : headers) {
    if (name == "prefer") preferences.add(value);
  }
  return preferences;
}

std::string preference_applied(const Preferences& honoured) {
  std::string text;
  if (honoured.handling) {
    text += *honoured.handling == Handling::strict ? "handling=strict" : "handling=lenient";
  }
  if (honoured.wait_s) {
    if (!text.empty()) text += ", ";
    text += "wait=" + std::to_string(*honoured.wait_s);
  }
  return text;
}

}  // namespace consort
