// What this object does last in an event is to tell a call's owner, who may destroy the call, this
// connection and the pool: nothing of it is touched after that. What must live until then is moved
// to the stack (take_out) or into the pool (the head of the answer) before.
#include "net/http_pool_connection.hpp"

#include <algorithm>
#include <utility>

#include "io/tls.hpp"
#include "net/http_pool_core.hpp"

namespace consort::http::detail {
namespace {

http1::Limits limits_of(const PoolOptions& options) {
  http1::Limits limits;
  limits.header_bytes = options.header_bytes_max;
  limits.body_bytes = options.body_bytes_max;
  return limits;
}

ProxyError reason_of(http1::ResponseFault fault) {
  switch (fault) {
    case http1::ResponseFault::header_limit:
      return ProxyError::http_response_header_section_size;
    case http1::ResponseFault::body_limit:
      return ProxyError::http_response_body_size;
    case http1::ResponseFault::closed:
      return ProxyError::http_response_incomplete;
    case http1::ResponseFault::protocol:
    case http1::ResponseFault::none:
      break;
  }
  return ProxyError::http_protocol_error;
}

}  // namespace

PooledConnection::PooledConnection(PoolCore& core, Call& call)
    : core_(core),
      call_(&call),
      answer_(limits_of(core.options)),
      timer_(
          core.loop.timers(), [](void* self) { static_cast<PooledConnection*>(self)->on_timer(); },
          this) {
  call.connection_ = this;
  const Millis limit = std::max(core.options.connect_timeout, Millis(0));
  timer_.arm_at(core.loop.now_ms() + static_cast<std::uint64_t>(limit.count()));
}

PooledConnection::~PooledConnection() {
  if (call_ != nullptr) call_->connection_ = nullptr;
}

void PooledConnection::connect(const Address& address) {
  state_ = State::connecting;
  address_ = address;
  if (core_.url.scheme == Url::Scheme::https) {
    stream_ = core_.options.tls->connect(core_.network, core_.loop, address,
                                         core_.url.server_name(), *this, {});
  } else {
    stream_ = core_.network.connect(address, *this);
  }
}

/// A name's next address, within the same time; false when all have been tried. A server that does
/// answer, with a bad certificate or no TLS, is the server.
bool PooledConnection::connect_elsewhere(Errc why) {
  const bool is_nobody = why != Errc::denied && why != Errc::protocol;
  if (!is_nobody || ++failed_connects_ >= core_.names.known()) return false;
  const std::optional<Address> next = core_.names.next();
  if (!next) return false;
  stream_.reset();
  connect(*next);
  return true;
}

void PooledConnection::on_open() {
  ++core_.counted.connects_total;
  call_->times_.connected_ns = core_.loop.now_ns();
  timer_.cancel();
  address_.reset();
  begin();
}

void PooledConnection::serve(Call& call) {
  call_ = &call;
  call.connection_ = this;
  call.times_.reused = true;
  is_reused_ = true;
  begin();
}

// ---- the request ----

void PooledConnection::begin() {
  state_ = State::busy;
  sent_ = 0;
  answer_.begin(call_->request_.method == "HEAD" ? http1::AnswerTo::head : http1::AnswerTo::other);
  push();
}

std::size_t PooledConnection::request_bytes() const {
  return call_->request_.head.size() + call_->request_.body.size();
}

bool PooledConnection::is_sent() const {
  return sent_ == request_bytes();
}

/// Writes what the kernel takes. An error shows in on_end too, after what the server has answered.
void PooledConnection::push() {
  while (!is_sent()) {
    const std::string_view piece = next_piece();
    const Result<std::size_t> written = stream_->try_write(piece);
    if (!written) return;
    sent_ += *written;
    call_->bytes_out_ += *written;
    call_->was_sent_ = call_->was_sent_ || *written > 0;
    if (*written < piece.size()) {
      stream_->want_writable();
      return;
    }
  }
  call_->times_.sent_ns = core_.loop.now_ns();
}

/// The head, with the beginning of the body behind it: one write and one packet for most requests.
std::string_view PooledConnection::next_piece() {
  const CallRequest& request = call_->request_;
  if (sent_ >= request.head.size()) return request.body.substr(sent_ - request.head.size());
  if (sent_ > 0 || request.body.empty()) return request.head.substr(sent_);
  core_.scratch.assign(request.head);
  core_.scratch.append(request.body.substr(0, Pool::kOneWriteBytes));
  return core_.scratch;
}

void PooledConnection::on_writable() {
  if (state_ == State::busy) push();
}

// ---- the answer ----

void PooledConnection::on_data(std::string_view bytes) {
  if (state_ == State::idle) {
    // Nobody asked: an answer to nothing, or a farewell (408). Neither belongs to the next call.
    close();
  } else if (state_ == State::draining || state_ == State::busy) {
    read(bytes);
  }
}

void PooledConnection::read(std::string_view bytes) {
  using Event = http1::ResponseStream::Event;
  std::uint64_t now_ns = 0;
  if (call_ != nullptr) {
    call_->bytes_in_ += bytes.size();
    call_->saw_bytes_ = true;
    if (answer_.untouched()) call_->times_.first_byte_ns = now_ns = core_.loop.now_ns();
  }
  for (;;) {
    const auto [event, piece] = answer_.next(bytes);
    switch (event) {
      case Event::more:
        return;
      case Event::head:
        if (call_ != nullptr) note_head();
        break;
      case Event::body:
        if (call_ != nullptr && !keep_body(piece)) return;
        break;
      case Event::done:
        // Most answers come in one read, and need but one look at the clock.
        if (call_ != nullptr) {
          call_->times_.last_byte_ns = now_ns != 0 ? now_ns : core_.loop.now_ns();
        }
        return finish(!bytes.empty());
      case Event::error:
        if (call_ == nullptr) return close();
        return fail_now(reason_of(answer_.fault()), std::string(answer_.fault_text()));
    }
  }
}

void PooledConnection::note_head() {
  call_->status_ = answer_.head().status();
  const std::uint64_t length = answer_.length_left().value_or(0);
  // The limit on bodies holds for what the server claims too: the parser has refused more.
  call_->body_.reserve(
      static_cast<std::size_t>(std::min<std::uint64_t>(length, Pool::kReserveBytesMax)));
}

/// False: given up.
bool PooledConnection::keep_body(std::string_view piece) {
  if (!call_->owner_->on_body_bytes(*call_, piece.size())) {
    fail_now(ProxyError::http_response_body_size, "the body is longer than there is room for");
    return false;
  }
  call_->body_.append(piece);
  return true;
}

/// The answer is whole. Bytes after it are somebody's mistake, and the end of the connection.
void PooledConnection::finish(bool has_more) {
  const bool was_draining = state_ == State::draining;
  const bool may_stay = !has_more && (was_draining || is_sent());
  idle_until_ms_ = may_stay ? core_.idle_until_ms(answer_) : 0;
  Call* call = nullptr;
  if (was_draining) {
    timer_.cancel();
  } else {
    answer_.swap_head(core_.answer);
    call = &let_go();
  }
  std::unique_ptr<PooledConnection> self;
  if (idle_until_ms_ != 0) {
    if (was_draining) ++core_.counted.drained_total;
    state_ = State::idle;
    core_.put_idle(*this);
  } else {
    self = core_.take_out(*this);
    stream_.reset();
  }
  if (call != nullptr) core_.deliver(*call);
}

// ---- ends ----

void PooledConnection::on_end(const Error& why) {
  switch (state_) {
    case State::connecting:
      ++core_.counted.connect_failures_total;
      core_.names.failed(*address_);
      if (connect_elsewhere(why.code())) return;
      return fail_now(connect_failure(why.code()), why.message());
    case State::busy:
      return lost(why);
    case State::idle:
    case State::draining:
    case State::resolving:
    case State::doomed:
      return close();
  }
}

ProxyError PooledConnection::connect_failure(Errc code) const {
  const bool is_tls = core_.url.scheme == Url::Scheme::https;
  switch (code) {
    case Errc::denied:
      return is_tls ? ProxyError::tls_certificate_error : ProxyError::connection_refused;
    case Errc::protocol:
      return is_tls ? ProxyError::tls_protocol_error : ProxyError::connection_refused;
    case Errc::timed_out:
      return ProxyError::connection_timeout;
    case Errc::closed:
      return ProxyError::connection_terminated;
    case Errc::limit:
      return ProxyError::connection_limit_reached;
    default:
      return ProxyError::connection_refused;
  }
}

/// The connection ended in mid-call. An orderly end may be the end of a body.
void PooledConnection::lost(const Error& why) {
  const bool is_unanswered = answer_.untouched();
  const bool is_orderly = why.code() == Errc::closed && why.sys() == 0;
  if (is_orderly && answer_.finish() == http1::ResponseStream::Event::done) {
    call_->times_.last_byte_ns = core_.loop.now_ns();
    return finish(false);
  }
  if (!is_unanswered) {
    return fail_now(ProxyError::http_response_incomplete,
                    "the connection ended in mid-answer: " + why.message());
  }
  if (is_reused_ && (call_->request_.may_repeat || sent_ == 0)) return repeat();
  fail_now(ProxyError::connection_terminated,
           "the connection ended without an answer: " + why.message());
}

void PooledConnection::repeat() {
  ++core_.counted.repeated_total;
  PoolCore& core = core_;
  Call& call = let_go();
  call.times_ = CallTimes{.started_ns = call.times_.started_ns};
  const std::unique_ptr<PooledConnection> self = core.take_out(*this);
  core.open(call);
}

void PooledConnection::give_up() {
  ++core_.counted.cancelled_total;
  const std::optional<std::uint64_t> left = answer_.length_left();
  const bool is_worth_it = state_ == State::busy && is_sent() && left &&
                           *left <= Pool::kDrainBytesMax && core_.idle_until_ms(answer_) != 0;
  let_go();
  if (!is_worth_it) return close();
  state_ = State::draining;
  timer_.arm_at(core_.loop.now_ms() + static_cast<std::uint64_t>(Pool::kDrainTime.count()));
}

void PooledConnection::fail_later(ProxyError reason, std::string text) {
  state_ = State::doomed;
  doom_ = CallFailure{.reason = reason, .text = std::move(text)};
  timer_.arm_at(core_.loop.now_ms());
}

void PooledConnection::on_timer() {
  switch (state_) {
    case State::resolving:
      return fail_now(ProxyError::dns_timeout, "the name could not be resolved in time");
    case State::connecting:
      ++core_.counted.connect_failures_total;
      core_.names.failed(*address_);
      return fail_now(ProxyError::connection_timeout, "connecting timed out");
    case State::doomed: {
      CallFailure failure = std::move(*doom_);
      return fail_now(failure.reason, std::move(failure.text));
    }
    case State::busy:
    case State::idle:
    case State::draining:
      return close();
  }
}

/// Ends the connection at once; it has no call.
void PooledConnection::close() {
  core_.take_out(*this);
}

Call& PooledConnection::let_go() {
  Call& call = *std::exchange(call_, nullptr);
  call.connection_ = nullptr;
  return call;
}

void PooledConnection::fail_now(ProxyError reason, std::string text) {
  Call& call = let_go();
  const std::unique_ptr<PooledConnection> self = core_.take_out(*this);
  stream_.reset();
  CallFailure failure;
  failure.reason = reason;
  failure.text = core_.url.to_string() + ": " + std::move(text);
  failure.was_sent = call.was_sent_;
  failure.saw_bytes = call.saw_bytes_;
  call.owner_->on_call_failed(call, std::move(failure));
}

}  // namespace consort::http::detail
