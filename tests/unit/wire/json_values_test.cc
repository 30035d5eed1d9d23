// What the scanner knows of values: strings, pointers, order, equality.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "wire/json_pointer.hpp"
#include "wire/json_scan.hpp"

namespace {

using namespace consort;
using namespace std::literals;

JsonPointer pointer(std::string_view text) {
  Result<JsonPointer> parsed = JsonPointer::parse(text);
  REQUIRE(parsed);
  return std::move(*parsed);
}

/// What stands there, or "nothing".
std::string at(std::string_view path, std::string_view document) {
  return std::string(pointer(path).find(document).value_or("nothing"));
}

std::string refusal(std::string_view text) {
  const Result<JsonPointer> parsed = JsonPointer::parse(text);
  REQUIRE_FALSE(parsed);
  return parsed.error().text();
}

/// number / 10^6, written in one of many ways.
std::string spelled(Random& random, std::int64_t number) {
  std::string digits = std::to_string(std::abs(number));
  int exponent = -6;
  for (std::uint64_t zeros = random.below(4); zeros > 0; --zeros) {
    digits += '0';
    --exponent;
  }
  const std::size_t after = random.below(digits.size() + 4);
  exponent += static_cast<int>(after);
  if (after >= digits.size()) digits.insert(0, after - digits.size() + 1, '0');
  if (after > 0) digits.insert(digits.size() - after, ".");
  while (digits.size() > 1 && digits[0] == '0' && digits[1] != '.') digits.erase(0, 1);
  std::string text = number < 0 ? "-" : "";
  text += digits;
  if (exponent == 0 && random.below(2) == 0) return text;
  text += random.below(2) == 0 ? "e" : "E";
  if (exponent >= 0 && random.below(2) == 0) text += '+';
  return text + std::to_string(exponent);
}

}  // namespace

TEST_CASE("the kind of a value shows in its first byte") {
  CHECK(json_kind("null") == JsonKind::null);
  CHECK(json_kind("true") == JsonKind::boolean);
  CHECK(json_kind("false") == JsonKind::boolean);
  CHECK(json_kind("-1") == JsonKind::number);
  CHECK(json_kind("\"\"") == JsonKind::string);
  CHECK(json_kind("[]") == JsonKind::array);
  CHECK(json_kind("{}") == JsonKind::object);
  CHECK(json_kind("") == JsonKind::null);
}

TEST_CASE("escapes are undone, and half a surrogate pair is the replacement character") {
  const struct {
    std::string_view raw;
    std::string_view text;
  } kCases[] = {
      {"", ""},
      {"abc", "abc"},
      {R"(\"\\\/\b\f\n\r\t)", "\"\\/\b\f\n\r\t"},
      {R"(a\u0041\u00e4\u20AC)", "aA\xc3\xa4\xe2\x82\xac"},
      {R"(\u0000)", "\0"sv},
      {R"(\ud83d\ude00!)", "\xf0\x9f\x98\x80!"},
      {R"(\uD800\uDC00)", "\xf0\x90\x80\x80"},
      {R"(\udbff\udfff)", "\xf4\x8f\xbf\xbf"},
      {R"(\ud800)", "\xef\xbf\xbd"},
      {R"(\udc00\ud800)", "\xef\xbf\xbd\xef\xbf\xbd"},
      {R"(\ud800\ud83d\ude00)", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
      {R"(\ud800\u0041)", "\xef\xbf\xbd\x41"},
      {R"(\ud800\n)", "\xef\xbf\xbd\n"},
      {R"(\x\u12\u12g4)", R"(\x\u12\u12g4)"},
      {"a\\", "a\\"},
  };
  for (const auto& each : kCases) {
    CAPTURE(each.raw);
    CHECK(unescape_json_string(each.raw) == each.text);
    CHECK(json_string_equals(each.raw, each.text));
    CHECK_FALSE(json_string_equals(each.raw, std::string(each.text) + "x"));
    CHECK_FALSE(json_string_equals(std::string(each.raw) + "x", each.text));
  }
}

TEST_CASE("pointers find what RFC 6901, section 5 says") {
  const std::string document =
      R"({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,)"
      R"( "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8})";
  CHECK(at("", document) == document);
  CHECK(at("/foo", document) == R"(["bar", "baz"])");
  CHECK(at("/foo/0", document) == "\"bar\"");
  CHECK(at("/", document) == "0");
  CHECK(at("/a~1b", document) == "1");
  CHECK(at("/c%d", document) == "2");
  CHECK(at("/e^f", document) == "3");
  CHECK(at("/g|h", document) == "4");
  CHECK(at("/i\\j", document) == "5");
  CHECK(at("/k\"l", document) == "6");
  CHECK(at("/ ", document) == "7");
  CHECK(at("/m~0n", document) == "8");
}

TEST_CASE("a pointer that leads nowhere finds nothing") {
  const std::string document = R"({"a":[10,{"b":null}],"c":"d","01":1,"a":2})";
  CHECK(at("/a/1/b", document) == "null");
  CHECK(at("/01", document) == "1");
  for (const char* path : {"/b", "/a/2", "/a/-", "/a/01", "/a/x", "/a/", "/a/1/b/c", "/c/0",
                           "/a/99999999999999999999", "/a/0/0", "/A"}) {
    CAPTURE(path);
    CHECK(at(path, document) == "nothing");
  }
  CHECK(at("/a", "[") == "nothing");
  CHECK(at("/a", "{\"a\":") == "nothing");
  CHECK(at("/a", "") == "nothing");
  CHECK(at("/a~01", R"({"\u0061\u007e1":3})") == "3");
}

TEST_CASE("a bare name is a pointer too, and every pointer is written with its slash") {
  CHECK(pointer("score").text() == "/score");
  CHECK(pointer("a/b").text() == "/a/b");
  CHECK(pointer("/a~1b/~0/0/").text() == "/a~1b/~0/0/");
  CHECK(pointer("/a~1b").tokens() == std::vector<std::string>{"a/b"});
  CHECK(pointer("").is_root());
  CHECK(pointer("").text().empty());
  CHECK(JsonPointer().is_root());
  CHECK_FALSE(pointer("/").is_root());
}

TEST_CASE("what is no pointer is refused in a sentence") {
  const std::string tilde =
      " is not a JSON pointer: a ~ stands alone (write ~0 for ~ and ~1 for /)";
  CHECK(refusal("/a~") == "\"/a~\"" + tilde);
  CHECK(refusal("a~2/b") == "\"a~2/b\"" + tilde);
  CHECK(refusal(std::string(1025, 'a')).ends_with("it is longer than 1024 bytes"));
  // What is taken with its slash left out is taken with it.
  CHECK(JsonPointer::parse(pointer(std::string(1024, 'a')).text()));
  CHECK(refusal("/" + std::string(1025, 'a')).ends_with("it is longer than 1024 bytes"));
  std::string deep;
  for (int i = 0; i < 32; ++i) deep += "/a";
  CHECK(JsonPointer::parse(deep));
  CHECK(refusal(deep + "/a").ends_with("it has more than 32 names"));
}

TEST_CASE("values have one order: kinds, then what they say") {
  const char* const ordered[] = {"null",
                                 "false",
                                 "true",
                                 "-1e5000",
                                 "-9e4000",
                                 "-1e400",
                                 "-1e399",
                                 "-9007199254740993",
                                 "-9007199254740992",
                                 "-1",
                                 "-0.1",
                                 "-1e-400",
                                 "-9e-4000",
                                 "-1e-4000",
                                 "-9e-5000",
                                 "0",
                                 "9e-5000",
                                 "1e-4000",
                                 "9e-4000",
                                 "1e-400",
                                 "1e-399",
                                 "0.09",
                                 "0.1",
                                 "0.10000000000000000001",
                                 "1",
                                 "1.5",
                                 "9",
                                 "10",
                                 "9007199254740992",
                                 "9007199254740993",
                                 "18446744073709551615",
                                 "18446744073709551616",
                                 "1e399",
                                 "1e400",
                                 "123456789e400",
                                 "9e4000",
                                 "1e5000",
                                 "2e5000",
                                 "\"\"",
                                 "\"\\u0000\"",
                                 "\"A\"",
                                 "\"a\"",
                                 "\"aa\"",
                                 "\"\\u00e4\"",
                                 "\"\xc3\xb6\"",
                                 "\"\\uffff\"",
                                 "\"\\ud83d\\ude00\"",
                                 "[2]",
                                 "{\"a\":1}"};
  for (std::size_t a = 0; a < std::size(ordered); ++a) {
    for (std::size_t b = 0; b < std::size(ordered); ++b) {
      CAPTURE(ordered[a]);
      CAPTURE(ordered[b]);
      const int order = compare_json(ordered[a], ordered[b]);
      CHECK((order < 0) == (a < b));
      CHECK((order > 0) == (a > b));
      if (a < b) CHECK(json_order_prefix(ordered[a]) <= json_order_prefix(ordered[b]));
    }
  }
  // It would be of no use if it did not tell most of them apart.
  CHECK(json_order_prefix("0.8231") < json_order_prefix("0.82311"));
  CHECK(json_order_prefix("-3") < json_order_prefix("-2.9"));
  CHECK(json_order_prefix("\"doc-1\"") < json_order_prefix("\"doc-2\""));
  CHECK(json_order_prefix("\"\\u0061\\\\b\"") == json_order_prefix("\"a\\\\b\""));
}

TEST_CASE("equal values are equal however they are written") {
  const std::vector<std::vector<std::string>> groups = {
      {"0", "-0", "0.0", "0e9", "-0.00E-99999999999999999999", "0e99999999999999999999"},
      {"1", "1.0", "10e-1", "0.1e1", "0.01E+2", "1e0", "1.000", "100e-0002"},
      {"-120", "-1.2e2", "-120.00", "-0.012e+4"},
      {"1e1000", "10e999", "0.1e1001"},
      {"\"a\\/b\"", "\"a/b\"", "\"\\u0061/b\"", "\"\\u0061\\u002Fb\""},
      {"\"\\ud800\"", "\"\xef\xbf\xbd\"", "\"\\uDFFF\""},
  };
  for (const auto& group : groups) {
    for (const std::string& a : group) {
      for (const std::string& b : group) {
        CAPTURE(a);
        CAPTURE(b);
        CHECK(compare_json(a, b) == 0);
        CHECK(json_order_prefix(a) == json_order_prefix(b));
        CHECK(canonical_json(a) == canonical_json(b));
      }
    }
  }
  CHECK(compare_json("[1]", "[2]") == 0);
  CHECK(compare_json("{}", "{\"a\":1}") == 0);
}

TEST_CASE("numbers of any spelling are ordered as the integers they stand for") {
  Random random(3);
  for (int i = 0; i < 50'000; ++i) {
    const auto draw = [&random] {
      constexpr std::uint64_t kBounds[] = {3, 100, 1'000'000, 1'000'000'000'000'000'000};
      const auto number = static_cast<std::int64_t>(random.below(kBounds[random.below(4)]));
      return random.below(2) == 0 ? number : -number;
    };
    const std::int64_t a = draw();
    const std::int64_t b = random.below(3) == 0 ? a : draw();
    const std::string text_a = spelled(random, a);
    const std::string text_b = spelled(random, b);
    CAPTURE(text_a);
    CAPTURE(text_b);
    REQUIRE(check_json(text_a));
    const int order = compare_json(text_a, text_b);
    REQUIRE((order < 0) == (a < b));
    REQUIRE((order > 0) == (a > b));
    if (a < b) REQUIRE(json_order_prefix(text_a) <= json_order_prefix(text_b));
    if (std::abs(a) < 1'000'000 && std::abs(b) < 1'000'000) {
      REQUIRE((json_order_prefix(text_a) < json_order_prefix(text_b)) == (a < b));
    }
    REQUIRE((canonical_json(text_a) == canonical_json(text_b)) == (a == b));
  }
}

TEST_CASE("one text stands for all spellings of a value") {
  CHECK(canonical_json("{\"b\": [1.0, \"\\u0061\"], \"a\" : null}") ==
        canonical_json("{\"a\":null,\"\\u0062\":[10e-1,\"a\"]}"));
  CHECK(canonical_json("-12.50") == "-125e-1");
  CHECK(canonical_json("{}") == canonical_json("{ }"));
  CHECK(canonical_json("[]") == canonical_json("[ ]"));
  for (const auto& [a, b] :
       std::vector<std::pair<std::string, std::string>>{{"[]", "{}"},
                                                        {"[1]", "[[1]]"},
                                                        {"[1,2]", "[12]"},
                                                        {"[1,2]", "[2,1]"},
                                                        {"\"1\"", "1"},
                                                        {"\"null\"", "null"},
                                                        {"1", "-1"},
                                                        {"1", "10"},
                                                        {"0.1", "1"},
                                                        {"{\"a\":1}", "{\"a\":2}"},
                                                        {"{\"a\":1}", "{\"a\":1,\"a\":1}"},
                                                        {"[\"a\",\"b\"]", "[\"a\\\",\\\"b\"]"},
                                                        {"{\"a\":{}}", "{\"a\":[]}"}}) {
    CAPTURE(a);
    CAPTURE(b);
    CHECK(canonical_json(a) != canonical_json(b));
  }
  CHECK(canonical_json("{\"a\":1,\"a\":2}") != canonical_json("{\"a\":2,\"a\":1}"));
}

TEST_CASE("below 32 levels a value counts as it is written") {
  const auto nested = [](std::size_t depth, const std::string& inner) {
    return std::string(depth, '[') + inner + std::string(depth, ']');
  };
  CHECK(canonical_json(nested(32, "1")) == canonical_json(nested(32, "1.0")));
  CHECK(canonical_json(nested(33, "1")) != canonical_json(nested(33, "1.0")));
  CHECK(canonical_json(nested(100'000, "1")).size() > 200'000);
}

TEST_CASE("bytes that are no JSON still have one order") {
  Random random(4);
  std::vector<std::string> texts;
  for (int i = 0; i < 120; ++i) {
    std::string text;
    for (std::uint64_t left = random.below(7); left > 0; --left) {
      text += "\"\\-+.eE0019ntf[{u"[random.below(17)];
    }
    texts.push_back(text);
  }
  for (const std::string& a : texts) {
    canonical_json(a);
    for (const std::string& b : texts) {
      const int order = compare_json(a, b);
      REQUIRE((order < 0) == (compare_json(b, a) > 0));
      if (order <= 0) REQUIRE(json_order_prefix(a) <= json_order_prefix(b));
      for (const std::string& c : texts) {
        if (order > 0 || compare_json(b, c) > 0) continue;
        CAPTURE(a);
        CAPTURE(b);
        CAPTURE(c);
        REQUIRE(compare_json(a, c) <= 0);
      }
    }
  }
}
