// One TLS connection over a plain Stream.
//
//   owner's calls:  try_write --SSL_write--> records --> try_write below, what it does not take:
//                                                        out_, until on_writable from below
//   from below:     on_data --> input_ --SSL_read, a record at a time--> owner's on_data
//                               what a pause leaves over: held_, until resume_reading
//
//   connecting --TCP stands--> shaking --handshake done--> open --close_notify--> read_ended
//       |                         |                         |     (may still write)   |
//       +------- failure ---------+------- failure ---------+------> dead <-----------+
//
// Limits: nothing new is encrypted before out_ is empty, so it holds one record, and the small
// answers that TLS itself makes (key updates): kOutBytesMax ends a peer that asks for these without
// reading them. Reading below pauses while held_ is not empty, so it holds one delivery.
//
// OpenSSL calls source() and sink() only inside our own SSL_ calls, and handlers are only called
// outside of these: an owner may destroy the stream in any of its calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/timer.hpp"
#include "base/bytes.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "io/tls/client.hpp"
#include "io/tls/handles.hpp"

namespace consort::io {

class TlsStream final : public Stream, private StreamHandler {
 public:
  static constexpr std::size_t kOutBytesMax = 256UL * 1024;

  TlsStream(OpenSslClient& client, Loop& loop, std::string server_name, StreamHandler& handler);
  ~TlsStream() override;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  void connect(Network& network, const Address& address, ConnectOptions options);

  void set_handler(StreamHandler& handler) override { handler_ = &handler; }
  Result<std::size_t> try_write(std::string_view bytes) override;
  void want_writable() override;
  void pause_reading() override;
  void resume_reading() override;
  void shutdown_write() override;
  Peer peer() const override { return below_->peer(); }
  std::size_t unconfirmed_bytes() const override {
    return out_.size() + below_->unconfirmed_bytes();
  }

  /// Once per context: what OpenSSL calls, with the TlsStream as the SSL's application data.
  static void set_callbacks(SSL_CTX* context, BIO_METHOD* transport);
  static void verify_servers(SSL_CTX* context);

 private:
  enum class State : std::uint8_t { connecting, shaking, open, read_ended, dead };
  class EventScope;

  void on_open() override;
  void on_data(std::string_view bytes) override;
  void on_writable() override;
  void on_end(const Error& why) override;

  bool may_write() const { return state_ == State::open || state_ == State::read_ended; }
  bool prepare();
  bool expect_server();
  void take_input(std::string_view bytes, const EventScope& scope);
  void shake();
  bool read_record();
  bool looks_like_tls() const;
  Error failure();
  void fail_later(Error why);
  void on_later();
  void end(State state, const Error& why);
  void flush();
  void settle();

  static int source(BIO* bio, char* to, int size);
  static int sink(BIO* bio, const char* from, int size);
  static long control(BIO* bio, int command, long number, void* pointer);
  static int on_verify(int ok, X509_STORE_CTX* chain);
  static int on_client_cert_asked(SSL* ssl, void* context);
  static int on_session(SSL* ssl, SSL_SESSION* session);

  OpenSslClient& client_;
  Loop& loop_;
  std::string server_name_;
  StreamHandler* handler_;
  std::unique_ptr<Stream> below_;
  SslPtr ssl_;  // after below_: its farewell still goes out
  Timer later_;

  std::string_view input_;  ///< what source() gives out; views held_ or the network's buffer
  std::string held_;
  ByteQueue out_;
  std::optional<Error> denied_;      ///< by on_verify: why the server is not trusted
  std::optional<Error> sink_error_;  ///< the connection below broke; its on_end follows
  std::optional<Error> failure_;     ///< told by later_
  bool* gone_ = nullptr;             ///< set by the destructor for the event under way
  State state_ = State::connecting;
  bool reading_ = true;        ///< the owner's wish
  bool below_reading_ = true;  ///< what we asked for below
  bool wants_writable_ = false;
  bool writes_wait_for_input_ = false;  ///< half a message of TLS itself must come first
  bool write_shut_ = false;
  bool fin_sent_ = false;
  bool heard_ = false;  ///< any byte of the server
  bool client_cert_asked_ = false;
  bool out_is_full_ = false;  ///< kOutBytesMax was reached
};

}  // namespace consort::io
