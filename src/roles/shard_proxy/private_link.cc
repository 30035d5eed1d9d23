#include "roles/shard_proxy/private_link.hpp"

#include <algorithm>
#include <utility>

#include "roles/shard_proxy/upstream.hpp"

namespace consort::shard_proxy {

PrivateLink::PrivateLink(Upstream& upstream, Lane lane, Owner& owner)
    : upstream_(upstream),
      lane_(lane),
      owner_(&owner),
      turn_(upstream.context().turn),
      dialer_(upstream, lane, *this),
      timer_(
          upstream.context().services.loop.timers(),
          [](void* self) { static_cast<PrivateLink*>(self)->on_timer(); }, this) {
  dialer_.keep_alive();
  dialer_.dial();
}

PrivateLink::~PrivateLink() {
  turn_.forget(*this);
}

// ---- requests ----

void PrivateLink::send(std::string_view request, ReplySink* sink, std::uint32_t tag,
                       std::uint64_t limit_ms) {
  upstream_.metrics().requests.add();
  bool is_oldest = pending_.empty();
  pending_.push(Pending{sink, tag, limit_ms});
  out_.append(request);
  if (!stream_) return;
  if (is_oldest) arm();
  write_soon();
}

void PrivateLink::send(std::string_view request) {
  upstream_.metrics().requests.add();
  out_.append(request);
  if (stream_) write_soon();
}

void PrivateLink::on_dialed(std::unique_ptr<io::Stream> stream) {
  stream_ = std::move(stream);
  stream_->set_handler(*this);
  arm();
  if (!out_.empty()) write_soon();
}

void PrivateLink::write_soon() {
  if (write_pending_) return;
  write_pending_ = true;
  turn_.write_later_to_server(*this);
}

void PrivateLink::flush() {
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

// ---- replies ----

void PrivateLink::on_data(std::string_view bytes) {
  upstream_.metrics().bytes_received.add(bytes.size());
  heard_ms_ = upstream_.context().services.loop.now_ms();
  while (!bytes.empty() && stream_) {
    if (!reply_under_way_ && !in_push_) {
      in_push_ = takes_pushes_ || (lane_.dialect == Dialect::resp3 && bytes.front() == '>');
      if (!in_push_ && pending_.empty()) {
        lost("sent a reply that nobody asked for");
        return;
      }
    }
    auto step = scanner_.scan(bytes);
    if (step.progress == resp::Progress::error) {
      lost("broke the protocol");
      return;
    }
    std::string_view part = bytes.substr(0, step.used);
    bytes.remove_prefix(step.used);
    bool last = step.progress == resp::Progress::done;
    if (in_push_) {
      take_push(part, last);
    } else {
      take_part(part, last);
    }
  }
  if (reply_under_way_ && stream_) hold_back_for_receiver();
}

void PrivateLink::take_push(std::string_view part, bool last) {
  in_push_ = !last;
  if (!last || !push_.empty()) push_.append(part);
  if (!last) return;
  std::string whole = std::exchange(push_, {});
  owner_->on_private_push(*this, whole.empty() ? part : std::string_view(whole));
}

void PrivateLink::take_part(std::string_view part, bool last) {
  reply_under_way_ = !last;
  Pending pending = pending_.front();
  if (last) {
    pending_.pop();
    upstream_.metrics().responses.add();
    arm();
  }
  if (pending.sink != nullptr) pending.sink->on_reply(pending.tag, part, last);
  if (last && pending_.empty() && !is_dead_) owner_->on_private_idle(*this);
}

void PrivateLink::hold_back_for_receiver() {
  const Pending& pending = pending_.front();
  if (pending.sink == nullptr || !pending.sink->congested(pending.tag)) return;
  waiting_for_ = pending.sink;
  timer_.cancel();
  pending.sink->wait_for_room(*this, pending.tag);
  stream_->pause_reading();
}

void PrivateLink::receiver_ready() {
  if (std::exchange(waiting_for_, nullptr) == nullptr) return;
  arm();
  if (stream_) stream_->resume_reading();
}

// ---- endings ----

void PrivateLink::arm() {
  timer_.cancel();
  if (pending_.empty() || !stream_) return;  // the dialer has its own limits
  std::uint64_t limit_ms = pending_.front().limit_ms;
  if (limit_ms == kNoLimit) return;
  timer_.arm_at(upstream_.context().services.loop.now_ms() + limit_ms);
}

void PrivateLink::on_timer() {
  std::uint64_t now_ms = upstream_.context().services.loop.now_ms();
  auto timeout_ms = static_cast<std::uint64_t>(upstream_.context().config.timeout.count());
  if (reply_under_way_ && now_ms - heard_ms_ < timeout_ms) {
    timer_.arm_at(heard_ms_ + timeout_ms);  // a long reply is passing
    return;
  }
  upstream_.metrics().timeouts.add();
  lost("timed out");
}

void PrivateLink::on_end(const Error& why) {
  lost(why_it_ended(why));
}

void PrivateLink::lost(const std::string& reason) {
  if (is_dead_) return;
  fail_everything(reason);
  if (owner_ != nullptr) owner_->on_private_lost(*this, reason);
}

void PrivateLink::abandon() {
  owner_ = nullptr;
  if (!is_dead_) fail_everything("was left");
}

void PrivateLink::fail_everything(const std::string& reason) {
  is_dead_ = true;
  timer_.cancel();
  dialer_.cancel();
  stream_.reset();
  out_.clear();
  turn_.forget(*this);
  if (waiting_for_ != nullptr) std::exchange(waiting_for_, nullptr)->forget_waiting(*this);
  Failure failure{upstream_.spec().name, reason};
  while (!pending_.empty()) {
    Pending pending = pending_.front();
    pending_.pop();
    if (pending.sink == nullptr) continue;
    upstream_.metrics().failures.add();
    pending.sink->on_failure(pending.tag, failure);
  }
}

}  // namespace consort::shard_proxy
