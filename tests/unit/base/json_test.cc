#include <doctest/doctest.h>

#include <limits>

#include "base/document.hpp"
#include "base/json_writer.hpp"
#include "base/random.hpp"

namespace consort {
namespace {

std::string quote(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// Reads strict JSON and prints it again.
std::string good(std::string_view text) {
  auto node = read_json(text);
  if (!node) MESSAGE(node.error().message());
  REQUIRE(node.has_value());
  return to_json(*node, 0);
}

Error problem(std::string_view text) {
  auto node = read_json(text);
  REQUIRE_MESSAGE(!node.has_value(), std::string(text.substr(0, 100)));
  return std::move(node.error());
}

TEST_CASE("the writer puts commas and colons where they belong") {
  JsonWriter json;
  json.begin_object().key("a").value(1).key("b").begin_array().value("x").value(true).null();
  json.begin_object().end_object().begin_array().end_array().end_array();
  json.key("c").raw("[1]").end_object();
  CHECK_EQ(json.take(), R"({"a":1,"b":["x",true,null,{},[]],"c":[1]})");
}

TEST_CASE("the writer indents when asked") {
  JsonWriter json(2);
  json.begin_object().key("a").begin_array().value(1).value(2).end_array();
  json.key("b").begin_object().end_object().end_object();
  CHECK_EQ(json.take(), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST_CASE("a writer is fresh after its text was taken") {
  JsonWriter json;
  CHECK_EQ(json.value("x").take(), "\"x\"");
  CHECK_EQ(json.begin_array().end_array().take(), "[]");
  CHECK_EQ(json.take(), "");
}

TEST_CASE("numbers are written whole at their limits, and as null when they are none") {
  JsonWriter json;
  json.begin_array().value(INT64_MIN).value(UINT64_MAX).value(std::int8_t{-1}).value(7U);
  json.value(0.1).value(1e300).value(-0.0).value(5.0);
  json.value(std::numeric_limits<double>::quiet_NaN());
  json.value(-std::numeric_limits<double>::infinity()).value(std::string("s")).end_array();
  CHECK_EQ(json.take(),
           "[-9223372036854775808,18446744073709551615,-1,7,0.1,1e+300,-0,5,null,null,\"s\"]");
}

TEST_CASE("strings are escaped so that terminals, scripts and YAML take them for text") {
  CHECK_EQ(quote(""), R"("")");
  CHECK_EQ(quote("a\"b\\c/"), R"("a\"b\\c/")");
  CHECK_EQ(quote("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  using namespace std::string_view_literals;
  CHECK_EQ(quote("\0\x1b\x7f"sv), R"("\u0000\u001b\u007f")");
  CHECK_EQ(quote("\u0085\u2028\u2029\ufeff"), R"("\u0085\u2028\u2029\ufeff")");
  CHECK_EQ(quote("\u00e4\u20ac\U0001F600"), "\"\u00e4\u20ac\U0001F600\"");
}

TEST_CASE("each byte that is not UTF-8 becomes a replacement") {
  CHECK_EQ(quote("a\xFF"
                 "b"),
           "\"a\uFFFDb\"");
  CHECK_EQ(quote("\x80\x80"), "\"\uFFFD\uFFFD\"");
  CHECK_EQ(quote("\xC3"), "\"\uFFFD\"");                      // cut at the end
  CHECK_EQ(quote("\xE2\x82 x"), "\"\uFFFD\uFFFD x\"");        // cut in the middle
  CHECK_EQ(quote("\xC0\xAF"), "\"\uFFFD\uFFFD\"");            // overlong slash
  CHECK_EQ(quote("\xED\xA0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");  // surrogate
  CHECK_EQ(quote("\xF4\x90\x80\x80"), "\"\uFFFD\uFFFD\uFFFD\uFFFD\"");
  CHECK_EQ(quote("\xC3\""), "\"\uFFFD\\\"\"");  // the quote after it stays escaped
}

TEST_CASE("any bytes at all make a string that strict JSON reads back") {
  Random random(9);
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes;
    for (std::uint64_t n = random.below(12); n > 0; --n) {
      // Every other byte from the ranges in which UTF-8 decides.
      std::uint64_t byte = random.below(2) == 0 ? random.below(256) : 0x80 + random.below(128);
      bytes += static_cast<char>(byte);
    }
    auto node = read_json(quote(bytes));
    REQUIRE(node.has_value());
    CHECK_EQ(quote(node->scalar), quote(bytes));
  }
}

TEST_CASE("strict JSON keeps the text of its values") {
  CHECK_EQ(good(R"( {"a": [1, -2, 1.50, 1E5, true, false, null, "x", {}, []]} )"),
           R"({"a":[1,-2,1.50,1E5,true,false,null,"x",{},[]]})");
  CHECK_EQ(good("-0"), "-0");
  CHECK_EQ(good("18446744073709551615"), "18446744073709551615");
  CHECK_EQ(good("-9223372036854775808"), "-9223372036854775808");
  CHECK_EQ(good("123456789012345678901234567890"), "123456789012345678901234567890");
  CHECK_EQ(good(R"("\ud83d\ude00\u0000")"), "\"\U0001F600\\u0000\"");
  CHECK_EQ(good(R"("1")"), R"("1")");
  CHECK(read_json("null")->kind == Node::Kind::null);
  CHECK_EQ(read_json("{}")->place.line, 0);
}

TEST_CASE("what is not strict JSON is refused, never half read") {
  for (std::string_view text : {"",         " ",         "{",           "[1,]",     "{a: 1}",
                                "{'a': 1}", "[1] x",     "[1][2]",      "// c\n1",  "01",
                                "1.",       "+1",        "nul",         "NaN",      "1e999",
                                "\"\n\"",   "\"\\x\"",   "\"\\ud83d\"", "\"\xFF\"", "\"a",
                                "[1 2]",    "{\"a\" 1}", "{\"a\": 1,}", "{1: 2}",   "]"}) {
    CAPTURE(text);
    Error error = problem(text);
    CHECK_EQ(error.code(), Errc::invalid);
    CHECK_EQ(error.message().find("not JSON: "), 0);
  }
}

TEST_CASE("a NUL byte does not hide what follows it") {
  using namespace std::string_view_literals;
  CHECK_EQ(problem("{}\0{}"sv).code(), Errc::invalid);
  CHECK_EQ(problem("{}\0"sv).code(), Errc::invalid);
  CHECK_EQ(problem("[\"\0\"]"sv).code(), Errc::invalid);
}

TEST_CASE("every cut of a JSON text is refused") {
  std::string_view whole = R"({"a": [1.5, "\u00e4\n", true], "b": {"c": null}})";
  good(whole);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CHECK_EQ(problem(whole.substr(0, n)).code(), Errc::invalid);
  }
}

TEST_CASE("JSON errors say where, briefly") {
  CHECK_EQ(problem("[1,\n 2,]").message().find("not JSON: line 2, column 4: "), 0);
  CHECK_LT(problem("[\"" + std::string(100'000, 'a')).message().size(), 200);
}

TEST_CASE("JSON with a key twice is refused") {
  CHECK_EQ(problem(R"({"a": 1, "b": {"x": 1, "x": 2}})").message(), R"(the key "x" appears twice)");
  CHECK_EQ(problem(R"({"a": 1, "\u0061": 2})").code(), Errc::invalid);
}

TEST_CASE("JSON has limits of depth, values and bytes") {
  std::string deep = std::string(64, '[') + std::string(64, ']');
  CHECK_EQ(good(deep), deep);
  CHECK_EQ(problem("[" + deep + "]").code(), Errc::limit);
  CHECK_EQ(problem(std::string(1'000'000, '[')).code(), Errc::limit);
  std::string many = "[1";
  for (std::size_t i = 1; i < kMaxDocumentNodes; ++i) many += ",1";
  CHECK_EQ(problem(many + "]").code(), Errc::limit);
  CHECK_EQ(problem(std::string(kMaxDocumentBytes + 1, ' ')).code(), Errc::limit);
}

std::string random_text(Random& random) {
  static constexpr std::string_view kPieces[] = {
      "a",  "Z",  "0",      "-",      " ",      ":",      "#",      "'",    "\"",  "\\",
      "\n", "\t", "\u00e4", "\u0085", "\u2028", "\ufeff", "\uffff", "\x7f", "<<",  "~",
      "[",  "{",  "&",      "*",      "!",      "%",      "\x01",   "true", "1e5", "\U0001F600"};
  std::string text;
  for (std::uint64_t n = random.below(8); n > 0; --n) text += kPieces[random.below(30)];
  return text;
}

/// A tree that a reader could have made.
Node random_node(Random& random, std::size_t depth) {
  static constexpr std::string_view kBare[] = {"0", "-17", "2.50", "1e-7", "true", "false"};
  switch (random.below(depth < 6 ? 5 : 3)) {
    case 0:
      return {};
    case 1:
      return {.kind = Node::Kind::scalar, .scalar = std::string(kBare[random.below(6)])};
    case 2:
      return {.kind = Node::Kind::scalar, .quoted = true, .scalar = random_text(random)};
    case 3: {
      Node list{.kind = Node::Kind::list};
      for (std::uint64_t n = random.below(5); n > 0; --n) {
        list.items.push_back(random_node(random, depth + 1));
      }
      return list;
    }
    default: {
      Node map{.kind = Node::Kind::map};
      for (std::uint64_t n = random.below(5); n > 0; --n) {
        Node key{.kind = Node::Kind::scalar, .quoted = true, .scalar = random_text(random)};
        if (map.find(key.scalar) != nullptr) continue;
        map.members.emplace_back(std::move(key), random_node(random, depth + 1));
      }
      return map;
    }
  }
}

/// The same values in the same order; places do not count.
bool same(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.quoted != b.quoted || a.scalar != b.scalar) return false;
  if (a.items.size() != b.items.size() || a.members.size() != b.members.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same(a.items[i], b.items[i])) return false;
  }
  for (std::size_t i = 0; i < a.members.size(); ++i) {
    if (!same(a.members[i].first, b.members[i].first)) return false;
    if (!same(a.members[i].second, b.members[i].second)) return false;
  }
  return true;
}

TEST_CASE("every random tree, printed as JSON, is the same tree for both readers") {
  Random random(10);
  for (int i = 0; i < 3'000; ++i) {
    Node tree{.kind = Node::Kind::list};
    tree.items.push_back(random_node(random, 0));
    std::string text = to_json(tree, static_cast<int>(random.below(3)));
    CAPTURE(text);
    auto strict = read_json(text);
    REQUIRE(strict.has_value());
    CHECK(same(tree, *strict));
    Problems problems;
    Node document = read_document(text, problems);
    for (const auto& error : problems.errors()) MESSAGE(error);
    REQUIRE(problems.ok());
    CHECK(same(tree, document));
  }
}

}  // namespace
}  // namespace consort
