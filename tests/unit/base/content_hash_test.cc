#include "base/content_hash.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>

using namespace consort;

namespace {

/// The buffer of xxHash's own self-test (xxhsum, "sanity check").
std::string sanity_bytes(std::size_t size) {
  std::uint64_t state = 2654435761U;
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) {
    bytes += static_cast<char>(state >> 56);
    state *= 11400714785074694797U;
  }
  return bytes;
}

}  // namespace

TEST_CASE("content_hash is XXH3 with 128 bits, by the values of xxHash's self-test") {
  const std::pair<std::size_t, ContentHash> table[] = {
      {0, {0x6001c324468d497f, 0x99aa06d3014798d8}},
      {1, {0xc44bdff4074eecdb, 0xa6cd5e9392000f6a}},
      {6, {0x3e7039bdda43cfc6, 0x082afe0b8162d12a}},
      {12, {0x061a192713f69ad9, 0x6e3efd8fc7802b18}},
      {24, {0x1e7044d28b1b901d, 0x0ce966e4678d3761}},
  };
  for (const auto& [size, hash] : table) {
    CAPTURE(size);
    CHECK(content_hash(sanity_bytes(size)) == hash);
  }
}

TEST_CASE("what nobody has set is not the hash of anything short") {
  CHECK_FALSE(content_hash("") == ContentHash{});
}

TEST_CASE("content_hash tells every prefix from every other one") {
  const std::string bytes(5000, 'x');
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const ContentHash hash = content_hash(std::string_view(bytes).substr(0, size));
    REQUIRE(seen.emplace(hash.low, hash.high).second);
  }
}

TEST_CASE("content_hash does not depend on where the bytes lie") {
  const std::string bytes = sanity_bytes(1024);
  const ContentHash hash = content_hash(bytes);
  for (std::size_t shift = 0; shift < 32; ++shift) {
    const std::string shifted = std::string(shift, '-') + bytes;
    REQUIRE(content_hash(std::string_view(shifted).substr(shift)) == hash);
  }
}
