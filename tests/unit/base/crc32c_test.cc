#include "base/crc32c.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/random.hpp"

using namespace consort;

namespace {

std::string random_bytes(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random.next());
  return bytes;
}

/// One bit after the other, as the polynomial is defined.
std::uint32_t slow_crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

}  // namespace

TEST_CASE("crc32c of the examples in RFC 3720 appendix B.4") {
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
    falling += static_cast<char>(31 - i);
  }
  // "An iSCSI - SCSI Read (10) Command PDU".
  std::string command(48, '\0');
  command[0] = '\x01';
  command[1] = '\xc0';
  command[16] = command[27] = '\x14';
  command[22] = '\x04';
  command[31] = '\x18';
  command[32] = '\x28';
  command[40] = '\x02';
  const std::pair<std::string, std::uint32_t> table[] = {
      {std::string(32, '\0'), 0x8a9136aa},
      {std::string(32, '\xff'), 0x62a8ab43},
      {rising, 0x46dd794e},
      {falling, 0x113fdb5c},
      {command, 0xd9963a56},
      {"123456789", 0xe3069283},
      {"", 0},
  };
  for (const auto& [bytes, crc] : table) {
    CHECK(crc32c(bytes) == crc);
    CHECK(crc32c_by_tables(bytes) == crc);
    CHECK(slow_crc32c(bytes) == crc);
  }
}

TEST_CASE(
    "the instruction, the tables and the definition of crc32c agree at any length and place") {
  const std::string bytes = random_bytes(96, 1);
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t length = 0; start + length <= bytes.size(); ++length) {
      const std::string_view part = std::string_view(bytes).substr(start, length);
      const std::uint32_t crc = slow_crc32c(part);
      REQUIRE(crc32c(part) == crc);
      REQUIRE(crc32c_by_tables(part) == crc);
    }
  }
}

TEST_CASE("crc32c goes on from bytes before, wherever they are cut") {
  const std::string bytes = random_bytes(100, 2);
  const std::string_view all = bytes;
  const std::uint32_t crc = crc32c(all);
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    REQUIRE(crc32c(all.substr(cut), crc32c(all.substr(0, cut))) == crc);
    REQUIRE(crc32c_by_tables(all.substr(cut), crc32c_by_tables(all.substr(0, cut))) == crc);
  }
}

TEST_CASE("crc32c sees every flipped bit of a record") {
  std::string bytes = random_bytes(64, 3);
  const std::uint32_t crc = crc32c(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto flip = static_cast<char>(1 << bit % 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ flip);
    REQUIRE(crc32c(bytes) != crc);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ flip);
  }
}
