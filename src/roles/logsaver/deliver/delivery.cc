#include "roles/logsaver/deliver/delivery.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/content_hash.hpp"

namespace consort::logsaver {
namespace {

/// Of one turn of the loop: others want it too.
constexpr std::uint64_t kPumpNs = 3'000'000;
/// What the disk refused is tried again.
constexpr std::uint64_t kRetryReadMs = 1'000;
constexpr std::uint64_t kQuietMs = 30'000;
/// So many open batches may be looked at after each turn.
constexpr std::size_t kGroupsFew = 16;
constexpr std::size_t kLeastRead = 4 * 1024;
constexpr std::uint32_t kTurnsInLineMax = 64;
/// So far a batch's time may run ahead of the clock; more, and the clock was set back.
constexpr std::int64_t kAheadMaxMs = 1'000;
/// What an encoding makes of a log's bytes, before it is known.
constexpr double kUsualGrowth = 2.5;

std::uint64_t hash_of(const Sink& sink, const DeliverySettings& settings) {
  std::string text = settings.record_settings;
  text.append("\n").append(sink.name()).append("\n");
  text += compressor_version(sink.traits().coding);
  // What was promised without manifests may be there without one.
  if (sink.traits().manifest_bytes_max > 0) text += "\nmanifest 1";
  return content_hash(text).low;
}

}  // namespace

Delivery::Delivery(const DeliveryWorld& world, DeliverySettings settings, RecordRules& rules,
                   std::unique_ptr<Sink> sink, SinkIndex index)
    : world_(world),
      settings_(std::move(settings)),
      rules_(rules),
      sink_(std::move(sink)),
      index_(index),
      settings_hash_(hash_of(*sink_, settings_)),
      compressor_(make_compressor(sink_->traits().coding)),
      timer_(world.loop.timers(), [](void* self) { static_cast<Delivery*>(self)->pump(); }, this) {
  const SinkLedger& ledger = world_.journal.ledger().sinks()[index_];
  for (const auto& [number, intent] : ledger.open) {
    if (!ledger.acknowledged.contains(number)) replays_.push_back(number);
    created_ms_min_ = std::max(created_ms_min_, intent.created_ms + 1);
  }
}

Delivery::~Delivery() = default;

void Delivery::start() {
  if (!replays_.empty()) {
    world_.log.info("sink.replays", {{"sink", sink_->name()}, {"batches", replays_.size()}});
  }
  pump();
}

void Delivery::on_new(Tail& tail) {
  Cursor& cursor = cursors_[tail.record.id];
  cursor.facts = world_.facts(tail);
  const auto& planned = world_.journal.ledger().sinks()[index_].planned;
  auto known = planned.find(tail.record.id);
  if (known != planned.end()) cursor.at = known->second;
  // Where reading begins elsewhere a restart must know it, though nothing has been read.
  if (tail.is_begin_known) skip(tail, cursor, tail.begin);
}

void Delivery::on_bytes(Tail& tail) {
  auto found = cursors_.find(tail.record.id);
  if (found == cursors_.end()) return;
  found->second.is_behind = true;
  make_ready(tail.record.id, found->second);
  // Not arm(), which looks at all there is: this comes for every write of every file.
  const bool may_read = !is_stopped_ && !is_paused_ && !is_blocked_ && replays_.empty();
  if (may_read && !is_pumping_) timer_.arm_at(world_.loop.now_ms());
}

void Delivery::on_dropped(Tail& tail) {
  auto found = cursors_.find(tail.record.id);
  if (found == cursors_.end()) return;
  wake_next(tail, found->second);
  cursors_.erase(found);
  std::erase(ready_, tail.record.id);
  std::erase_if(later_, [&](const auto& each) { return each.second == tail.record.id; });
}

Progress Delivery::read_to(const Tail& tail) const {
  auto found = cursors_.find(tail.record.id);
  return found == cursors_.end() ? Progress{} : found->second.at;
}

std::uint64_t Delivery::settled_to(const Tail& tail) const {
  const auto& settled = world_.journal.ledger().sinks()[index_].settled;
  auto found = settled.find(tail.record.id);
  return found == settled.end() ? 0 : found->second.offset;
}

void Delivery::flush() {
  is_flushing_ = true;
  pump();
}

void Delivery::stop_reading() {
  is_stopped_ = true;
  pump();
}

void Delivery::pause(bool is_paused) {
  is_paused_ = is_paused;
  pump();
}

bool Delivery::is_idle() const {
  return is_settled() && ready_.empty() && later_.empty();
}

std::uint64_t Delivery::held_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, flight] : in_flight_) {
    if (!flight->is_settled) bytes += flight->log_bytes;
  }
  for (const auto& [name, group] : open_) {
    if (group.batch != nullptr) bytes += group.batch->log_bytes();
  }
  return bytes;
}

std::uint64_t Delivery::oldest_ms() const {
  std::uint64_t oldest = 0;
  const auto older = [&](std::uint64_t since) {
    oldest = oldest == 0 ? since : std::min(oldest, since);
  };
  for (const auto& [number, flight] : in_flight_) older(flight->since_ms);
  for (const auto& [name, group] : open_) older(group.since_ms);
  return oldest;
}

void Delivery::make_ready(TailId id, Cursor& cursor) {
  if (cursor.is_ready) return;
  cursor.is_ready = true;
  // The parts of a long line shall be next to each other, unless it never ends.
  if (cursor.turns_in_line > 0 && cursor.turns_in_line <= kTurnsInLineMax) {
    ready_.push_front(id);
  } else {
    ready_.push_back(id);
  }
  is_blocked_ = false;
}

void Delivery::look_later(TailId id, std::uint64_t at_ms) {
  later_.insert({at_ms, id});
}

/// Lets tails read until nothing is to be read, no place is free, or others should have the loop.
void Delivery::pump() {
  if (is_pumping_ || follower_ == nullptr) return;
  is_pumping_ = true;
  const std::uint64_t began_ns = world_.loop.now_ns();
  const std::uint64_t now_ms = world_.loop.now_ms();
  while (!later_.empty() && later_.begin()->first <= now_ms) {
    const TailId id = later_.begin()->second;
    later_.erase(later_.begin());
    auto found = cursors_.find(id);
    if (found != cursors_.end()) make_ready(id, found->second);
  }
  if (!replays_.empty()) replay_next();
  const bool may_read = !is_stopped_ && !is_paused_ && replays_.empty();
  std::size_t blocked = 0;
  while (may_read && blocked < ready_.size()) {
    const TailId id = ready_.front();
    ready_.pop_front();
    auto found = cursors_.find(id);
    if (found == cursors_.end()) continue;
    found->second.is_ready = false;
    Tail* tail = follower_->find(id);
    if (tail == nullptr) continue;
    const Turn what = turn(*tail, found->second);
    blocked = what == Turn::blocked ? blocked + 1 : 0;
    // The tail may have been dropped by what its turn found out.
    found = cursors_.find(id);
    if (found != cursors_.end()) {
      if (what != Turn::done) make_ready(id, found->second);
      if (!found->second.is_behind && !found->second.has_open) wake_next(*tail, found->second);
    }
    // Where there is one batch for all, nobody has a turn before it is on its way.
    if (what == Turn::blocked && !sink_->traits().one_file_each) blocked = ready_.size();
    // With a batch for each file it is not worth a look at all of them.
    if (!sink_->traits().one_file_each || open_.size() < kGroupsFew) close_due();
    if (world_.loop.now_ns() - began_ns > kPumpNs) break;
  }
  is_blocked_ = may_read && !ready_.empty() && blocked >= ready_.size();
  close_due();
  if (ready_.empty() && later_.empty()) is_flushing_ = is_flushing_ && !open_.empty();
  is_pumping_ = false;
  if (may_read && blocked < ready_.size()) {
    timer_.arm_at(now_ms);
  } else {
    arm();
  }
  if (on_progress_) on_progress_();
}

void Delivery::arm() {
  if (is_pumping_) return;
  const std::uint64_t now_ms = world_.loop.now_ms();
  std::uint64_t at_ms = TimerQueue::kNever;
  const bool may_read = !is_stopped_ && !is_paused_ && replays_.empty();
  if (may_read && !ready_.empty() && (!is_blocked_ || has_place())) at_ms = now_ms;
  if (!later_.empty()) at_ms = std::min(at_ms, later_.begin()->first);
  if (has_place()) {
    for (const auto& [name, group] : open_) at_ms = std::min(at_ms, due_ms(group));
  } else if (journal_retry_ms_ > now_ms) {
    at_ms = std::min(at_ms, journal_retry_ms_);
  }
  timer_.arm_at(at_ms);
}

Delivery::Turn Delivery::turn(Tail& tail, Cursor& cursor) {
  const std::uint64_t now_ms = world_.loop.now_ms();
  if (!tail.is_begin_known) return Turn::done;
  if (cursor.at.offset < tail.begin && !skip(tail, cursor, tail.begin)) {
    look_later(tail.record.id, now_ms + kRetryReadMs);
    return Turn::done;
  }
  if (must_wait(tail, cursor)) return Turn::done;
  const std::string name = sink_->traits().one_file_each ? tail.record.origin : std::string();
  Group& group = open_[name];
  if (is_full(group) && !close(group)) return Turn::blocked;
  if (group.batch == nullptr) group.batch = new_batch(next_created_ms());
  // The tail may be gone afterwards.
  const Turn what = read_some(tail, cursor, group, Join::untried);
  if (group.batch != nullptr && group.batch->is_empty()) open_.erase(name);
  return what;
}

/// The file before comes first, as long as it has bytes, and while a record is open at its end that
/// may go on here. Whoever brings that to its end wakes us.
bool Delivery::must_wait(const Tail& tail, const Cursor& cursor) {
  const Tail* previous = tail.previous;
  if (previous == nullptr || previous->is_ended || cursor.at.offset > tail.begin) return false;
  auto before = cursors_.find(previous->record.id);
  if (before == cursors_.end()) return false;
  const bool is_behind = before->second.is_behind && previous->is_begin_known;
  if (!is_behind && !before->second.has_open) return false;
  before->second.has_waiting = true;
  make_ready(previous->record.id, before->second);
  return true;
}

void Delivery::wake_next(const Tail& tail, Cursor& cursor) {
  if (!std::exchange(cursor.has_waiting, false) || tail.next == nullptr) return;
  auto found = cursors_.find(tail.next->record.id);
  if (found == cursors_.end()) return;
  make_ready(tail.next->record.id, found->second);
  arm();
}

Reading Delivery::read(Tail& tail, const Progress& at, std::size_t wanted) {
  const std::span<char> buffer(world_.buffer);
  Reading reading = follower_->read(
      tail, at, buffer.first(std::min(buffer.size(), std::size_t{kEndCheckBytes} + wanted)));
  if (reading.state == ReadState::fine) {
    const auto before = static_cast<std::size_t>(reading.bytes.data() - world_.buffer.data());
    window_ = {world_.buffer.data(), before + reading.bytes.size()};
    window_start_ = at.offset - before;
  }
  return reading;
}

ContentCheck Delivery::check_before(std::uint64_t end) const {
  const std::uint64_t at = end - window_start_;
  const std::uint64_t length = std::min<std::uint64_t>(at, kEndCheckBytes);
  return {static_cast<std::uint32_t>(length), content_hash(window_.substr(at - length, length))};
}

/// Reads and feeds: as much as the batch may still take, or all that there is room for when not
/// even one record ends there. At a second look at the same bytes nothing of them was encoded yet.
Reading Delivery::read_turn(Tail& tail, const Cursor& cursor, OpenBatch& batch, std::size_t& used) {
  const TailId id = tail.record.id;
  Reading reading;
  for (const std::size_t wanted : {room_in(batch), kAll}) {
    reading = read(tail, cursor.at, wanted);
    if (reading.state != ReadState::fine || reading.bytes.empty()) return reading;
    batch.begin_turn(id, cursor.facts, cursor.at.offset);
    used = batch.feed(reading.bytes);
    if (reading.is_end || batch.settled().offset > cursor.at.offset) break;
  }
  return reading;
}

Delivery::Turn Delivery::read_some(Tail& tail, Cursor& cursor, Group& group, Join join) {
  const std::uint64_t now_ms = world_.loop.now_ms();
  const TailId id = tail.record.id;
  OpenBatch& batch = *group.batch;
  std::size_t used = 0;
  const Reading reading = read_turn(tail, cursor, batch, used);
  if (reading.state == ReadState::failed) look_later(id, now_ms + kRetryReadMs);
  if (reading.state != ReadState::fine || reading.bytes.empty()) {
    // Whoever waits for it goes on without; who is held will be told of again.
    auto found = cursors_.find(id);
    if (found == cursors_.end()) return Turn::done;
    found->second.is_behind = reading.state == ReadState::held;
    found->second.has_open = false;
    return Turn::done;
  }

  const std::uint64_t seen_to = cursor.at.offset + reading.bytes.size();
  if (seen_to != cursor.seen_to) {
    cursor.seen_to = seen_to;
    cursor.silent_since_ms = now_ms;
  }
  const bool is_silent = now_ms >= cursor.silent_since_ms + settings_.silence_ms;
  bool is_flush = reading.is_end && (is_silent || settings_.ends_partial_lines);
  // We may have been kept from looking for long: first it is seen whether it goes on there.
  const bool is_join_due =
      is_flush && join == Join::untried && batch.has_open() && may_go_on_in_next(tail);
  if (is_join_due) is_flush = false;
  if (is_flush && is_final(tail)) batch.feed_partial(reading.bytes.substr(used));
  cursor.has_open = !is_flush && batch.has_open();
  cursor.is_behind = !reading.is_end;
  std::vector<Extent> extents = batch.end_turn(is_flush);
  const bool has_progress = !extents.empty();
  if (has_progress) {
    cursor.turns_in_line = batch.is_within_line() ? cursor.turns_in_line + 1 : 0;
    extents.back().check = check_before(extents.back().end);
    cursor.at = {extents.back().end, extents.back().check};
    take(group, std::move(extents), is_flush);
  }
  if (!reading.is_end) return Turn::more;
  if (!has_progress && cursor.has_open && join == Join::untried) {
    if (read_into_next(tail, cursor, group)) return Turn::more;
    if (is_join_due) return read_some(tail, cursor, group, Join::failed);
  }
  if (cursor.has_open && tail.next != nullptr && has_progress) return Turn::more;
  if (cursor.at.offset == seen_to) return Turn::done;
  if (!is_flush) look_later(id, cursor.silent_since_ms + settings_.silence_ms);
  // A line without its end in a file that was renamed: its writer may still come back.
  if (is_flush && !tail.is_listed) look_later(id, std::max(now_ms, tail.changed_ms) + kQuietMs);
  return Turn::done;
}

/// It has bytes, and nobody has read them.
bool Delivery::may_go_on_in_next(const Tail& tail) const {
  const Tail* next = tail.next;
  if (next == nullptr || !next->is_begin_known || next->size <= next->begin) return false;
  auto found = cursors_.find(next->record.id);
  return found != cursors_.end() && found->second.at.offset <= next->begin;
}

/// A record that is open at a file's end goes on in the file that took its place. True when it came
/// to its end there.
bool Delivery::read_into_next(Tail& tail, Cursor& cursor, Group& group) {
  if (!may_go_on_in_next(tail)) return false;
  Tail* next = tail.next;
  Cursor& behind = cursors_.at(next->record.id);
  if (behind.at.offset < next->begin && !skip(*next, behind, next->begin)) return false;

  OpenBatch& batch = *group.batch;
  const Reading first = read(tail, cursor.at);
  if (first.state != ReadState::fine || !first.is_end) return false;
  // It has grown since: what is new there comes first.
  if (cursor.at.offset + first.bytes.size() != cursor.seen_to) return false;
  batch.begin_turn(tail.record.id, cursor.facts, cursor.at.offset);
  const std::size_t used = batch.feed(first.bytes);
  if (used != first.bytes.size()) return false;  // a line without its end: nothing joins it
  const std::uint64_t end = cursor.at.offset + used;
  const ContentCheck check = check_before(end);
  batch.next_piece(next->record.id, behind.facts, behind.at.offset);
  const Reading second = read(*next, behind.at);
  if (second.state != ReadState::fine) return false;
  batch.feed(second.bytes);
  std::vector<Extent> extents = batch.end_turn(false);
  if (batch.settled().piece == 0 || extents.empty()) return false;
  extents.front().check = check;
  cursor.at = {end, check};
  cursor.has_open = false;
  if (extents.size() > 1) {
    extents.back().check = check_before(extents.back().end);
    behind.at = {extents.back().end, extents.back().check};
  }
  take(group, std::move(extents), false);
  make_ready(next->record.id, behind);
  return true;
}

void Delivery::take(Group& group, std::vector<Extent> extents, bool is_flush) {
  if (group.batch->is_empty()) {
    group.since_ms = world_.loop.now_ms();
    group.first_tail = extents.front().tail;
    group.first_offset = extents.front().start;
    group.tails.clear();
    if (auto found = cursors_.find(group.first_tail); found != cursors_.end()) {
      group.file = found->second.facts.file;
    }
  }
  for (const Extent& extent : extents) {
    counters_.read_bytes += extent.end - extent.start;
    if (has_manifests()) group.tails.insert(extent.tail);
  }
  group.batch->keep(std::move(extents), is_flush);
}

/// No two batches of one file have the same: by their times destinations tell equal records apart
/// (loki_encoding.hpp), and a file of thousands of lines is more than one batch within a
/// millisecond. With a batch for each file the files tell them apart.
std::int64_t Delivery::next_created_ms() const {
  const std::int64_t now_ms = world_.wall_ms();
  const bool is_near = created_ms_min_ - now_ms < kAheadMaxMs;
  return is_near ? std::max(now_ms, created_ms_min_) : now_ms;
}

std::unique_ptr<OpenBatch> Delivery::new_batch(std::int64_t created_ms) {
  BatchHead head;
  head.created_ms = created_ms;
  return std::make_unique<OpenBatch>(rules_, *compressor_, sink_->traits().coding,
                                     sink_->make_encoding(), head, spare_);
}

/// Leaves out what lies before that offset, for good.
bool Delivery::skip(Tail& tail, Cursor& cursor, std::uint64_t offset) {
  if (cursor.at.offset >= offset) return true;
  if (!tail.is_recorded) return false;
  Progress progress;
  progress.offset = offset;
  progress.check = follower_->look_back(tail, offset);
  // By its first bytes a restart knows the tail again, for there is no check before the offset.
  auto skipped = follower_->remember_head(tail);
  if (skipped) skipped = world_.journal.skip_to(index_, tail.record.id, progress);
  if (!skipped) {
    state_is_unwritable(skipped.error());
    return false;
  }
  cursor.at = progress;
  return true;
}

/// Nobody can write to it any more, or nobody has for long.
bool Delivery::is_final(const Tail& tail) const {
  if (settings_.ends_partial_lines || tail.is_unlinked) return true;
  return !tail.is_listed && world_.loop.now_ms() >= tail.changed_ms + kQuietMs;
}

/// Of the log, what the batch may still take, by what became of its bytes so far.
std::size_t Delivery::room_in(const OpenBatch& batch) const {
  const std::uint64_t most = sink_->traits().batch_bytes.bytes;
  const std::uint64_t room = most - std::min(batch.plain_bytes(), most);
  const double usual = batch.is_plain() ? 1.0 : kUsualGrowth;
  const double growth = batch.log_bytes() == 0 ? usual
                                               : static_cast<double>(batch.plain_bytes()) /
                                                     static_cast<double>(batch.log_bytes());
  const auto bytes = static_cast<std::size_t>(static_cast<double>(room) / std::max(growth, 1.0));
  return std::max(bytes, kLeastRead);
}

bool Delivery::is_full(const Group& group) const {
  // Nearly: the last record shall not make it more than it may be.
  const std::uint64_t most = sink_->traits().batch_bytes.bytes;
  return group.batch != nullptr &&
         (group.batch->plain_bytes() >= most - most / 8 || has_all_that_fits(group));
}

}  // namespace consort::logsaver
