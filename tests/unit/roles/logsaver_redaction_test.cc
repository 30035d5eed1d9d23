#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/records/redaction.hpp"
#include "wire/json_scan.hpp"

using namespace consort;
using namespace consort::logsaver;

namespace {

const std::vector<std::string> kBuiltIns = {"email",  "ipv4",    "creditcard",
                                            "bearer", "aws-key", "jwt"};

Redaction made(const std::vector<std::string>& rules) {
  Result<Redaction> redaction = Redaction::make(rules);
  if (!redaction) FAIL(redaction.error().message());
  return std::move(*redaction);
}

std::string redacted(const std::vector<std::string>& rules, std::string_view text) {
  Redaction redaction = made(rules);
  std::string scratch = "left from before";
  return std::string(redaction.apply(text, scratch));
}

std::string refusal(const std::vector<std::string>& rules) {
  const Result<Redaction> redaction = Redaction::make(rules);
  return redaction ? "" : redaction.error().message();
}

}  // namespace

TEST_CASE("text with nothing to hide is the text itself") {
  Redaction redaction = made(kBuiltIns);
  std::string scratch;
  const std::string_view text = "2026-11-22T04:41:48.123Z GET /v1.2 took 1.5 ms @ home";
  const std::string_view out = redaction.apply(text, scratch);
  CHECK(out.data() == text.data());
  CHECK(out.size() == text.size());
  CHECK(Redaction().apply(text, scratch).data() == text.data());
  CHECK(redaction.apply({}, scratch).empty());
}

TEST_CASE("every match of every rule becomes its name, and is counted") {
  Redaction redaction = made(kBuiltIns);
  std::string scratch;
  CHECK(redaction.apply("a@b.co 10.0.0.1, c@d.org: 4111 1111 1111 1111 Bearer abcdefgh "
                        "AKIAIOSFODNN7EXAMPLE eyJhbGciOiJIUzI1NiJ9.a.b",
                        scratch) ==
        "[email] [ipv4], [email]: [creditcard] [bearer] [aws-key] [jwt]");
  for (const Redaction::Rule& rule : redaction.rules()) {
    CAPTURE(rule.name);
    CHECK(rule.replacements == (rule.name == "email" ? 2 : 1));
    CHECK(rule.limits == 0);
  }
}

TEST_CASE("rules that are not named do not apply") {
  CHECK(redacted({"ipv4"}, "a@b.co 10.0.0.1") == "a@b.co [ipv4]");
}

TEST_CASE("patterns become their name, or [redacted]") {
  CHECK(redacted({"ssn=\\b\\d{3}-\\d{2}-\\d{4}\\b"}, "id 123-45-6789!") == "id [ssn]!");
  CHECK(redacted({"(?:user|login)=\\S+"}, "user=ada login=bob x") == "[redacted] [redacted] x");
  CHECK(redacted({"x*"}, "axxb") == "a[redacted]b");
  CHECK(redacted({"tail=(?<=a)b"}, "ab b abab") == "a[tail] b a[tail]a[tail]");
}

TEST_CASE("built-in rules come first, then patterns in their order") {
  CHECK(redacted({"one=\\[email\\]", "two=one", "email"}, "to a@b.co") == "to [[two]]");
}

TEST_CASE("what is no rule is refused") {
  CHECK(refusal({"emial"}).find("\"emial\" is no built-in rule (jwt, bearer, aws-key, email, "
                                "ipv4, creditcard)") == 0);
  CHECK(refusal({"emial"}).find("did you mean \"email\"?") != std::string::npos);
  CHECK(refusal({"x=(a"}).find("missing closing parenthesis") != std::string::npos);
  CHECK(refusal({"x="}).find("no pattern") != std::string::npos);
  CHECK(refusal({""}).find("empty") != std::string::npos);
  CHECK(refusal({"a=b", "a=c"}) == "two rules are called \"a\"");
  CHECK(refusal({"email=b", "email"}) == "two rules are called \"email\"");
  CHECK(refusal(std::vector<std::string>(Redaction::kRulesMax + 1, "a=b")).find("64") !=
        std::string::npos);
}

TEST_CASE("a text for which a pattern hits its limit is hidden as a whole") {
  Redaction redaction = made({"email", "evil=(x+)+y$"});
  std::string scratch;
  const std::string text = "a@b.co " + std::string(5000, 'x') + "yz";
  CHECK(redaction.apply(text, scratch) == Redaction::kLimitText);
  CHECK(redaction.rules()[1].limits == 1);
  CHECK(redaction.apply("a@b.co xy", scratch) == "[email] [evil]");
}

TEST_CASE("a replacement does not make a text many times as long") {
  Redaction redaction = made({"a-name-that-takes-some-room=x"});
  std::string scratch;
  CHECK(redaction.apply(std::string(100'000, 'x'), scratch) == Redaction::kLimitText);
  CHECK(redaction.rules()[0].limits == 1);
  CHECK(redaction.apply("axb", scratch) == "a[a-name-that-takes-some-room]b");
}

TEST_CASE("a JSON object stays one") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {R"({"a":"x@y.org"})", R"({"a":"[email]"})"},
      {R"({"a":"\nx@y.org\n"})", R"({"a":"[email]\n"})"},
      {R"({"a":"\\x@y.org"})", R"({"a":"\\[email]"})"},
      {R"({"a":"\u003cx@y.org\u003e"})", R"({"a":"[email]\u003e"})"},
      {R"({"card":4111111111111111})", R"({"card":"[creditcard]"})"},
      {R"({"card":-4111111111111111.5,"b":1})", R"({"card":"[creditcard]","b":1})"},
      {R"({"4111111111111111":[4111111111111111]})", R"({"[creditcard]":["[creditcard]"]})"},
      {R"({"t":"Bearer abcdefgh\"","n":"AKIAIOSFODNN7EXAMPLE"})",
       R"({"t":"[bearer]\"","n":"[aws-key]"})"},
      {R"( {"\"":"10.0.0.1\\"} )", R"( {"\"":"[ipv4]\\"} )"},
  };
  for (const auto& [text, expected] : table) {
    CAPTURE(text);
    const std::string out = redacted(kBuiltIns, text);
    CHECK(out == expected);
    CHECK(check_json(out));
  }
  CHECK(redacted({"n=\\d{4}"}, R"({"a":12345.5e1,"b":"1234","c":"\u12345"})") ==
        R"({"a":"[n]","b":"[n]","c":"[n]5"})");
  CHECK(redacted({"n=ue"}, R"({"a":true,"b":"\n"})") == R"({"a":"[n]","b":"\n"})");
  CHECK(redacted({"n=a\\\\"}, R"({"x":"a\tb"})") == R"({"x":"[n]b"})");
}

TEST_CASE("other text is not quoted") {
  CHECK(redacted(kBuiltIns, "[1] card 4111111111111111") == "[1] card [creditcard]");
  CHECK(redacted(kBuiltIns, "C:\\nx@y.org") == "C:\\[email]");
}

TEST_CASE("scratch may be used again and again, whichever rule wrote last") {
  Redaction redaction = made({"email", "ipv4", "a=one", "b=two"});
  std::string scratch;
  CHECK(redaction.apply("x@y.org one", scratch) == "[email] [a]");
  CHECK(redaction.apply("one", scratch) == "[a]");
  CHECK(redaction.apply("x@y.org 1.2.3.4 one two", scratch) == "[email] [ipv4] [a] [b]");
  CHECK(redaction.apply("1.2.3.4 one two", scratch) == "[ipv4] [a] [b]");
  const std::string large(300'000, '-');
  CHECK(redaction.apply(large + "one two", scratch) == large + "[a] [b]");
  const std::string_view plain = "plain";
  CHECK(redaction.apply(plain, scratch).data() == plain.data());
}

TEST_CASE("nothing that a built-in rule finds is left, and JSON stays JSON") {
  constexpr std::string_view kParts[] = {"a@b.co",
                                         "x%40y.org",
                                         "@",
                                         "%40",
                                         ".",
                                         "-",
                                         " ",
                                         "1",
                                         "10.0.0.",
                                         "1.2.3.4",
                                         "4111111111111111",
                                         "4111-1111-1111-1111",
                                         "3782 822463 10005",
                                         "eyJhbGciOiJIUzI1NiJ9",
                                         "eyJ",
                                         "Bearer ",
                                         "abcdefgh",
                                         "AKIA",
                                         "IOSFODNN7EXAMPLE",
                                         "\\n",
                                         "\\u0022",
                                         "\\u003c",
                                         "\\\\",
                                         "\\\"",
                                         "\\/",
                                         "co",
                                         "_"};
  Redaction redaction = made(kBuiltIns);
  Random random(1979);
  std::string scratch;
  int hidden = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string text = i % 2 == 0 ? "{\"k\":\"" : "";
    for (std::uint64_t n = random.below(12); n > 0; --n)
      text += kParts[random.below(std::size(kParts))];
    if (i % 2 == 0) text += i % 4 == 0 ? "\"}" : "\",\"n\":4111111111111111}";
    CAPTURE(text);
    const std::string out(redaction.apply(text, scratch));
    CAPTURE(out);
    if (out != text) ++hidden;
    for (std::size_t kind = 0; kind < scanners::kKinds; ++kind) {
      REQUIRE_FALSE(scanners::find(static_cast<scanners::Kind>(kind), out, 0));
    }
    if (i % 2 == 0) {
      REQUIRE(check_json(text));
      REQUIRE(check_json(out));
    }
  }
  CHECK(hidden > 10'000);
}
