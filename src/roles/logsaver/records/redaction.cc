#include "roles/logsaver/records/redaction.hpp"

#include <algorithm>
#include <utility>

#include "base/options.hpp"
#include "roles/logsaver/records/json_places.hpp"

namespace consort::logsaver {

namespace {

using scanners::Found;

constexpr std::size_t kNameBytesMax = 32;
/// Kept for the next text.
constexpr std::size_t kSpareBytesMax = 256 * 1024;

/// Many short matches with long names: the text may grow to four times its size.
constexpr std::size_t grown_bytes_max(std::size_t bytes) {
  return 4 * bytes + 64 * 1024;
}

bool is_letter(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z';
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameBytesMax || !is_letter(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Result<Redaction::Rule> built_in_rule(std::string_view text) {
  const std::optional<scanners::Kind> kind = scanners::kind_of(text);
  if (kind) {
    Redaction::Rule rule;
    rule.name = text;
    rule.replacement = "[" + rule.name + "]";
    rule.kind = kind;
    return rule;
  }
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < scanners::kKinds; ++i) {
    names.push_back(to_string(static_cast<scanners::Kind>(i)));
  }
  std::string message = in_quotes(text) + " is no built-in rule (";
  for (const std::string_view name : names) message.append(name).append(", ");
  message.replace(message.size() - 2, 2, "), and a pattern of one word needs a name: NAME=PATTERN");
  const std::string_view meant = nearest(text, names);
  if (!meant.empty()) message.append(" (did you mean ").append(in_quotes(meant)).append("?)");
  return fail(Errc::invalid, std::move(message));
}

Result<Redaction::Rule> parse_rule(std::string_view text) {
  if (text.empty()) return fail(Errc::invalid, "an empty rule would hide nothing");
  // A word alone is more likely a mistyped name than a pattern, which would hide nothing.
  if (is_name(text)) return built_in_rule(text);
  const std::size_t equals = text.find('=');
  const bool has_name = equals != text.npos && is_name(text.substr(0, equals));
  const std::string_view pattern = has_name ? text.substr(equals + 1) : text;
  if (pattern.empty()) {
    return fail(Errc::invalid, in_quotes(text) + " has no pattern behind its name");
  }
  Result<Regex> regex = Regex::compile(pattern, {.skip_empty = true});
  if (!regex) return fail(std::move(regex.error()));
  Redaction::Rule rule;
  rule.name = has_name ? text.substr(0, equals) : text;
  rule.replacement = has_name ? "[" + rule.name + "]" : "[redacted]";
  rule.pattern = std::move(*regex);
  return rule;
}

/// Built-in ones first, in their order.
std::size_t rank(const Redaction::Rule& rule) {
  return rule.kind ? static_cast<std::size_t>(*rule.kind) : scanners::kKinds;
}

/// The next match of a rule; `no` when there is none.
Regex::Verdict find(Redaction::Rule& rule, std::string_view text, std::size_t from, Found& found) {
  if (rule.kind) {
    const std::optional<Found> next = scanners::find(*rule.kind, text, from);
    if (next) found = *next;
    return next ? Regex::Verdict::yes : Regex::Verdict::no;
  }
  const Regex::Verdict verdict = rule.pattern->match(text, from);
  if (verdict != Regex::Verdict::yes) return verdict;
  const std::string_view match = rule.pattern->group(0);
  // What began where it ends (\K can do that) is nothing that could be hidden.
  if (match.empty()) return Regex::Verdict::limit;
  found.begin = static_cast<std::size_t>(match.data() - text.data());
  found.end = found.begin + match.size();
  return verdict;
}

}  // namespace

Result<Redaction> Redaction::make(std::span<const std::string> rules) {
  Redaction redaction;
  if (rules.size() > kRulesMax) {
    return fail(Errc::limit, "more than " + std::to_string(kRulesMax) + " rules");
  }
  for (const std::string& text : rules) {
    Result<Rule> rule = parse_rule(text);
    if (!rule) return fail(std::move(rule.error()));
    const auto has_name = [&rule](const Rule& other) { return other.name == rule->name; };
    if (std::any_of(redaction.rules_.begin(), redaction.rules_.end(), has_name)) {
      return fail(Errc::invalid, "two rules are called " + in_quotes(rule->name));
    }
    if (rule->kind) redaction.kinds_ |= 1U << static_cast<std::uint32_t>(*rule->kind);
    const auto place =
        std::upper_bound(redaction.rules_.begin(), redaction.rules_.end(), *rule,
                         [](const Rule& a, const Rule& b) { return rank(a) < rank(b); });
    redaction.rules_.insert(place, std::move(*rule));
  }
  return redaction;
}

std::string_view Redaction::apply(std::string_view text, std::string& scratch) {
  const std::uint32_t kinds = kinds_ == 0 ? 0 : kinds_ & scanners::may_find(text);
  std::string_view current = text;
  bool is_in_scratch = false;
  for (Rule& rule : rules_) {
    if (rule.kind && (kinds >> static_cast<std::uint32_t>(*rule.kind) & 1) == 0) continue;
    std::string& out = is_in_scratch ? spare_ : scratch;
    const Outcome outcome = replace_all(rule, current, out);
    if (outcome == Outcome::nothing) continue;
    if (outcome == Outcome::limit) {
      ++rule.limits;
      scratch = kLimitText;
      return scratch;
    }
    current = out;
    is_in_scratch = !is_in_scratch;
  }
  const bool is_in_spare = !is_in_scratch && current.data() != text.data();
  if (is_in_spare) scratch.swap(spare_);
  if (spare_.capacity() > kSpareBytesMax) std::string().swap(spare_);
  return is_in_scratch || is_in_spare ? std::string_view(scratch) : text;
}

Redaction::Outcome Redaction::replace_all(Rule& rule, std::string_view text, std::string& out) {
  Found found;
  std::size_t kept = 0;  // up to there the text is in `out`
  std::optional<JsonPlaces> places;
  std::uint64_t count = 0;
  for (std::size_t from = 0;; from = found.end) {
    const Regex::Verdict verdict = find(rule, text, from, found);
    if (verdict == Regex::Verdict::limit) return Outcome::limit;
    if (verdict == Regex::Verdict::no) break;
    if (count == 0) {
      out.clear();
      if (JsonPlaces::is_object(text)) places.emplace(text);
    }
    const bool needs_quotes = places && places->widen(kept, found.begin, found.end);
    out.append(text.substr(kept, found.begin - kept));
    if (needs_quotes) out += '"';
    out.append(rule.replacement);
    if (needs_quotes) out += '"';
    if (out.size() > grown_bytes_max(text.size())) return Outcome::limit;
    kept = found.end;
    ++count;
  }
  if (count == 0) return Outcome::nothing;
  out.append(text.substr(kept));
  rule.replacements += count;
  return Outcome::replaced;
}

}  // namespace consort::logsaver
