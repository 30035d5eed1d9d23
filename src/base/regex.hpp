// Patterns that users write, matched against bytes that strangers write.
//
//   Result<Regex> pattern = Regex::compile("user=(?<user>\\S+)");
//   if (pattern->match(line) == Regex::Verdict::yes) use(pattern->group(1));
//
// Perl's syntax (PCRE2), compiled to machine code. Texts are bytes: `.` is one byte, classes and
// ignore_case know ASCII only, and a pattern cannot switch UTF-8 on. A newline is \n.
//
// A pattern backtracks, so a text can be made for which it would run for years. It gives up after
// kMatchLimit steps from one place of the text, or when its stack of kStackBytesMax is used up, and
// says `limit`: the caller decides what that means. The steps count anew from each place where a
// match may begin, so the worst that a text can do still is much: `(?:[a-z]|\d)+=\d` spends 0.3 s
// on 16 KiB of letters, 20 s on a MiB of such runs. (Patterns that begin with a plain run, such as
// `\w+=\d`, are linear.) Texts above kTextBytesMax are `limit` too, unless the required literal is
// missing. The verdict depends on the bytes, and a limit also on which of the two runs that are
// named below, never on time.
//
// A literal that every match must have (regex_literal.hpp) is searched first. Where it is missing,
// which is most lines, matching costs one memmem.
//
// Where the system forbids to make code (SELinux execmem) the interpreter runs, with the same match
// limit, 1 MiB of heap and a tenth of the speed. No allocation per match but the interpreter's.
// Movable; belongs to one thread at a time; all of a thread share one stack, made by the first
// match that needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort {

struct RegexOptions {
  bool ignore_case = false;
  bool skip_empty = false;  ///< what would match nothing goes on to the next that matches some
  bool use_literal = true;  ///< search the required literal first; off only to compare
};

class Regex {
 public:
  static constexpr std::size_t kPatternBytesMax = 16 * 1024;
  static constexpr std::size_t kTextBytesMax = 2 * 1024 * 1024;
  static constexpr std::uint32_t kMatchLimit = 100'000;
  static constexpr std::size_t kStackBytesMax = 1024 * 1024;

  enum class Verdict : std::uint8_t { no, yes, limit };
  struct NamedGroup {
    std::string name;
    std::uint32_t number = 0;
  };

  /// Errc::invalid: "PATTERN is not a pattern: what is wrong, and where".
  static Result<Regex> compile(std::string_view pattern, RegexOptions options = {});
  Regex(Regex&& other) noexcept;
  Regex& operator=(Regex&& other) noexcept;
  ~Regex();

  /// Whether the pattern is anywhere in the text from byte `from` on; what is before can be seen by
  /// lookbehinds, \b and ^.
  Verdict match(std::string_view text, std::size_t from = 0);
  /// Of the last match() that said yes: a view into its text. Group 0 is all of the match. data()
  /// is null for a group that took no part, and for numbers that the pattern does not have.
  std::string_view group(std::size_t number) const;

  /// By number.
  std::span<const NamedGroup> names() const;
  const std::string& pattern() const;
  /// Empty when none is known.
  const std::string& required_literal() const;

 private:
  struct Compiled;
  explicit Regex(std::unique_ptr<Compiled> compiled);

  std::unique_ptr<Compiled> compiled_;  ///< null when moved from
};

}  // namespace consort
