#include "io/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>

#include "base/check.hpp"

namespace consort::io {
namespace {

/// As start_openssl() in io/tls, without what only TLS needs.
const EVP_MD* fetch(const char* name) {
  CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) == 1);
  const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, name, nullptr);
  CHECK(algorithm != nullptr);
  return algorithm;
}

// Never freed: they live as long as the process, like the library that holds them.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = fetch("SHA256");
  return algorithm;
}
const EVP_MD* md5_algorithm() {
  static const EVP_MD* const algorithm = fetch("MD5");
  return algorithm;
}

template <std::size_t Size>
std::array<std::uint8_t, Size> digest(const EVP_MD* algorithm, std::string_view bytes) {
  std::array<std::uint8_t, Size> result{};
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), result.data(), &size, algorithm, nullptr) == 1);
  CHECK(size == Size);
  return result;
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) { CHECK(context != nullptr); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }

  void start() { CHECK(EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr) == 1); }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  state_->start();
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Sha256Bytes Sha256::finish() {
  Sha256Bytes result{};
  unsigned int size = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, result.data(), &size) == 1);
  CHECK(size == result.size());
  state_->start();
  return result;
}

Sha256Bytes sha256(std::string_view bytes) {
  return digest<32>(sha256_algorithm(), bytes);
}

// By hand, since OpenSSL's own looks the algorithm up at each call and takes three times as long.
Sha256Bytes hmac_sha256(std::string_view key, std::string_view message) {
  constexpr std::size_t kBlockBytes = 64;
  std::array<std::uint8_t, kBlockBytes> pad{};
  if (key.size() > kBlockBytes) {
    const Sha256Bytes short_key = sha256(key);
    std::copy(short_key.begin(), short_key.end(), pad.begin());
  } else {
    std::copy(key.begin(), key.end(), pad.begin());
  }
  constexpr std::uint8_t kInner = 0x36;
  constexpr std::uint8_t kOuter = 0x5c;
  Sha256 hash;
  for (std::uint8_t& byte : pad) byte ^= kInner;
  hash.add(as_text(pad));
  hash.add(message);
  const Sha256Bytes inner = hash.finish();
  for (std::uint8_t& byte : pad) byte ^= kInner ^ kOuter;
  hash.add(as_text(pad));
  hash.add(as_text(inner));
  OPENSSL_cleanse(pad.data(), pad.size());
  return hash.finish();
}

Md5Bytes md5(std::string_view bytes) {
  return digest<16>(md5_algorithm(), bytes);
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace consort::io
