#include "roles/shard_proxy/client.hpp"

#include <algorithm>

#include "roles/shard_proxy/gather.hpp"
#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/private_link.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::size_t kArenaKeepBytes = 64 * 1024;
constexpr std::size_t kArenaCompactBytes = 256 * 1024;

}  // namespace

Client::Client(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id)
    : pool_(pool),
      id_(id),
      stream_(std::move(stream)),
      last_progress_ms_(pool.now_ms()),
      patience_(
          pool.timers(), [](void* self) { static_cast<Client*>(self)->on_patience_end(); }, this) {}

Client::~Client() {
  pool_.turn().forget(*this);
}

// ---- input ----

void Client::on_data(std::string_view bytes) {
  if (closing_ || closed_ || is_last_input_) return;
  pool_.metrics().client_bytes_received.add(bytes.size());
  if (in_.empty() && !paused_) {
    std::size_t used = parse_some(bytes);
    if (!closed_ && !closing_) in_.append(bytes.substr(used));
  } else {
    in_.append(bytes);
    if (!paused_) parse_input();
  }
  if (paused_ && in_.size() > kHighWater && stream_) hold_input_back();
  if (in_.size() > kMaxRequestBytes) close("its request is larger than 576 MiB");
}

void Client::parse_input() {
  std::size_t used = parse_some(in_.view());
  if (!closed_) in_.consume(used);
}

// Who waits in BLPOP must be read, or its end would not be noticed.
void Client::hold_input_back() {
  if (is_blocked()) {
    close("it sent more than 1 MiB behind a request that waits");
  } else {
    stream_->pause_reading();
  }
}

bool Client::may_parse() const {
  std::size_t kept = out_.size() + stored_bytes_ + gathered_bytes_ + private_unsent_bytes();
  return slots_.size() < kMaxPipelined && kept <= kHighWater;
}

// Returns how many bytes are done with; the rest belongs to a request that is not whole.
std::size_t Client::parse_some(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && !closed_ && !closing_) {
    if (discard_ > 0) {
      std::size_t gone = std::min(discard_, bytes.size() - at);
      discard_ -= gone;
      at += gone;
      continue;
    }
    if (!may_parse()) {
      pause();
      break;
    }
    Taken taken = take_request(bytes.substr(at));
    if (taken.parsed == Parsed::more) break;
    if (taken.parsed == Parsed::wait) {
      // Reading goes on for a while: while it waits in BLPOP, its end must be noticed.
      wants_silence_ = paused_ = true;
      break;
    }
    at += taken.used;
    pool_.metrics().client_requests.add();
    if (taken.parsed == Parsed::closing) {
      closing_ = true;
      write_soon();
      return bytes.size();
    }
  }
  return at;
}

void Client::pause() {
  paused_ = true;
  if (stream_) stream_->pause_reading();
}

void Client::resume_parsing() {
  paused_ = wants_silence_ = false;
  if (!closing_) parse_input();
  if (is_last_input_ && !paused_) closing_ = true;
  if (!paused_ && stream_) stream_->resume_reading();
}

void Client::on_end(const Error& why) {
  // A client may send its last requests and a FIN at once, and still wants the answers.
  bool finished = why.code() == Errc::closed && why.sys() == 0;
  if (finished && has_work() && !closed_ && !is_blocked()) {
    close_when_idle();
    return;
  }
  close("");
}

// What was read before is still answered, though it may be waiting for room.
void Client::close_when_idle() {
  if (is_blocked()) {
    close("");
    return;
  }
  if (paused_) {
    is_last_input_ = true;
    return;
  }
  closing_ = true;
  if (!has_work()) close("");
}

// ---- requests ----

std::uint32_t Client::open_slot(std::uint8_t filter_kind) {
  Slot slot;
  slot.filter = filter_kind;
  return slots_.push(std::move(slot));
}

void Client::answer(std::string_view reply) {
  if (slots_.empty()) {
    out_.append(reply);
    write_soon();
    return;
  }
  fill_slot(open_slot(), reply, true);
}

void Client::forward(Link& link, std::string_view request, std::uint8_t filter_kind,
                     std::uint8_t miss_kind) {
  std::uint32_t slot = open_slot(filter_kind);
  slots_[slot].miss = miss_kind;
  ++outstanding_;
  link.send(request, *this, slot);
}

void Client::forward(PrivateLink& link, std::string_view request, std::uint64_t limit_ms,
                     std::uint8_t filter_kind) {
  std::uint32_t slot = open_slot(filter_kind);
  ++outstanding_;
  link.send(request, this, slot, limit_ms);
}

void Client::finish_slot(std::uint32_t slot, std::string_view reply) {
  if (!closed_) fill_slot(slot, reply, true);
}

void Client::push(std::string_view message, bool in_order) {
  if (closed_) return;
  if (out_.size() + stored_bytes_ > pool_.config().client_output_limit.bytes) {
    close("it reads its subscriptions too slowly");
    return;
  }
  bool is_within_reply = !slots_.empty() && slots_.front().started;
  if (slots_.empty() || (!in_order && !is_within_reply)) {
    out_.append(message);
    write_soon();
    return;
  }
  fill_slot(open_slot(), message, true);
}

Gather& Client::adopt(std::uint32_t slot, std::unique_ptr<Gather> gather) {
  Gather& adopted = *gather;
  slots_[slot].gather = std::move(gather);
  ++outstanding_;
  return adopted;
}

// ---- replies ----

void Client::on_reply(std::uint32_t tag, std::string_view bytes, bool last) {
  if (last) --outstanding_;
  if (closed_) {
    if (last) bury_if_done();
    return;
  }
  fill_slot(tag, bytes, last);
}

bool Client::may_gather(std::size_t bytes) {
  // For a client that is gone nothing is kept.
  if (closed_ || gathered_bytes_ + bytes > kMaxKeptBytes) return false;
  gathered_bytes_ += bytes;
  return true;
}

void Client::gathered(std::uint32_t slot, std::string_view reply) {
  std::unique_ptr<Gather> done = std::move(slots_[slot].gather);
  --outstanding_;
  if (closed_) {
    bury_if_done();
    return;
  }
  fill_slot(slot, reply, true);
}

void Client::on_failure(std::uint32_t tag, const Failure& failure) {
  --outstanding_;
  if (closed_) {
    bury_if_done();
    return;
  }
  Slot& slot = slots_[tag];
  if (slot.started) {
    close("the server failed in the middle of its reply");
    return;
  }
  drop_stored(slot);
  if (slot.miss != kNoMiss) {
    fill_slot(tag, miss_reply(slot.miss), true);
    return;
  }
  if (keeps_failures(slot.filter)) {
    slot.filter = kUnfiltered;
    fill_slot(tag, {}, true);
    return;
  }
  slot.filter = kUnfiltered;
  fill_slot(tag, failure_reply(failure), true);
}

void Client::fill_slot(std::uint32_t tag, std::string_view bytes, bool last) {
  Slot& slot = slots_[tag];
  bool is_front = tag == slots_.front_seq();
  if (is_front && slot.filter == kUnfiltered && slot.length == 0 && !slot.pieces) {
    out_.append(bytes);
    slot.started = true;
  } else if (slot.filter == kUnfiltered || !hides_all(slot.filter)) {
    store(slot, bytes);
  }
  if (last) {
    slot.done = true;
    if (is_front) pass_on_ready();
  }
  write_soon();
}

void Client::store(Slot& slot, std::string_view bytes) {
  if (bytes.empty()) return;
  stored_bytes_ += bytes.size();
  if (slot.pieces) {
    slot.pieces->append(bytes);
    return;
  }
  if (slot.length == 0 && bytes.size() <= kArenaKeepBytes) {
    if (arena_.size() > kArenaCompactBytes && arena_live_ < arena_.size() / 2) compact_arena();
    slot.offset = static_cast<std::uint32_t>(arena_.size());
    slot.length = static_cast<std::uint32_t>(bytes.size());
    arena_.append(bytes);
    arena_live_ += bytes.size();
    return;
  }
  auto pieces = std::make_unique<std::string>(stored(slot));
  arena_live_ -= slot.length;
  slot.length = 0;
  pieces->append(bytes);
  slot.pieces = std::move(pieces);
}

std::string_view Client::stored(const Slot& slot) const {
  if (slot.pieces) return *slot.pieces;
  return std::string_view(arena_).substr(slot.length == 0 ? 0 : slot.offset, slot.length);
}

void Client::drop_stored(Slot& slot) {
  stored_bytes_ -= stored(slot).size();
  arena_live_ -= slot.length;
  slot.length = 0;
  slot.pieces.reset();
  if (arena_live_ == 0) {
    arena_.clear();
    if (arena_.capacity() > kArenaKeepBytes) arena_.shrink_to_fit();
  }
}

// Under endless pipelining there may never be a moment without stored replies, so the arena would
// only grow. Linear in slots, and only after half of a large arena has become garbage.
void Client::compact_arena() {
  std::string fresh;
  fresh.reserve(arena_live_ * 2);
  for (std::uint32_t seq = slots_.front_seq(); seq != slots_.end_seq(); ++seq) {
    Slot& slot = slots_[seq];
    if (slot.length == 0) continue;
    auto offset = static_cast<std::uint32_t>(fresh.size());
    fresh.append(std::string_view(arena_).substr(slot.offset, slot.length));
    slot.offset = offset;
  }
  arena_ = std::move(fresh);
}

void Client::pass_on_ready() {
  while (!slots_.empty()) {
    Slot& slot = slots_.front();
    if (!slot.done && (slot.filter != kUnfiltered || slot.gather)) break;
    std::string_view bytes = stored(slot);
    if (slot.filter != kUnfiltered) bytes = filter(slot.filter, bytes);
    if (!bytes.empty()) {
      out_.append(bytes);
      slot.started = true;
    }
    drop_stored(slot);
    if (!slot.done) break;
    slots_.pop();
  }
}

// ---- output ----

void Client::write_soon() {
  if (closed_) return;
  if (write_pending_) {
    watch_backlog();
    return;
  }
  last_progress_ms_ = pool_.now_ms();
  write_pending_ = true;
  pool_.turn().write_later_to_client(*this);
}

// A client that has stopped reading must not hold memory without end.
void Client::watch_backlog() {
  if (out_.size() <= pool_.config().client_output_limit.bytes || patience_.armed()) return;
  auto patience = static_cast<std::uint64_t>(pool_.config().timeout.count());
  patience_.arm_at(last_progress_ms_ + patience);
}

void Client::on_patience_end() {
  if (closed_ || out_.size() <= pool_.config().client_output_limit.bytes) return;
  auto patience = static_cast<std::uint64_t>(pool_.config().timeout.count());
  if (pool_.now_ms() - last_progress_ms_ < patience) {
    watch_backlog();
  } else {
    close("it stopped reading with " + std::to_string(out_.size()) + " bytes to send");
  }
}

// Others wait behind a reply that this client is slow to take, or that overtook another one.
void Client::cannot_wait() {
  if (out_.size() > pool_.config().client_output_limit.bytes) {
    close("it reads too slowly, with " + std::to_string(out_.size()) + " bytes to send");
  } else if (stored_bytes_ > kMaxKeptBytes) {
    close("more than 1 GiB of its replies wait for a slower server");
  }
}

void Client::flush() {
  write_pending_ = false;
  if (closed_) return;
  if (!out_.empty()) {
    auto written = stream_->try_write(out_.view());
    if (!written) {
      close("");
      return;
    }
    if (*written > 0) last_progress_ms_ = pool_.now_ms();
    pool_.metrics().client_bytes_sent.add(*written);
    out_.consume(*written);
    if (!out_.empty()) {
      write_pending_ = true;
      stream_->want_writable();
      watch_backlog();
    }
  }
  if (!waiting_.empty()) wake_sources();
  bool has_room = out_.size() <= kLowWater && slots_.size() < kMaxPipelined / 2 &&
                  private_unsent_bytes() <= kLowWater;
  if (paused_ && has_room && (!wants_silence_ || slots_.empty())) resume_parsing();
  if (closing_ && !closed_ && !has_work()) close("");
}

void Client::on_writable() {
  flush();
}

// The front's reply goes straight out, so it waits for out_; one that overtook it is stored, and
// must not be hurried by room in out_ which the front needs.
bool Client::congested(std::uint32_t tag) const {
  if (closed_) return false;
  return tag == slots_.front_seq() ? out_.size() > kHighWater : stored_bytes_ > kHighWater;
}

void Client::forget_waiting(ReplySource& source) {
  std::erase_if(waiting_, [&source](const Waiting& waiting) { return waiting.source == &source; });
}

void Client::wake_sources() {
  std::vector<ReplySource*> ready;
  std::erase_if(waiting_, [this, &ready](const Waiting& waiting) {
    bool is_front = waiting.tag == slots_.front_seq();
    if ((is_front ? out_.size() : stored_bytes_) > kLowWater) return false;
    ready.push_back(waiting.source);
    return true;
  });
  for (ReplySource* source : ready) source->receiver_ready();
}

void Client::close(std::string_view reason) {
  if (closed_) return;
  closed_ = true;
  patience_.cancel();
  if (!reason.empty()) pool_.tell_client_cut_off(*this, stream_->peer().text, reason);
  stream_.reset();
  in_.release();
  out_.release();
  for (const Waiting& waiting : std::exchange(waiting_, {})) waiting.source->receiver_ready();
  on_closed();
  bury_if_done();
}

void Client::bury_if_done() {
  if (outstanding_ != 0 || buried_) return;
  buried_ = true;
  pool_.turn().bury_later(*this);
}

}  // namespace consort::shard_proxy
