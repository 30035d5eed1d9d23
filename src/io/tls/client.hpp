// The one TlsClient: OpenSSL's context, filled from files, and what its streams share.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/error.hpp"
#include "io/tls.hpp"
#include "io/tls/handles.hpp"
#include "io/tls/sessions.hpp"

namespace consort::io {

class OpenSslClient final : public TlsClient {
 public:
  /// The largest content of a record (RFC 8446, 5.1).
  static constexpr std::size_t kRecordBytes = 16 * 1024;

  /// As TlsClient::create; the paths are a parameter for tests.
  static Result<std::unique_ptr<OpenSslClient>> create(const TlsSettings& settings,
                                                       const Environment& environment,
                                                       std::span<const char* const> usual_paths);

  /// Use create(): this one is not ready for anything.
  OpenSslClient();

  std::unique_ptr<Stream> connect(Network& network, Loop& loop, const Address& address,
                                  const std::string& server_name, StreamHandler& handler,
                                  ConnectOptions options) override;
  std::string ca_source() const override { return ca_source_; }
  bool is_embedded() const override { return is_embedded_; }

  // --- For the streams ------------------------------------------------------------------------
  SSL_CTX* context() { return context_.get(); }
  /// How OpenSSL reads from and writes to a TlsStream.
  const BIO_METHOD* transport() const { return transport_.get(); }
  bool has_client_cert() const { return has_client_cert_; }
  TlsSessions& sessions() { return sessions_; }
  /// Where each stream decrypts one record at a time.
  std::span<char> plain_buffer() { return plain_; }

 private:
  Result<> set_up();
  Result<> load_trust(const TlsSettings& settings, const Environment& environment,
                      std::span<const char* const> usual_paths);
  Result<> load_client_cert(const TlsSettings& settings);

  SslContextPtr context_;
  BioMethodPtr transport_;
  TlsSessions sessions_;
  std::string ca_source_ = "none (certificates are not verified)";
  bool is_embedded_ = false;
  bool has_client_cert_ = false;
  std::array<char, kRecordBytes> plain_{};
};

}  // namespace consort::io
