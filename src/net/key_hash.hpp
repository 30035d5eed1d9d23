// Turns a key into 32 bits, bit for bit as twemproxy does, so that a pool that moves from
// nutcracker (or libmemcached) to consort finds every value where it lies.
//
// Compatibility includes what looks like mistakes. They are kept, and named here:
//   - chars are signed: one_at_a_time, the four fnv and the 3-byte tail of hsieh sign-extend bytes
//     of 0x80 and above
//   - fnv1_64 works on 64 bits and drops the upper half; fnv1a_64 is 32-bit throughout, with the
//     low halves of the 64-bit constants
//   - crc16 is never masked to 16 bits, so it is not the CRC16 of Redis Cluster
//   - crc32 keeps 15 bits ((crc >> 16) & 0x7fff); crc32a is the real CRC-32
//   - murmur is MurmurHash2 seeded from the length; jenkins is lookup3 with initval 13
// Facts from twemproxy 0.5.0, checked against its output; an empty key is 0 for each of them.
//
// Cost: no allocation. Per key of 20 bytes on one 3 GHz core: hsieh, murmur and jenkins 6 ns, the
// fnv 8 ns, one_at_a_time and the crc 15 to 23 ns, md5 125 ns.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/options.hpp"

namespace consort {

enum class KeyHash : std::uint8_t {
  one_at_a_time,
  md5,
  crc16,
  crc32,
  crc32a,
  fnv1_64,
  fnv1a_64,
  fnv1_32,
  fnv1a_32,
  hsieh,
  murmur,
  jenkins,
};

template <>
struct Choices<KeyHash> {
  static constexpr std::string_view names[] = {"one_at_a_time", "md5",     "crc16",    "crc32",
                                               "crc32a",        "fnv1_64", "fnv1a_64", "fnv1_32",
                                               "fnv1a_32",      "hsieh",   "murmur",   "jenkins"};
};

std::uint32_t hash_key(KeyHash hash, std::string_view key);

/// The digest of RFC 1321 as its four little-endian words: the form in which ketama uses it.
/// For placement only; MD5 protects nothing.
std::array<std::uint32_t, 4> md5_words(std::string_view bytes);

}  // namespace consort
