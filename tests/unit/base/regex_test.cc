#include "base/regex.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "base/random.hpp"
#include "base/regex_literal.hpp"

using namespace consort;
using namespace std::string_view_literals;
using Verdict = Regex::Verdict;

namespace {

Regex compiled(std::string_view pattern, RegexOptions options = {}) {
  Result<Regex> regex = Regex::compile(pattern, options);
  if (!regex) FAIL(regex.error().message());
  return std::move(*regex);
}

std::string refusal(std::string_view pattern) {
  const Result<Regex> regex = Regex::compile(pattern);
  return regex ? "" : regex.error().message();
}

}  // namespace

TEST_CASE("a pattern is found anywhere in a text, and tells its groups") {
  Regex regex = compiled("user=(?<user>\\w+)(?: from (?<place>\\S+))?");
  REQUIRE(regex.match("12:00 user=ada from home") == Verdict::yes);
  CHECK(regex.group(0) == "user=ada from home");
  CHECK(regex.group(1) == "ada");
  CHECK(regex.group(2) == "home");
  CHECK(regex.group(3).data() == nullptr);
  REQUIRE(regex.names().size() == 2);
  CHECK(regex.names()[0].name == "user");
  CHECK(regex.names()[0].number == 1);
  CHECK(regex.names()[1].name == "place");

  REQUIRE(regex.match("user=ada") == Verdict::yes);
  CHECK(regex.group(2).data() == nullptr);
  CHECK(regex.match("user=") == Verdict::no);
  CHECK(regex.group(0).data() == nullptr);
}

TEST_CASE("names come in the order of their groups") {
  Regex regex = compiled("(?<zulu>a)(b)(?<alpha>c)");
  REQUIRE(regex.names().size() == 2);
  CHECK(regex.names()[0].name == "zulu");
  CHECK(regex.names()[1].name == "alpha");
  CHECK(regex.names()[1].number == 3);
}

TEST_CASE("a search goes on behind a match and sees what is before it") {
  Regex regex = compiled("\\bab");
  const std::string_view text = "ab xab ab";
  REQUIRE(regex.match(text, 1) == Verdict::yes);
  CHECK(regex.group(0).data() == text.data() + 7);
  CHECK(regex.match(text, 8) == Verdict::no);
  CHECK(regex.match(text, text.size()) == Verdict::no);
  CHECK(regex.match(text, text.size() + 1) == Verdict::no);
}

TEST_CASE("texts and patterns are bytes") {
  CHECK(compiled("^.{3}$").match("\xff\0z"sv) == Verdict::yes);
  CHECK(compiled("\\x00").match("a\0b"sv) == Verdict::yes);
  CHECK(compiled("a\0b"sv).match("a\0b"sv) == Verdict::yes);
  CHECK(compiled("^$").match({}) == Verdict::yes);
  CHECK(compiled("").match({}) == Verdict::yes);
  CHECK(compiled("a.b").match("a\nb") == Verdict::no);
  CHECK(compiled("a.b").match("a\rb") == Verdict::yes);
  CHECK(refusal("(*UTF)a").find("is not a pattern") != std::string::npos);
}

TEST_CASE("ignore_case is for ASCII") {
  Regex regex = compiled("error \xc3\xa9", {.ignore_case = true});
  CHECK(regex.match("ERROR \xc3\xa9") == Verdict::yes);
  CHECK(regex.match("ERROR \xc3\x89") == Verdict::no);
}

TEST_CASE("skip_empty goes on to what matches something") {
  Regex regex = compiled("x*", {.skip_empty = true});
  REQUIRE(regex.match("abxx") == Verdict::yes);
  CHECK(regex.group(0) == "xx");
  CHECK(regex.match("ab") == Verdict::no);
}

TEST_CASE("what is no pattern is refused with its place") {
  CHECK(refusal("a(b") == "\"a(b\" is not a pattern: missing closing parenthesis, at its end");
  CHECK(refusal("x[z-a]y") ==
        "\"x[z-a]y\" is not a pattern: range out of order in character class, at byte 5 "
        "(before \"a]y\")");
  CHECK(refusal("*a").find("quantifier does not follow a repeatable item") != std::string::npos);
  CHECK(refusal("(?<1>a)").find("at byte ") != std::string::npos);
  CHECK(refusal(std::string(Regex::kPatternBytesMax + 1, 'a')).find("16 KiB") != std::string::npos);
  CHECK(refusal(std::string(10'000, '(')).find("is not a pattern") != std::string::npos);
}

TEST_CASE("a text made to run for ever is a limit, and the next text is matched as ever") {
  const std::string hostile(5000, 'a');
  for (const std::string_view pattern : {"(a+)+$", "(*NO_JIT)(a+)+$", "^(a|a)*$"}) {
    CAPTURE(pattern);
    Regex regex = compiled(std::string(pattern));
    CHECK(regex.match(hostile + "!") == Verdict::limit);
    CHECK(regex.group(0).data() == nullptr);
    CHECK(regex.match("aaa") == Verdict::yes);
    CHECK(regex.match("aaa!") == Verdict::no);
  }
}

TEST_CASE("a stack that is used up is a limit") {
  Regex regex = compiled("(?:(a)|(b)|.)*?z");
  const std::string deep(Regex::kTextBytesMax, 'a');
  CHECK(regex.match(deep + "z") == Verdict::limit);
  CHECK(compiled("((?:a|b)(?1)?c?)$").match(std::string(200'000, 'a')) == Verdict::limit);
}

TEST_CASE("longer texts are a limit, unless the required literal is missing") {
  const std::string text(Regex::kTextBytesMax + 1, 'a');
  CHECK(compiled("ab").match(text) == Verdict::no);
  CHECK(compiled("aa").match(text) == Verdict::limit);
  CHECK(compiled("aa").match(text.substr(1)) == Verdict::yes);
}

TEST_CASE("a moved pattern matches as before") {
  Regex first = compiled("a(b)");
  REQUIRE(first.match("ab") == Verdict::yes);
  Regex second = std::move(first);
  CHECK(second.group(1) == "b");
  first = compiled("c");
  CHECK(first.match("c") == Verdict::yes);
  CHECK(second.match("xab") == Verdict::yes);
}

TEST_CASE("the required literal of a pattern is its longest run that cannot be left out") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"abc", "abc"},
      {"", ""},
      {"id=\\d+ user=(\\w+)", " user="},
      {"colou?r: \\[x\\]", "r: [x]"},
      {"ab*cde", "cde"},
      {"abc+", "abc"},
      {"abc+?d", "abc"},
      {"abx{0,3}cd", "ab"},
      {"abx{0}cde", "cde"},
      {"abx{2}", "abx"},
      {"ab{1,}?", "ab"},
      {"ab{00,5}", "a"},
      {"^GET .* HTTP$", " HTTP"},
      {"a\\tb\\.c", "a\tb.c"},
      {"[abc]de[^]x]fgh", "fgh"},
      {"[[:alpha:]]x[a[]yz", "yz"},
      {"[\\]]xy", "xy"},
      {"(?:abc|def)gh", "gh"},
      {"(a(b)c[)]\\)|q)gh", "gh"},
      {"(?=x)ab(?<!y)(?>z)(?<n>u)(?'m'v)(?P<p>w)", "ab"},
      {"abc]}", "abc]}"},
  };
  for (const auto& [pattern, literal] : table) {
    CAPTURE(pattern);
    CHECK(required_literal(pattern, false) == literal);
    CHECK(compiled(pattern).required_literal() == literal);
  }
  CHECK(required_literal("id=42:x", true) == "=42:");
}

TEST_CASE("a pattern whose required literal cannot be told has none") {
  for (const std::string_view pattern :
       {"abc|def", "(?i)abc", "(a(?i)b)cd", "(?i:a)bcd", "(*ACCEPT)abc", "(a(*ACCEPT))bcd",
        "\\Qa|b\\Ec", "(?#x)abc", "(x)(?(1)a|b)cd", "(x)\\1abc", "a\\x41bcd", "a\\K\\Gbc",
        "a{,3}bc", "a{2}{0}bcd", "(\\c))abc", "[\\c]]abc", "(?x) a b c", "(?J)abc", "(?C1)abc"}) {
    CAPTURE(pattern);
    CHECK(required_literal(pattern, false).empty());
  }
}

namespace {

/// Patterns over few letters, so that they often match and often have a literal.
std::string random_pattern(Random& random, int depth) {
  constexpr std::string_view kAtoms[] = {"a",   "b",   "ab",  "\\.", ".", "[ab]", "[^a]", "[]a]",
                                         "\\w", "\\d", "\\n", "^",   "$", "\\b",  "]",    "}"};
  constexpr std::string_view kTimes[] = {"?", "*", "+", "{0}", "{2}", "{0,1}", "{1,}", "+?", "*+"};
  constexpr std::string_view kGroups[] = {"(", "(?:", "(?=", "(?!", "(?>", "(?i)(", "(?i:", "(?|"};
  std::string pattern;
  for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
    if (depth > 0 && random.below(4) == 0) {
      pattern += kGroups[random.below(std::size(kGroups))];
      pattern += random_pattern(random, depth - 1);
      pattern += ')';
    } else {
      pattern += kAtoms[random.below(std::size(kAtoms))];
    }
    if (random.below(4) == 0) pattern += kTimes[random.below(std::size(kTimes))];
    if (random.below(12) == 0) pattern += '|';
  }
  return pattern;
}

std::string random_text(Random& random) {
  constexpr std::string_view kLetters = "aaabbbAB.]}1\n ";
  std::string text;
  for (std::uint64_t n = random.below(12); n > 0; --n) {
    text += kLetters[random.below(kLetters.size())];
  }
  return text;
}

}  // namespace

TEST_CASE("searching the required literal first changes no verdict") {
  Random random(20'26);
  int with_literal = 0;
  int matched = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string pattern = random_pattern(random, 2);
    const bool ignore_case = random.below(3) == 0;
    Result<Regex> fast = Regex::compile(pattern, {.ignore_case = ignore_case});
    if (!fast) continue;
    if (fast->required_literal().empty()) continue;
    Regex slow = compiled(pattern, {.ignore_case = ignore_case, .use_literal = false});
    REQUIRE(slow.required_literal().empty());
    ++with_literal;
    for (int k = 0; k < 8; ++k) {
      const std::string text = random_text(random);
      const std::size_t from = random.below(text.size() + 1);
      CAPTURE(pattern);
      CAPTURE(text);
      const Verdict verdict = slow.match(text, from);
      REQUIRE(fast->match(text, from) == verdict);
      if (verdict != Verdict::yes) continue;
      REQUIRE(fast->group(0) == slow.group(0));
      REQUIRE(fast->group(0).find(fast->required_literal()) != std::string_view::npos);
      ++matched;
    }
  }
  CHECK(with_literal > 2000);
  CHECK(matched > 1000);
}
