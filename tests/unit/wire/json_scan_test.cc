#include "wire/json_scan.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "support/json_oracle.hpp"
#include "wire/json_scan_blocks.hpp"

namespace {

using namespace consort;
using namespace std::literals;
using Texts = std::vector<std::string>;

/// Bytes in an allocation of exactly their size: a sanitizer sees one byte too far.
class Exact {
 public:
  explicit Exact(std::string_view bytes)
      : bytes_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

std::string error_of(std::string_view text) {
  const Exact bytes(text);
  const Result<std::string_view> checked = check_json(bytes.view());
  return checked ? "taken: " + std::string(*checked) : checked.error().text();
}

std::string trimmed(std::string_view text) {
  const Exact bytes(text);
  const Result<std::string_view> value = trim_json(bytes.view());
  return value ? std::string(*value) : value.error().text();
}

/// The elements, and "broken" behind them when the reader failed.
Texts elements_of(std::string_view array) {
  const Exact bytes(array);
  JsonArrayReader reader(bytes.view());
  Texts elements;
  for (std::string_view element; reader.next(element);) elements.emplace_back(element);
  if (reader.failed()) elements.emplace_back("broken");
  std::string_view more;
  CHECK_FALSE(reader.next(more));
  return elements;
}

Texts members_of(std::string_view object) {
  const Exact bytes(object);
  JsonObjectReader reader(bytes.view());
  Texts members;
  std::string_view key;
  for (std::string_view value; reader.next(key, value);) {
    members.push_back(std::string(key) + "=" + std::string(value));
  }
  if (reader.failed()) members.emplace_back("broken");
  std::string_view more;
  CHECK_FALSE(reader.next(key, more));
  return members;
}

/// A document of every kind of value, nested at random; about half of it is white space and
/// strings with brackets, quotes and backslashes in them.
std::string random_value(Random& random, int depth) {
  const auto space = [&random] { return std::string(random.below(3) == 0 ? " \n" : ""); };
  static const char* const kScalars[] = {"null",
                                         "true",
                                         "false",
                                         "0",
                                         "-0",
                                         "12",
                                         "-1.5e-3",
                                         "0.1",
                                         "1E+2",
                                         "18446744073709551616",
                                         "\"\"",
                                         "\"a\"",
                                         "\"[{\\\"}]\"",
                                         "\"\\\\\"",
                                         "\"\\\\\\\"\"",
                                         "\"\\u00e4\\ud83d\\ude00\"",
                                         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
                                         "\"a string of more than sixteen bytes, \\n\""};
  const std::uint64_t kind = random.below(depth > 0 ? 4 : 2);
  if (kind < 2) return space() + kScalars[random.below(std::size(kScalars))] + space();
  std::string text = space() + (kind == 2 ? "[" : "{");
  const std::uint64_t count = random.below(5);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i > 0) text += ",";
    if (kind == 3) text += space() + "\"k" + std::to_string(random.below(9)) + "\"" + space() + ":";
    text += random_value(random, depth - 1);
  }
  return text + (count == 0 ? space() : "") + (kind == 2 ? "]" : "}") + space();
}

/// Some bytes changed, left out, put in twice or cut off.
std::string damaged(Random& random, std::string text) {
  static constexpr std::string_view kBytes =
      "\"\\[]{},:0123456789-+.eEtrufalsn \n\t\0\x80\xc3\xed\x1f"sv;
  for (std::uint64_t i = random.below(3) + 1; i > 0 && !text.empty(); --i) {
    const std::size_t at = random.below(text.size());
    switch (random.below(4)) {
      case 0:
        text[at] = kBytes[random.below(kBytes.size())];
        break;
      case 1:
        text.erase(at, 1);
        break;
      case 2:
        text.insert(at, text, random.below(text.size()), random.below(8));
        break;
      default:
        text.resize(random.below(4) == 0 ? at : text.size());
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a document is taken without the white space around it") {
  for (const char* value : {"null",
                            "true",
                            "false",
                            "0",
                            "-0",
                            "-0.0",
                            "10",
                            "1.25",
                            "1e5",
                            "1E-05",
                            "-1.5e+400",
                            "123456789012345678901234567890",
                            "\"\"",
                            "\"a\"",
                            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                            "\"\\u0000\\uABCD\\uabcd\"",
                            "\"\x7f\"",
                            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
                            "[]",
                            "[ ]",
                            "{}",
                            "{ \n}",
                            "[1]",
                            "[1 , [2],{\"a\" : {} , \"a\":[]}]",
                            "\"\\ud800\"",
                            "\"\\udc00\\ud800\""}) {
    for (const std::string& text : {std::string(value), " \t\r\n" + std::string(value) + "\n "}) {
      const Exact bytes(text);
      CAPTURE(text);
      const Result<std::string_view> checked = check_json(bytes.view());
      REQUIRE(checked);
      CHECK(*checked == value);
      const Result<std::string_view> trimmed = trim_json(bytes.view());
      REQUIRE(trimmed);
      CHECK(trimmed->data() == checked->data());
      CHECK(trimmed->size() == checked->size());
      CHECK(test::oracle_accepts(text));
    }
  }
}

TEST_CASE("what is no JSON is refused with the reason and the place") {
  const struct {
    std::string_view text;
    const char* error;
  } kCases[] = {
      {"", "the text ends too early: a value is missing at byte 0"},
      {" \n", "the text ends too early: a value is missing at byte 2"},
      {"[1,", "the text ends too early: a value is missing at byte 3"},
      {"[1,]", "no value begins like this at byte 3"},
      {"[,1]", "no value begins like this at byte 1"},
      {"[1", "the text ends too early: ']' is missing at byte 2"},
      {"[1}", "neither ',' nor ']' follows an element at byte 2"},
      {"[1 2]", "neither ',' nor ']' follows an element at byte 3"},
      {"{\"a\":1]", "neither ',' nor '}' follows a member at byte 6"},
      {"{\"a\":1,}", "a member's name in quotes is missing at byte 7"},
      {"{a:1}", "a member's name in quotes is missing at byte 1"},
      {"{\"a\" 1}", "no ':' follows a member's name at byte 5"},
      {"{\"a\":1", "the text ends too early: '}' is missing at byte 6"},
      {"[] []", "something follows the value at byte 3"},
      {"1 x", "something follows the value at byte 2"},
      {"nul", "no value begins like this at byte 0"},
      {"True", "no value begins like this at byte 0"},
      {"NaN", "no value begins like this at byte 0"},
      {"'a'", "no value begins like this at byte 0"},
      {"/*c*/1", "no value begins like this at byte 0"},
      {"\xEF\xBB\xBF{}", "no value begins like this at byte 0"},
      {"+1", "no value begins like this at byte 0"},
      {".5", "no value begins like this at byte 0"},
      {"-", "the text ends too early: a digit is missing in a number at byte 1"},
      {"-a", "a digit is missing in a number at byte 1"},
      {"1.", "the text ends too early: a digit is missing in a number at byte 2"},
      {"[1.e5]", "a digit is missing in a number at byte 3"},
      {"1e", "the text ends too early: a digit is missing in a number at byte 2"},
      {"1e+", "the text ends too early: a digit is missing in a number at byte 3"},
      {"01", "a number begins with 0 at byte 0"},
      {"-012", "a number begins with 0 at byte 1"},
      {"0x1", "something follows the value at byte 1"},
      {"\"a", "the text ends too early: a string does not end at byte 2"},
      {"\"a\\", "the text ends too early: a string does not end at byte 3"},
      {"\"a\\\"", "the text ends too early: a string does not end at byte 4"},
      {"\"\\x\"", "a string has an unknown escape at byte 1"},
      {"\"\\u12g4\"", "\\u is not followed by 4 hex digits at byte 1"},
      {"\"\\u123", "\\u is not followed by 4 hex digits at byte 1"},
      {"\"a\nb\"", "a control character stands in a string without escape at byte 2"},
      {{"\"\0\"", 3}, "a control character stands in a string without escape at byte 1"},
      {{"1\0", 2}, "something follows the value at byte 1"},
      {"\"\x80\"", "a string is not UTF-8 at byte 1"},
      {"\"\xc3\"", "a string is not UTF-8 at byte 1"},
      {"\"\xc0\xaf\"", "a string is not UTF-8 at byte 1"},
      {"\"\xed\xa0\x80\"", "a string is not UTF-8 at byte 1"},
      {"\"\xf4\x90\x80\x80\"", "a string is not UTF-8 at byte 1"},
      {"\"\xe2\x82", "a string is not UTF-8 at byte 1"},
      // Between brackets, where hardly anything is looked at twice.
      {"]", "no value begins like this at byte 0"},
      {"[}", "no value begins like this at byte 1"},
      {"{]", "a member's name in quotes is missing at byte 1"},
      {"{}}", "something follows the value at byte 2"},
      {"1]", "something follows the value at byte 1"},
      {"[[1]", "the text ends too early: ']' is missing at byte 4"},
      {"[[1] \n", "the text ends too early: ']' is missing at byte 6"},
      {" {\"a\":[]", "the text ends too early: '}' is missing at byte 8"},
      {"[[]", "the text ends too early: ']' is missing at byte 3"},
      {"{\"a\":[1}", "neither ',' nor ']' follows an element at byte 7"},
      {"{\"a\"}", "no ':' follows a member's name at byte 4"},
      {"{\"a\":}", "no value begins like this at byte 5"},
      {"[\"]", "the text ends too early: a string does not end at byte 3"},
      {"[\"a string of more than sixteen]",
       "the text ends too early: a string does not end at byte 32"},
      {"[\"\\]", "a string has an unknown escape at byte 2"},
      {"[\"\\u12]", "\\u is not followed by 4 hex digits at byte 2"},
      {"[\"\xe2\x82]", "a string is not UTF-8 at byte 2"},
      {"[tru]", "no value begins like this at byte 1"},
      {"[-]", "a digit is missing in a number at byte 2"},
      {"[1e+]", "a digit is missing in a number at byte 4"},
      {"[01]", "a number begins with 0 at byte 1"},
  };
  for (const auto& each : kCases) {
    CAPTURE(each.text);
    CHECK(error_of(each.text) == "JSON: " + std::string(each.error));
    CHECK_FALSE(test::oracle_accepts(each.text));
  }
}

TEST_CASE("512 brackets may be open, and any number of them costs no stack") {
  const auto nested = [](std::size_t depth, const std::string& open, const std::string& close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += "1";
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  CHECK(check_json(nested(512, "[", "]")));
  CHECK(check_json(nested(256, "{\"a\":[", "]}")));
  CHECK(error_of(nested(513, "[", "]")) ==
        "JSON: arrays and objects are nested deeper than 512 at byte 512");
  CHECK_FALSE(check_json(nested(513, "{\"a\":", "}")));
  CHECK_FALSE(check_json("[1," + nested(512, "[", "]") + "]"));
  CHECK(check_json("[" + nested(511, "[", "]") + "," + nested(511, "[", "]") + "]"));
  const std::string deep = nested(1'000'000, "[", "]");
  CHECK_FALSE(check_json(deep));
  CHECK(trim_json(deep));
  CHECK(elements_of(deep).size() == 1);
  CHECK_FALSE(check_json(std::string(1'000'000, '[')));
  CHECK_FALSE(trim_json(std::string(1'000'000, '{')));
}

TEST_CASE("each bracket is closed by its own kind, at any depth") {
  Random random(6);
  for (int i = 0; i < 200; ++i) {
    std::string open;
    std::string close;
    for (int depth = 0; depth < 500; ++depth) {
      const bool is_object = random.below(2) == 0;
      open += is_object ? "{\"a\":" : "[";
      close.insert(0, 1, is_object ? '}' : ']');
    }
    REQUIRE(check_json(open + "1" + close));
    char& one = close[random.below(close.size())];
    one = one == ']' ? '}' : ']';
    REQUIRE_FALSE(check_json(open + "1" + close));
  }
}

TEST_CASE("check_json and another parser agree about damaged documents") {
  Random random(7);
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::string text = damaged(random, random_value(random, 4));
    const Exact bytes(text);
    const bool is_json = check_json(bytes.view()).has_value();
    (is_json ? taken : refused) += 1;
    if (is_json == test::oracle_accepts(text)) continue;
    CAPTURE(text);
    REQUIRE(is_json == test::oracle_accepts(text));
  }
  CHECK(taken > 3000);
  CHECK(refused > 3000);
}

TEST_CASE("an answer with any byte changed, or cut anywhere, is judged as by another parser") {
  const std::string answer =
      "{\"shard\":\"s\",\"hits\":[{\"id\":\"document-0\",\"score\":0.975,\"x\":[]},\n"
      " {\"id\":\"a\\n\xc3\xa4\xe2\x82\xac\",\"ok\":true,\"score\":-1e5}],\"more\":100}";
  REQUIRE(check_json(answer));
  const auto require_agreement = [](const std::string& text) {
    const Exact bytes(text);
    const bool is_json = check_json(bytes.view()).has_value();
    if (is_json == test::oracle_accepts(text)) return;
    CAPTURE(text);
    REQUIRE(is_json == test::oracle_accepts(text));
  };
  for (std::size_t at = 0; at < answer.size(); ++at) {
    require_agreement(answer.substr(0, at));
    require_agreement(answer.substr(at));
    require_agreement(answer.substr(0, at) + answer.substr(at + 1));
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = answer;
      text[at] = static_cast<char>(byte);
      require_agreement(text);
    }
  }
}

TEST_CASE("the last strings of a text are read to their end, and what spoils them is seen") {
  for (std::size_t size = 0; size < 40; ++size) {
    for (const char* end : {"\"]", "\"}", "\",1]", "\"", "\"]          ", "\",[[]]]"}) {
      for (std::size_t at = 0; at <= size; ++at) {
        for (const char* more : {"", "\n", "\\", "\"", "\\\"", "\xc3\xa4", "\x80", "\xe1\x80\x80",
                                 "\xec\xbf\xbf", "\xe0\x9f\x80", "\xed\xa0\x80"}) {
          std::string text = "[\"" + std::string(size, 'a') + end;
          text.insert(2 + at, more);
          const Exact bytes(text);
          const bool is_json = check_json(bytes.view()).has_value();
          if (is_json == test::oracle_accepts(text)) continue;
          CAPTURE(text);
          REQUIRE(is_json == test::oracle_accepts(text));
        }
      }
    }
  }
}

TEST_CASE("the readers find what another parser finds") {
  Random random(8);
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = random_value(random, 5);
    const Exact bytes(text);
    const Result<std::string_view> value = check_json(bytes.view());
    CAPTURE(text);
    REQUIRE(value);
    REQUIRE(trimmed(text) == *value);
    REQUIRE(test::same_value(*value, nlohmann::json::parse(text)));
  }
}

TEST_CASE("elements and members are views without the white space around them") {
  CHECK(elements_of("[]").empty());
  CHECK(elements_of("[ \n]").empty());
  CHECK(elements_of("[ 1 ,\"a,]\\\"\" , [2, 3],{\"b\" : 4}\t]") ==
        Texts{"1", "\"a,]\\\"\"", "[2, 3]", "{\"b\" : 4}"});
  CHECK(members_of("{}").empty());
  CHECK(members_of("{ \"a\" : 1 ,\"\\u0062}\":{\"c\":[]},\"a\":\" \"}") ==
        Texts{"a=1", "\\u0062}={\"c\":[]}", "a=\" \""});
}

TEST_CASE("a reader stops at what it cannot follow, and says so") {
  for (const char* text : {"", "1", "{}", "[", "[1", "[1,", "[1 2]", "[1}", "[]]", "[1] ", "[,1]",
                           "[\"a]", "[[1]", "[1,]", "[1,,2]", "[\"\\\""}) {
    CAPTURE(text);
    CHECK(elements_of(text).back() == "broken");
  }
  for (const char* text : {"", "[]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":}",
                           "{\"a\" 1}", "{a:1}", "{\"a\":1,}", "{\"a\":1}}", "{\"a\":1 \"b\":2}"}) {
    CAPTURE(text);
    CHECK(members_of(text).back() == "broken");
  }
}

TEST_CASE("trim_json looks at quotes and brackets only") {
  CHECK(trimmed(" [1 2,,] ") == "[1 2,,]");
  CHECK(trimmed("{\"\x80\\x\"}") == "{\"\x80\\x\"}");
  for (const char* text :
       {"", "  ", "[", "[\"]", "\"a", "\"\\\"", "1 2", "[] 1", "]", ",", "a\"b\""}) {
    CAPTURE(text);
    CHECK_FALSE(trim_json(text));
  }
  CHECK(trimmed("[] 1") == "JSON: something follows the value at byte 3");
  CHECK(trimmed(" [1") == "JSON: a value without an end begins at byte 1");
}

TEST_CASE("no bytes whatever lead a reader outside the text") {
  Random random(9);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = damaged(random, random_value(random, 4));
    if (i % 2 == 0 && !text.empty()) text[0] = "[{"[random.below(2)];
    const Exact bytes(text);
    const Result<std::string_view> checked = check_json(bytes.view());
    if (checked) REQUIRE(trimmed(text) == *checked);
    if (!checked) trimmed(text);
    // Each element is at least one byte, so more than there are bytes would be a loop.
    REQUIRE(elements_of(text).size() <= text.size() + 1);
    REQUIRE(members_of(text).size() <= text.size() + 1);
  }
}

TEST_CASE("a member is found at the top level only, and by its whole name") {
  CHECK(json_has_member(R"({"time":1})", "time"));
  CHECK(json_has_member(R"({"a":{"b":[1,{}]},"level":"time", "time" : null})", "time"));
  CHECK_FALSE(json_has_member(R"({"a":{"time":1},"b":"time","c":["time"]})", "time"));
  CHECK_FALSE(json_has_member(R"({"times":1,"xtime":2,"tim":3,"a\"time":4})", "time"));
  CHECK_FALSE(json_has_member(R"({"a":"\"time\":1"})", "time"));
  CHECK_FALSE(json_has_member("{}", "time"));
  CHECK_FALSE(json_has_member("", "time"));
  CHECK_FALSE(json_has_member(R"(["time"])", "time"));
  CHECK(json_has_member(R"({"":1})", ""));
  Random random(12);
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = random_value(random, 3);
    const Exact bytes(text);
    std::string_view key;
    std::string_view value;
    std::set<std::string, std::less<>> names;
    for (JsonObjectReader each(bytes.view()); each.next(key, value);) names.emplace(key);
    for (const std::string& name : names) REQUIRE(json_has_member(bytes.view(), name));
    REQUIRE_FALSE(json_has_member(bytes.view(), "no such name"));
  }
}

TEST_CASE("the inner loops are the same with and without wide registers") {
  using namespace consort::json_blocks;
  Random random(10);
  const std::string_view interesting = "\"\\[]{}\x1f \x80\xff\x5c\x7b\x5b\x7d\x5d\x22\x02\x20";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    const std::size_t size = 64 + random.below(200);
    const std::uint64_t plain = random.below(20) + 1;
    while (text.size() < size) {
      text += random.below(plain) == 0 ? interesting[random.below(interesting.size())]
                                       : static_cast<char>(i % 3 == 0 ? random.below(256) : 'a');
    }
    const Exact bytes(text);
    const char* const begin = bytes.view().data();
    const char* const end = begin + text.size();
    REQUIRE(Fastest::masks(begin) == Scalar::masks(begin));
    REQUIRE(Fastest::find_quote(begin, end) == Scalar::find_quote(begin, end));
    REQUIRE(Fastest::find_special(begin, end) == Scalar::find_special(begin, end));
    for (std::size_t apart = 1; apart < 20; ++apart) {
      REQUIRE(Fastest::find_quotes_apart(begin, end, apart) ==
              Scalar::find_quotes_apart(begin, end, apart));
    }
    REQUIRE(Fastest::find_special_wide(begin) == Scalar::find_special_wide(begin));
    const char* const last = end - random.below(kWideBytes + 1);
    REQUIRE(Fastest::find_special_back(last, end) == Scalar::find_special_back(last, end));
    REQUIRE(BracketWalker<Fastest>::find_end(begin, end) ==
            BracketWalker<Scalar>::find_end(begin, end));
  }
}

TEST_CASE("a bracket is closed where a reader of single bytes says so") {
  Random random(11);
  int closed = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = "[";
    const std::size_t size = random.below(300);
    while (text.size() < size) text += "[]{}\"\\\\\"aaaa"[random.below(12)];
    std::size_t depth = 0;
    std::size_t end = 0;
    bool in_string = false;
    bool is_escaped = false;
    for (std::size_t at = 0; at < text.size() && end == 0; ++at) {
      const char c = text[at];
      if (c == '"' && !is_escaped) in_string = !in_string;
      if (!in_string && (c == '[' || c == '{')) ++depth;
      if (!in_string && (c == ']' || c == '}') && --depth == 0) end = at + 1;
      is_escaped = c == '\\' && !is_escaped;
    }
    const Exact bytes(text);
    const char* const begin = bytes.view().data();
    const char* const found =
        json_blocks::BracketWalker<json_blocks::Fastest>::find_end(begin, begin + text.size());
    CAPTURE(text);
    REQUIRE(found == (end == 0 ? nullptr : begin + end));
    closed += end == 0 ? 0 : 1;
  }
  CHECK(closed > 1000);
}
