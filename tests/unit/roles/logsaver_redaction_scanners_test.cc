#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/random.hpp"
#include "roles/logsaver/records/redaction_candidates.hpp"
#include "roles/logsaver/records/redaction_scanners.hpp"

using namespace consort;
using namespace consort::logsaver;
using scanners::Kind;

namespace {

/// The first match; "" when there is none. What is found must be announced by may_find().
std::string found(Kind kind, std::string_view text) {
  const auto match = scanners::find(kind, text, 0);
  if (!match) return "";
  CHECK((scanners::may_find(text) >> static_cast<unsigned>(kind) & 1) == 1);
  return std::string(text.substr(match->begin, match->end - match->begin));
}

}  // namespace

TEST_CASE("email finds addresses, written plainly or for a URL") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"mail to ada.b+c@mail.example.com now", "ada.b+c@mail.example.com"},
      {"<ada@example.com>", "ada@example.com"},
      {"ada@example.com.", "ada@example.com"},
      {"ada@example.co1x y", "ada@example.co1x"},
      {"x=1&to=ada%40example.com&y", "ada%40example.com"},
      {"a%40b%40c%40d.org", "a%40b%40c%40d.org"},
      {"a@b@c.org", "b@c.org"},
      {"@x.org y@z.org", "y@z.org"},
      {"\\u003cada@example.com\\u003e", "u003cada@example.com"},
      {"ada\\u002Bc@example.com", "ada\\u002Bc@example.com"},
      {"ada@localhost", ""},
      {"ada@1.2.3.4", ""},
      {"@example.com", ""},
      {"ada@.com", ""},
      {"a @ b.com", ""},
      {"50%4", ""},
  };
  for (const auto& [text, match] : table) {
    CAPTURE(text);
    CHECK(found(Kind::email, text) == match);
  }
}

TEST_CASE("ipv4 finds four numbers up to 255 between other bytes than digits") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"from 10.0.0.1:80", "10.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"ip-1.2.3.4x", "1.2.3.4"},
      {"end 10.0.0.1.", "10.0.0.1"},
      {"300.1.2.3.4", "1.2.3.4"},
      {"\\n10.0.0.1\\n", "10.0.0.1"},
      {"\\u002210.0.0.1\\u0022", "10.0.0.1"},
      {"1.2.3", ""},
      {"1.2.3.", ""},
      {"256.1.1.1", ""},
      {"1.2.3.1000", ""},
      {"1234.2.3.4", ""},
      {"1..2.3.4", ""},
      {"12:00:00.123 took 1.5", ""},
  };
  for (const auto& [text, match] : table) {
    CAPTURE(text);
    CHECK(found(Kind::ipv4, text) == match);
  }
}

TEST_CASE("creditcard finds numbers that pass Luhn's check, in the groups of cards") {
  // The numbers that card networks publish for tests.
  const std::pair<std::string_view, std::string_view> table[] = {
      {"card 4111111111111111.", "4111111111111111"},
      {"4222222222222", "4222222222222"},
      {"amex 378282246310005", "378282246310005"},
      {"3782-822463-10005", "3782-822463-10005"},
      {"3056 930902 5904", "3056 930902 5904"},
      {"5555 5555 5555 4444", "5555 5555 5555 4444"},
      {"x 12 6011-1111-1111-1117-99", "6011-1111-1111-1117"},
      {"card_4111111111111111", "4111111111111111"},
      {"\\n4111111111111111\\n", "4111111111111111"},
      {"\\u003d4111111111111111", "4111111111111111"},
      {"\\u00224111111111111111\\u0022", "4111111111111111"},
      {"\\u00224111-1111-1111-1111\\u0022", "4111-1111-1111-1111"},
      {"2026-11-22 04:41:48 4111 1111 1111 1111", "4111 1111 1111 1111"},
      {"4111111111111112", ""},
      {"4111-1111 1111-1111", ""},
      {"4111  1111 1111 1111", ""},
      {"41111111 11111111", ""},
      {"x4111111111111111", ""},
      {"4111111111111111x", ""},
      {"0.4111111111111111", ""},
      {"1000000000000008", ""},
      {"41111111111111111111111111", ""},
      {"4111-1111-1111-111", ""},
      {"2026-11-22 04:41:48", ""},
  };
  for (const auto& [text, match] : table) {
    CAPTURE(text);
    CHECK(found(Kind::creditcard, text) == match);
  }
}

TEST_CASE("a card is found wherever it stands") {
  for (const std::string card : {"4222222222222", "4111-1111-1111-1111", "378282246310005"}) {
    for (const std::string around : {" ", "x ", "1 ", "12-", "123456 "}) {
      for (std::size_t before = 0; before < 40; ++before) {
        std::string text;
        while (text.size() < before) text += around;
        text += '[' + card + ']';
        CAPTURE(text);
        REQUIRE(found(Kind::creditcard, text) == card);
      }
    }
  }
}

TEST_CASE("bearer finds the word and its token") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"Authorization: Bearer abc.DEF-123_~+/== x", "Bearer abc.DEF-123_~+/=="},
      {"\"BEARER \t12|abcdefgh\"", "BEARER \t12|abcdefgh"},
      {"bearer abc\\/def\\u002Bghi\\u0022 x", "bearer abc\\/def\\u002Bghi"},
      {"bearer bearer abcdefgh", "bearer abcdefgh"},
      {"bearer of news", ""},
      {"bearer", ""},
      {"bearer        ", ""},
      {"bearerabcdefghijk", ""},
      {"a bear in the woods", ""},
  };
  for (const auto& [text, match] : table) {
    CAPTURE(text);
    CHECK(found(Kind::bearer, text) == match);
  }
}

TEST_CASE("aws-key finds identifiers of access keys") {
  CHECK(found(Kind::aws_key, "key=AKIAIOSFODNN7EXAMPLE,") == "AKIAIOSFODNN7EXAMPLE");
  CHECK(found(Kind::aws_key, "xASIAIOSFODNN7EXAMPLEZZ9z") == "ASIAIOSFODNN7EXAMPLEZZ9");
  CHECK(found(Kind::aws_key, "AKIAIOSFODNN7EXAMPL").empty());
  CHECK(found(Kind::aws_key, "IA AKIA AXIAIOSFODNN7EXAMPLE").empty());
  CHECK(found(Kind::aws_key, "IA").empty());
}

TEST_CASE("jwt finds tokens of three to five parts") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9 x",
       "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9"},
      {"eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
      {"eyJhbGciOiJIUzI1NiJ9..abc", "eyJhbGciOiJIUzI1NiJ9..abc"},
      {"eyJhbGciOiJSU0EifQ.a.b.c.d.e", "eyJhbGciOiJSU0EifQ.a.b.c.d"},
      {"eyJhbGci eyJhbGciOiJIUzI1NiJ9.a.b", "eyJhbGciOiJIUzI1NiJ9.a.b"},
      {"eyJhbGciOiJIUzI1NiJ9..", ""},
      {"eyJhbGciOiJIUzI1NiJ9.abc", ""},
      {"eyJhbGciOiJIUzI1NiJ9", ""},
      {"eyJ.a.b", ""},
  };
  for (const auto& [text, match] : table) {
    CAPTURE(text);
    CHECK(found(Kind::jwt, text) == match);
  }
}

TEST_CASE("the wide scan says what the plain one says, and misses nothing that is found") {
  Random random(7);
  constexpr std::string_view kBits[] = {"yJ",
                                        "IA",
                                        "bea",
                                        "BEA",
                                        "@",
                                        "%4",
                                        ".",
                                        "-",
                                        " ",
                                        "1",
                                        "2",
                                        "44",
                                        "555",
                                        "x",
                                        "1.1",
                                        "2.22.222.2",
                                        "4111111111111111",
                                        "4111-1111-1111-1111",
                                        "a@b.co",
                                        "\\u0022",
                                        "AKIAIOSFODNN7EXAMPLE"};
  int found_some = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string text;
    for (std::uint64_t n = random.below(14); n > 0; --n)
      text += kBits[random.below(std::size(kBits))];
    CAPTURE(text);
    REQUIRE(candidates::Fastest::find(text) == candidates::Scalar::find(text));
    for (std::size_t kind = 0; kind < scanners::kKinds; ++kind) {
      if (!scanners::find(static_cast<Kind>(kind), text, 0)) continue;
      ++found_some;
      REQUIRE((scanners::may_find(text) >> kind & 1) == 1);
    }
  }
  CHECK(found_some > 1000);
}

TEST_CASE("texts made to be slow are read once") {
  constexpr std::size_t kBytes = 1 << 20;
  for (const std::string_view part :
       {"a%40", "eyJ", "eyJhbGciOiJIUzI1NiJ9.", "bearer ", "AKIA", "4111 ", "1.2.3.", "a@a.", "1-",
        "\\u002B", "@", "0.", "4111111111111111 "}) {
    std::string text;
    while (text.size() < kBytes) text += part;
    for (std::size_t kind = 0; kind < scanners::kKinds; ++kind) {
      std::size_t from = 0;
      while (const auto match = scanners::find(static_cast<Kind>(kind), text, from)) {
        REQUIRE(match->begin >= from);
        REQUIRE(match->end > match->begin);
        from = match->end;
      }
    }
  }
}

TEST_CASE("kinds have the names that --redact takes") {
  for (std::size_t i = 0; i < scanners::kKinds; ++i) {
    const Kind kind = static_cast<Kind>(i);
    CHECK(scanners::kind_of(to_string(kind)) == kind);
  }
  CHECK_FALSE(scanners::kind_of("emails"));
}
