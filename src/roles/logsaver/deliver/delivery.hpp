// Brings what is read to one destination: which file's turn it is, when a batch is whole, how many
// are under way, what happens when one fails.
//
//   on_bytes --> ready tails --turn--> open batches --full, or old enough--> promised --> sent
//                    ^                                     |  journal: intent   |  ^
//                    +-- not while all places are taken <--+                    |  +- again:
//                    jitter,
//                                                                               |     Retry-After
//                        settled, the tails may go <-- journal: acknowledged <--+
//
// The log files are the queue: a destination that stands still holds at most its open batches and
// those under way in memory, and everything else stays where the application wrote it.
//
// After a start the journal's open intents are built again from the same bytes and sent first. A
// batch whose bytes are gone is counted as lost.
//
// Concurrency: one batch at a time at first; one more whenever all places were taken and a batch
// arrived, half as many when the destination says that it is too much.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "async/deadline.hpp"
#include "async/scope.hpp"
#include "async/timer.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "io/loop.hpp"
#include "roles/logsaver/deliver/dead_letters.hpp"
#include "roles/logsaver/deliver/open_batch.hpp"
#include "roles/logsaver/follow/follower.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/state/journal.hpp"

namespace consort::logsaver {

struct DeliverySettings {
  std::uint64_t silence_ms = 1000;  ///< ends a record that may go on
  std::uint64_t retry_base_ms = 200;
  std::uint64_t retry_cap_ms = 30'000;
  std::uint64_t hold_ms = 30'000;
  std::uint64_t pace_ms = 10;              ///< between two turns of one tail, while it grows
  std::size_t memory_bytes_max = 8 << 20;  ///< of open batches; then the largest one is sent
  bool ends_partial_lines = false;         ///< --once: a last line without its end is one
  std::string record_settings;  ///< all that shapes records, as text: for Intent::settings
};

struct DeliveryWorld {
  io::Loop& loop;
  Random& random;
  Logger& log;
  Journal& journal;
  DeadLetters& dead_letters;
  std::function<std::int64_t()> wall_ms;
  std::function<TailFacts(const Tail&)> facts;
  /// For reading; shared, since only one turn happens at a time.
  std::vector<char>& buffer;
};

/// Bytes are the log's, of extents; at any time
///   read = settled + lost + waiting, and of the records in what is settled each was sent,
///   rejected or filtered.
struct DeliveryCounters {
  std::uint64_t read_bytes = 0;
  std::uint64_t settled_bytes = 0;
  std::uint64_t lost_bytes = 0;
  std::uint64_t sent_bytes = 0;  ///< of bodies, each counted once
  std::uint64_t records_sent = 0;
  std::uint64_t records_rejected = 0;
  std::uint64_t records_filtered = 0;
  std::uint64_t batches = 0;
  std::uint64_t retries = 0;
  std::uint64_t replays = 0;
};

class Delivery {
 public:
  Delivery(const DeliveryWorld& world, DeliverySettings settings, RecordRules& rules,
           std::unique_ptr<Sink> sink, SinkIndex index);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// Once, before the follower starts.
  void set_follower(Follower& follower) { follower_ = &follower; }
  Task<Result<>> open() { return sink_->open(); }
  /// The follower has found what there is: sends what was promised before the last end.
  void start();

  void on_new(Tail& tail);
  void on_bytes(Tail& tail);
  void on_dropped(Tail& tail);
  Progress read_to(const Tail& tail) const;
  std::uint64_t settled_to(const Tail& tail) const;

  /// Sends what is there without waiting for more.
  void flush();
  /// No more turns; what was read is sent.
  void stop_reading();
  void pause(bool is_paused);
  /// Nothing is open, under way, or to be read.
  bool is_idle() const;
  /// What was read is settled.
  bool is_settled() const { return in_flight_.empty() && open_.empty() && replays_.empty(); }
  /// Called whenever is_idle() or is_settled() may have become true.
  void set_progress(std::function<void()> on_progress) { on_progress_ = std::move(on_progress); }
  Task<> close(Deadline deadline) { return sink_->close(deadline); }

  const Sink& sink() const { return *sink_; }
  const DeliveryCounters& counters() const { return counters_; }
  /// The log's bytes in open batches and those under way, counted there.
  std::uint64_t held_bytes() const;
  /// read = settled + lost + held: false is a bug of ours.
  bool adds_up() const {
    return counters_.read_bytes == counters_.settled_bytes + counters_.lost_bytes + held_bytes();
  }
  std::size_t in_flight() const { return in_flight_.size(); }
  std::uint32_t places() const { return static_cast<std::uint32_t>(places_); }
  /// Why the last try failed; empty when it did not.
  const std::string& last_error() const { return last_error_; }
  bool is_held() const { return is_held_; }
  const std::string& journal_error() const { return journal_error_; }
  /// Of the oldest batch that is not settled, or byte that was read; 0 for none.
  std::uint64_t oldest_ms() const;

 private:
  struct Cursor {
    Progress at;
    bool is_ready = false;
    bool has_open = false;              ///< a record at the end of what was read waits for more
    bool is_behind = false;             ///< there may be bytes that no turn has looked at
    bool has_waiting = false;           ///< the tail behind it waits for its end
    std::uint32_t turns_in_line = 0;    ///< that ended within a line longer than records may be
    std::uint64_t seen_to = 0;          ///< how far the last turn looked
    std::uint64_t silent_since_ms = 0;  ///< since when there was no more behind what is open
    TailFacts facts;
  };
  struct Group {
    std::unique_ptr<OpenBatch> batch;
    std::uint64_t since_ms = 0;
    std::string file;
    std::uint64_t first_offset = 0;
    TailId first_tail = 0;
    std::set<TailId> tails{};  ///< where manifests are made, which name them
  };
  struct Flight {
    Batch batch;
    std::vector<Extent> extents;
    std::uint64_t log_bytes = 0;
    std::uint64_t filtered = 0;
    std::uint64_t since_ms = 0;
    bool is_settled = false;
    ManifestHash manifest{};
  };
  static constexpr std::size_t kAll = std::size_t{1} << 40;
  enum class Turn : std::uint8_t { done, more, blocked };

  // delivery.cc: reading
  void make_ready(TailId id, Cursor& cursor);
  void look_later(TailId id, std::uint64_t at_ms);
  void pump();
  void arm();
  Turn turn(Tail& tail, Cursor& cursor);
  bool must_wait(const Tail& tail, const Cursor& cursor);
  void wake_next(const Tail& tail, Cursor& cursor);
  enum class Join : std::uint8_t { untried, failed };
  Turn read_some(Tail& tail, Cursor& cursor, Group& group, Join join);
  Reading read_turn(Tail& tail, const Cursor& cursor, OpenBatch& batch, std::size_t& used);
  bool may_go_on_in_next(const Tail& tail) const;
  bool read_into_next(Tail& tail, Cursor& cursor, Group& group);
  void take(Group& group, std::vector<Extent> extents, bool is_flush);
  Reading read(Tail& tail, const Progress& at, std::size_t wanted = kAll);
  std::size_t room_in(const OpenBatch& batch) const;
  ContentCheck check_before(std::uint64_t end) const;
  std::int64_t next_created_ms() const;
  std::unique_ptr<OpenBatch> new_batch(std::int64_t created_ms);
  bool skip(Tail& tail, Cursor& cursor, std::uint64_t offset);
  bool is_final(const Tail& tail) const;
  bool is_full(const Group& group) const;

  // delivery_send.cc: sending
  bool has_place() const;
  void close_due();
  bool close(Group& group);
  Result<> promise(const Batch& batch, const std::vector<Extent>& extents);
  void launch(std::unique_ptr<Flight> flight);
  Task<> fly(Flight& flight);
  Task<Outcome> deliver(Flight& flight);
  void state_is_unwritable(const Error& error);
  SleepUntil nap(std::uint64_t ms);
  void landed(BatchNumber number);
  void adapt(const Outcome& outcome);
  void replay_next();
  struct Rebuilt {
    std::unique_ptr<OpenBatch> batch;
    std::uint64_t lost = 0;      ///< of the log's bytes
    bool is_unreadable = false;  ///< now: the disk says no, which may pass
  };
  Rebuilt rebuild(const Intent& intent);
  std::unique_ptr<Flight> flight_of(Rebuilt rebuilt, const Intent& intent);
  ReadState feed_again(OpenBatch& batch, const Intent& intent, std::size_t& at);
  std::string id_of(BatchNumber number) const;

  // delivery_manifest.cc: what proves that nothing is missing
  bool has_manifests() const { return sink_->traits().manifest_bytes_max > 0; }
  bool is_hollow(const Group& group) const;
  std::uint64_t due_ms(const Group& group) const;
  bool has_all_that_fits(const Group& group) const;
  void add_manifest(Flight& flight);
  void correct_manifest(Flight& flight, const Outcome& outcome) const;
  ManifestHash chain_before(BatchNumber number) const;
  bool is_chain_unsure() const;

  const DeliveryWorld world_;
  const DeliverySettings settings_;
  RecordRules& rules_;
  const std::unique_ptr<Sink> sink_;
  const SinkIndex index_;
  const std::uint64_t settings_hash_;
  std::unique_ptr<Compressor> compressor_;
  std::string spare_;  ///< for the next batch's plain bytes; empty, but with memory
  Follower* follower_ = nullptr;
  std::map<TailId, Cursor> cursors_;
  std::deque<TailId> ready_;
  std::set<std::pair<std::uint64_t, TailId>> later_;  ///< when to look at which
  std::map<std::string, Group> open_;  ///< by origin for one_file_each, else one under ""
  std::map<BatchNumber, std::unique_ptr<Flight>> in_flight_;
  std::deque<BatchNumber> replays_;  ///< intents of the journal that are not yet built again
  std::uint32_t replay_tries_ = 0;   ///< of the first of them
  DeliveryCounters counters_;
  double places_ = 1;
  std::uint64_t journal_retry_ms_ = 0;  ///< no batch is promised before
  std::int64_t created_ms_min_ = 0;     ///< of the next batch
  std::string last_error_;
  std::string journal_error_;
  std::string_view window_;         ///< what the last read gave, with the bytes before it
  std::uint64_t window_start_ = 0;  ///< offset of its first byte
  bool is_held_ = false;
  bool is_stopped_ = false;
  bool is_paused_ = false;
  bool is_flushing_ = false;
  bool is_pumping_ = false;
  bool is_blocked_ = false;  ///< all that are ready wait for a place
  std::function<void()> on_progress_;
  Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< seen by what was posted
  TaskScope scope_;
};

}  // namespace consort::logsaver
