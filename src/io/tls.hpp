// TLS for connections that we open, over any Network, so that it runs on sockets and in a
// simulation alike.
//
//   auto tls = TlsClient::create({.ca_file = "/etc/ca.pem"}, environment);
//   auto stream = (*tls)->connect(network, loop, address, "api.local", handler, {});
//
// The Stream keeps the whole contract of io/stream.hpp; what TLS adds to it:
//   on_open       comes after the handshake: the server has shown a certificate for server_name.
//   on_end        Errc::closed, sys 0   the server said that it is done (close_notify)
//                 Errc::protocol        "the peer ended TLS without close_notify" (a bare FIN:
//                 bytes
//                                       may be missing), or a handshake or record that is not TLS
//                 Errc::denied          a certificate, the server's or ours, is not accepted
//                 anything else         from the connection below, as it is
//   shutdown_write  sends close_notify, then the FIN.
// With TLS 1.3 a server judges our certificate after on_open: its refusal is then an on_end.
//
// TLS 1.2 and 1.3 only; SNI unless the name is an IP literal; ALPN "http/1.1"; names are looked for
// in subjectAltName only (RFC 9110, 4.3.4). A server name's last sessions are kept, so that
// connecting again costs no certificates (RFC 8446, 2.2). OpenSSL is not touched before create().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "base/error.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"

namespace consort::io {

/// All files are PEM.
struct TlsSettings {
  /// Authorities to trust instead of the system's. Empty: SSL_CERT_FILE, then where distributions
  /// keep theirs, then the bundle inside the executable.
  std::string ca_file;
  std::string client_cert_file;  ///< our certificate, then those between it and its authority
  std::string client_key_file;   ///< empty: in client_cert_file; a key with a passphrase is refused
  bool verify = true;            ///< false takes any certificate: anyone on the way may read along
};

/// One for each configuration. Belongs to one thread and must outlive its streams; to reload, make
/// another and keep this one until they are gone.
class TlsClient {
 public:
  /// Looks up an environment variable.
  using Environment = std::function<std::optional<std::string>(const std::string& name)>;

  /// Reads the files, now: blocking, about 30 ms and 4 MiB for a system's 140 authorities. Errors
  /// name the file, the line where one is known, and what to do.
  static Result<std::unique_ptr<TlsClient>> create(const TlsSettings& settings,
                                                   const Environment& environment);
  virtual ~TlsClient() = default;

  /// As Network::connect: on_open or on_end follows, never during the call, and there is no
  /// deadline. server_name is what the certificate must be for; a name, or an IP literal without
  /// brackets. While a record waits for the network, try_write takes nothing: at most one record of
  /// ours (16 KiB) is kept, and of the peer's what one delivery of the network brought.
  virtual std::unique_ptr<Stream> connect(Network& network, Loop& loop, const Address& address,
                                          const std::string& server_name, StreamHandler& handler,
                                          ConnectOptions options) = 0;
  /// Where the authorities came from, for the log: a path, "SSL_CERT_FILE (path)", "embedded ...".
  virtual std::string ca_source() const = 0;
  /// The bundle inside the executable is used: as old as the build, so worth a notice in the log.
  virtual bool is_embedded() const = 0;
};

}  // namespace consort::io
