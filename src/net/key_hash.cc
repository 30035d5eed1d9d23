#include "net/key_hash.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace consort {
namespace {

using Table = std::array<std::uint32_t, 256>;

/// What a C compiler on x86 does when it adds a `char` to an unsigned number.
constexpr std::uint32_t sign_extended(char byte) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<signed char>(byte)));
}
constexpr std::uint32_t plain(char byte) {
  return static_cast<unsigned char>(byte);
}

std::uint32_t load_le32(const char* at) {
  std::uint32_t word = 0;
  std::memcpy(&word, at, sizeof word);
  static_assert(std::endian::native == std::endian::little);
  return word;
}
std::uint32_t load_le16(const char* at) {
  return plain(at[0]) | plain(at[1]) << 8;
}

// --- Bob Jenkins' one-at-a-time (Dr. Dobb's Journal, 1997) ---------------------------------------

std::uint32_t one_at_a_time(std::string_view key) {
  std::uint32_t hash = 0;
  for (char byte : key) {
    hash += sign_extended(byte);
    hash += hash << 10;
    hash ^= hash >> 6;
  }
  hash += hash << 3;
  hash ^= hash >> 11;
  return hash + (hash << 15);
}

// --- Fowler, Noll, Vo (draft-eastlake-fnv) -------------------------------------------------------

constexpr std::uint32_t kFnv32Offset = 0x811c9dc5;
constexpr std::uint32_t kFnv32Prime = 0x01000193;
constexpr std::uint64_t kFnv64Offset = 0xcbf29ce484222325;
constexpr std::uint64_t kFnv64Prime = 0x00000100000001b3;

std::uint32_t fnv1_32(std::string_view key) {
  std::uint32_t hash = kFnv32Offset;
  for (char byte : key) hash = (hash * kFnv32Prime) ^ sign_extended(byte);
  return hash;
}

std::uint32_t fnv1a(std::string_view key, std::uint32_t offset, std::uint32_t prime) {
  for (char byte : key) offset = (offset ^ sign_extended(byte)) * prime;
  return offset;
}

std::uint32_t fnv1_64(std::string_view key) {
  // Sign extension reaches only bits that are dropped, multiplication never carries downwards:
  // the low half of the 64-bit hash is a hash of the low halves.
  std::uint32_t hash = static_cast<std::uint32_t>(kFnv64Offset);
  for (char byte : key) {
    hash = (hash * static_cast<std::uint32_t>(kFnv64Prime)) ^ sign_extended(byte);
  }
  return hash;
}

// --- Cyclic redundancy checks --------------------------------------------------------------------

/// Most significant bit first, polynomial 0x1021 (CCITT).
constexpr Table make_crc16_table() {
  Table table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021U : 0U);
    table[i] = crc & 0xffff;
  }
  return table;
}

/// Least significant bit first, polynomial 0xedb88320 (IEEE 802.3).
constexpr Table make_crc32_table() {
  Table table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
    table[i] = crc;
  }
  return table;
}

constexpr Table kCrc16Table = make_crc16_table();
constexpr Table kCrc32Table = make_crc32_table();

std::uint32_t crc16(std::string_view key) {
  std::uint32_t crc = 0;
  for (char byte : key) crc = (crc << 8) ^ kCrc16Table[((crc >> 8) ^ plain(byte)) & 0xff];
  return crc;
}

std::uint32_t crc32a(std::string_view key) {
  std::uint32_t crc = 0xffffffff;
  for (char byte : key) crc = kCrc32Table[(crc ^ plain(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::uint32_t crc32_15_bits(std::string_view key) {
  return (crc32a(key) >> 16) & 0x7fff;
}

// --- Paul Hsieh's SuperFastHash (2004), started from 0 -------------------------------------------

std::uint32_t hsieh(std::string_view key) {
  std::uint32_t hash = 0;
  const char* at = key.data();
  for (std::size_t left = key.size() / 4; left > 0; --left, at += 4) {
    hash += load_le16(at);
    std::uint32_t mixed = (load_le16(at + 2) << 11) ^ hash;
    hash = (hash << 16) ^ mixed;
    hash += hash >> 11;
  }
  switch (key.size() % 4) {
    case 3:
      hash += load_le16(at);
      hash ^= hash << 16;
      hash ^= sign_extended(at[2]) << 18;
      hash += hash >> 11;
      break;
    case 2:
      hash += load_le16(at);
      hash ^= hash << 11;
      hash += hash >> 17;
      break;
    case 1:
      hash += plain(at[0]);
      hash ^= hash << 10;
      hash += hash >> 1;
      break;
    default:
      break;
  }
  hash ^= hash << 3;
  hash += hash >> 5;
  hash ^= hash << 4;
  hash += hash >> 17;
  hash ^= hash << 25;
  return hash + (hash >> 6);
}

// --- Austin Appleby's MurmurHash2 ----------------------------------------------------------------

std::uint32_t murmur(std::string_view key) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  auto length = static_cast<std::uint32_t>(key.size());
  std::uint32_t hash = (0xdeadbeefU * length) ^ length;
  const char* at = key.data();
  for (std::size_t left = key.size() / 4; left > 0; --left, at += 4) {
    std::uint32_t word = load_le32(at) * kMultiplier;
    word ^= word >> 24;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
  }
  std::size_t tail = key.size() % 4;
  if (tail > 0) {
    for (std::size_t i = 0; i < tail; ++i) hash ^= plain(at[i]) << (8 * i);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ (hash >> 15);
}

// --- Bob Jenkins' lookup3, hashlittle() (2006) ---------------------------------------------------

struct Lookup3 {
  std::uint32_t a, b, c;

  void mix() {
    a -= c, a ^= std::rotl(c, 4), c += b;
    b -= a, b ^= std::rotl(a, 6), a += c;
    c -= b, c ^= std::rotl(b, 8), b += a;
    a -= c, a ^= std::rotl(c, 16), c += b;
    b -= a, b ^= std::rotl(a, 19), a += c;
    c -= b, c ^= std::rotl(b, 4), b += a;
  }
  void finish() {
    c ^= b, c -= std::rotl(b, 14);
    a ^= c, a -= std::rotl(c, 11);
    b ^= a, b -= std::rotl(a, 25);
    c ^= b, c -= std::rotl(b, 16);
    a ^= c, a -= std::rotl(c, 4);
    b ^= a, b -= std::rotl(a, 14);
    c ^= b, c -= std::rotl(b, 24);
  }
  void add(const char* twelve_bytes) {
    a += load_le32(twelve_bytes);
    b += load_le32(twelve_bytes + 4);
    c += load_le32(twelve_bytes + 8);
  }
};

std::uint32_t jenkins(std::string_view key) {
  constexpr std::uint32_t kInitval = 13;
  constexpr std::size_t kBlock = 12;
  std::uint32_t start = 0xdeadbeefU + static_cast<std::uint32_t>(key.size()) + kInitval;
  Lookup3 state{start, start, start};
  // The last block, full or not, is finished instead of mixed.
  const char* at = key.data();
  std::size_t left = key.size();
  for (; left > kBlock; left -= kBlock, at += kBlock) {
    state.add(at);
    state.mix();
  }
  if (left == 0) return state.c;
  char last[kBlock] = {};
  std::memcpy(last, at, left);
  state.add(last);
  state.finish();
  return state.c;
}

// --- MD5 (RFC 1321) ------------------------------------------------------------------------------

/// floor(2^32 * |sin(i + 1)|), RFC 1321 section 3.4.
constexpr std::array<std::uint32_t, 64> kMd5Sines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

using Md5State = std::array<std::uint32_t, 4>;

/// One of the four rounds: sixteen steps, whose message word and function differ by round.
template <std::size_t Round>
void md5_round(Md5State& state, const std::array<std::uint32_t, 16>& words) {
  constexpr int kShifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  constexpr std::size_t kStride[4] = {1, 5, 3, 7};
  constexpr std::size_t kStart[4] = {0, 1, 5, 0};
  auto [a, b, c, d] = state;
  for (std::size_t step = 0; step < 16; ++step) {
    std::uint32_t mixed = 0;
    if constexpr (Round == 0) mixed = d ^ (b & (c ^ d));
    if constexpr (Round == 1) mixed = c ^ (d & (b ^ c));
    if constexpr (Round == 2) mixed = b ^ c ^ d;
    if constexpr (Round == 3) mixed = c ^ (b | ~d);
    std::uint32_t word = words[(kStart[Round] + kStride[Round] * step) % 16];
    std::uint32_t sum = a + mixed + word + kMd5Sines[16 * Round + step];
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kShifts[Round][step % 4]);
  }
  state = {a, b, c, d};
}

void md5_block(Md5State& state, const char* block) {
  std::array<std::uint32_t, 16> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = load_le32(block + 4 * i);
  Md5State mixed = state;
  md5_round<0>(mixed, words);
  md5_round<1>(mixed, words);
  md5_round<2>(mixed, words);
  md5_round<3>(mixed, words);
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += mixed[i];
}

}  // namespace

std::array<std::uint32_t, 4> md5_words(std::string_view bytes) {
  constexpr std::size_t kBlock = 64;
  constexpr std::size_t kLengthField = 8;
  Md5State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const std::uint64_t bits = static_cast<std::uint64_t>(bytes.size()) * 8;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kBlock; left -= kBlock, at += kBlock) md5_block(state, at);

  // What is left, a one bit, zeros, and the length in the last 8 bytes: one block or two.
  char tail[2 * kBlock] = {};
  if (left > 0) std::memcpy(tail, at, left);
  tail[left] = static_cast<char>(0x80);
  const bool one = left + 1 + kLengthField <= kBlock;
  const std::size_t end = one ? kBlock : 2 * kBlock;
  std::memcpy(tail + end - kLengthField, &bits, kLengthField);
  md5_block(state, tail);
  if (!one) md5_block(state, tail + kBlock);
  return state;
}

std::uint32_t hash_key(KeyHash hash, std::string_view key) {
  if (key.empty()) return 0;
  switch (hash) {
    case KeyHash::one_at_a_time:
      return one_at_a_time(key);
    case KeyHash::md5:
      return md5_words(key)[0];
    case KeyHash::crc16:
      return crc16(key);
    case KeyHash::crc32:
      return crc32_15_bits(key);
    case KeyHash::crc32a:
      return crc32a(key);
    case KeyHash::fnv1_64:
      return fnv1_64(key);
    case KeyHash::fnv1a_64:
      return fnv1a(key, static_cast<std::uint32_t>(kFnv64Offset),
                   static_cast<std::uint32_t>(kFnv64Prime));
    case KeyHash::fnv1_32:
      return fnv1_32(key);
    case KeyHash::fnv1a_32:
      return fnv1a(key, kFnv32Offset, kFnv32Prime);
    case KeyHash::hsieh:
      return hsieh(key);
    case KeyHash::murmur:
      return murmur(key);
    case KeyHash::jenkins:
      return jenkins(key);
  }
  return 0;
}

}  // namespace consort
