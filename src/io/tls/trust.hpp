// Which certificate authorities are trusted, and where they come from.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "io/tls.hpp"
#include "io/tls/handles.hpp"

namespace consort::io {

/// Larger files are refused; a distribution's bundle has some 200 KiB.
inline constexpr std::size_t kCertificateFileBytesMax = 16UL * 1024 * 1024;
/// Where distributions keep their bundle, the commonest first.
extern const std::span<const char* const> kUsualCaPaths;

struct Trust {
  std::vector<X509Ptr> authorities;
  std::string source;
  bool is_embedded = false;
};

/// ca_file, SSL_CERT_FILE, the first usable one of the usual paths, the embedded bundle. Only the
/// first two can fail: who names a file wants that one and no other.
Result<Trust> choose_trust(const std::string& ca_file, const TlsClient::Environment& environment,
                           std::span<const char* const> usual_paths);

}  // namespace consort::io
