// Follows files through renaming, copying, truncating and deleting, so that each byte that was
// written to them is given to every reader once.
//
// A file is known by its identity (inode, birth, generation), never by its name; content is known
// again by the hash of its first KiB and of the 4 KiB before where a reader stands. So:
//
//   renamed             the descriptor stays; the tail is read to its end and 30 s beyond
//   deleted             the same; what is not settled is copied to the spool, for we may be killed
//   truncated           size below what was read, or the bytes before a reader are others: a new
//                       tail begins. What was unread is sought in a copy (logrotate's copytruncate)
//                       in the same directory, to which the old tail moves
//   copied              a new file that begins like a followed one of the same stem is held back:
//                       2 s later it is a file of its own, unless the truncation tells otherwise
//   while we were away  the same, told by the journal; a rotated file that was packed meanwhile
//                       is unpacked into the spool
//
// What a crash may still lose: bytes of a file that is truncated without a copy, or deleted while
// we are not running.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/log.hpp"
#include "roles/logsaver/follow/selection.hpp"
#include "roles/logsaver/follow/tail.hpp"
#include "roles/logsaver/follow/watched_tree.hpp"
#include "roles/logsaver/state/journal.hpp"

namespace consort::logsaver {

/// Who reads: all destinations together.
class TailReaders {
 public:
  virtual void on_new(Tail& tail) = 0;
  /// There may be bytes that not every reader has, or a reader that waits for the tail before may
  /// go on here.
  virtual void on_bytes(Tail& tail) = 0;
  /// Nobody may use it any more after this.
  virtual void on_dropped(Tail& tail) = 0;
  /// The reader that has read furthest.
  virtual Progress read_most(const Tail& tail) const = 0;
  /// From here on not every destination has confirmed to have it.
  virtual std::uint64_t settled_to(const Tail& tail) const = 0;
  /// All that any of them has read of it is settled: nobody will speak of it again.
  virtual bool is_settled(const Tail& tail) const = 0;

 protected:
  ~TailReaders() = default;
};

struct FollowSettings {
  PollMode poll = PollMode::automatic;
  bool from_end =
      false;  ///< of files that are there at the first start only what comes from now on
  std::uint64_t rotate_wait_ms = 30'000;
  std::uint64_t hold_copies_ms = 2'000;
  std::uint64_t spool_bytes_max = std::uint64_t{1} << 30;
  std::size_t open_files_max = 512;
};

struct FollowCounters {
  std::uint64_t rotations = 0;
  std::uint64_t truncations = 0;
  std::uint64_t lost_bytes = 0;  ///< truncated or gone before they were read, as far as is known
  std::uint64_t spooled_bytes = 0;
};

enum class ReadState : std::uint8_t {
  fine,
  held,    ///< not yet: it may be a copy
  gone,    ///< the content is not there any more: nothing can be read, now or later
  failed,  ///< the disk says no: Tail::trouble tells; tried again with the next look
};

struct Reading {
  ReadState state = ReadState::fine;
  std::string_view bytes{};  ///< from the offset on
  bool is_end = false;       ///< there are no more now
};

/// Belongs to the loop's thread; all that it is given outlives it.
class Follower final : private TreeHandler {
 public:
  struct World {
    io::Loop& loop;
    io::FileSystem& disk;
    Journal& journal;
    Logger& log;
  };

  Follower(const World& world, const Selection& selection, FollowSettings settings,
           TailReaders& readers);
  ~Follower();

  /// Finds again what the journal knows, then watches and looks. on_new() comes for each tail.
  Result<> start();
  /// Looks at all directories now.
  void scan() { tree_.scan(); }
  const std::map<TailId, std::unique_ptr<Tail>>& tails() const { return tails_; }
  Tail* find(TailId id) const;
  const FollowCounters& counters() const { return counters_; }
  const WatchedTree& tree() const { return tree_; }
  /// Something is held back that may be a copy.
  bool is_holding() const { return !held_.empty(); }
  /// Paths that are to be followed and cannot be read, and why.
  const std::map<std::string, std::string>& unreadable() const { return unreadable_; }

  /// Fills the buffer from `at.offset` on, once the bytes before it are found to be those of
  /// at.check. The buffer needs room for kEndCheckBytes more than is wanted. A truncation that
  /// shows is acted upon, and read as `gone` or from the copy.
  Reading read(Tail& tail, const Progress& at, std::span<char> buffer);
  /// Of the bytes before an offset, for a reader that begins there; empty when they are not to be
  /// read.
  ContentCheck look_back(Tail& tail, std::uint64_t offset);
  /// Before a tail's bytes are promised: its first bytes are in the journal.
  Result<> remember_head(Tail& tail);
  /// More of it was settled: it may be over.
  void review(Tail& tail);
  /// Unlinked tails of which not all unsettled bytes are in the spool: these bytes would not
  /// survive our end.
  std::uint64_t unsafe_bytes() const;

 private:
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::int64_t>;
  static Key key_of(const io::FileIdentity& identity) {
    return {identity.file_system, identity.inode, identity.born_ns};
  }

  void on_path(const std::string& path) override;
  void on_changed(const std::string& path) override;
  void on_stranger(const std::string& path) override;
  void on_gone(const std::string& path) override;
  void on_moved(const std::string& from, const std::string& to) override;
  void on_scanned() override;

  // follower.cc
  void meet(const std::string& path, const std::string& origin);
  Tail& add(const std::string& path, const std::string& origin, std::unique_ptr<io::File> file,
            const io::FileStat& stat);
  void put_in_order(Tail& tail);
  bool record(Tail& tail);
  bool is_other_file(Tail& tail, const std::string& path, const io::FileStat& stat);
  void retire(Tail& tail);
  void take_path(Tail& tail, const std::string& path);
  void found_at(Tail& tail, const std::string& path);
  void lose_path(Tail& tail);
  void refresh(Tail& tail);
  void grown(Tail& tail, const io::FileStat& stat);
  void drop(Tail& tail);

  // follower_read.cc
  bool check_head(Tail& tail);
  bool is_as_read(Tail& tail);
  void find_begin(Tail& tail);
  Result<> reopen(Tail& tail);
  void close_cold();

  // follower_copies.cc
  Tail* likely_original(const std::string& path) const;
  void meet_original(const std::string& path);
  bool is_held(Tail& tail);
  void release(Tail& tail);
  void release_due();
  bool begins_like(Tail& copy, Tail& original);
  bool is_copy(io::File& file, std::uint64_t size, const Tail& original,
               const Progress& read) const;
  void truncated(Tail& tail);
  bool move_to_copy(Tail& tail);
  bool is_untouched(const Tail& tail) const;
  void move_to(Tail& tail, std::unique_ptr<io::File> file, const std::string& path,
               const io::FileStat& stat);
  Tail& begin_again(Tail& tail, std::unique_ptr<io::File> file, const std::string& path,
                    bool was_listed);

  // follower_restore.cc
  void restore();
  bool restore_at(Tail& tail, const std::string& path);
  void restore_held();
  void clean_spool();
  void restore_elsewhere(std::vector<Tail*>& missing);
  bool restore_packed(Tail& tail);
  bool unpack(Tail& tail, const std::string& path);
  void check_restored(Tail& tail);
  void give_up(Tail& tail, std::string_view why);

  // follower_spool.cc
  void save(Tail& tail);
  void save_some();
  void forget_spool(Tail& tail);
  bool is_in_spool(const std::string& path) const;

  const World world_;
  const Selection& selection_;
  const FollowSettings settings_;
  TailReaders& readers_;
  std::map<TailId, std::unique_ptr<Tail>> tails_;
  std::map<Key, Tail*> by_identity_;
  std::unordered_map<std::string, Tail*> by_path_;
  std::unordered_map<std::string, Tail*> newest_of_origin_;
  std::map<std::string, std::string> unreadable_;
  /// Names to which followed files were renamed, and where those were found first.
  std::map<std::string, std::string> moved_names_;
  std::string just_moved_;  ///< the name of which on_stranger() is told next
  std::set<Tail*> held_;
  std::set<Tail*> spooling_;
  FollowCounters counters_;
  std::uint64_t scan_ = 1;
  TailId next_id_ = 1;
  std::size_t open_files_ = 0;
  std::size_t none_cold_below_ = 0;  ///< with fewer open files nobody need look for cold ones
  bool is_first_start_ = false;
  Timer hold_timer_;
  Timer spool_timer_;
  WatchedTree tree_;
};

}  // namespace consort::logsaver
