// What must survive a kill -9: which content we follow, how far each sink has it, and what was
// promised to a sink and not yet confirmed. Pure: no files here (journal.hpp keeps it on disk).
//
//   tail    what one file held from its birth, or its last truncation, on. It keeps its id when the
//           file is renamed, and moves to the copy when logrotate copies and truncates it.
//   sink    one destination, known by its name in the configuration.
//   intent  a batch as it will be sent: which bytes of which tails, under which number. Written
//           before the first byte is sent, so that after a crash the same bytes go out again under
//           the same name; ends with the sink's acknowledgement.
//
//   planned  a tail's bytes up to here are in intents (or were skipped)
//   settled  up to here they are in acknowledged batches, and so are all bytes before them: batches
//            may be acknowledged in any order, but this moves over the first unbroken run only. It
//            equals planned when no open intent has bytes of the tail.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/content_hash.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"

namespace consort::logsaver {

using TailId = std::uint64_t;       ///< never given twice by one state directory; 0 is none
using SinkIndex = std::uint32_t;    ///< of one state directory
using BatchNumber = std::uint64_t;  ///< of one sink, from 1 on, without gaps
/// SHA-256 of a batch's manifest (manifest.hpp); all zeros for none.
using ManifestHash = std::array<std::uint8_t, 32>;

/// Some bytes of a tail by which its content is known again.
struct ContentCheck {
  std::uint32_t length = 0;
  ContentHash hash;
  friend bool operator==(const ContentCheck&, const ContentCheck&) = default;
};

struct TailRecord {
  TailId id = 0;
  io::FileIdentity identity;
  /// Where the file's first byte lies in the tail: more than 0 when the rest was saved to the
  /// spool.
  std::uint64_t base = 0;
  ContentCheck head;   ///< of the tail's first bytes; at most kHeadCheckBytes
  std::string path;    ///< where it was seen last
  std::string origin;  ///< where it was found first: what records are labelled with
  friend bool operator==(const TailRecord&, const TailRecord&) = default;
};

inline constexpr std::uint32_t kHeadCheckBytes = 1024;
inline constexpr std::uint32_t kEndCheckBytes = 4096;

// What a ledger holds at most: beyond it a change is refused with Errc::limit.
inline constexpr std::size_t kMaxSinks = 1'000;
inline constexpr std::size_t kMaxSinkNameBytes = 4 * 1024;
inline constexpr std::size_t kMaxTails = 1'000'000;
inline constexpr std::size_t kMaxPathBytes = 16 * 1024;
inline constexpr std::size_t kMaxExtents = 100'000;     ///< of one intent
inline constexpr std::size_t kMaxOpenIntents = 65'536;  ///< of one sink

/// Consecutive bytes of one tail in a batch.
struct Extent {
  TailId tail = 0;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  /// A record that is open at the end of the extent before goes on in this one: the file that took
  /// its place. Else what is open at an extent's end ends there.
  bool continues = false;
  /// Of the last bytes before `end`; at most kEndCheckBytes.
  ContentCheck check;
  friend bool operator==(const Extent&, const Extent&) = default;
};

struct Intent {
  BatchNumber number = 0;
  std::int64_t created_ms = 0;  ///< wall clock; part of what is sent
  std::uint64_t position = 0;   ///< what the sink wants to know again: a file's size before
  std::uint64_t settings = 0;   ///< hash of all that shapes the bytes: format, codec, its version
  std::vector<Extent> extents;
  friend bool operator==(const Intent&, const Intent&) = default;
};

/// How far one sink has one tail.
struct Progress {
  std::uint64_t offset = 0;
  ContentCheck check;  ///< of the bytes before it
  friend bool operator==(const Progress&, const Progress&) = default;
};

struct SinkLedger {
  std::string name;
  BatchNumber next_number = 1;
  std::map<BatchNumber, Intent> open;             ///< not acknowledged, or behind one that is not
  std::set<BatchNumber> acknowledged;             ///< those of `open` that are
  std::map<BatchNumber, ManifestHash> manifests;  ///< of those of `acknowledged` that have one
  ManifestHash chain{};                           ///< of the last batch before `open` that has one
  std::map<TailId, Progress> planned;
  std::map<TailId, Progress> settled;
  std::map<TailId, std::uint32_t> promised;  ///< how many extents of `open` each tail has
  friend bool operator==(const SinkLedger&, const SinkLedger&) = default;
};

namespace entry {
struct Any;
}

/// Every change is an entry: one function here makes it, apply() carries it out, whether it is new
/// or read back. So replaying the entries gives an equal ledger. Programming errors (an unknown
/// tail or sink, a number out of turn) are CHECKs for who makes entries, who gets Errc::limit for
/// too much of something; entries from disk are checked in apply() and give an Error.
///
/// A change costs a search in a map, planning and acknowledging one per extent.
class Ledger {
 public:
  std::uint64_t state_id() const { return state_id_; }  ///< random, of this state directory
  const std::map<TailId, TailRecord>& tails() const { return tails_; }
  const std::vector<SinkLedger>& sinks() const { return sinks_; }
  bool has_begun() const { return has_begun_; }
  std::optional<SinkIndex> find_sink(std::string_view name) const;  ///< linear in sinks
  TailId next_tail_id() const { return last_tail_id_ + 1; }

  // Each of these returns the entry to write down (without frame) and then apply().
  /// Before all others.
  [[nodiscard]] Result<std::string> begin(std::uint64_t state_id) const;
  [[nodiscard]] Result<std::string> add_sink(std::string_view name) const;  ///< not known yet
  /// New (with an id that was never given before), or moved.
  [[nodiscard]] Result<std::string> put_tail(TailRecord record) const;
  [[nodiscard]] Result<std::string> forget_tail(TailId id) const;  ///< and its progress; unpromised
  /// Planned, and settled as soon as no open intent has bytes of the tail. Never back.
  [[nodiscard]] Result<std::string> skip_to(SinkIndex sink, TailId tail, Progress progress) const;
  /// intent.number must be next_number, and each extent must begin where the tail is planned to: to
  /// leave bytes out, skip first.
  [[nodiscard]] Result<std::string> plan(SinkIndex sink, Intent intent) const;
  [[nodiscard]] Result<std::string> acknowledge(SinkIndex sink, BatchNumber number,
                                                const ManifestHash& manifest = {}) const;

  /// Changes all that the entry says, or nothing and tells what is wrong with it.
  Result<> apply(std::string_view entry);
  /// The entries that make an equal ledger from nothing: what a compacted journal holds.
  std::vector<std::string> snapshot() const;
  /// Whether an intent that is still open has bytes of the tail.
  bool is_promised(TailId id) const;

  friend bool operator==(const Ledger&, const Ledger&) = default;

 private:
  struct Check;   // ledger.cc: whether an entry is possible now
  struct Change;  // ledger.cc: what it changes
  Result<std::string> make(const entry::Any& entry) const;

  std::uint64_t state_id_ = 0;
  TailId last_tail_id_ = 0;
  bool has_begun_ = false;
  std::map<TailId, TailRecord> tails_;
  std::vector<SinkLedger> sinks_;
};

}  // namespace consort::logsaver
