#include "base/base64.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace consort;

namespace {

std::string encode(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

}  // namespace

TEST_CASE("base64 of the examples in RFC 4648 section 10") {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [bytes, text] : table) {
    CHECK(encode(bytes) == text);
    CHECK(parse_base64(text) == std::string(bytes));
    CHECK(parse_base64(text.substr(0, text.find('='))) == std::string(bytes));
  }
}

TEST_CASE("base64 carries every byte") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const std::string part = bytes.substr(0, length);
    REQUIRE(parse_base64(encode(part)) == part);
  }
}

TEST_CASE("what is not base64 is refused") {
  for (const std::string_view text :
       {"Z", "Zg=", "=", "Zm9v=", "Zm 9", "Zm9v\n", "Zm-_", "Z===", "====", "Zg==Zg=="}) {
    CAPTURE(text);
    CHECK_FALSE(parse_base64(text));
  }
}
