#include "roles/shard_proxy/link.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "roles/shard_proxy/upstream.hpp"

namespace consort::shard_proxy {
Link::Link(Upstream& upstream, Lane lane)
    : upstream_(upstream),
      turn_(upstream.context().turn),
      lane_(lane),
      dialer_(upstream, lane, *this),
      timer_(
          upstream.context().services.loop.timers(),
          [](void* self) { static_cast<Link*>(self)->on_timer(); }, this) {}

Link::~Link() {
  upstream_.metrics().in_flight.add(-noted_in_flight_);
  turn_.forget(*this);
}

// Once per turn and direction, not per request.
void Link::note_in_flight() {
  auto now = static_cast<std::int64_t>(in_flight());
  upstream_.metrics().in_flight.add(now - noted_in_flight_);
  noted_in_flight_ = now;
}

std::uint64_t Link::now_ms() const {
  return upstream_.context().services.loop.now_ms();
}
std::uint32_t Link::now_us() const {
  return turn_.now_us();
}
std::uint64_t Link::timeout_ms() const {
  return static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
}
// Times wrap at 2^32 microseconds (71 minutes); timeouts are at most half an hour.
bool Link::timed_out(const Slot& slot) const {
  return now_us() - slot.since_us >= timeout_ms() * 1000;
}

// ---- requests ----

void Link::send(std::string_view request, ReplySink& sink, std::uint32_t tag) {
  upstream_.metrics().requests.add();
  bool may_try = !has_failed_ || upstream_.fails_open(*this);
  if (!may_try || unsent_bytes() > kMaxQueuedBytes) {
    std::string_view reason =
        has_failed_ ? std::string_view(last_reason_) : "too many requests wait for it";
    upstream_.metrics().failures.add();
    sink.on_failure(tag, Failure{upstream_.spec().name, reason});
    return;
  }
  Slot slot{&sink, tag, now_us()};
  if (state_ == State::up) {
    push(request, slot);
    return;
  }
  held_bytes_.append(request);
  held_.push(Held{slot, request.size()});
  if (state_ != State::dialing) connect();
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
  turn_.write_later_to_server(*this);
}

void Link::flush() {
  write_pending_ = false;
  note_in_flight();
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
      in_push_ = lane_.dialect == Dialect::resp3 && bytes.front() == '>';
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
  }
  if (reply_under_way_) hold_back_for_receiver();
  note_in_flight();
}

Link::Step Link::scan(std::string_view bytes) {
  if (lane_.dialect == Dialect::memcache) {
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
    if (std::exchange(is_long_, false)) grace_until_ms_ = now_ms() + timeout_ms();
    if (!is_late) upstream_.count_reply(now_us() - slot.since_us);
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
  if (state_ == State::dialing || state_ == State::up) return;
  timer_.cancel();
  state_ = State::dialing;
  if (upstream_.is_prober(*this)) dialer_.may_flush();
  dialer_.dial();
}

void Link::be_down(std::string reason) {
  state_ = State::down;
  has_failed_ = true;
  last_reason_ = std::move(reason);
}

void Link::come_back() {
  if (state_ == State::up) return;
  has_failed_ = false;
  connect();
}

void Link::redial() {
  if (state_ != State::up || in_flight() > 0) return;
  close_idle();
}

void Link::on_dialed(std::unique_ptr<io::Stream> stream) {
  stream_ = std::move(stream);
  stream_->set_handler(*this);
  is_long_ = false;
  grace_until_ms_ = 0;
  resp_ = {};
  memcache_ = {};
  reply_under_way_ = in_push_ = false;
  state_ = State::up;
  has_failed_ = false;
  retry_at_ms_ = 0;
  std::string_view bytes = held_bytes_.view();
  while (!held_.empty()) {
    Held held = held_.front();
    held_.pop();
    push(bytes.substr(0, held.size), held.slot);
    bytes.remove_prefix(held.size);
  }
  held_bytes_.clear();
  upstream_.on_link_changed(*this, "");
}

// ---- endings ----

void Link::on_end(const Error& why) {
  bool orderly = why.code() == Errc::closed;
  // A server that closes at once (too many clients, say) must not make us knock without a pause.
  bool lived = now_ms() - dialer_.started_ms() >= kShortLifeMs;
  if (slots_.empty() && orderly && lived) {
    close_idle();
    return;
  }
  lost(why_it_ended(why));
}

// Servers close idle connections (timeout in redis.conf) and restart in peace: not a failure, but
// the next connection must be known to work before health says so.
void Link::close_idle() {
  timer_.cancel();
  stream_.reset();
  out_.clear();
  write_pending_ = false;
  late_ = 0;
  while (!slots_.empty()) slots_.pop();  // late ones only
  turn_.forget(*this);
  state_ = State::idle;
  connect();
}

void Link::lost(std::string reason) {
  timer_.cancel();
  // A server that answers its greeting and fails at once is not back: the delay goes on growing.
  if (state_ == State::up && now_ms() - dialer_.started_ms() >= kMaxRetryMs) retry_ms_ = 0;
  stream_.reset();
  turn_.forget(*this);
  write_pending_ = false;
  out_.clear();
  stop_waiting();
  state_ = State::down;
  has_failed_ = true;
  last_reason_ = std::move(reason);
  fail_everything();
  note_in_flight();
  upstream_.on_link_changed(*this, last_reason_);
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
  // A try out of turn, for a request, leaves the timetable as it is.
  if (retry_at_ms_ > now_ms()) {
    timer_.arm_at(retry_at_ms_);
    return;
  }
  const PoolContext& context = upstream_.context();
  auto asked_for = static_cast<std::uint64_t>(context.config.server_retry_timeout.count());
  std::uint64_t first = std::max(asked_for, kMinRetryMs);
  retry_ms_ = retry_ms_ == 0 ? first : std::min(retry_ms_ + retry_ms_ / 2, kMaxRetryMs);
  // Up to a fifth less or more, so that many proxies do not knock together.
  std::uint64_t jitter = context.services.random.below(retry_ms_ * 2 / 5 + 1);
  retry_at_ms_ = now_ms() + retry_ms_ - retry_ms_ / 5 + jitter;
  timer_.arm_at(retry_at_ms_);
}

void Link::stop_retrying() {
  if (state_ == State::down) timer_.cancel();
}

// ---- time ----

void Link::on_timer() {
  if (state_ == State::down) {
    connect();
  } else if (state_ == State::up) {
    time_out_requests();
  }
}

void Link::settings_changed() {
  if (state_ == State::up && !slots_.empty()) arm_timeout();
}

void Link::arm_timeout() {
  std::uint32_t next = slots_.front_seq() + late_;
  if (!slots_.contains(next)) {
    // Only late ones are left: come back to see whether the connection is stuck.
    if (late_ > 0) timer_.arm_at(now_ms() + timeout_ms());
    return;
  }
  std::uint64_t waited_us = now_us() - slots_[next].since_us;
  std::uint64_t limit_us = timeout_ms() * 1000;
  std::uint64_t left_ms = waited_us >= limit_us ? 0 : (limit_us - waited_us + 999) / 1000;
  timer_.arm_at(std::max(now_ms() + left_ms, grace_until_ms_));
}

void Link::time_out_requests() {
  // While we do not read, the silence is ours.
  if (waiting_for_ != nullptr) quiet_since_ms_ = now_ms();
  while (slots_.contains(slots_.front_seq() + late_)) {
    Slot slot = slots_[slots_.front_seq() + late_];
    if (!timed_out(slot) || now_ms() < grace_until_ms_) break;
    std::uint64_t silent_ms = now_ms() - quiet_since_ms_;
    if (late_ == 0 && reply_under_way_ && silent_ms < timeout_ms()) {
      // A long reply is passing: it has not timed out while its bytes come, nor have those behind.
      grace_until_ms_ = quiet_since_ms_ + timeout_ms();
      is_long_ = true;
      break;
    }
    stop_waiting();
    ++late_;
    upstream_.metrics().timeouts.add();
    upstream_.metrics().failures.add();
    slot.sink->on_failure(slot.tag, Failure{upstream_.spec().name, "timed out"});
  }
  std::uint64_t limit_ms = timeout_ms() * upstream_.context().config.server_failure_limit;
  if (late_ > 0 && now_ms() - quiet_since_ms_ >= limit_ms) {
    lost(std::string(kSilent));
    return;
  }
  if (!slots_.empty()) arm_timeout();
}

}  // namespace consort::shard_proxy
