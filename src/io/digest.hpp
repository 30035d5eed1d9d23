// SHA-256, HMAC-SHA256 and MD5, for those who must prove to a server what they send.
//
// By OpenSSL, which is started at the first call and not before (a process that never asks pays
// nothing; the first call takes 0.5 ms and 1.5 MiB); the machine's configuration of OpenSSL is not
// read, so every algorithm is there. The algorithms are looked up once in a process: to look one up
// costs more than to hash 200 bytes.
//
// All functions may be called from any thread; one Sha256 belongs to one thread at a time.
// Facts from FIPS 180-4 (SHA-256), RFC 2104 (HMAC), RFC 1321 (MD5).
//
// Cost on one 3 GHz core with SHA extensions: sha256 1.8 GB/s and 145 ns for 100 bytes, md5
// 0.75 GB/s, hmac_sha256 350 ns; one allocation for each call but Sha256's, which has its own at
// construction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace consort::io {

using Sha256Bytes = std::array<std::uint8_t, 32>;
using Md5Bytes = std::array<std::uint8_t, 16>;

Sha256Bytes sha256(std::string_view bytes);

/// SHA-256 of what comes in pieces.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void add(std::string_view bytes);
  /// Of all that was added; starts anew.
  Sha256Bytes finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A key longer than 64 bytes is hashed first, as RFC 2104 says.
Sha256Bytes hmac_sha256(std::string_view key, std::string_view message);

/// For Content-MD5 and the like, where a protocol wants it; MD5 protects nothing.
Md5Bytes md5(std::string_view bytes);

/// "2cf24dba...": two small digits for each byte.
std::string to_hex(std::span<const std::uint8_t> bytes);

/// For append_base64(), another digest or a key: the bytes as they are.
std::string_view as_text(std::span<const std::uint8_t> bytes);

}  // namespace consort::io
