#include "io/tls/explain.hpp"

#include <openssl/err.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <utility>
#include <vector>

#include "base/options.hpp"
#include "io/tls/pem.hpp"

namespace consort::io {
namespace {

constexpr std::size_t kNamesShown = 4;
constexpr std::size_t kNameBytesShown = 100;

std::string print_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

/// Names come from a stranger: what is no plain text is shown as '?'.
std::string plain(std::string_view name) {
  std::string text(name.substr(0, kNameBytesShown));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (name.size() > kNameBytesShown) text += "...";
  return text;
}

std::string print_ip(const ASN1_OCTET_STRING* ip) {
  const unsigned char* bytes = ASN1_STRING_get0_data(ip);
  std::string text;
  std::array<char, 8> part{};
  if (ASN1_STRING_length(ip) == 4) {
    for (int i = 0; i < 4; ++i) {
      text += (i == 0 ? "" : ".") + std::to_string(bytes[i]);
    }
  } else if (ASN1_STRING_length(ip) == 16) {
    for (int i = 0; i < 16; i += 2) {
      std::snprintf(part.data(), part.size(), "%s%x", i == 0 ? "" : ":",
                    static_cast<unsigned>(bytes[i] << 8 | bytes[i + 1]));
      text += part.data();
    }
  }
  return text;
}

/// The names of subjectAltName that a server can have.
std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  const NamesPtr all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) {
      const ASN1_IA5STRING* dns = name->d.dNSName;
      names.push_back(plain({reinterpret_cast<const char*>(ASN1_STRING_get0_data(dns)),
                             static_cast<std::size_t>(ASN1_STRING_length(dns))}));
    } else if (name->type == GEN_IPADD) {
      names.push_back(print_ip(name->d.iPAddress));
    }
  }
  return names;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kNamesShown) {
    text += " and " + std::to_string(names.size() - kNamesShown) + " more";
  }
  return text;
}

/// The common name, else the whole name on one line.
std::string print_name(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at >= 0) {
    const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    return in_quotes(plain({reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                            static_cast<std::size_t>(ASN1_STRING_length(text))}));
  }
  std::array<char, kNameBytesShown> line{};
  X509_NAME_oneline(name, line.data(), static_cast<int>(line.size()));
  return in_quotes(plain(line.data()));
}

std::string explain_name(const X509* certificate, const std::string& server_name) {
  const std::vector<std::string> names = names_of(certificate);
  if (!names.empty()) {
    return "the certificate is for " + list(names) + ", not " + server_name;
  }
  return "the certificate of " + server_name + " names no server in subjectAltName (its subject " +
         print_name(X509_get_subject_name(certificate)) +
         " does not count): make one with subjectAltName";
}

/// The certificate is the last one of the chain that the server showed.
std::string explain_issuer(const X509* certificate, const std::string& server_name) {
  return "certificate of " + server_name + " is signed by an unknown authority (" +
         print_name(X509_get_issuer_name(certificate)) +
         "): pass --ca-file with that authority's certificate";
}

/// Texts for a refused handshake; the reason codes of alerts are 1000 and the number in RFC 8446 6.
std::string explain_reason(int reason, const TlsFailure& failure) {
  const std::string& name = failure.server_name;
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return "the server does not speak TLS: is it the right port, or plain http?";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
      return "the server speaks no TLS 1.2 or 1.3, and older versions are not safe";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
      return "the server knows no site named " + name;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
      return "the server refuses the TLS handshake: no cipher or key type in common";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
      return "the server does not offer HTTP/1.1 (ALPN http/1.1)";
    default:
      return (failure.is_handshake ? "the TLS handshake with " + name + " failed"
                                   : "TLS with " + name + " broke") +
             " (" + take_openssl_reason() + ")";
  }
}

/// Alerts that speak about our certificate, or that there is none.
bool is_about_our_certificate(int reason, bool asked) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return true;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // what TLS 1.2 says about a missing certificate
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      return asked;
    default:
      return false;
  }
}

}  // namespace

std::string explain_certificate(const CertificateProblem& problem, const std::string& server_name) {
  const X509* certificate = problem.certificate;
  const int error = problem.verify_error;
  if (certificate == nullptr) {
    return "the certificate of " + server_name + " is not accepted (" +
           X509_verify_cert_error_string(error) + ")";
  }
  const std::string whose = problem.depth == 0
                                ? "certificate of " + server_name
                                : "certificate of the authority " +
                                      print_name(X509_get_subject_name(certificate)) + " behind " +
                                      server_name;
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " has expired (since " + print_time(X509_get0_notAfter(certificate)) + ")";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not valid before " + print_time(X509_get0_notBefore(certificate)) +
             ": compare the clocks of both machines";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return explain_name(certificate, server_name);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return whose + " is signed by itself, not by a known authority: pass --ca-file with it";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return explain_issuer(certificate, server_name);
    case X509_V_ERR_INVALID_PURPOSE:
      return whose + " is not made for servers (extendedKeyUsage without serverAuth)";
    case X509_V_ERR_INVALID_CA:
      return whose + " may not sign others (basicConstraints without CA:TRUE)";
    default:
      return whose + " is not accepted (" + X509_verify_cert_error_string(error) + ")";
  }
}

Error explain_failure(const TlsFailure& failure) {
  const unsigned long newest = ERR_peek_last_error();
  // Other parts of OpenSSL number their reasons from the same start.
  const int reason = ERR_GET_LIB(newest) == ERR_LIB_SSL ? ERR_GET_REASON(newest) : 0;
  if (is_about_our_certificate(reason, failure.client_cert_asked)) {
    std::string why = take_openssl_reason();
    if (failure.client_cert_sent) {
      return Error(Errc::denied, "the server refuses our client certificate (" + why + ")");
    }
    return Error(Errc::denied,
                 "the server asks for a client certificate: pass --client-cert and --client-key");
  }
  Error error(Errc::protocol, explain_reason(reason, failure));
  ERR_clear_error();
  return error;
}

}  // namespace consort::io
