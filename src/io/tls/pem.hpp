// Certificates and keys from PEM text (RFC 7468), with errors that name the line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/tls/handles.hpp"

namespace consort::io {

/// All certificates in their order, at least one; other blocks are passed over. `source` begins the
/// error texts: a path.
Result<std::vector<X509Ptr>> read_certificates(std::string_view pem, const std::string& source);
/// The first private key. One behind a passphrase is an error: nobody is there to type it.
Result<KeyPtr> read_private_key(std::string_view pem, const std::string& source);
/// OpenSSL's words for its newest error, and an empty queue.
std::string take_openssl_reason();

}  // namespace consort::io
