#include "io/digest.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "base/base64.hpp"

using namespace consort;
using io::to_hex;

namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string hmac(std::string_view key, std::string_view message) {
  return to_hex(io::hmac_sha256(key, message));
}

}  // namespace

TEST_CASE("SHA-256 of the examples in RFC 6234 section 8.5") {
  const std::pair<std::string, std::string_view> table[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
      {repeated("01234567", 80),
       "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5"},
  };
  for (const auto& [bytes, hex] : table) CHECK(to_hex(io::sha256(bytes)) == hex);
}

TEST_CASE("SHA-256 in pieces is SHA-256 in one, wherever it is cut, and starts anew") {
  const std::string bytes = repeated("consort ", 25);
  const std::string_view all = bytes;
  const io::Sha256Bytes whole = io::sha256(all);
  io::Sha256 hash;
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    hash.add(all.substr(0, cut));
    hash.add("");
    hash.add(all.substr(cut));
    REQUIRE(hash.finish() == whole);
  }
  CHECK(hash.finish() == io::sha256(""));

  io::Sha256 moved;
  hash.add("con");
  moved = std::move(hash);
  moved.add("sort");
  CHECK(moved.finish() == io::sha256("consort"));
}

TEST_CASE("HMAC-SHA256 of the examples in RFC 4231") {
  CHECK(hmac(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hmac("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  std::string rising;
  for (int i = 1; i <= 25; ++i) rising += static_cast<char>(i);
  CHECK(hmac(rising, std::string(50, '\xcd')) ==
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  // Test case 5 shows the first 128 bits only.
  CHECK(hmac(std::string(20, '\x0c'), "Test With Truncation").substr(0, 32) ==
        "a3b6167473100ee06e0c796c2955552b");
  const std::string long_key(131, '\xaa');
  CHECK(hmac(long_key, "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(hmac(long_key,
             "This is a test using a larger than block-size key and a larger than block-size data. "
             "The key needs to be hashed before being used by the HMAC algorithm.") ==
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST_CASE("a key as long as a block is taken as it is, and no key is a key of zeros") {
  const std::string block(64, 'k');
  CHECK(hmac(block, "m") != hmac(block + "k", "m"));
  CHECK(hmac(block + "k", "m") == hmac(io::as_text(io::sha256(block + "k")), "m"));
  CHECK(hmac("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  CHECK(hmac("", "") == hmac(std::string(64, '\0'), ""));
}

TEST_CASE("MD5 of the examples in RFC 1321 appendix A.5") {
  const std::pair<std::string, std::string_view> table[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
       "d174ab98d277d9f5a5611c2c9f419d9f"},
      {repeated("1234567890", 8), "57edf4a22be3c955ac49da2e2107b67a"},
  };
  for (const auto& [bytes, hex] : table) CHECK(to_hex(io::md5(bytes)) == hex);
}

TEST_CASE("Content-MD5 is the base64 of the digest's bytes, as RFC 1864 says") {
  std::string text;
  append_base64(text, io::as_text(io::md5("abc")));
  CHECK(text == "kAFQmDzST7DWlj99KOF/cg==");
}

TEST_CASE("hexadecimal digits are small and never left out") {
  const std::uint8_t bytes[] = {0x00, 0x0f, 0xa0, 0xff};
  CHECK(to_hex(bytes) == "000fa0ff");
  CHECK(to_hex({}) == "");
}
