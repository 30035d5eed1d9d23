#include "net/key_hash.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace consort;

namespace {

/// Printed by twemproxy's own functions, in the order of KeyHash.
struct Vector {
  std::string_view key;
  std::array<std::uint32_t, 12> hashes;
};
constexpr Vector kVectors[] = {
    {"apple",
     {2297466611, 3195025439, 3662830516, 10542, 2838417488, 473199127, 1488911807, 67176023,
      280767167, 3738850110, 4142305122, 1442444624}},
    {"user:1000",
     {3043211087, 781738503, 3781445233, 8052, 2675185635, 3550362913, 2927313545, 2796551329,
      1350311305, 3723237737, 2384768711, 76303748}},
    {"\xc3\xa9\x74\xc3\xa9\xff",
     {2578343018, 2372602593, 648527101, 32506, 2130364321, 1599188714, 2557761144, 668655178,
      525990456, 1116220414, 653964746, 527530862}},
};

std::string hex(std::array<std::uint32_t, 4> words) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::uint32_t word : words) {
    for (int byte = 0; byte < 4; ++byte, word >>= 8) {
      text += kDigits[(word >> 4) & 15];
      text += kDigits[word & 15];
    }
  }
  return text;
}

}  // namespace

TEST_CASE("every key hash gives what twemproxy gives") {
  for (const Vector& vector : kVectors) {
    for (std::size_t i = 0; i < vector.hashes.size(); ++i) {
      CAPTURE(Choices<KeyHash>::names[i]);
      CAPTURE(vector.key);
      CHECK(hash_key(static_cast<KeyHash>(i), vector.key) == vector.hashes[i]);
    }
  }
}

TEST_CASE("each hash has a name of twemproxy's, in the order of the enum") {
  REQUIRE(std::size(Choices<KeyHash>::names) == std::size(kVectors[0].hashes));
  auto name = [](KeyHash hash) { return Choices<KeyHash>::names[static_cast<std::size_t>(hash)]; };
  CHECK(name(KeyHash::one_at_a_time) == "one_at_a_time");
  CHECK(name(KeyHash::fnv1a_64) == "fnv1a_64");
  CHECK(name(KeyHash::jenkins) == "jenkins");
}

TEST_CASE("an empty key hashes to 0 with every hash") {
  for (std::uint8_t i = 0; i < std::size(Choices<KeyHash>::names); ++i) {
    CHECK(hash_key(static_cast<KeyHash>(i), "") == 0);
    CHECK(hash_key(static_cast<KeyHash>(i), std::string_view()) == 0);
  }
}

TEST_CASE("a key's bytes are read within its length, at any alignment") {
  // Exactly sized heap blocks, so that the address sanitizer sees one byte too many.
  for (std::size_t length = 1; length <= 130; ++length) {
    for (std::size_t offset = 0; offset < 4; ++offset) {
      auto block = std::make_unique<char[]>(offset + length);
      std::string key;
      for (std::size_t i = 0; i < length; ++i) key += static_cast<char>(i * 37 + 128);
      key.copy(block.get() + offset, length);
      for (std::uint8_t i = 0; i < std::size(Choices<KeyHash>::names); ++i) {
        auto hash = static_cast<KeyHash>(i);
        CHECK(hash_key(hash, {block.get() + offset, length}) == hash_key(hash, key));
      }
    }
  }
}

TEST_CASE("crc32a is the CRC-32 of zip and Ethernet, crc32 15 bits of it") {
  CHECK(hash_key(KeyHash::crc32a, "123456789") == 0xcbf43926);
  CHECK(hash_key(KeyHash::crc32, "123456789") == (0xcbf4 & 0x7fff));
}

TEST_CASE("the low 16 bits of crc16 are CRC16-XMODEM, as in Redis Cluster, the rest are not") {
  CHECK((hash_key(KeyHash::crc16, "123456789") & 0xffff) == 0x31c3);
  CHECK(hash_key(KeyHash::crc16, "123456789") != 0x31c3);
}

TEST_CASE("chars are signed: a byte of 0x80 and above changes the upper bits") {
  CHECK(hash_key(KeyHash::fnv1a_32, "\x80") == (0x811c9dc5U ^ 0xffffff80U) * 0x01000193U);
  CHECK(hash_key(KeyHash::fnv1_32, "\x80") == ((0x811c9dc5U * 0x01000193U) ^ 0xffffff80U));
  CHECK(hash_key(KeyHash::fnv1a_64, "\x80") == (0x84222325U ^ 0xffffff80U) * 0x1b3U);
}

TEST_CASE("keys that differ in the last character are neighbours under fnv1a_64") {
  std::uint32_t first = hash_key(KeyHash::fnv1a_64, "k0");
  for (char digit = '1'; digit <= '7'; ++digit) {
    std::uint32_t other = hash_key(KeyHash::fnv1a_64, std::string("k") + digit);
    std::uint32_t distance = other > first ? other - first : first - other;
    CHECK(distance <= 7 * 0x1b3U);
  }
}

TEST_CASE("MD5 passes the test suite of RFC 1321") {
  CHECK(hex(md5_words("")) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(hex(md5_words("a")) == "0cc175b9c0f1b6a831c399e269772661");
  CHECK(hex(md5_words("abc")) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(hex(md5_words("message digest")) == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(hex(md5_words("abcdefghijklmnopqrstuvwxyz")) == "c3fcd3d76192e4007dfb496cca67e13b");
  CHECK(hex(md5_words("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")) ==
        "d174ab98d277d9f5a5611c2c9f419d9f");
  CHECK(hex(md5_words("1234567890123456789012345678901234567890"
                      "1234567890123456789012345678901234567890")) ==
        "57edf4a22be3c955ac49da2e2107b67a");
}

TEST_CASE("MD5 pads right on both sides of a block's end") {
  // One block holds 55 bytes with the length; 56 to 63 spill the length, 64 fills the block.
  CHECK(hex(md5_words(std::string(55, 'x'))) == "04364420e25c512fd958a70738aa8f72");
  CHECK(hex(md5_words(std::string(56, 'x'))) == "668a72d5ba17f08e62dabcafad6db14b");
  CHECK(hex(md5_words(std::string(63, 'x'))) == "7dc2ca208106a2f703567bdff99d8981");
  CHECK(hex(md5_words(std::string(64, 'x'))) == "c1bb4f81d892b2d57947682aeb252456");
  CHECK(hex(md5_words(std::string(65, 'x'))) == "1bc932052302d074bdec39795fe00cf6");
  CHECK(hex(md5_words(std::string(119, 'x'))) == "ab347a5f68c8a443cfcddc633f12c24f");
  CHECK(hex(md5_words(std::string(120, 'x'))) == "fb98667f98096de92620b64f46e1c5b5");
  CHECK(hex(md5_words(std::string(1000, 'x'))) == "398533d48111e9f664b1f64cb10c4b63");
}

TEST_CASE("a ketama label's four words are its four points") {
  auto words = md5_words("server1-8");
  CHECK(words[0] == 3853726576);
  CHECK(words[3] == 2667054752);
}
