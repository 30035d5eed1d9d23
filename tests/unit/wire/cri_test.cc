#include "wire/cri.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace consort {
namespace {

TEST_CASE("a line of CRI is its time, stream, tag and text") {
  const auto line = parse_cri("2016-10-06T00:17:09.669794202Z stdout F some text ");
  REQUIRE(line);
  CHECK(line->time_ns == 1'475'713'029'669'794'202);
  CHECK(line->stream == LogStream::out);
  CHECK_FALSE(line->is_partial);
  CHECK(line->text == "some text ");
  const auto part = parse_cri("2016-10-06T02:17:09+02:00 stderr P ab\r");
  REQUIRE(part);
  CHECK(part->time_ns == 1'475'713'029'000'000'000);
  CHECK(part->stream == LogStream::err);
  CHECK(part->is_partial);
  CHECK(part->text == "ab\r");
}

TEST_CASE("only the first tag counts, and unknown ones end a line") {
  const std::string head = "2016-10-06T00:17:09Z stdout ";
  CHECK(parse_cri(head + "P:x y")->is_partial);
  CHECK_FALSE(parse_cri(head + "F:P y")->is_partial);
  CHECK_FALSE(parse_cri(head + "PX y")->is_partial);
  CHECK_FALSE(parse_cri(head + "Q y")->is_partial);
  CHECK(parse_cri(head + "F ")->text.empty());
  CHECK(parse_cri(head + std::string(64, 'x') + " y")->text == "y");
}

TEST_CASE("what is not of the format is none") {
  for (const std::string_view bad :
       {"", "text", "2016-10-06T00:17:09Z", "2016-10-06T00:17:09Z ", "2016-10-06T00:17:09Z stdout",
        "2016-10-06T00:17:09Z stdout ", "2016-10-06T00:17:09Z stdout F",
        "2016-10-06T00:17:09Z stdout  x", "2016-10-06T00:17:09Z stdin F x",
        "2016-10-06T00:17:09Z  stdout F x", "2016-10-06 00:17:09Z stdout F x",
        "2016-10-06T00:17:09 stdout F x", " 2016-10-06T00:17:09Z stdout F x",
        "2016-10-06T00:17:09Zstdout F x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_cri(bad));
  }
  CHECK_FALSE(parse_cri("2016-10-06T00:17:09Z stdout " + std::string(65, 'x') + " y"));
}

}  // namespace
}  // namespace consort
