#include "io/tls/stream.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "base/options.hpp"
#include "io/tls/explain.hpp"

namespace consort::io {
namespace {

constexpr const char* kClosedEarly = "the server closed the connection during the TLS handshake";

}  // namespace

/// One call from the loop. Handlers may destroy the stream, so each of their calls is followed by a
/// look at gone(). What the connection below has to do is settled once, at the end.
class TlsStream::EventScope {
 public:
  explicit EventScope(TlsStream& stream) : stream_(stream) {
    CHECK(stream.gone_ == nullptr);
    stream.gone_ = &gone_;
  }
  ~EventScope() {
    if (gone_) return;
    stream_.gone_ = nullptr;
    stream_.settle();
  }
  EventScope(const EventScope&) = delete;
  EventScope& operator=(const EventScope&) = delete;
  bool gone() const { return gone_; }

 private:
  TlsStream& stream_;
  bool gone_ = false;
};

TlsStream::TlsStream(OpenSslClient& client, Loop& loop, std::string server_name,
                     StreamHandler& handler)
    : client_(client),
      loop_(loop),
      server_name_(std::move(server_name)),
      handler_(&handler),
      later_(loop.timers(), [](void* self) { static_cast<TlsStream*>(self)->on_later(); }, this) {}

TlsStream::~TlsStream() {
  if (gone_ != nullptr) *gone_ = true;
  if (!ssl_) return;
  ERR_clear_error();
  const bool is_polite = may_write() && !write_shut_ && !sink_error_ && out_.empty();
  if (is_polite) SSL_shutdown(ssl_.get());
  // A session stays good however its connection ends (RFC 5246, 7.2.1); OpenSSL thinks otherwise
  // unless it is told that the end was orderly.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

void TlsStream::connect(Network& network, const Address& address, ConnectOptions options) {
  below_ = network.connect(address, *this, options);
}

Result<std::size_t> TlsStream::try_write(std::string_view bytes) {
  const bool is_early = state_ == State::connecting || state_ == State::shaking;
  if (is_early || bytes.empty()) return std::size_t{0};
  if (!may_write() || write_shut_ || failure_ || sink_error_) {
    return fail(Errc::closed, "write", EPIPE);
  }
  std::size_t taken = 0;
  while (out_.empty() && taken < bytes.size()) {
    const std::string_view next = bytes.substr(taken, OpenSslClient::kRecordBytes);
    std::size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl_.get(), next.data(), next.size(), &written) != 1) {
      writes_wait_for_input_ = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_WANT_READ;
      if (writes_wait_for_input_) break;
      Error why = failure();
      if (!sink_error_) fail_later(why.clone());
      return fail(std::move(why));
    }
    taken += written;
    // The record went nowhere, and what broke is told from below.
    if (sink_error_) return fail(sink_error_->clone());
  }
  settle();
  return taken;
}

void TlsStream::want_writable() {
  wants_writable_ = true;
  settle();
}

void TlsStream::pause_reading() {
  reading_ = false;
  settle();
}

void TlsStream::resume_reading() {
  if (std::exchange(reading_, true)) return;
  if (!held_.empty()) later_.arm_at(loop_.now_ms());  // on_data never comes during a call
  settle();
}

void TlsStream::shutdown_write() {
  if (!may_write() || std::exchange(write_shut_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  settle();
}

void TlsStream::on_open() {
  EventScope scope(*this);
  if (!prepare()) {
    end(State::dead,
        Error(Errc::invalid, "not a server name that TLS can ask for: " + server_name_));
    return;
  }
  state_ = State::shaking;
  shake();
}

void TlsStream::on_data(std::string_view bytes) {
  if (state_ != State::shaking && state_ != State::open) return;
  EventScope scope(*this);
  CHECK(held_.empty());  // while it is not, reading below is paused
  take_input(bytes, scope);
}

void TlsStream::on_writable() {
  EventScope scope(*this);
  flush();
  if (!out_.empty() || !wants_writable_ || !may_write() || writes_wait_for_input_) return;
  wants_writable_ = false;
  handler_->on_writable();
}

void TlsStream::on_end(const Error& why) {
  EventScope scope(*this);
  const bool is_fin = why.code() == Errc::closed && why.sys() == 0;
  if (state_ == State::dead) return;
  if (state_ == State::read_ended) {
    if (!is_fin) state_ = State::dead;  // told already; what is left shows in try_write
  } else if (!is_fin || state_ == State::connecting) {
    end(State::dead, why);
  } else if (state_ == State::shaking) {
    end(State::dead, Error(Errc::protocol, kClosedEarly));
  } else {
    // Anyone on the way can send a FIN: what ends so may have been cut (RFC 8446, 6.1).
    end(State::dead, Error(Errc::protocol, "the peer ended TLS without close_notify"));
  }
}

/// Makes the SSL; false when the server's name cannot be one.
bool TlsStream::prepare() {
  ERR_clear_error();
  ssl_.reset(SSL_new(client_.context()));
  BIO* bio = BIO_new(client_.transport());
  CHECK(ssl_ != nullptr && bio != nullptr);  // out of memory
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_connect_state(ssl_.get());
  if (!expect_server()) return false;
  if (const SessionPtr session = client_.sessions().take(server_name_)) {
    SSL_set_session(ssl_.get(), session.get());
  }
  return true;
}

/// SNI takes names only (RFC 6066, 3), without the root's dot; an address is looked for as such.
bool TlsStream::expect_server() {
  std::string name = server_name_;
  if (is_ip_literal(name)) {
    name.resize(std::min(name.find('%'), name.size()));  // a zone is of this machine only
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str()) == 1;
  }
  if (name.ends_with('.')) name.pop_back();
  if (name.empty() || name.find('\0') != name.npos) return false;
  SSL_set_hostflags(ssl_.get(),
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1 &&
         SSL_set1_host(ssl_.get(), name.c_str()) == 1;
}

/// Runs OpenSSL over the bytes until it needs more or the owner pauses; keeps the rest in held_.
void TlsStream::take_input(std::string_view bytes, const EventScope& scope) {
  input_ = bytes;
  writes_wait_for_input_ = false;
  if (state_ == State::shaking) {
    if (!looks_like_tls()) {
      end(State::dead,
          Error(Errc::protocol, "the server does not speak TLS (it answers " +
                                    in_quotes(bytes.substr(0, 40)) + "): is it the right port?"));
    } else {
      shake();
    }
    if (scope.gone()) return;
  }
  while (state_ == State::open && reading_) {
    const bool is_progress = read_record();
    if (scope.gone()) return;
    if (!is_progress) break;
  }
  if (state_ == State::open) held_.assign(input_);
  input_ = {};
}

/// The first byte of a record that a server may begin with: handshake or alert (RFC 8446, 5.1).
bool TlsStream::looks_like_tls() const {
  return heard_ || input_.empty() || input_[0] == '\x16' || input_[0] == '\x15';
}

void TlsStream::shake() {
  heard_ = heard_ || !input_.empty();
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    state_ = State::open;
    handler_->on_open();
    return;
  }
  const int need = SSL_get_error(ssl_.get(), done);
  if (need == SSL_ERROR_WANT_READ || sink_error_) return;
  end(State::dead, need == SSL_ERROR_ZERO_RETURN ? Error(Errc::protocol, kClosedEarly) : failure());
}

/// False when there is no further record for now.
bool TlsStream::read_record() {
  const std::span<char> buffer = client_.plain_buffer();
  std::size_t count = 0;
  ERR_clear_error();
  if (SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &count) == 1) {
    handler_->on_data({buffer.data(), count});
    return true;
  }
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
      return false;
    case SSL_ERROR_ZERO_RETURN:
      end(State::read_ended, Error(Errc::closed, "the peer closed the connection"));
      return false;
    default:
      if (!sink_error_) end(State::dead, failure());
      return false;
  }
}

/// Why an SSL_ call failed. Empties OpenSSL's error queue.
Error TlsStream::failure() {
  if (denied_) {
    ERR_clear_error();
    return denied_->clone();
  }
  if (out_is_full_) {
    return Error(Errc::limit, "the peer does not read what TLS itself has to send");
  }
  return explain_failure({.server_name = server_name_,
                          .is_handshake = state_ == State::shaking,
                          .client_cert_asked = client_cert_asked_,
                          .client_cert_sent = client_cert_asked_ && client_.has_client_cert()});
}

void TlsStream::fail_later(Error why) {
  failure_ = std::move(why);
  later_.arm_at(loop_.now_ms());
}

void TlsStream::on_later() {
  EventScope scope(*this);
  if (failure_) {
    const bool is_told = state_ == State::read_ended || state_ == State::dead;
    const Error why =
        failure_->clone();  // the handler may destroy the stream, and failure_ with it
    if (is_told) {
      state_ = State::dead;
    } else {
      end(State::dead, why);
    }
    return;
  }
  if (state_ != State::open || !reading_) return;
  const std::string bytes = std::exchange(held_, {});
  take_input(bytes, scope);
}

void TlsStream::end(State state, const Error& why) {
  state_ = state;
  handler_->on_end(why);
}

void TlsStream::flush() {
  while (!out_.empty()) {
    auto sent = below_->try_write(out_.view());
    if (!sent) {
      sink_error_ = std::move(sent.error());
      out_.release();
      return;
    }
    if (*sent == 0) return;
    out_.consume(*sent);
  }
  out_.release();
}

/// Tells the connection below what is waited for. During an event that is left to its end.
void TlsStream::settle() {
  if (gone_ != nullptr || state_ == State::connecting) return;
  const bool is_reading =
      state_ == State::shaking || (state_ == State::open && reading_ && held_.empty());
  if (is_reading != below_reading_) {
    below_reading_ = is_reading;
    if (is_reading) {
      below_->resume_reading();
    } else {
      below_->pause_reading();
    }
  }
  if (!out_.empty() || (wants_writable_ && may_write() && !writes_wait_for_input_)) {
    below_->want_writable();
  }
  if (write_shut_ && out_.empty() && !std::exchange(fin_sent_, true)) below_->shutdown_write();
}

}  // namespace consort::io
