#include "io/tls/pem.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <utility>

namespace consort::io {
namespace {

BioPtr bio_over(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Counted from the first BEGIN at or after the offset, where the block that failed starts.
std::string line_of(std::string_view text, std::size_t offset) {
  const std::size_t begin = std::min(text.find("-----BEGIN", offset), text.size());
  const auto breaks = std::count(text.data(), text.data() + begin, '\n');
  return "line " + std::to_string(breaks + 1);
}

bool is_at_end() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/// What to do about a file in which nothing was found.
std::string nothing_in(std::string_view pem, const std::string& source, const std::string& what) {
  std::string text = source + ": no " + what + " in it";
  if (pem.empty()) return text + ": it is empty";
  // DER starts with an ASN.1 SEQUENCE, which no PEM file does.
  if (pem.front() == '\x30') return text + ": it looks like DER; convert it to PEM with openssl";
  return text + ": expected PEM text with a line \"-----BEGIN ...\"";
}

/// OpenSSL would ask on the terminal. Notes that it wanted to.
int refuse_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

Result<std::vector<X509Ptr>> read_certificates(std::string_view pem, const std::string& source) {
  ERR_clear_error();
  const BioPtr bio = bio_over(pem);
  std::vector<X509Ptr> found;
  for (;;) {
    const std::size_t offset = pem.size() - BIO_ctrl_pending(bio.get());
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate) {
      found.push_back(std::move(certificate));
      continue;
    }
    if (!is_at_end()) {
      return fail(Errc::invalid, source + ": " + line_of(pem, offset) +
                                     ": this certificate cannot be read (" + take_openssl_reason() +
                                     ")");
    }
    ERR_clear_error();
    if (!found.empty()) return found;
    return fail(Errc::invalid, nothing_in(pem, source, "certificate"));
  }
}

Result<KeyPtr> read_private_key(std::string_view pem, const std::string& source) {
  ERR_clear_error();
  const BioPtr bio = bio_over(pem);
  bool wants_passphrase = false;
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, &wants_passphrase));
  if (key) return key;
  if (wants_passphrase) {
    ERR_clear_error();
    return fail(Errc::invalid,
                source + ": the key has a passphrase; take it off with openssl pkey -in FILE");
  }
  // The decoders of OpenSSL 3 report "unsupported" for no key and for a broken one alike.
  const std::string reason = take_openssl_reason();
  if (pem.find("PRIVATE KEY-----") == std::string_view::npos) {
    return fail(Errc::invalid, nothing_in(pem, source, "private key"));
  }
  return fail(Errc::invalid, source + ": the private key cannot be read (" + reason + ")");
}

std::string take_openssl_reason() {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  std::string text = reason != nullptr ? reason : "OpenSSL error " + std::to_string(error);
  ERR_clear_error();
  return text;
}

}  // namespace consort::io
