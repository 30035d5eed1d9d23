// From a batch that is whole to one that is settled.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "base/text.hpp"
#include "roles/logsaver/deliver/delivery.hpp"

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kRetryJournalMs = 1'000;
constexpr double kFewer = 0.5;
constexpr std::uint32_t kDoublingsMax = 20;
/// So often, a second apart, what cannot be read again is tried before it counts as lost.
constexpr std::uint32_t kReplayTriesMax = 300;
/// A record without a time gets the batch's, and a nanosecond for each record before it.
constexpr std::uint64_t kRecordsPerMs = 1'000'000;

}  // namespace

bool Delivery::has_place() const {
  return in_flight_.size() < places() && replays_.empty() &&
         world_.loop.now_ms() >= journal_retry_ms_ && !is_chain_unsure();
}

void Delivery::close_due() {
  const std::uint64_t now_ms = world_.loop.now_ms();
  const bool is_all = is_stopped_ || (is_flushing_ && ready_.empty());
  std::size_t memory = 0;
  for (auto each = open_.begin(); each != open_.end() && has_place();) {
    Group& group = each->second;
    const bool is_due = is_all || is_full(group) || now_ms >= due_ms(group);
    if (group.batch != nullptr && !group.batch->is_empty() && is_due && close(group)) {
      each = open_.erase(each);
      continue;
    }
    if (group.batch != nullptr) memory += group.batch->memory_bytes();
    ++each;
  }
  if (memory <= settings_.memory_bytes_max || !has_place()) return;
  const auto largest =
      std::max_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
        return a.second.batch->memory_bytes() < b.second.batch->memory_bytes();
      });
  if (!largest->second.batch->is_empty() && close(largest->second)) open_.erase(largest);
}

/// Promises the batch and sends it. False: not now. The group is empty afterwards.
bool Delivery::close(Group& group) {
  if (!has_place() || group.batch == nullptr || group.batch->is_empty()) return false;
  OpenBatch& open = *group.batch;
  auto flight = std::make_unique<Flight>();
  Batch& batch = flight->batch;
  batch.number = world_.journal.ledger().sinks()[index_].next_number;
  batch.created_ms = open.head().created_ms;
  const auto spread_ms = static_cast<std::int64_t>(open.records() / kRecordsPerMs);
  created_ms_min_ = std::max(created_ms_min_, batch.created_ms + spread_ms + 1);
  batch.id = id_of(batch.number);
  batch.file = group.file;
  batch.first_offset = group.first_offset;
  batch.first_tail = group.first_tail;
  // Where the batch will go is only sure while none is under way before it.
  if (sink_->traits().in_flight_max == 1) batch.position = sink_->position_for(batch);
  if (auto promised = promise(batch, open.extents()); !promised) {
    state_is_unwritable(promised.error());
    journal_retry_ms_ = world_.loop.now_ms() + kRetryJournalMs;
    return false;
  }
  journal_error_.clear();
  flight->extents = open.extents();
  flight->log_bytes = open.log_bytes();
  flight->filtered = open.filtered();
  flight->since_ms = group.since_ms;
  open.finish(batch);
  add_manifest(*flight);
  group.batch.reset();
  launch(std::move(flight));
  return true;
}

Result<> Delivery::promise(const Batch& batch, const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    Tail* tail = follower_->find(extent.tail);
    if (tail == nullptr) continue;
    if (auto known = follower_->remember_head(*tail); !known) return known;
  }
  Intent intent;
  intent.number = batch.number;
  intent.created_ms = batch.created_ms;
  intent.position = batch.position;
  intent.settings = settings_hash_;
  intent.extents = extents;
  return world_.journal.plan(index_, std::move(intent));
}

std::string Delivery::id_of(BatchNumber number) const {
  return to_hex(world_.journal.ledger().state_id()) + "-" + std::to_string(index_) + "-" +
         std::to_string(number);
}

void Delivery::launch(std::unique_ptr<Flight> flight) {
  Flight& started = *flight;
  in_flight_.emplace(started.batch.number, std::move(flight));
  scope_.spawn(fly(started));
}

/// Told once, until it can be written again.
void Delivery::state_is_unwritable(const Error& error) {
  std::string why = error.message();
  if (journal_error_.empty()) {
    world_.log.error("state.unwritable", {{"sink", sink_->name()}, {"why", why}});
  }
  journal_error_ = std::move(why);
}

SleepUntil Delivery::nap(std::uint64_t ms) {
  return sleep_until(world_.loop.timers(), world_.loop.now_ms() + ms);
}

Task<> Delivery::fly(Flight& flight) {
  for (;;) {
    auto committed = co_await world_.journal.commit();
    if (committed) break;
    state_is_unwritable(committed.error());
    co_await nap(kRetryJournalMs);
  }
  journal_error_.clear();
  Outcome outcome;
  // What every filter dropped leaves nothing to send but the proof that it is all.
  const bool is_sent = flight.batch.records > 0 || !flight.batch.manifest.empty();
  if (is_sent) outcome = co_await deliver(flight);
  correct_manifest(flight, outcome);
  const std::size_t rejected = outcome.rejected.size();
  for (;;) {
    auto kept = world_.dead_letters.add(index_, sink_->name(), world_.wall_ms(), outcome.rejected);
    if (kept) kept = world_.journal.acknowledge(index_, flight.batch.number, flight.manifest);
    if (kept) break;
    // Tried again, rejections and all: rather a dead letter twice than none.
    state_is_unwritable(kept.error());
    co_await nap(kRetryJournalMs);
  }
  ++counters_.batches;
  counters_.sent_bytes += flight.batch.body.size();
  counters_.settled_bytes += flight.log_bytes;
  flight.is_settled = true;
  counters_.records_rejected += rejected;
  counters_.records_filtered += flight.filtered;
  counters_.records_sent +=
      flight.batch.records - std::min<std::uint64_t>(rejected, flight.batch.records);
  if (flight.batch.is_replay) ++counters_.replays;
  world_.loop.post([this, alive = std::weak_ptr(alive_), number = flight.batch.number] {
    if (!alive.expired()) landed(number);
  });
}

Task<Outcome> Delivery::deliver(Flight& flight) {
  for (std::uint32_t tries = 0;; ++tries) {
    Outcome outcome = co_await sink_->deliver(flight.batch);
    adapt(outcome);
    if (outcome.verdict == Outcome::Verdict::delivered) {
      if (!last_error_.empty()) world_.log.info("sink.recovered", {{"sink", sink_->name()}});
      last_error_.clear();
      is_held_ = false;
      co_return outcome;
    }
    is_held_ = outcome.verdict == Outcome::Verdict::hold;
    if (outcome.is_progress) tries = 0;
    if (last_error_ != outcome.why) {
      world_.log.warn(
          is_held_ ? "sink.held" : "sink.retry",
          {{"sink", sink_->name()}, {"batch", flight.batch.number}, {"why", outcome.why}});
    }
    last_error_ = outcome.why;
    ++counters_.retries;
    // Full jitter: uniform below a bound that doubles (AWS Architecture Blog, "Exponential Backoff
    // And Jitter", 2015), so that many senders do not come back together.
    std::uint64_t wait_ms = settings_.hold_ms;
    if (!is_held_) {
      const std::uint64_t bound = std::min(
          settings_.retry_cap_ms, settings_.retry_base_ms << std::min(tries, kDoublingsMax));
      wait_ms = outcome.wait.count() > 0 ? static_cast<std::uint64_t>(outcome.wait.count())
                                         : world_.random.below(bound + 1);
    }
    co_await nap(std::max<std::uint64_t>(wait_ms, 1));
  }
}

void Delivery::adapt(const Outcome& outcome) {
  const double most = sink_->traits().in_flight_max;
  if (outcome.verdict != Outcome::Verdict::delivered) {
    if (outcome.is_overload) places_ = std::max(1.0, places_ * kFewer);
  } else if (in_flight_.size() >= places()) {
    places_ = std::min(most, places_ + 1.0 / std::floor(places_));
  }
}

void Delivery::landed(BatchNumber number) {
  auto found = in_flight_.find(number);
  CHECK(found != in_flight_.end());
  const std::vector<Extent> extents = std::move(found->second->extents);
  in_flight_.erase(found);
  for (const Extent& extent : extents) {
    if (Tail* tail = follower_->find(extent.tail)) follower_->review(*tail);
  }
  pump();
}

/// One after the other, in their order, as far as there are places.
void Delivery::replay_next() {
  while (!replays_.empty() && in_flight_.size() < places() && !is_chain_unsure()) {
    const BatchNumber number = replays_.front();
    const Intent intent = world_.journal.ledger().sinks()[index_].open.at(number);
    Rebuilt rebuilt = rebuild(intent);
    const bool is_nothing_left = rebuilt.batch->is_empty();
    if (rebuilt.is_unreadable || (is_nothing_left && !world_.journal.acknowledge(index_, number))) {
      ++replay_tries_;
      look_later(0, world_.loop.now_ms() + kRetryJournalMs);
      return;
    }
    replay_tries_ = 0;
    replays_.pop_front();
    for (const Extent& extent : intent.extents) counters_.read_bytes += extent.end - extent.start;
    if (rebuilt.lost > 0) {
      counters_.lost_bytes += rebuilt.lost;
      world_.log.error("batch.unreadable", {{"sink", sink_->name()},
                                            {"batch", number},
                                            {"lost_bytes", rebuilt.lost},
                                            {"why", "its files are gone or were changed"}});
    }
    if (!is_nothing_left) launch(flight_of(std::move(rebuilt), intent));
  }
}

Delivery::Rebuilt Delivery::rebuild(const Intent& intent) {
  Rebuilt rebuilt;
  std::set<std::size_t> gone;  // extents, by the first of those that go on with each other
  for (bool is_whole = false; !is_whole;) {
    // From the beginning: part of what turned out to be gone may have been encoded.
    rebuilt.batch = new_batch(intent.created_ms);
    is_whole = true;
    for (std::size_t at = 0; is_whole && at < intent.extents.size();) {
      const std::size_t first = at;
      if (gone.contains(first)) {
        while (++at < intent.extents.size() && intent.extents[at].continues) {
        }
        continue;
      }
      const ReadState state = feed_again(*rebuilt.batch, intent, at);
      if (state == ReadState::fine) continue;
      if (state != ReadState::gone && replay_tries_ < kReplayTriesMax) {
        rebuilt.is_unreadable = true;
        return rebuilt;
      }
      gone.insert(first);
      is_whole = false;
      for (std::size_t i = first; i < at; ++i) {
        rebuilt.lost += intent.extents[i].end - intent.extents[i].start;
      }
    }
  }
  return rebuilt;
}

std::unique_ptr<Delivery::Flight> Delivery::flight_of(Rebuilt rebuilt, const Intent& intent) {
  OpenBatch* const open = rebuilt.batch.get();
  const std::uint64_t lost = rebuilt.lost;
  auto flight = std::make_unique<Flight>();
  // The batch's name is that of the first time, also when what it begins with is gone.
  const Extent& first = intent.extents.front();
  flight->extents = open->extents();
  flight->log_bytes = open->log_bytes();
  flight->filtered = open->filtered();
  flight->since_ms = world_.loop.now_ms();
  Batch& batch = flight->batch;
  batch.number = intent.number;
  batch.created_ms = intent.created_ms;
  batch.position = intent.position;
  batch.is_replay = true;
  batch.has_same_settings = intent.settings == settings_hash_ && lost == 0;
  batch.id = id_of(intent.number);
  for (const Extent& extent : intent.extents) {
    auto found = cursors_.find(extent.tail);
    if (found == cursors_.end()) continue;
    // Where names have the file, all extents are of the same one.
    batch.file = found->second.facts.file;
    break;
  }
  batch.first_offset = first.start;
  batch.first_tail = first.tail;
  open->finish(batch);
  add_manifest(*flight);
  return flight;
}

/// One extent and those that go on with it; moves `at` behind them.
ReadState Delivery::feed_again(OpenBatch& batch, const Intent& intent, std::size_t& at) {
  const std::size_t first = at++;
  while (at < intent.extents.size() && intent.extents[at].continues) ++at;
  std::vector<ContentCheck> checks;
  for (std::size_t i = first; i < at; ++i) {
    const Extent& extent = intent.extents[i];
    Tail* tail = follower_->find(extent.tail);
    auto found = cursors_.find(extent.tail);
    if (tail == nullptr || found == cursors_.end()) return ReadState::gone;
    if (i == first) {
      batch.begin_turn(extent.tail, found->second.facts, extent.start);
    } else {
      batch.next_piece(extent.tail, found->second.facts, extent.start);
    }
    const Progress whole{extent.end, extent.check};
    if (const ReadState state = read(*tail, whole).state; state != ReadState::fine) return state;
    Progress place;
    place.offset = extent.start;
    while (place.offset < extent.end) {
      const Reading reading = read(*tail, place);
      if (reading.state != ReadState::fine) return reading.state;
      if (reading.bytes.empty()) return ReadState::gone;
      const std::string_view bytes = reading.bytes.substr(0, extent.end - place.offset);
      const bool is_last = place.offset + bytes.size() == extent.end;
      std::size_t used = batch.feed(bytes);
      if (is_last && used < bytes.size()) {
        batch.feed_partial(bytes.substr(used));
        used = bytes.size();
      }
      if (used == 0) return ReadState::gone;
      place.offset += used;
      place.check = check_before(place.offset);
    }
    checks.push_back(extent.check);
  }
  std::vector<Extent> extents = batch.end_turn(true);
  for (std::size_t i = 0; i < extents.size() && i < checks.size(); ++i)
    extents[i].check = checks[i];
  batch.keep(std::move(extents), true);
  return ReadState::fine;
}

}  // namespace consort::logsaver
