#include "roles/shard_proxy/link.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "roles/shard_proxy/upstream.hpp"

namespace consort::shard_proxy {
namespace {

// True when `now` is at or past `deadline`, with both wrapping at 2^32 milliseconds (49 days).
bool reached(std::uint32_t now, std::uint32_t deadline) {
  return static_cast<std::int32_t>(now - deadline) >= 0;
}

}  // namespace

Link::Link(Upstream& upstream, Dialect dialect)
    : upstream_(upstream),
      dialect_(dialect),
      timer_(
          upstream.context().services.loop.timers(),
          [](void* self) { static_cast<Link*>(self)->on_timer(); }, this) {}

Link::~Link() {
  upstream_.context().turn.forget(*this);
}

std::uint64_t Link::now_ms() const {
  return upstream_.context().services.loop.now_ms();
}
std::uint32_t Link::now() const {
  return static_cast<std::uint32_t>(now_ms());
}

// ---- requests ----

void Link::send(std::string_view request, ReplySink& sink, std::uint32_t tag) {
  upstream_.metrics().requests.add();
  if (has_failed_ || out_.size() + held_bytes_.size() > kMaxQueuedBytes) {
    std::string_view reason =
        has_failed_ ? std::string_view(last_reason_) : "too many requests wait for it";
    upstream_.metrics().failures.add();
    sink.on_failure(tag, Failure{upstream_.spec().name, reason});
    return;
  }
  auto timeout = static_cast<std::uint32_t>(upstream_.context().config.timeout.count());
  Slot slot{&sink, tag, now() + timeout};
  if (state_ == State::up) {
    push(request, slot);
    return;
  }
  held_bytes_.append(request);
  held_.push(Held{slot, request.size()});
  if (state_ == State::idle) connect();
}

void Link::push(std::string_view request, Slot slot) {
  out_.append(request);
  // Before the first request after a pause the server had nothing to say.
  if (slots_.empty()) quiet_since_ms_ = now_ms();
  // Nobody waits for the sake of another's slow reading.
  if (waiting_for_ != nullptr && slot.sink != waiting_for_) stop_waiting();
  slots_.push(slot);
  if (!timer_.armed()) arm_timeout();
  write_soon();
}

void Link::write_soon() {
  if (write_pending_) return;
  write_pending_ = true;
  upstream_.context().turn.write_later(*this);
}

void Link::flush() {
  write_pending_ = false;
  if (out_.empty() || !stream_) return;
  auto written = stream_->try_write(out_.view());
  if (!written) {
    lost(written.error().message());
    return;
  }
  upstream_.metrics().bytes_sent.add(*written);
  out_.consume(*written);
  if (out_.empty()) return;
  write_pending_ = true;
  stream_->want_writable();
}

void Link::on_writable() {
  flush();
}

// ---- replies ----

void Link::on_data(std::string_view bytes) {
  quiet_since_ms_ = now_ms();
  upstream_.metrics().bytes_received.add(bytes.size());
  while (!bytes.empty()) {
    if (!reply_under_way_ && !in_push_) {
      in_push_ = dialect_ == Dialect::resp3 && bytes.front() == '>';
      if (!in_push_ && slots_.empty()) {
        lost("sent a reply that nobody asked for");
        return;
      }
    }
    Step step = scan(bytes);
    if (step.broken) {
      lost("broke the protocol");
      return;
    }
    std::string_view part = bytes.substr(0, step.used);
    bytes.remove_prefix(step.used);
    if (in_push_) {
      in_push_ = !step.last;
      continue;
    }
    reply_under_way_ = !step.last;
    deliver(part, step.last);
    if (!stream_) return;  // the greeting was refused
  }
  if (reply_under_way_) hold_back_for_receiver();
}

Link::Step Link::scan(std::string_view bytes) {
  if (dialect_ == Dialect::memcache) {
    auto step = memcache_.scan(bytes);
    return {step.progress == memcache::Progress::error, step.progress == memcache::Progress::done,
            step.used};
  }
  auto step = resp_.scan(bytes);
  return {step.progress == resp::Progress::error, step.progress == resp::Progress::done, step.used};
}

void Link::deliver(std::string_view bytes, bool last) {
  Slot slot = slots_.front();
  bool is_late = late_ > 0;
  if (last) {
    slots_.pop();
    if (is_late) {
      --late_;
      upstream_.metrics().late_replies.add();
    }
    if (std::exchange(is_long_, false)) {
      auto timeout = static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
      grace_until_ms_ = now_ms() + timeout;
    }
    if (slots_.empty()) timer_.cancel();
  }
  if (!is_late) slot.sink->on_reply(slot.tag, bytes, last);
}

// A long reply must not pile up for a client that reads slowly, unless others wait behind it.
void Link::hold_back_for_receiver() {
  if (late_ > 0 || slots_.empty()) return;
  const Slot& slot = slots_.front();
  if (!slot.sink->congested(slot.tag)) return;
  if (others_wait_behind(*slot.sink)) {
    slot.sink->cannot_wait();
    return;
  }
  is_long_ = true;
  waiting_for_ = slot.sink;
  slot.sink->wait_for_room(*this, slot.tag);
  stream_->pause_reading();
}

// Linear in the requests of one client, and only while it is congested.
bool Link::others_wait_behind(const ReplySink& sink) {
  for (std::uint32_t seq = slots_.front_seq(); seq != slots_.end_seq(); ++seq) {
    if (slots_[seq].sink != &sink) return true;
  }
  return false;
}

void Link::receiver_ready() {
  if (waiting_for_ == nullptr) return;
  waiting_for_ = nullptr;
  quiet_since_ms_ = now_ms();
  if (stream_) stream_->resume_reading();
}

void Link::stop_waiting() {
  if (waiting_for_ == nullptr) return;
  waiting_for_->forget_waiting(*this);
  receiver_ready();
}

// ---- connecting ----

void Link::connect() {
  if (state_ != State::idle && state_ != State::down) return;
  state_ = State::connecting;
  connect_started_ms_ = now_ms();
  const PoolContext& context = upstream_.context();
  // Who waits for the connection has no more time than for a reply.
  Millis limit = std::min(context.config.connect_timeout, context.config.timeout);
  timer_.arm_at(connect_started_ms_ + static_cast<std::uint64_t>(limit.count()));
  const Address& address = upstream_.spec().address;
  if (address.is_unix() || is_ip_literal(address.host)) {
    open(address);
  } else {
    query_ = context.services.dns.resolve(address.host, limit, *this);
  }
}

void Link::on_resolved(Result<std::vector<io::DnsAddress>> answer) {
  // The query object is still on the stack of its own callback: it is dropped by the next connect.
  if (!answer) {
    lost("cannot resolve \"" + upstream_.spec().address.host + "\": " + answer.error().message());
    return;
  }
  Address address = upstream_.spec().address;
  // A failed address is followed by the next one on the next try.
  address.host = (*answer)[address_index_ % answer->size()].ip;
  open(address);
}

void Link::open(const Address& address) {
  const PoolContext& context = upstream_.context();
  io::ConnectOptions options;
  options.keep_alive = context.config.tcpkeepalive;
  stream_ = context.services.network.connect(address, *this, options);
}

void Link::on_open() {
  upstream_.metrics().connects.add();
  state_ = State::greeting;
  is_long_ = false;
  grace_until_ms_ = 0;
  resp_ = {};
  memcache_ = {};
  reply_under_way_ = in_push_ = false;
  greet();
}

// Asks for proof of life before anybody's request is risked, and sets the connection up. AUTH comes
// before SELECT: the other way round twemproxy wrote to database 0.
void Link::greet() {
  const PoolConfig& config = upstream_.context().config;
  std::vector<std::pair<GreetingStep, std::string>> steps;
  auto command = [](std::initializer_list<std::string_view> words) {
    std::string text;
    resp::append_array_header(text, words.size());
    for (std::string_view word : words) resp::append_bulk(text, word);
    return text;
  };
  if (dialect_ == Dialect::memcache) {
    steps.emplace_back(kVersion, "version\r\n");
  } else {
    if (!config.redis_auth.empty()) {
      steps.emplace_back(kAuth, command({"AUTH", config.redis_auth}));
    }
    steps.emplace_back(kHello, command({"HELLO", dialect_ == Dialect::resp3 ? "3" : "2"}));
    if (config.redis_db != 0) {
      steps.emplace_back(kSelect, command({"SELECT", std::to_string(config.redis_db)}));
    }
  }
  greeting_left_ = static_cast<std::uint32_t>(steps.size());
  // Whoever waits since connect() began should wait one timeout in all, not one more.
  auto limit = static_cast<std::uint64_t>(config.timeout.count());
  auto deadline = static_cast<std::uint32_t>(connect_started_ms_ + limit);
  timer_.cancel();
  for (const auto& [step, text] : steps) push(text, Slot{&greeter_, step, deadline});
}

void Link::Greeter::on_reply(std::uint32_t tag, std::string_view bytes, bool last) {
  reply_.append(bytes.substr(0, 4096 - std::min<std::size_t>(4096, reply_.size())));
  if (!last) return;
  std::string reply = std::exchange(reply_, {});
  link_.greeting_reply(tag, reply);
}

void Link::Greeter::on_failure(std::uint32_t tag, const Failure& failure) {
  (void)tag;
  reply_.clear();
  // While the whole connection fails, lost() is already at work.
  if (link_.state_ == State::greeting) link_.lost(std::string(failure.reason));
}

// What servers say before they hang up on a connection that they will not serve.
bool Link::turns_us_away(std::string_view line) {
  return line.starts_with("ERROR Too many open connections") ||
         line.starts_with("-ERR max number of clients") || line.starts_with("-DENIED ");
}

void Link::greeting_reply(std::uint32_t step, std::string_view reply) {
  if (state_ != State::greeting) return;
  bool is_error = !reply.empty() && (reply.front() == '-' || reply.front() == '!');
  std::string_view line = reply.substr(0, reply.find('\r'));
  if (turns_us_away(line)) {
    lost("turned us away: " + std::string(line));
    return;
  }
  if (step == kVersion) {
    // "VERSION 1.6.18"; anything else is alive too, and will speak for itself.
    if (line.starts_with("VERSION ")) upstream_.set_version(std::string(line.substr(8)));
  } else if (step == kHello && !is_error) {
    // A map of names and values; "version" is followed by its value as a bulk string.
    std::size_t at = reply.find("\r\nversion\r\n$");
    std::size_t start = at == std::string_view::npos ? at : reply.find("\r\n", at + 12);
    if (start != std::string_view::npos) {
      std::string_view value = reply.substr(start + 2);
      upstream_.set_version(std::string(value.substr(0, value.find('\r'))));
    }
  } else if (is_error && (step != kHello || dialect_ == Dialect::resp3)) {
    // RESP2 needs no HELLO: old servers do not know it, and NOAUTH is the client's business.
    const char* what = step == kAuth     ? "AUTH refused: "
                       : step == kSelect ? "SELECT refused: "
                                         : "HELLO 3 refused: ";
    lost(what + std::string(line.substr(1)));
    return;
  }
  if (--greeting_left_ == 0) go_up();
}

void Link::go_up() {
  state_ = State::up;
  has_failed_ = false;
  std::string_view bytes = held_bytes_.view();
  while (!held_.empty()) {
    Held held = held_.front();
    held_.pop();
    push(bytes.substr(0, held.size), held.slot);
    bytes.remove_prefix(held.size);
  }
  held_bytes_.clear();
  upstream_.on_link_changed("");
}

// ---- endings ----

void Link::on_end(const Error& why) {
  bool orderly = why.code() == Errc::closed;
  // A server that closes at once (too many clients, say) must not make us knock without a pause.
  bool lived = now_ms() - connect_started_ms_ >= kShortLifeMs;
  if (state_ == State::up && slots_.empty() && orderly && lived) {
    close_idle();
    return;
  }
  if (state_ == State::connecting) ++address_index_;
  std::string reason = why.sys() != 0 ? Error(why.code(), "", why.sys()).message() : why.message();
  bool finished = orderly && why.sys() == 0;
  lost(finished ? "connection closed by the server" : std::move(reason));
}

// Servers close idle connections (timeout in redis.conf) and restart in peace: not a failure, but
// the next connection must be known to work before health says so.
void Link::close_idle() {
  timer_.cancel();
  stream_.reset();
  out_.clear();
  write_pending_ = false;
  upstream_.context().turn.forget(*this);
  state_ = State::idle;
  connect();
}

void Link::lost(std::string reason) {
  timer_.cancel();
  // A server that answers its greeting and fails at once is not back: the delay goes on growing.
  if (state_ == State::up && now_ms() - connect_started_ms_ >= kMaxRetryMs) retry_ms_ = 0;
  stream_.reset();
  upstream_.context().turn.forget(*this);
  write_pending_ = false;
  out_.clear();
  stop_waiting();
  state_ = State::down;
  has_failed_ = true;
  last_reason_ = std::move(reason);
  fail_everything();
  retry_later();
  upstream_.on_link_changed(last_reason_);
}

void Link::fail_everything() {
  Failure failure{upstream_.spec().name, last_reason_};
  while (!slots_.empty()) {
    Slot slot = slots_.front();
    slots_.pop();
    if (late_ > 0) {
      --late_;
      continue;
    }
    upstream_.metrics().failures.add();
    slot.sink->on_failure(slot.tag, failure);
  }
  held_bytes_.clear();
  while (!held_.empty()) {
    Held held = held_.front();
    held_.pop();
    upstream_.metrics().failures.add();
    held.slot.sink->on_failure(held.slot.tag, failure);
  }
}

void Link::retry_later() {
  const PoolContext& context = upstream_.context();
  auto asked_for = static_cast<std::uint64_t>(context.config.server_retry_timeout.count());
  std::uint64_t first = std::max(asked_for, kMinRetryMs);
  retry_ms_ = retry_ms_ == 0 ? first : std::min(retry_ms_ + retry_ms_ / 2, kMaxRetryMs);
  // Up to a fifth less or more, so that many proxies do not knock together.
  std::uint64_t jitter = context.services.random.below(retry_ms_ * 2 / 5 + 1);
  timer_.arm_at(now_ms() + retry_ms_ - retry_ms_ / 5 + jitter);
}

// ---- time ----

void Link::on_timer() {
  switch (state_) {
    case State::idle:
      break;
    case State::connecting:
      ++address_index_;
      query_.reset();
      lost("connecting timed out");
      break;
    case State::down:
      connect();
      break;
    case State::greeting:
    case State::up:
      time_out_requests();
      break;
  }
}

void Link::arm_timeout() {
  std::uint32_t next = slots_.front_seq() + late_;
  if (!slots_.contains(next)) {
    // Only late ones are left: come back to see whether the connection is stuck.
    auto timeout = static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
    if (late_ > 0) timer_.arm_at(now_ms() + timeout);
    return;
  }
  auto left = static_cast<std::int32_t>(slots_[next].deadline - now());
  std::uint64_t at_ms = now_ms() + static_cast<std::uint64_t>(std::max(left, 0));
  timer_.arm_at(std::max(at_ms, grace_until_ms_));
}

void Link::time_out_requests() {
  std::uint32_t current = now();
  // While we do not read, the silence is ours.
  if (waiting_for_ != nullptr) quiet_since_ms_ = now_ms();
  while (slots_.contains(slots_.front_seq() + late_)) {
    Slot& slot = slots_[slots_.front_seq() + late_];
    if (!reached(current, slot.deadline) || now_ms() < grace_until_ms_) break;
    auto timeout = static_cast<std::uint32_t>(upstream_.context().config.timeout.count());
    auto quiet_since = static_cast<std::uint32_t>(quiet_since_ms_);
    if (late_ == 0 && reply_under_way_ && !reached(current, quiet_since + timeout)) {
      // A long reply is passing: it has not timed out while its bytes come, nor have those behind.
      slot.deadline = quiet_since + timeout;
      is_long_ = true;
      break;
    }
    ReplySink* sink = slot.sink;
    std::uint32_t tag = slot.tag;
    stop_waiting();
    ++late_;
    upstream_.metrics().timeouts.add();
    upstream_.metrics().failures.add();
    sink->on_failure(tag, Failure{upstream_.spec().name, "timed out"});
    if (!stream_) return;  // it was the greeting, and the connection is gone
  }
  auto silent_ms = now_ms() - quiet_since_ms_;
  auto timeout = static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
  if (late_ > 0 && silent_ms >= kStuckTimeouts * timeout) {
    lost("does not answer");
    return;
  }
  if (!slots_.empty()) arm_timeout();
}

}  // namespace consort::shard_proxy
