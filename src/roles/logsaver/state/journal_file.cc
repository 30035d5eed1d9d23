#include "roles/logsaver/state/journal_file.hpp"

#include <cerrno>
#include <cstddef>

#include "roles/logsaver/state/journal_frame.hpp"

namespace consort::logsaver {

namespace {

constexpr std::size_t kWriteBytes = 256 * 1024;
constexpr const char* kUnusable = "the state directory cannot be used";

/// "CONTEXT (what to do)", with the error's own text (the path) behind.
Error with_remedy(Error error, std::string context) {
  switch (error.sys()) {
    case ENOSPC:
    case EDQUOT:
      context += " (free some space there)";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      context += " (let this user write there, or give another --state-dir)";
      break;
    default:
      break;
  }
  return std::move(error).in(context);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<> JournalFile::open(Ledger& ledger) {
  if (auto made = make_directory(); !made) {
    return fail(with_remedy(std::move(made.error()), kUnusable));
  }
  if (auto locked = take_lock(); !locked) return locked;
  abandon_new();
  auto file = disk_.open(path(), io::OpenFor::writing);
  if (!file) return fail(with_remedy(std::move(file.error()), kUnusable));
  file_ = std::move(*file);
  // It may have been made just now, or by a process that did not live until its first commit().
  unsynced_directories_.insert(unsynced_directories_.begin(), directory_);
  auto read = read_back(ledger);
  if (read) return read;
  // The disk's own errors name the file already.
  const bool is_disk = read.error().sys() != 0;
  return fail(with_remedy(std::move(read.error()), is_disk ? kUnusable : path()));
}

/// Notes the parents of those that it makes, deepest first: these names must survive too.
Result<> JournalFile::make_directory() {
  std::vector<std::string> parents;
  for (std::string at = directory_; !at.empty() && at != "/" && at != ".";) {
    auto there = disk_.stat(at);
    if (there || there.error().code() != Errc::not_found) break;
    at = parent_of(at);
    parents.push_back(at);
  }
  if (auto made = disk_.make_directory(directory_); !made) return made;
  unsynced_directories_ = std::move(parents);
  return {};
}

Result<> JournalFile::take_lock() {
  auto lock = disk_.open(directory_ + "/lock", io::OpenFor::writing);
  if (!lock) return fail(with_remedy(std::move(lock.error()), kUnusable));
  lock_ = std::move(*lock);
  if (auto locked = lock_->lock(); !locked) {
    if (locked.error().code() != Errc::unavailable) {
      return fail(with_remedy(std::move(locked.error()), kUnusable));
    }
    return fail(Errc::unavailable, directory_ +
                                       ": another consort logsaver uses this state directory "
                                       "(it has locked " +
                                       directory_ +
                                       "/lock): stop it, or give this one another --state-dir");
  }
  return {};
}

Result<> JournalFile::read_back(Ledger& ledger) {
  auto stat = file_->stat();
  if (!stat) return fail(std::move(stat.error()));
  JournalReader reader(*file_, stat->size);
  Result<bool> has_header = reader.read_header();
  if (!has_header) return fail(std::move(has_header.error()));
  if (!*has_header) {
    const std::string header = journal_header();
    if (auto emptied = file_->truncate(0); !emptied) return emptied;
    if (auto written = file_->write_at(0, header); !written) return written;
    size_ = header.size();
    return {};
  }
  for (;;) {
    const std::uint64_t offset = reader.end();
    auto entry = reader.next();
    if (!entry) return fail(std::move(entry.error()));
    if (!entry->has_value()) break;
    if (auto applied = ledger.apply(**entry); !applied) {
      return fail(std::move(applied.error())
                      .in("the entry at byte " + std::to_string(offset) +
                          " contradicts those before it (restore the file, or give another "
                          "--state-dir)"));
    }
  }
  if (reader.version() < kJournalVersion) {
    // In place, before the first entry that an older consort would not know.
    if (auto renewed = file_->write_at(0, journal_header()); !renewed) return renewed;
  }
  size_ = reader.end();
  durable_ = reader.durable();
  if (size_ == stat->size) return {};
  // A power cut could bring the cut bytes back behind new ones, where they might fit: write a new
  // file soon, in which nothing lies behind.
  compact_at_ = 0;
  return file_->truncate(size_);
}

Result<> JournalFile::append(std::string_view entry) {
  std::string frame;
  append_frame(frame, entry, durable_);
  if (auto written = file_->write_at(size_, frame); !written) {
    // When this fails too, the next frame overwrites what is there, or the next start cuts it off.
    (void)file_->truncate(size_);
    return fail(with_remedy(std::move(written.error()), "the state cannot be written down"));
  }
  size_ += frame.size();
  if (!new_) return {};
  frame.clear();
  append_frame(frame, entry, new_->snapshot_bytes);
  const auto written = new_->file->write_at(new_->size, frame);
  new_->size += frame.size();
  if (!written) abandon_new();  // the old file goes on
  return {};
}

Task<Result<>> JournalFile::make_durable(const Ledger& ledger) {
  if (must_rewrite_ || size_ >= compact_at_) {
    Result<> compacted = co_await compact(ledger);
    if (compacted) co_return compacted;
    compact_at_ = size_ + growth();
    if (must_rewrite_) {
      co_return fail(with_remedy(std::move(compacted.error()), "the state cannot be made durable"));
    }
  }
  Result<> synced = co_await sync_file();
  if (synced) synced = co_await sync_directories();
  if (!synced) {
    // The kernel may have dropped the pages that it could not write, and takes them for clean: the
    // next sync would say that all is well. So nothing is believed until all was written again, to
    // a new file. (Rebello et al., "Can Applications Recover from fsync Failures?", 2020.)
    must_rewrite_ = true;
    co_return fail(with_remedy(std::move(synced.error()), "the state cannot be made durable"));
  }
  co_return synced;
}

Task<Result<>> JournalFile::sync_file() {
  const std::uint64_t bytes = size_;
  Result<> synced = co_await file_->sync();
  if (synced) durable_ = bytes;
  co_return synced;
}

Task<Result<>> JournalFile::sync_directories() {
  while (!unsynced_directories_.empty()) {
    const std::string directory = unsynced_directories_.front();
    Result<> synced = co_await disk_.sync_directory(directory);
    // A parent that may be written but not read cannot be synced; ours can be read.
    const bool is_hidden =
        !synced && directory != directory_ && synced.error().code() == Errc::denied;
    if (!synced && !is_hidden) co_return synced;
    unsynced_directories_.erase(unsynced_directories_.begin());
  }
  co_return Result<>();
}

Task<Result<>> JournalFile::compact(const Ledger& ledger) {
  if (auto written = write_new(ledger); !written) {
    abandon_new();
    co_return written;
  }
  Result<> synced = co_await new_->file->sync();
  if (!new_) co_return fail(Errc::io, new_path() + ": could not be written to the end");
  if (synced) synced = give_name();
  if (!synced) {
    abandon_new();
    co_return synced;
  }
  Result<> named = co_await sync_directories();
  // Until then the old file may be what a power cut leaves, and nothing is written there any more.
  must_rewrite_ = !named;
  co_return named;
}

/// All that the ledger holds, into a file beside the journal.
Result<> JournalFile::write_new(const Ledger& ledger) {
  (void)disk_.remove(new_path());
  auto file = disk_.open(new_path(), io::OpenFor::writing_new);
  if (!file) return fail(std::move(file.error()));
  const std::vector<std::string> entries = ledger.snapshot();
  std::string bytes = journal_header();
  NewFile& made = new_.emplace(NewFile{std::move(*file), 0, bytes.size()});
  for (const std::string& entry : entries) made.snapshot_bytes += kFrameHeadBytes + entry.size();
  const auto write = [&made, &bytes] {
    auto written = made.file->write_at(made.size, bytes);
    made.size += bytes.size();
    bytes.clear();
    return written;
  };
  for (const std::string& entry : entries) {
    append_frame(bytes, entry, made.snapshot_bytes);
    if (bytes.size() < kWriteBytes) continue;
    if (auto written = write(); !written) return written;
  }
  return write();
}

/// The new file, which is synced, takes the journal's place.
Result<> JournalFile::give_name() {
  if (auto renamed = disk_.rename(new_path(), path()); !renamed) {
    // Over a network it may have happened all the same, and then the file that we have open is
    // nobody's any more. A full disk has refused it for certain.
    const int sys = renamed.error().sys();
    if (sys != ENOSPC && sys != EDQUOT) must_rewrite_ = true;
    return renamed;
  }
  file_ = std::move(new_->file);
  size_ = new_->size;
  durable_ = snapshot_bytes_ = new_->snapshot_bytes;
  compact_at_ = growth();
  new_.reset();
  if (std::ranges::find(unsynced_directories_, directory_) == unsynced_directories_.end()) {
    unsynced_directories_.push_back(directory_);
  }
  return {};
}

/// What cannot be removed now is removed by the next compaction, or the next start.
void JournalFile::abandon_new() {
  new_.reset();
  (void)disk_.remove(new_path());
}

}  // namespace consort::logsaver
