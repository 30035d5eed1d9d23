#include "io/tls/client.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include "io/read_file.hpp"
#include "io/tls/pem.hpp"
#include "io/tls/stream.hpp"
#include "io/tls/trust.hpp"

namespace consort::io {
namespace {

// A list of names, each behind its length (RFC 7301, 3.1).
constexpr std::string_view kAlpn = "\x08http/1.1";

Result<> unusable(const std::string& what) {
  return fail(Errc::internal, "OpenSSL: " + what + " (" + take_openssl_reason() + ")");
}

/// The option's name in front, as the person gave it.
Result<> in_option(Error error, const char* option) {
  return fail(std::move(error).in(option));
}

}  // namespace

Result<std::unique_ptr<TlsClient>> TlsClient::create(const TlsSettings& settings,
                                                     const Environment& environment) {
  auto client = OpenSslClient::create(settings, environment, kUsualCaPaths);
  if (!client) return fail(std::move(client.error()));
  return std::unique_ptr<TlsClient>(std::move(*client));
}

Result<std::unique_ptr<OpenSslClient>> OpenSslClient::create(
    const TlsSettings& settings, const Environment& environment,
    std::span<const char* const> usual_paths) {
  start_openssl();
  auto client = std::make_unique<OpenSslClient>();
  auto ready = client->set_up();
  if (!ready) return fail(std::move(ready.error()));
  if (settings.verify) {
    ready = client->load_trust(settings, environment, usual_paths);
    if (!ready) return fail(std::move(ready.error()));
  }
  ready = client->load_client_cert(settings);
  if (!ready) return fail(std::move(ready.error()));
  return client;
}

OpenSslClient::OpenSslClient()
    : context_(SSL_CTX_new(TLS_client_method())),
      transport_(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "consort stream")) {}

Result<> OpenSslClient::set_up() {
  SSL_CTX* context = context_.get();
  if (context == nullptr || !transport_) return unusable("no context");
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) return unusable("no TLS 1.2");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  // Partial writes: a full record queue must not make OpenSSL want the same bytes again. Released
  // buffers: idle connections are many, and each would keep 34 KiB.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(kAlpn.data()),
                              static_cast<unsigned>(kAlpn.size())) != 0) {
    return unusable("no ALPN");
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  TlsStream::set_callbacks(context, transport_.get());
  return {};
}

Result<> OpenSslClient::load_trust(const TlsSettings& settings, const Environment& environment,
                                   std::span<const char* const> usual_paths) {
  auto trust = choose_trust(settings.ca_file, environment, usual_paths);
  if (!trust) return fail(std::move(trust.error()));
  X509_STORE* store = SSL_CTX_get_cert_store(context_.get());
  for (const X509Ptr& authority : trust->authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1) return unusable("no authority added");
  }
  // A bundle may name an authority's intermediate only: what the person trusts is an anchor.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context_.get()), X509_V_FLAG_PARTIAL_CHAIN);
  ca_source_ = std::move(trust->source);
  is_embedded_ = trust->is_embedded;
  TlsStream::verify_servers(context_.get());
  return {};
}

Result<> OpenSslClient::load_client_cert(const TlsSettings& settings) {
  const std::string& cert_file = settings.client_cert_file;
  if (cert_file.empty()) {
    if (settings.client_key_file.empty()) return {};
    return fail(Errc::invalid, "--client-key needs --client-cert with the certificate for the key");
  }
  const bool is_one_file = settings.client_key_file.empty();
  const std::string& key_file = is_one_file ? cert_file : settings.client_key_file;
  auto cert_pem = read_file(cert_file, kCertificateFileBytesMax);
  if (!cert_pem) return in_option(std::move(cert_pem.error()), "--client-cert");
  auto chain = read_certificates(*cert_pem, cert_file);
  if (!chain) return in_option(std::move(chain.error()), "--client-cert");
  auto key_pem = read_file(key_file, kCertificateFileBytesMax);
  if (!key_pem) return in_option(std::move(key_pem.error()), "--client-key");
  auto key = read_private_key(*key_pem, key_file);
  if (!key)
    return in_option(std::move(key.error()), is_one_file ? "--client-cert" : "--client-key");
  X509* own = chain->front().get();
  if (X509_check_private_key(own, key->get()) != 1) {
    take_openssl_reason();
    return fail(Errc::invalid, "--client-key: the key in " + key_file +
                                   " does not belong to the certificate in " + cert_file +
                                   " (its first one must be our own)");
  }
  if (SSL_CTX_use_certificate(context_.get(), own) != 1) {
    return fail(Errc::invalid,
                "--client-cert: " + cert_file + ": not usable (" + take_openssl_reason() + ")");
  }
  if (SSL_CTX_use_PrivateKey(context_.get(), key->get()) != 1) return unusable("no key set");
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context_.get(), (*chain)[i].get()) != 1) {
      return unusable("no certificate added to the chain");
    }
  }
  has_client_cert_ = true;
  return {};
}

std::unique_ptr<Stream> OpenSslClient::connect(Network& network, Loop& loop, const Address& address,
                                               const std::string& server_name,
                                               StreamHandler& handler, ConnectOptions options) {
  auto stream = std::make_unique<TlsStream>(*this, loop, server_name, handler);
  stream->connect(network, address, options);
  return stream;
}

}  // namespace consort::io
