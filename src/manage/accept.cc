#include "manage/accept.hpp"

#include <algorithm>

#include "wire/http1_text.hpp"

namespace consort {

namespace {

/// Cuts the part before `separator` off the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return http1::trim(part);
}

/// "1", "0.75" as thousandths; what is not a number counts as 0, as if it were unwanted.
int parse_quality(std::string_view text) {
  int value = 0;
  int digit_value = 1000;
  for (std::size_t i = 0; i < text.size() && i < 5; ++i) {
    if (text[i] == '.' && i == 1) continue;
    if (text[i] < '0' || text[i] > '9') return 0;
    value += (text[i] - '0') * digit_value;
    digit_value /= 10;
  }
  return std::min(value, 1000);
}

struct Range {
  std::string_view type;
  int quality = 1000;
};

Range parse_range(std::string_view text) {
  Range range;
  range.type = next_part(text, ';');
  while (!text.empty()) {
    const std::string_view parameter = next_part(text, ';');
    if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
      range.quality = parse_quality(parameter.substr(2));
    }
  }
  return range;
}

/// 3 the type itself, 2 "text/*", 1 "*/*", 0 another type.
int specificity(std::string_view range, std::string_view type) {
  if (range == type) return 3;
  if (range == "*/*") return 1;
  const std::size_t slash = type.find('/');
  return range.ends_with("/*") && range.substr(0, range.size() - 1) == type.substr(0, slash + 1)
             ? 2
             : 0;
}

struct Match {
  int specificity = 0;
  int quality = 0;
};

Match best_match(std::string_view accept, std::string_view type) {
  Match best;
  while (!accept.empty()) {
    const Range range = parse_range(next_part(accept, ','));
    const Match match{.specificity = specificity(range.type, type), .quality = range.quality};
    if (match.specificity == 0 || match.specificity < best.specificity) continue;
    // One type may be listed in several versions: the best of them counts.
    const bool is_same = match.specificity == best.specificity;
    best.quality = is_same ? std::max(best.quality, match.quality) : match.quality;
    best.specificity = match.specificity;
  }
  return best;
}

}  // namespace

int accept_quality(std::string_view accept, std::string_view type) {
  if (http1::trim(accept).empty()) return 1000;
  return best_match(accept, type).quality;
}

bool prefers(std::string_view accept, std::string_view type, std::string_view otherwise) {
  const Match wanted = best_match(accept, type);
  return wanted.specificity == 3 && wanted.quality > 0 &&
         wanted.quality > accept_quality(accept, otherwise);
}

}  // namespace consort
