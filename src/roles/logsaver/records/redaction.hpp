// Hides in a record's text what must not be saved, before it leaves memory in any form.
//
//   const std::vector<std::string> rules = {"email", "ssn=\\d{3}-\\d{2}-\\d{4}"};
//   Result<Redaction> redaction = Redaction::make(rules);
//   record.text = redaction->apply(record.text, scratch);   // "mail [email] about [ssn]"
//
// A rule is written as
//   NAME           one of the built-in ones (redaction_scanners.hpp): [email], [creditcard], ...
//   NAME=PATTERN   each match becomes [NAME]; a NAME is a letter and up to 31 of A-Za-z0-9_-
//   PATTERN        each match becomes [redacted]; (?:user)=\S+ for a pattern that begins like NAME=
//
// The built-in rules come first, in the order of scanners::Kind, then the patterns as they were
// given: each sees what those before it left. Empty matches do not count.
//
// It fails closed: where a pattern hits the limits of base/regex.hpp, or what it puts in makes the
// text several times as long, the whole text becomes "[redaction limit]".
//
// Rules see text as it was written. Where that is a JSON object (it begins with a brace), a
// replacement keeps it one: escapes that a match cuts apart go with it, and a number becomes a
// string ("[creditcard]"). Only a pattern that itself takes quotes or commas away can break it.
// A built-in rule does not see what is written in escapes (\u0040 for an @).
//
// Text without a match costs one pass for all built-in rules (0.5 ns per byte), a memmem per
// pattern that has a required literal, and no copy or allocation. Movable; belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/regex.hpp"
#include "roles/logsaver/records/redaction_scanners.hpp"

namespace consort::logsaver {

class Redaction {
 public:
  static constexpr std::size_t kRulesMax = 64;
  static constexpr std::string_view kLimitText = "[redaction limit]";

  struct Rule {
    std::string name;  ///< of a pattern without one, the pattern
    std::string replacement;
    std::optional<scanners::Kind> kind;
    std::optional<Regex> pattern;    ///< of a rule without a kind
    std::uint64_t replacements = 0;  ///< matches that were hidden, since the start
    std::uint64_t limits = 0;        ///< texts that were given up as a whole
  };

  /// Hides nothing.
  Redaction() = default;
  /// Errors name the rule: unknown names, what is no pattern, names that come twice.
  static Result<Redaction> make(std::span<const std::string> rules);

  bool empty() const { return rules_.empty(); }
  /// The text itself when there was nothing to hide; else a view of scratch, whose contents are
  /// lost in any case. The text must not lie in scratch.
  std::string_view apply(std::string_view text, std::string& scratch);
  /// In the order in which they are applied.
  std::span<const Rule> rules() const { return rules_; }

 private:
  enum class Outcome : std::uint8_t { nothing, replaced, limit };

  static Outcome replace_all(Rule& rule, std::string_view text, std::string& out);

  std::vector<Rule> rules_;
  std::uint32_t kinds_ = 0;  ///< bits 1 << Kind of the built-in rules
  std::string spare_;
};

}  // namespace consort::logsaver
