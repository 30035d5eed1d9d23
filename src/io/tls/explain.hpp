// What went wrong with TLS, in words that lead to the remedy.
#pragma once

#include <string>

#include "base/error.hpp"
#include "io/tls/handles.hpp"

namespace consort::io {

/// One failed check of a server's certificate chain.
struct CertificateProblem {
  int verify_error = X509_V_OK;  ///< X509_V_ERR_...
  int depth = 0;                 ///< 0 is the server's own certificate, above are its authorities
  const X509* certificate = nullptr;
};

/// "certificate of api.local has expired (since 2024-05-01T12:00:00Z)". What the certificate says
/// is shown with control characters escaped and cut when long.
std::string explain_certificate(const CertificateProblem& problem, const std::string& server_name);

/// What is known when OpenSSL reports a failure.
struct TlsFailure {
  const std::string& server_name;
  bool is_handshake = false;
  bool client_cert_asked = false;
  bool client_cert_sent = false;
};

/// From OpenSSL's error queue, which it empties. Errc::denied when a server refuses our certificate
/// or wants one, else Errc::protocol.
Error explain_failure(const TlsFailure& failure);

}  // namespace consort::io
