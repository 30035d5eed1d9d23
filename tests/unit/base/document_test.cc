#include "base/document.hpp"

#include <doctest/doctest.h>

namespace consort {
namespace {

/// The document as one line of JSON, which must have no problems.
std::string good(std::string_view text) {
  Problems problems("f");
  Node node = read_document(text, problems);
  for (const auto& error : problems.errors()) MESSAGE(error);
  REQUIRE(problems.ok());
  return to_json(node, 0);
}

std::vector<std::string> errors(std::string_view text) {
  Problems problems("f");
  Node node = read_document(text, problems);
  CHECK_EQ(node.kind, Node::Kind::map);
  CHECK(node.members.empty());
  return problems.errors();
}

std::string error(std::string_view text) {
  auto all = errors(text);
  REQUIRE_EQ(all.size(), 1);
  return all[0];
}

TEST_CASE("a problem names its source and place, as far as they are known") {
  Problems problems("a.yaml");
  problems.error(Place{3, 5}, "bad");
  problems.error("no place");
  problems.warn(Place{1, 2}, "odd");
  problems.set_source("");
  problems.error(Place{3, 5}, "no source");
  CHECK_FALSE(problems.ok());
  CHECK_EQ(problems.errors(),
           std::vector<std::string>{"a.yaml:3:5: bad", "no place", "3:5: no source"});
  CHECK_EQ(problems.warnings(), std::vector<std::string>{"a.yaml:1:2: odd"});
}

TEST_CASE("problems end after a hundred, and say so") {
  Problems problems;
  for (int i = 0; i < 1'000; ++i) problems.error("bad");
  REQUIRE_EQ(problems.errors().size(), Problems::kMaxEach + 1);
  CHECK_EQ(problems.errors().back(), "and more that are not shown");
}

TEST_CASE("a document's scalars keep their text, and its nulls are null") {
  CHECK_EQ(good("a: 1\nb: [x, 'y', 0123, 1e3, no, ~, null, '', \"400\"]\nc:\nd: {}\n"),
           R"({"a":1,"b":["x","y","0123",1e3,"no",null,null,"","400"],"c":null,"d":{}})");
  CHECK_EQ(good("a: |\n  two\n  lines\n"), R"({"a":"two\nlines\n"})");
  CHECK_EQ(good("- 1\n- true\n- 'true'\n"), R"([1,true,"true"])");
  CHECK_EQ(good("~: 1\nnull: 2\n"), R"({"~":1,"null":2})");
}

TEST_CASE("an empty document is an empty map") {
  for (std::string_view text :
       {"", "\n", "# only a comment\n", "---\n", "~", "null\n", "\xEF\xBB\xBF"}) {
    CAPTURE(text);
    CHECK_EQ(good(text), "{}");
  }
}

TEST_CASE("every node knows its place, also behind a byte order mark and wide letters") {
  Problems problems;
  Node root = read_document(
      "\xEF\xBB\xBF"
      "a: 1\nb:\n  - \u00e4\u00e4: x\n  - {k: [v]}\n",
      problems);
  REQUIRE(problems.ok());
  CHECK_EQ(root.place.line, 1);
  CHECK_EQ(root.place.column, 1);
  CHECK_EQ(root.find("a")->place.column, 4);
  const Node* list = root.find("b");
  REQUIRE(list != nullptr);
  CHECK_EQ(list->place.line, 3);
  CHECK_EQ(list->place.column, 3);
  CHECK_EQ(list->items[0].members[0].second.place.line, 3);
  CHECK_EQ(list->items[0].members[0].second.place.column, 9);
  CHECK_EQ(list->items[1].find("k")->items[0].place.column, 10);
  CHECK_EQ(root.find("absent"), nullptr);
  CHECK_EQ(list->find("k"), nullptr);
}

TEST_CASE("a key that stands twice is refused with both places, each of them") {
  CHECK_EQ(errors("a: 1\nb: 2\na: 3\nc: {x: 1, x: 2}\nb: 1\na: 4\n"),
           std::vector<std::string>{R"(f:4:11: the key "x" stands twice; the first is at 4:5)",
                                    R"(f:3:1: the key "a" stands twice; the first is at 1:1)",
                                    R"(f:5:1: the key "b" stands twice; the first is at 2:1)",
                                    R"(f:6:1: the key "a" stands twice; the first is at 1:1)"});
  CHECK_EQ(errors("{\"a\": 1, 'a': 2}").size(), 1);
  std::string many;
  for (int i = 0; i < 5'000; ++i) many += "a: 1\n";
  CHECK_EQ(errors(many).size(), Problems::kMaxEach + 1);
}

TEST_CASE("a second document is refused") {
  CHECK_EQ(error("a: 1\n---\nb: 2\n"),
           "f:2:1: a second document starts here, and a file holds one");
  CHECK_EQ(good("--- {a: 1}\n...\n"), R"({"a":1})");
}

TEST_CASE("keys must be text") {
  CHECK_EQ(error("? [a]\n: 1\n"), "f:1:3: a key must be text, not a list");
  CHECK_EQ(error("{{a: 1}: 1}"), "f:1:2: a key must be text, not a map");
  CHECK_EQ(error("? \n: 1\n"), "f:1:2: a key is missing here");
  CHECK_EQ(error("x: &a [1]\n*a : 2\n"),
           "f:2:1: a key must be text, and this alias is something else");
  CHECK_EQ(good("'': 1"), R"({"":1})");
}

TEST_CASE("aliases stand for what their anchors named") {
  CHECK_EQ(good("a: &x {k: [1, 2]}\nb: *x\nc: [&s text, *s]\n*s : 1\n"),
           R"({"a":{"k":[1,2]},"b":{"k":[1,2]},"c":["text","text"],"text":1})");
  CHECK_EQ(good("a: &x 1\nb: &x 2\nc: *x\n"), R"({"a":1,"b":2,"c":2})");
  CHECK_EQ(error("a: *x\n"), R"(f:1:4: no finished anchor "x" stands before this alias)");
  CHECK_EQ(error("a: &x [*x]\n"), R"(f:1:8: no finished anchor "x" stands before this alias)");
}

TEST_CASE("merge keys fill in what a map does not say itself") {
  CHECK_EQ(good("base: &b {x: 1, y: 2}\na:\n  y: 3\n  <<: *b\n"),
           R"({"base":{"x":1,"y":2},"a":{"y":3,"x":1}})");
  CHECK_EQ(good("- &a {x: 1}\n- &b {x: 2, y: 2}\n- {<<: [*a, *b], z: 3}\n"),
           R"([{"x":1},{"x":2,"y":2},{"z":3,"x":1,"y":2}])");
  CHECK_EQ(good("{'<<': 1}"), R"({"<<":1})");
  CHECK_EQ(error("a: {<<: 1}\n"), "f:1:9: the merge key << takes a map or a list of maps");
  CHECK_EQ(error("a: {<<: [{}, 1]}\n"), "f:1:14: the merge key << takes a map or a list of maps");
  CHECK_EQ(errors("a: {<<: {x: 1}, <<: {y: 1}}\n").size(), 1);
}

TEST_CASE("tags say text or nothing") {
  CHECK_EQ(good("[!!str 1, ! 2, !!int '3', !!null '', !!seq [], !!map {}]"),
           R"(["1","2",3,null,[],{}])");
  CHECK_EQ(error("a: !secret x\n"), R"(f:1:4: the tag "!secret" is not supported)");
  CHECK_EQ(error("a: !!set {x}\n"),
           R"(f:1:4: the tag "tag:yaml.org,2002:set" is not supported here)");
}

TEST_CASE("nested aliases cannot grow a small text into a huge tree") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string below = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) laughs += below + ", ";
    laughs += "]\n";
  }
  CHECK(error(laughs).find("holds more than 1000000 values") != std::string::npos);
}

TEST_CASE("aliases of a long text cannot fill the memory") {
  std::string text = "a: &a '" + std::string(1'000'000, 'x') + "'\nb: [";
  for (int i = 0; i < 100; ++i) text += "*a, ";
  CHECK(error(text + "]\n").find("copy more than 16MiB of text") != std::string::npos);
}

TEST_CASE("nesting ends at 64 levels, in every style and through aliases") {
  auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  CHECK_EQ(good(nested(64)), nested(64));
  CHECK_EQ(error(nested(65)), "f:1:65: lists and maps nest deeper than 64 levels");
  CHECK_EQ(errors(nested(200'000)).size(), 1);
  CHECK_EQ(errors(std::string(200'000, '[')).size(), 1);
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK_EQ(errors(dashes).size(), 1);
  CHECK_EQ(errors(std::string(100'000, '{')).size(), 1);
  std::string chain = "- &a0 []\n";
  for (int i = 1; i < 100; ++i) {
    chain += "- &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  }
  CHECK(error(chain).find("deeper than 64") != std::string::npos);
}

TEST_CASE("a document ends at its limits of bytes and of values") {
  std::string large(kMaxDocumentBytes + 1, '#');
  CHECK_EQ(error(large), "f:1:1: the file is larger than 16MiB");
  std::string many = "[";
  for (std::size_t i = 0; i < kMaxDocumentNodes; ++i) many += "1,";
  CHECK(error(many + "]").find("holds more than 1000000 values") != std::string::npos);
}

TEST_CASE("tag directives are few") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "%TAG !a" + std::to_string(i) + "! b\n";
  CHECK_EQ(good(text + "--- {a: 1}\n"), R"({"a":1})");
  CHECK_EQ(error(text + "%TAG !b! b\n--- {a: 1}\n"),
           "f:101:1: there are more than 100 %TAG directives");
}

TEST_CASE("broken syntax is reported where it is") {
  CHECK_EQ(error("a: [1, 2\nb: 3\n"),
           "f:2:2: did not find expected ',' or ']' while parsing a flow sequence that begins in "
           "line 1");
  CHECK_EQ(error("a: 1\n b: 2\n"), "f:2:3: mapping values are not allowed in this context");
  CHECK_EQ(error("a: 'x\n").substr(0, 6), "f:2:1:");
  CHECK_EQ(error("{\"a\": 1,, }").substr(0, 2), "f:");
}

TEST_CASE("a tab as indentation is called a tab") {
  CHECK_EQ(error("a:\n\tb: 1\n"), "f:2:1: YAML is not indented with tabs; use blanks");
  CHECK_EQ(error("\ta: 1\n"), "f:1:1: YAML is not indented with tabs; use blanks");
  CHECK_EQ(good("a:\t1\n"), R"({"a":1})");
  CHECK_EQ(good("{\n\t\"a\":\t1\n}\n"), R"({"a":1})");
}

TEST_CASE("text in another encoding is reported where it begins") {
  CHECK_EQ(error("a: 1\nb: \u00e4\xE4\n"),
           "f:2:5: the text is not valid UTF-8 here; save the file as UTF-8");
  CHECK_EQ(error("a: \xC3"), "f:1:4: the text is not valid UTF-8 here; save the file as UTF-8");
  CHECK_EQ(error("a: b\x07\n"), "f:1:5: the character U+0007 is not allowed in a file");
  using namespace std::string_view_literals;
  CHECK_EQ(error("a: b\0c\n"sv), "f:1:5: the character U+0000 is not allowed in a file");
  CHECK_EQ(error("\xFF\xFE"
                 "a\0:\0"sv),
           "f:1:1: the file is UTF-16; save it as UTF-8");
}

TEST_CASE("JSON is read as a document, also where YAML would refuse it") {
  CHECK_EQ(good(R"({"a": "\/\u00e4\ud83d\ude00\\ud83d", "b": [1, -0, 1e5]})"),
           "{\"a\":\"/\u00e4\U0001F600\\\\ud83d\",\"b\":[1,-0,1e5]}");
  std::string long_key(3'000, 'k');
  CHECK_EQ(good("{\"" + long_key + "\": 1}"), "{\"" + long_key + "\":1}");
  CHECK_EQ(good("[\"\x7F\"]"), R"(["\u007f"])");
  CHECK_EQ(good("[\"a\u0085 b\u2028c\", 1]"), R"(["a\u0085 b\u2028c",1])");
  // JSON ends at no NUL, and what stands behind one is not taken for JSON.
  CHECK_EQ(errors(std::string("{}\0\"\\ud83d", 10)).size(), 1);
  // A surrogate alone is no character, in JSON or YAML.
  CHECK(error(R"(["\ud83d"])").find("invalid Unicode character escape") != std::string::npos);
}

TEST_CASE("escaped surrogate pairs do not shift the places after them") {
  Problems problems("f");
  Node root = read_document(R"({"\ud83d\ude00": "\ud83d\ude00\ud83d\ude01", "b": [7]})", problems);
  REQUIRE(problems.ok());
  CHECK_EQ(root.find("\U0001F600")->scalar, "\U0001F600\U0001F601");
  CHECK_EQ(root.find("\U0001F600")->place.column, 18);
  CHECK_EQ(root.find("b")->place.column, 51);
  CHECK_EQ(error("{\"x\": \"\\ud83d\\ude00\", \"a\": 1,\n \"a\": 2}"),
           R"(f:2:2: the key "a" stands twice; the first is at 1:23)");
}

TEST_CASE("only what JSON calls a number is printed bare") {
  auto print = [](std::string text) {
    return to_json(Node{.kind = Node::Kind::scalar, .scalar = std::move(text)}, 0);
  };
  for (std::string text : {"0", "-0", "10", "-1.5", "1e5", "1E+5", "1.0e-10", "true", "false",
                           "null", "18446744073709551616"}) {
    CHECK_EQ(print(text), text);
  }
  for (std::string text : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", "1e999",
                           "NaN", "True", "yes", "1_000"}) {
    CHECK_EQ(print(text), '"' + text + '"');
  }
}

TEST_CASE("JSON can be printed over several lines") {
  Problems problems;
  Node root = read_document("a: [1, {b: 2}]\nc: []\n", problems);
  CHECK_EQ(to_json(root, 2),
           "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": []\n}");
}

}  // namespace
}  // namespace consort
