// The journal's files: written, synced, compacted. journal.hpp has the picture of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.hpp"
#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/state/ledger.hpp"

namespace consort::logsaver {

/// Knows entries as bytes; what they mean is the ledger's, which is read for compactions and must
/// hold all that was appended when make_durable() begins. Belongs to the loop's thread.
class JournalFile {
 public:
  static constexpr std::uint64_t kCompactBytes = 1024 * 1024;  ///< or four times the last snapshot

  /// The disk must outlive it.
  JournalFile(io::FileSystem& disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)) {}

  /// First: takes the lock and applies what was written before.
  Result<> open(Ledger& ledger);
  /// After an error the file is as it was.
  Result<> append(std::string_view entry);
  /// All that was appended before survives a power cut then; more may be appended meanwhile. One at
  /// a time.
  Task<Result<>> make_durable(const Ledger& ledger);

 private:
  struct NewFile {
    std::unique_ptr<io::File> file;
    std::uint64_t size;
    std::uint64_t snapshot_bytes;
  };

  Result<> make_directory();
  Result<> take_lock();
  Result<> read_back(Ledger& ledger);
  Task<Result<>> sync_file();
  Task<Result<>> sync_directories();
  Task<Result<>> compact(const Ledger& ledger);
  Result<> write_new(const Ledger& ledger);
  Result<> give_name();
  void abandon_new();
  std::uint64_t growth() const { return std::max(kCompactBytes, 4 * snapshot_bytes_); }
  std::string path() const { return directory_ + "/journal"; }
  std::string new_path() const { return directory_ + "/journal.new"; }

  io::FileSystem& disk_;
  std::string directory_;
  std::unique_ptr<io::File> lock_;
  std::unique_ptr<io::File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t durable_ = 0;  ///< so many bytes of the file survive a power cut
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t compact_at_ = kCompactBytes;
  bool must_rewrite_ = false;  ///< a sync has failed: the file cannot be believed
  std::vector<std::string> unsynced_directories_;
  std::optional<NewFile> new_;  ///< while a compaction is being synced
};

}  // namespace consort::logsaver
