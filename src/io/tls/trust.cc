#include "io/tls/trust.hpp"

#include <optional>
#include <utility>

#include "io/read_file.hpp"
#include "io/tls/ca_bundle.hpp"
#include "io/tls/pem.hpp"

namespace consort::io {
namespace {

constexpr const char* kPaths[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7 and newer
    "/etc/ssl/cert.pem",                                  // Alpine
};

Result<Trust> trust_file(const std::string& path, std::string source) {
  auto pem = read_file(path, kCertificateFileBytesMax);
  if (!pem) return fail(std::move(pem.error()));
  auto authorities = read_certificates(*pem, path);
  if (!authorities) return fail(std::move(authorities.error()));
  return Trust{.authorities = std::move(*authorities), .source = std::move(source)};
}

}  // namespace

constinit const std::span<const char* const> kUsualCaPaths{kPaths};

Result<Trust> choose_trust(const std::string& ca_file, const TlsClient::Environment& environment,
                           std::span<const char* const> usual_paths) {
  if (!ca_file.empty()) {
    auto trust = trust_file(ca_file, ca_file);
    if (!trust) return fail(std::move(trust.error()).in("--ca-file"));
    return trust;
  }
  const std::optional<std::string> named = environment("SSL_CERT_FILE");
  if (named && !named->empty()) {
    auto trust = trust_file(*named, "SSL_CERT_FILE (" + *named + ")");
    if (!trust) return fail(std::move(trust.error()).in("SSL_CERT_FILE"));
    return trust;
  }
  for (const char* path : usual_paths) {
    auto trust = trust_file(path, path);
    if (trust) return trust;
  }
  auto authorities = read_certificates(embedded_ca_bundle(), "the embedded bundle");
  if (!authorities) return fail(std::move(authorities.error()));
  return Trust{.authorities = std::move(*authorities),
               .source = "embedded (no bundle on this system)",
               .is_embedded = true};
}

}  // namespace consort::io
