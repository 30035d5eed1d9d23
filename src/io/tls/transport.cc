// What OpenSSL calls back: bytes in and out, verdicts on certificates, new sessions.
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "io/tls/explain.hpp"
#include "io/tls/stream.hpp"

namespace consort::io {
namespace {

TlsStream& stream_of(const SSL* ssl) {
  return *static_cast<TlsStream*>(SSL_get_app_data(ssl));
}

}  // namespace

void TlsStream::set_callbacks(SSL_CTX* context, BIO_METHOD* transport) {
  BIO_meth_set_read(transport, source);
  BIO_meth_set_write(transport, sink);
  BIO_meth_set_ctrl(transport, control);
  SSL_CTX_set_cert_cb(context, on_client_cert_asked, nullptr);
  SSL_CTX_sess_set_new_cb(context, on_session);
}

void TlsStream::verify_servers(SSL_CTX* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
}

int TlsStream::source(BIO* bio, char* to, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t n = std::min(self.input_.size(), static_cast<std::size_t>(std::max(size, 0)));
  if (n == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(to, self.input_.data(), n);
  self.input_.remove_prefix(n);
  return static_cast<int>(n);
}

/// Takes everything, so that OpenSSL never holds back a record for a second try: first the
/// connection below, then out_. An error below is not OpenSSL's business: on_end tells it.
int TlsStream::sink(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  std::string_view bytes(from, static_cast<std::size_t>(std::max(size, 0)));
  if (self.sink_error_) return size;
  if (self.out_.empty()) {
    auto sent = self.below_->try_write(bytes);
    if (!sent) {
      self.sink_error_ = std::move(sent.error());
      return size;
    }
    bytes.remove_prefix(*sent);
  }
  self.out_is_full_ = self.out_.size() + bytes.size() > kOutBytesMax;
  if (self.out_is_full_) return -1;
  self.out_.append(bytes);
  return size;
}

long TlsStream::control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int TlsStream::on_verify(int ok, X509_STORE_CTX* chain) {
  if (ok == 1) return 1;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsStream& self = stream_of(ssl);
  const CertificateProblem problem{.verify_error = X509_STORE_CTX_get_error(chain),
                                   .depth = X509_STORE_CTX_get_error_depth(chain),
                                   .certificate = X509_STORE_CTX_get_current_cert(chain)};
  self.denied_.emplace(Errc::denied, explain_certificate(problem, self.server_name_));
  return 0;
}

int TlsStream::on_client_cert_asked(SSL* ssl, void* /*context*/) {
  stream_of(ssl).client_cert_asked_ = true;
  return 1;
}

int TlsStream::on_session(SSL* ssl, SSL_SESSION* session) {
  TlsStream& self = stream_of(ssl);
  self.client_.sessions().add(self.server_name_, SessionPtr(session));
  return 1;  // it is ours now
}

}  // namespace consort::io
