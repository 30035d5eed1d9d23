#include "base/utf8.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace consort {
namespace {

TEST_CASE("valid characters of every length are measured") {
  CHECK(utf8_character_bytes("a") == 1);
  CHECK(utf8_character_bytes("\xC3\xA4z") == 2);
  CHECK(utf8_character_bytes("\xE2\x82\xACz") == 3);
  CHECK(utf8_character_bytes("\xF0\x9F\x98\x80z") == 4);
}

TEST_CASE("what RFC 3629 forbids is no character") {
  for (std::string_view bad : {"", "\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80",
                               "\xED\xA0\x80", "\xE2\x82", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                               "\xF5\x80\x80\x80", "\xFF", "\xC3z", "\xE2\x82z", "\xF0\x9F\x98z"}) {
    CHECK(utf8_character_bytes(bad) == 0);
  }
}

TEST_CASE("a prefix does not cut a character apart") {
  CHECK(utf8_prefix("abc", 5) == "abc");
  CHECK(utf8_prefix("abc", 2) == "ab");
  CHECK(utf8_prefix("a\xE2\x82\xAC", 3) == "a");
  CHECK(utf8_prefix("a\xE2\x82\xAC", 4) == "a\xE2\x82\xAC");
  CHECK(utf8_prefix("\xE2\x82\xAC", 2).empty());
  CHECK(utf8_prefix("\x80\x80\x80\x80\x80\x80", 5) == "\x80\x80");
  CHECK(utf8_prefix("abc", 0).empty());
}

}  // namespace
}  // namespace consort
