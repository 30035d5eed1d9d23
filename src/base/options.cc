#include "base/options.hpp"

#include <algorithm>
#include <array>

#include "base/json_writer.hpp"
#include "base/utf8.hpp"

namespace consort {
namespace {

constexpr std::size_t kMaxQuoted = 80;
// Longer words get no suggestion: the comparison is quadratic, and no name of ours is as long.
constexpr std::size_t kMaxWord = 64;

/// Case, and dash or underscore, make no difference.
char fold(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c + ('a' - 'A'));
  return c == '_' ? '-' : c;
}

bool same_folded(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return fold(x) == fold(y); });
}

/// Damerau-Levenshtein in its restricted form (optimal string alignment): a letter pair that was
/// swapped is not edited again. Three rows of the usual table are enough. Both words are at most
/// kMaxWord long.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kMaxWord + 1>;
  Row before{};
  Row above{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      char x = fold(a[i - 1]);
      char y = fold(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (x == y ? 0U : 1U)});
      bool swapped = i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y;
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

std::string list_choices(std::span<const std::string_view> names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) out += i + 1 == names.size() ? " or " : ", ";
    out += names[i];
  }
  return out;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out;
  if (text.size() <= kMaxQuoted) {
    append_json_string(out, text);
    return out;
  }
  append_json_string(out, utf8_prefix(text, kMaxQuoted));
  out.insert(out.size() - 1, "...");
  return out;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  if (word.empty() || word.size() > kMaxWord) return {};
  std::size_t allowed = word.size() <= 4 ? 1 : word.size() <= 8 ? 2 : 3;
  // Changing every letter is no likeness: a single letter is near nothing but itself.
  allowed = std::min(allowed, word.size() - 1);
  std::string_view best;
  std::size_t best_distance = allowed + 1;
  for (std::string_view name : names) {
    if (name.size() > kMaxWord || name.empty()) continue;
    std::size_t distance = edit_distance(word, name);
    if (distance >= best_distance) continue;
    best = name;
    best_distance = distance;
  }
  return best;
}

std::string_view instead_of(std::span<const BoundTable> tables, std::string_view name) {
  for (const BoundTable& table : tables) {
    for (const ForeignName& foreign : table.foreign) {
      if (same_folded(foreign.name, name)) return foreign.instead;
    }
  }
  return {};
}

namespace detail {

Result<std::uint32_t> parse_choice(std::string_view text, std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (same_folded(text, names[i])) return static_cast<std::uint32_t>(i);
  }
  std::string message =
      in_quotes(text) + " is not " + (names.size() > 2 ? "one of " : "") + list_choices(names);
  std::string_view meant = nearest(text, names);
  if (!meant.empty()) message.append(" (did you mean ").append(in_quotes(meant)).append("?)");
  return fail(Errc::invalid, std::move(message));
}

}  // namespace detail
}  // namespace consort
