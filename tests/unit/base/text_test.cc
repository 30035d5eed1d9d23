#include "base/text.hpp"

#include <doctest/doctest.h>

using namespace consort;

TEST_CASE("hexadecimal numbers are of one width, of which the lowest digits are kept") {
  CHECK(to_hex(0) == "0000000000000000");
  CHECK(to_hex(0xFEDC'BA98'7654'3210) == "fedcba9876543210");
  CHECK(to_hex(0x12'3456, 8) == "00123456");
  CHECK(to_hex(0xFEDC'BA98'7654'3210, 4) == "3210");
  CHECK(to_hex(7, 0) == "");
}
