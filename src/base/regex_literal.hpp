// What every match of a pattern must contain, so that a memmem can rule most texts out.
#pragma once

#include <string>
#include <string_view>

namespace consort {

/// The longest run of bytes that stands, as it is, in every match of a pattern (PCRE2's syntax, and
/// one that compiles); empty when there is none or this cannot tell.
///
/// Conservative: it reads only the pattern's outermost level, where one thing follows the other.
/// Groups, classes and escapes for classes part two runs, whatever they hold. What may be left out
/// (`?`, `*`, `{0,}`) is not in a run. It does not tell when there are alternatives at this level,
/// or anything that could change the meaning of what stands elsewhere: option settings (?i), verbs
/// (*ACCEPT), conditions, \Q, references, and escapes that take arguments.
///
///   id=\d+ user=(\w+)     " user="        the longer of "id=" and " user="
///   colou?r: \[x\]        "r: [x]"
///   a|b, (?i)a, \Qa\E     ""
std::string required_literal(std::string_view pattern, bool ignore_case);

}  // namespace consort
