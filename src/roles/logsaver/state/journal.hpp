// The ledger on disk: an append-only file, compacted by writing a new one beside it.
//
//   STATE/journal        what was changed since the beginning, or since it was compacted
//   STATE/journal.new    a compaction that was not finished: removed at start
//   STATE/lock           held as long as the process lives
//
// journal_frame.hpp has the bytes, ledger_codec.hpp those of the entries in them. What was being
// written when the machine stopped is cut off at the next start. When bytes are broken that had
// survived a power cut already the disk has lied, and the journal is refused (Errc::io) rather than
// guessed at; so is a version that is newer than ours (Errc::invalid, with the remedy). An ENOSPC
// while appending leaves the file as it was before (it is truncated back), and the ledger too, so
// that appending can be tried again.
//
// How a round of commit() goes; the next one begins with those who came meanwhile:
//
//   append, append --commit--> fdatasync --> directory, when its names changed --> all who waited
//                      |                                                              ^
//                      +--too large, or a sync has failed--> journal.new: snapshot, --+
//                                   fdatasync, rename, directory (what is appended
//                                   meanwhile goes to both files)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "async/task.hpp"
#include "base/error.hpp"
#include "base/random.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver {

/// Belongs to the loop's thread. Appending is a write to the page cache, which survives a kill of
/// the process; commit() makes all that was appended before it survive a power cut, in one
/// fdatasync for all who wait. What open() has read back may be in the page cache only: commit()
/// before the first intent is sent again.
///
/// A change that is not possible (an unknown tail, a number out of turn) is a CHECK; too much of
/// something is Errc::limit; any other error is the disk's. After an error nothing has changed. An
/// error's text says what to do.
///
/// A compaction writes the whole ledger in one turn of the loop: 0.2 s of work for 100,000 tails
/// and one sink. Reading them back takes as long. A ledger takes 0.5 KiB per tail.
class Journal {
 public:
  /// Makes the directory when it is missing. Errc::unavailable: another process has it; the other
  /// errors name the file, what is wrong and what to do.
  static Result<std::unique_ptr<Journal>> open(io::FileSystem& disk, std::string directory,
                                               Random& random);
  /// In memory only (`--state-dir none`): everything works, nothing survives.
  static std::unique_ptr<Journal> volatile_one(Random& random);
  /// Fine in a task that commit() has resumed. Others that wait in commit() are never resumed.
  ~Journal();

  const Ledger& ledger() const;
  const std::string& directory() const;  ///< empty for one in memory

  Result<SinkIndex> add_sink(std::string_view name);  ///< the one of that name, when there is one
  TailId next_tail_id() const;
  // What these do, and what they demand: ledger.hpp.
  Result<> put_tail(TailRecord record);
  Result<> forget_tail(TailId id);
  Result<> skip_to(SinkIndex sink, TailId tail, Progress progress);
  Result<> plan(SinkIndex sink, Intent intent);
  Result<> acknowledge(SinkIndex sink, BatchNumber number, const ManifestHash& manifest = {});

  /// Several tasks may wait at once; dropping one does not stop the others. After an error nothing
  /// of what was appended since the last success may be relied on, and commit() can be tried again.
  Task<Result<>> commit();

 private:
  class Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consort::logsaver
