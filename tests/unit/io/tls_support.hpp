// Certificates made on the spot and OpenSSL's server side, so that our client meets the real thing.
//
//   TlsFixture tls;                                 // a world, an authority, a server
//   at 10.0.0.1:443 tls.server.set({.identity = tls.ca.issue({.alt_names = "DNS:other.local"})});
//   TlsHandler& client = tls.connect("api.local");
//   tls.world.loop.run_for(1000);
//   CHECK(client.log == "end:denied;");
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "io/tls.hpp"
#include "io/tls/client.hpp"
#include "io/tls/handles.hpp"
#include "recorder.hpp"
#include "sim/world.hpp"

namespace consort::test {

struct CertificateSpec {
  std::string common_name = "api.local";
  std::string alt_names = "DNS:api.local";
  std::string not_before = "20200101000000Z";
  std::string not_after = "20991231235959Z";
  bool is_authority = false;
  std::string usage{};  ///< extendedKeyUsage; empty for none
};

inline void add_extension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  CONSORT_CHECK(made != nullptr);
  X509_add_ext(certificate, made, -1);
  X509_EXTENSION_free(made);
}

inline std::string pem_of(const auto& write) {
  const io::BioPtr bio(BIO_new(BIO_s_mem()));
  CONSORT_CHECK(write(bio.get()) == 1);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

/// A certificate and its key. Copies share both.
struct Identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;

  std::string cert_pem() const {
    return pem_of([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  }
  std::string key_pem(const char* passphrase = nullptr) const {
    const EVP_CIPHER* cipher = passphrase != nullptr ? EVP_aes_128_cbc() : nullptr;
    return pem_of([&](BIO* bio) {
      return PEM_write_bio_PKCS8PrivateKey(
          bio, key.get(), cipher, passphrase,
          passphrase != nullptr ? static_cast<int>(std::string_view(passphrase).size()) : 0,
          nullptr, nullptr);
    });
  }
  /// Signed by this one.
  Identity issue(const CertificateSpec& spec) const { return make(spec, this); }
  static Identity make(const CertificateSpec& spec, const Identity* issuer = nullptr) {
    io::start_openssl();
    static long serial = 1;
    Identity made{.certificate = {X509_new(), X509_free},
                  .key = {EVP_EC_gen("P-256"), EVP_PKEY_free}};
    X509* certificate = made.certificate.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    ASN1_TIME_set_string(X509_getm_notBefore(certificate), spec.not_before.c_str());
    ASN1_TIME_set_string(X509_getm_notAfter(certificate), spec.not_after.c_str());
    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                               static_cast<int>(spec.common_name.size()), -1, 0);
    const Identity& signer = issuer != nullptr ? *issuer : made;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
    X509_set_pubkey(certificate, made.key.get());
    if (spec.is_authority) add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (!spec.alt_names.empty()) {
      add_extension(certificate, NID_subject_alt_name, spec.alt_names);
    }
    if (!spec.usage.empty()) add_extension(certificate, NID_ext_key_usage, spec.usage);
    CONSORT_CHECK(X509_sign(certificate, signer.key.get(), EVP_sha256()) > 0);
    return made;
  }
  static Identity authority(const std::string& name = "Test Authority") {
    return make({.common_name = name, .alt_names = "", .is_authority = true});
  }
};

/// A file that is gone with the object.
class TempFile {
 public:
  explicit TempFile(const std::string& text) {
    static int number = 0;
    path_ = "/tmp/consort-unit-tls-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TempFile() { std::remove(path_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct ServerSpec {
  std::optional<Identity> identity{};
  std::vector<Identity> chain{};
  int version = TLS1_3_VERSION;
  std::optional<Identity> client_authority{};  ///< asks for a certificate and insists
};

/// OpenSSL's server end of one connection: ciphertext in, ciphertext out.
class TlsServerSide {
 public:
  explicit TlsServerSide(SSL_CTX* context) : ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
  }

  void feed(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), int(bytes.size()));
    char buffer[4096];
    for (;;) {
      ERR_clear_error();
      const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (n <= 0) {
        saw_close_notify = SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN;
        break;
      }
      received.append(buffer, static_cast<std::size_t>(n));
    }
    if (echo && !received.empty()) write(std::exchange(received, {}));
  }
  void write(std::string_view text) {
    CONSORT_CHECK(SSL_write(ssl_.get(), text.data(), int(text.size())) == int(text.size()));
  }
  void close_notify() { SSL_shutdown(ssl_.get()); }
  /// New keys, and the client is asked for new ones too.
  void update_keys() {
    SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(ssl_.get());
  }
  std::string output() {
    std::string text(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())), '\0');
    if (!text.empty()) BIO_read(SSL_get_wbio(ssl_.get()), text.data(), int(text.size()));
    return text;
  }
  bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  std::string sni() const {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? name : "";
  }
  std::string alpn() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  bool has_client_cert() const { return SSL_get0_peer_certificate(ssl_.get()) != nullptr; }

  std::string received;
  bool echo = false;
  bool saw_close_notify = false;

 private:
  io::SslPtr ssl_;
};

inline int choose_http11(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void* /*context*/) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int how = SSL_select_next_proto(&chosen, out_size, kHttp11, 9, in, in_size);
  *out = chosen;
  return how == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

inline io::SslContextPtr server_context(const ServerSpec& spec) {
  io::SslContextPtr made(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = made.get();
  if (spec.version < TLS1_2_VERSION) SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_min_proto_version(context, spec.version);
  SSL_CTX_set_max_proto_version(context, spec.version);
  SSL_CTX_set_alpn_select_cb(context, choose_http11, nullptr);
  SSL_CTX_use_certificate(context, spec.identity->certificate.get());
  SSL_CTX_use_PrivateKey(context, spec.identity->key.get());
  for (const Identity& more : spec.chain) {
    SSL_CTX_add1_chain_cert(context, more.certificate.get());
  }
  const unsigned char id[] = "test";
  SSL_CTX_set_session_id_context(context, id, sizeof id);
  if (spec.client_authority) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), spec.client_authority->certificate.get());
  }
  return made;
}

/// The TLS server at one simulated address.
class SimTlsServer {
 public:
  explicit SimTlsServer(sim::SimServer& server) : server_(server) {
    server_.on_data = [this](sim::SimPeer& peer) {
      side(peer).feed(peer.take());
      flush(peer);
    };
  }
  void set(const ServerSpec& spec) { context_ = server_context(spec); }

  TlsServerSide& side(sim::SimPeer& peer) {
    auto& side = sides_[&peer];
    if (!side) side = std::make_unique<TlsServerSide>(context_.get());
    side->echo = echo;
    return *side;
  }
  TlsServerSide& last() { return side(server_.last()); }
  sim::SimPeer& peer() { return server_.last(); }
  sim::SimServer& raw() { return server_; }
  void send(std::string_view text) {
    last().write(text);
    flush(peer());
  }
  void close_notify() {
    last().close_notify();
    flush(peer());
  }
  void flush(sim::SimPeer& peer) {
    const std::string bytes = side(peer).output();
    if (!bytes.empty()) peer.send(bytes);
  }

  bool echo = false;

 private:
  sim::SimServer& server_;
  io::SslContextPtr context_;
  std::map<sim::SimPeer*, std::unique_ptr<TlsServerSide>> sides_;
};

/// Writes down what a stream told, writes `rest` as the stream takes it, and can destroy the stream
/// from within a call.
struct TlsHandler final : io::StreamHandler {
  void on_open() override { note("open;", 'o'); }
  void on_data(std::string_view bytes) override {
    data.append(bytes);
    ++deliveries;
    if (pause_after != 0 && data.size() >= pause_after) stream->pause_reading();
    if (drop_on == 'd') stream.reset();
  }
  void on_writable() override {
    ++writables;
    if (rest.empty()) {
      note("writable;", 'w');
    } else {
      go();
    }
  }
  void on_end(const Error& why) override {
    text = why.text();
    note("end:" + std::string(to_string(why.code())) + ";", 'e');
  }
  void note(const std::string& what, char call) {
    log += what;
    if (drop_on == call) stream.reset();
  }
  /// Writes as much as goes, and waits for the rest.
  void go() {
    auto n = stream->try_write(rest);
    if (n) rest.remove_prefix(*n);
    if (n && !rest.empty()) stream->want_writable();
  }
  std::unique_ptr<io::Stream> stream;
  std::string log;
  std::string data;
  std::string text;  ///< of the error in on_end
  std::string_view rest;
  std::size_t pause_after = 0;
  int deliveries = 0;
  int writables = 0;
  char drop_on = ' ';  ///< o, d, w or e
};

inline std::optional<std::string> no_environment(const std::string& /*name*/) {
  return std::nullopt;
}

/// One simulated world with a TLS server for api.local at 10.0.0.1:443.
struct TlsFixture {
  explicit TlsFixture(std::uint64_t seed = 1, sim::Conditions conditions = {})
      : world(seed, conditions),
        ca(Identity::authority()),
        ca_file(ca.cert_pem()),
        server(world.network.serve("10.0.0.1:443")) {
    server.set({.identity = ca.issue({})});
    use({.ca_file = ca_file.path()});
  }
  void use(const io::TlsSettings& settings) {
    auto made = io::TlsClient::create(settings, no_environment);
    CONSORT_CHECK(made.has_value());
    handlers.clear();
    client = std::move(*made);
  }
  TlsHandler& connect(const std::string& name = "api.local") {
    handlers.push_back(std::make_unique<TlsHandler>());
    TlsHandler& handler = *handlers.back();
    handler.stream = client->connect(world.network, world.loop, at("10.0.0.1:443"), name, handler,
                                     io::ConnectOptions{});
    return handler;
  }
  /// Connects and lets the handshake happen.
  TlsHandler& opened(const std::string& name = "api.local") {
    TlsHandler& handler = connect(name);
    settle();
    return handler;
  }
  void settle() { world.loop.run_for(10'000); }
  /// What an attempt ends with: the log and the text.
  std::string failure(const ServerSpec& spec, const std::string& name = "api.local") {
    server.set(spec);
    TlsHandler& handler = opened(name);
    return handler.log + " " + handler.text;
  }

  sim::World world;
  Identity ca;
  TempFile ca_file;
  SimTlsServer server;
  std::unique_ptr<io::TlsClient> client;
  std::vector<std::unique_ptr<TlsHandler>> handlers;  // their streams go before the client
};

inline std::string tls_pattern(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('!' + i * 7 % 90);
  return text;
}

}  // namespace consort::test
