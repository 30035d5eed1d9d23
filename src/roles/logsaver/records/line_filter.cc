#include "roles/logsaver/records/line_filter.hpp"

#include <utility>

namespace consort::logsaver {

namespace {

Result<std::vector<LineFilter::Rule>> compile(std::span<const std::string> patterns) {
  std::vector<LineFilter::Rule> rules;
  if (patterns.size() > LineFilter::kPatternsMax) {
    return fail(Errc::limit, "more than " + std::to_string(LineFilter::kPatternsMax) + " patterns");
  }
  for (const std::string& text : patterns) {
    if (text.empty()) return fail(Errc::invalid, "an empty pattern would match every line");
    Result<Regex> pattern = Regex::compile(text);
    if (!pattern) return fail(std::move(pattern.error()));
    rules.push_back({.pattern = std::move(*pattern)});
  }
  return rules;
}

Regex::Verdict judge(LineFilter::Rule& rule, std::string_view text) {
  const Regex::Verdict verdict = rule.pattern.match(text);
  if (verdict == Regex::Verdict::yes) ++rule.matches;
  if (verdict == Regex::Verdict::limit) ++rule.limits;
  return verdict;
}

}  // namespace

Result<LineFilter> LineFilter::make(std::span<const std::string> include,
                                    std::span<const std::string> exclude) {
  Result<std::vector<Rule>> included = compile(include);
  if (!included) return fail(std::move(included.error()).in("include-lines"));
  Result<std::vector<Rule>> excluded = compile(exclude);
  if (!excluded) return fail(std::move(excluded.error()).in("exclude-lines"));
  LineFilter filter;
  filter.include_ = std::move(*included);
  filter.exclude_ = std::move(*excluded);
  return filter;
}

bool LineFilter::keeps(std::string_view text) {
  if (!is_included(text)) {
    ++not_included_;
    return false;
  }
  for (Rule& rule : exclude_) {
    if (judge(rule, text) == Regex::Verdict::yes) return false;
  }
  return true;
}

bool LineFilter::is_included(std::string_view text) {
  for (Rule& rule : include_) {
    if (judge(rule, text) != Regex::Verdict::no) return true;
  }
  return include_.empty();
}

}  // namespace consort::logsaver
