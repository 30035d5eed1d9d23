#include "wire/docker_json.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

namespace consort {
namespace {

constexpr std::string_view kRest = R"(,"stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"})";

/// The text of a log as it is written, then what is known of its end.
std::string text_of(std::string_view log) {
  std::string scratch = "old";
  const std::string whole = R"({"log":")" + std::string(log) + "\"" + std::string(kRest);
  const auto line = parse_docker_json(whole, scratch);
  if (!line) return "none";
  return std::string(line->text) + (line->is_partial ? "|partial" : "|whole");
}

TEST_CASE("a line of Docker is its text, stream and time") {
  std::string scratch;
  const std::string text =
      R"({"log":"some text\n","stream":"stderr","time":"2016-10-06T00:17:09.669794202Z"})";
  const auto line = parse_docker_json(text, scratch);
  REQUIRE(line);
  CHECK(line->text == "some text");
  CHECK(line->text.data() == text.data() + 8);
  CHECK(line->stream == LogStream::err);
  CHECK(line->time_ns == 1'475'713'029'669'794'202);
  CHECK_FALSE(line->is_partial);
}

TEST_CASE("members come in any order, with others among them") {
  std::string scratch;
  for (
      const std::string_view text :
      {R"({"log":"a\n","stream":"stdout","attrs":{"a":"}\"","b":[1]},"time":"2016-10-06T00:17:09Z"})",
       R"( { "time" : "2016-10-06T00:17:09Z" , "x" : -1.5 , "stream" : "stdout" , "log" : "a\n" } )",
       R"({"y":null,"stream":"stdout","z":"\u0041","log":"a\n","time":"2016-10-06T00:17:09Z"})"}) {
    CAPTURE(text);
    const auto line = parse_docker_json(text, scratch);
    REQUIRE(line);
    CHECK(line->text == "a");
    CHECK(line->time_ns == 1'475'713'029'000'000'000);
  }
}

TEST_CASE("escapes are what they stand for, and the last line end is none of the text") {
  CHECK(text_of("") == "|partial");
  CHECK(text_of("a") == "a|partial");
  CHECK(text_of(R"(\n)") == "|whole");
  CHECK(text_of(R"(a\n\n)") == "a\n|whole");
  CHECK(text_of(R"(a\\n)") == "a\\n|partial");
  CHECK(text_of(R"(a\\\n)") == "a\\|whole");
  CHECK(text_of(R"(\"\\\/\b\f\r\t\n)") == "\"\\/\b\f\r\t|whole");
  CHECK(text_of(R"(a\u000a)") == "a|whole");
  CHECK(text_of(R"(\u003cb\u003E\u0026 \u00e9\u20ac\n)") == "<b>& \xc3\xa9\xe2\x82\xac|whole");
  CHECK(text_of(R"(\ud83d\ude00)") == "\xf0\x9f\x98\x80|partial");
  CHECK(text_of(R"(\ud83d\u0041)") ==
        "\xef\xbf\xbd"
        "A|partial");
  CHECK(text_of(R"(\ude00\ud83d)") == "\xef\xbf\xbd\xef\xbf\xbd|partial");
  CHECK(text_of(R"(\u00e9\u20ac)") == "\xc3\xa9\xe2\x82\xac|partial");
  CHECK(text_of("\x01\xff\t") == "\x01\xff\t|partial");
}

TEST_CASE("backslashes that begin no escape make it none") {
  for (const std::string_view bad :
       {R"(\x)", R"(\u12)", R"(\u12g4)", R"(\U0041)", R"(\n\q)", R"(\)", R"(\ )"}) {
    CAPTURE(bad);
    CHECK(text_of(bad) == "none");
  }
}

TEST_CASE("what is not of the format is none") {
  std::string scratch;
  const std::string good = R"({"log":"a\n","stream":"stdout","x":1,"time":"2016-10-06T00:17:09Z"})";
  REQUIRE(parse_docker_json(good, scratch));
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_docker_json(good.substr(0, size), scratch));
  }
  for (const std::string_view bad :
       {"text",
        "[]",
        "{}",
        "null",
        R"({"log":"a"})",
        R"({"log":1,"stream":"stdout","time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdin","time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","time":"yesterday"})",
        R"({"log":"a","stream":"stdout","time":1475713029})",
        R"({"log":"a","log":"b","stream":"stdout","time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","time":"2016-10-06T00:17:09Z"}x)",
        R"({"log":"a","stream":"stdout","time":"2016-10-06T00:17:09Z"},)",
        R"({"log":"a","stream":"stdout","time":"2016-10-06T00:17:09Z",})",
        R"({"log":"a","stream":"stdout","x":01,"time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","x":{]},"time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","x":[,"time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","x":"\q","time":"2016-10-06T00:17:09Z"})",
        R"({"log":"a","stream":"stdout","x":,"time":"2016-10-06T00:17:09Z"})",
        R"({"\u006cog":"a","stream":"stdout","time":"2016-10-06T00:17:09Z"})",
        R"({"log" "a","stream":"stdout","time":"2016-10-06T00:17:09Z"})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_docker_json(bad, scratch));
  }
}

}  // namespace
}  // namespace consort
