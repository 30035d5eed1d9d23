// Connections as interfaces, so that the same code runs on sockets and in a simulation.
//
// The style is callbacks without allocation, for the hot paths; net/ builds the awaitable form on
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort::io {

/// Whoever owns a Stream implements this. Any call may destroy the Stream that made it.
class StreamHandler {
 public:
  /// An outgoing connection stands. Never called for accepted streams.
  virtual void on_open() {}
  /// Bytes arrived. They lie in the loop's shared buffer and are gone after the call.
  virtual void on_data(std::string_view bytes) = 0;
  /// The peer takes bytes again; follows each want_writable() once.
  virtual void on_writable() = 0;
  /// The stream ended: Errc::closed with sys() 0 when the peer finished sending, else the failure
  /// (a failed connect too). Comes once, and is the last call but for one case: after the peer's
  /// orderly end the owner may keep the stream to send its last answers, with try_write and
  /// on_writable as before; a failure then only shows in try_write. The owner destroys the Stream.
  virtual void on_end(const Error& why) = 0;

 protected:
  ~StreamHandler() = default;
};

/// Who is at the other end, as far as the kernel knows.
struct Peer {
  bool is_unix = false;
  bool is_loopback = false;  ///< 127.0.0.0/8 or ::1 (also v4-mapped)
  std::string text;          ///< "10.1.2.3:4711", "[::1]:80", "unix"
};

/// A byte stream. Destroying it closes the connection at once and silences the handler.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Who hears about this stream from now on. An accepted stream reads nothing before that.
  virtual void set_handler(StreamHandler& handler) = 0;
  /// Writes what the kernel takes now, without waiting: 0..bytes.size(). An error also reaches
  /// on_end later, so a caller may ignore it and return.
  virtual Result<std::size_t> try_write(std::string_view bytes) = 0;
  /// Asks for one on_writable().
  virtual void want_writable() = 0;
  /// Back-pressure. Reading is on by default; pausing stops on_data (and on_end's discovery).
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  /// Sends a FIN after what the kernel already holds; reading goes on.
  virtual void shutdown_write() = 0;
  virtual Peer peer() const = 0;
  /// What try_write took and the peer's kernel has not confirmed yet (for a unix socket: what the
  /// peer has not read). 0 where nobody can tell.
  virtual std::size_t unconfirmed_bytes() const { return 0; }
};

class AcceptHandler {
 public:
  virtual void on_accept(std::unique_ptr<Stream> stream) = 0;
  /// Accepting stopped for a while (for example EMFILE). It is tried again by itself; told once,
  /// not again for each attempt that fails.
  virtual void on_accept_paused(const Error& why) = 0;

 protected:
  ~AcceptHandler() = default;
};

/// Destroying it stops listening and removes a unix path that it created.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The bound address, with the port the kernel chose.
  virtual Address address() const = 0;
  /// For whoever stops listening, who must not lose clients that have been told that they are
  /// connected: the kernel begins no handshake any more, and whom it has let in is accepted now.
  /// Calls the handler. A TCP handshake may be half done, of which the client knows nothing and the
  /// kernel tells nothing: give it some milliseconds and call again, before destroying the
  /// listener. Between the calls nobody is accepted.
  virtual void accept_last() {}
};

struct ListenOptions {
  int backlog = 512;
  bool reuse_port = false;  ///< tcp: several listeners (one per loop) share the port
  bool keep_alive = false;  ///< tcp: accepted connections have SO_KEEPALIVE
};

struct ConnectOptions {
  bool keep_alive = false;  ///< tcp: SO_KEEPALIVE
};

class Network {
 public:
  virtual ~Network() = default;
  /// TCP or unix. The host must be an IP literal, "localhost" or empty (every interface). A unix
  /// path left by a dead process is replaced; one on which somebody answers is an error.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options,
                                                   AcceptHandler& handler) = 0;
  /// Starts connecting; on_open or on_end follows, never during the call. The host must be an IP
  /// literal (names are io::Dns's business), "localhost" or empty: both 127.0.0.1. TCP_NODELAY is
  /// set. There is no deadline: destroy the stream when it takes too long.
  virtual std::unique_ptr<Stream> connect(const Address& address, StreamHandler& handler,
                                          ConnectOptions options) = 0;
  std::unique_ptr<Stream> connect(const Address& address, StreamHandler& handler) {
    return connect(address, handler, ConnectOptions{});
  }
};

}  // namespace consort::io
