// What the journal knows is found again on disk, wherever it went while we were not running.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "roles/logsaver/follow/follower.hpp"
#include "roles/logsaver/follow/spool_copy.hpp"
#include "wire/gzip_reader.hpp"

namespace consort::logsaver {
namespace {

std::string directory_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

std::string join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.ends_with('/')) path += '/';
  return path += name;
}

/// A device's number changes with reboots and remounts; what it holds does not.
bool is_same(const io::FileIdentity& a, const io::FileIdentity& b) {
  const bool is_same_generation =
      a.generation == b.generation || a.generation == 0 || b.generation == 0;
  return a.inode == b.inode && a.born_ns == b.born_ns && is_same_generation;
}

constexpr std::size_t kUnpackBytes = 256 * 1024;

/// The text of a gzipped file, from its beginning on.
class Unpacked {
 public:
  explicit Unpacked(io::File& file) : file_(file), packed_(kUnpackBytes) {}

  /// Less than asked for only at the end.
  Result<std::size_t> read(std::span<char> out) {
    std::size_t filled = 0;
    while (filled < out.size()) {
      auto count = reader_.read(input_, out.subspan(filled));
      if (!count) return count;
      filled += *count;
      if (*count > 0) continue;
      auto more = file_.read_at(offset_, packed_);
      if (!more) return more;
      if (*more == 0) break;
      offset_ += *more;
      input_ = {packed_.data(), *more};
    }
    if (filled == 0) {
      if (auto whole = reader_.finish(); !whole) return fail(std::move(whole.error()));
    }
    return filled;
  }

 private:
  io::File& file_;
  std::vector<char> packed_;
  std::string_view input_;
  std::uint64_t offset_ = 0;
  GzipReader reader_;
};

}  // namespace

void Follower::restore() {
  const std::map<TailId, TailRecord> records = world_.journal.ledger().tails();
  std::vector<Tail*> missing;
  // Rising ids: of several tails of one file, those before its truncations come first.
  for (const auto& [id, record] : records) {
    Tail& tail = *tails_.emplace(id, std::make_unique<Tail>()).first->second;
    tail.record = record;
    tail.identity = record.identity;
    tail.is_recorded = true;
    tail.is_head_recorded = true;
    tail.scan = scan_;
    tail.changed_ms = world_.loop.now_ms();
    put_in_order(tail);
    readers_.on_new(tail);
    tail.size = readers_.read_most(tail).offset;
    if (!restore_at(tail, record.path)) missing.push_back(&tail);
  }
  if (!missing.empty()) restore_elsewhere(missing);
  for (Tail* tail : missing) {
    if (!restore_packed(*tail)) give_up(*tail, "not found any more");
  }
  restore_held();
  for (const auto& [id, record] : records) {
    if (Tail* tail = find(id); tail != nullptr && !tail->is_ended) check_restored(*tail);
  }
  clean_spool();
}

/// Who was held back may still be the copy of what was truncated meanwhile.
void Follower::restore_held() {
  for (const auto& [id, tail] : tails_) {
    if (tail->is_ended || tail->is_spool || readers_.read_most(*tail).offset > 0) continue;
    Tail* original = tail->is_listed ? likely_original(tail->record.path) : nullptr;
    if (original == nullptr || original == tail.get()) continue;
    if (auto stat = tail->file ? tail->file->stat() : world_.disk.stat(tail->record.path); stat) {
      tail->size = stat->size;
    }
    tail->copy_of = original;
    tail->may_be_copy = original->is_original = true;
    tail->held_until_ms = world_.loop.now_ms() + settings_.hold_copies_ms;
    held_.insert(tail.get());
  }
  if (!held_.empty()) hold_timer_.arm_at(world_.loop.now_ms() + settings_.hold_copies_ms);
}

/// A kill between a copy and its entry in the journal leaves it behind.
void Follower::clean_spool() {
  if (world_.journal.directory().empty()) return;
  const std::string directory = world_.journal.directory() + "/spool";
  auto entries = world_.disk.list(directory);
  if (!entries) return;
  std::set<std::string> used;
  for (const auto& [id, tail] : tails_) used.insert(tail->record.path);
  for (const io::DirectoryEntry& entry : *entries) {
    const std::string path = join(directory, entry.name);
    if (!used.contains(path)) (void)world_.disk.remove(path);
  }
}

bool Follower::restore_at(Tail& tail, const std::string& path) {
  auto stat = world_.disk.stat(path);
  if (!stat && stat.error().code() == Errc::not_found) return false;
  if (stat && stat->kind != io::FileKind::regular) return false;
  if (stat && !is_same(stat->identity, tail.record.identity)) return false;
  // What may not be looked at or opened now is not gone, and how far it was read not forgotten.
  io::FileIdentity identity = tail.record.identity;
  if (!stat) {
    tail.trouble = stat.error().message();
  } else if (open_files_ < settings_.open_files_max) {
    auto file = world_.disk.open(path, io::OpenFor::reading);
    auto opened = file ? (*file)->stat() : fail(std::move(file.error()));
    if (!opened && opened.error().code() == Errc::not_found) return false;
    if (opened && !is_same(opened->identity, tail.record.identity)) return false;
    identity = opened ? opened->identity : stat->identity;
    if (opened) {
      tail.file = std::move(*file);
      ++open_files_;
    } else {
      tail.trouble = opened.error().message();
    }
  } else {
    identity = stat->identity;
  }
  tail.is_spool = is_in_spool(path);
  tail.base = tail.record.base;
  tail.record.identity = tail.identity = identity;
  Tail*& holder = by_identity_[key_of(identity)];
  if (holder != nullptr) {
    // This one began with the truncation that ended the other.
    holder->is_ended = true;
    if (holder->file != nullptr) --open_files_;
    holder->file.reset();
    if (holder->is_listed) by_path_.erase(holder->record.path);
    holder->is_listed = false;
  }
  holder = &tail;
  if (tail.is_spool) {
    tail.is_unlinked = true;
  } else {
    take_path(tail, path);
  }
  return true;
}

/// Renamed while we were not running: the inode tells, wherever in its directory the file is now.
void Follower::restore_elsewhere(std::vector<Tail*>& missing) {
  std::set<std::string> directories;
  for (Tail* tail : missing) {
    if (!is_in_spool(tail->record.path)) directories.insert(directory_of(tail->record.path));
  }
  for (const std::string& directory : directories) {
    auto entries = world_.disk.list(directory);
    if (!entries) continue;
    for (const io::DirectoryEntry& entry : *entries) {
      const std::string path = join(directory, entry.name);
      if (entry.kind == io::FileKind::directory || by_path_.contains(path)) continue;
      auto stat = world_.disk.stat(path);
      if (!stat) continue;
      // The newest of several tails of that file holds it; the others ended before.
      std::erase_if(missing, [&](Tail* tail) {
        return is_same(stat->identity, tail->record.identity) && restore_at(*tail, path);
      });
    }
  }
}

/// kubelet and logrotate pack a rotated file and remove it: what is unread goes on in the spool.
bool Follower::restore_packed(Tail& tail) {
  if (tail.record.head.length == 0 || world_.journal.directory().empty()) return false;
  const std::string directory = directory_of(tail.record.path);
  auto entries = world_.disk.list(directory);
  if (!entries) return false;
  for (const io::DirectoryEntry& entry : *entries) {
    if (!entry.name.ends_with(".gz")) continue;
    const std::string origin_name = tail.record.origin.substr(tail.record.origin.rfind('/') + 1);
    if (!entry.name.starts_with(origin_name.substr(0, origin_name.find_last_of('.')))) continue;
    if (unpack(tail, join(directory, entry.name))) return true;
  }
  return false;
}

bool Follower::unpack(Tail& tail, const std::string& path) {
  auto packed = world_.disk.open(path, io::OpenFor::reading);
  if (!packed) return false;
  Unpacked unpacked(**packed);
  std::vector<char> block(kUnpackBytes);
  const ContentCheck& head = tail.record.head;
  const std::span<char> first(block.data(), head.length);
  auto count = unpacked.read(first);
  if (!count || *count != head.length) return false;
  if (content_hash(std::string_view(block.data(), *count)) != head.hash) return false;

  // The same bytes stand at the same places as in the file that was packed.
  const std::uint64_t from = readers_.settled_to(tail);
  const std::string directory = world_.journal.directory() + "/spool";
  const std::string saved = directory + "/" + std::to_string(tail.record.id);
  auto made = world_.disk.make_directory(directory);
  auto file = made ? world_.disk.open(saved, io::OpenFor::writing) : fail(std::move(made.error()));
  if (!file || !(*file)->truncate(0)) return false;
  const Progress read = readers_.read_most(tail);
  std::string before;  // the last bytes before what was read: by them it is known again
  std::uint64_t at = 0;
  const auto keep = [&](std::string_view bytes) -> bool {
    if (at < read.offset) {
      before += bytes.substr(0, read.offset - at);
      if (before.size() > read.check.length) before.erase(0, before.size() - read.check.length);
    }
    const std::uint64_t skipped = std::min<std::uint64_t>(bytes.size(), at < from ? from - at : 0);
    bytes.remove_prefix(skipped);
    at += skipped;
    if (bytes.empty()) return true;
    const bool is_written = (*file)->write_at(at - from, bytes).has_value();
    at += bytes.size();
    return is_written;
  };
  bool is_whole = keep({block.data(), *count});
  while (is_whole) {
    auto more = unpacked.read(block);
    is_whole = more && keep({block.data(), *more});
    if (is_whole && *more == 0) break;
  }
  if (!is_whole || at < read.offset ||
      (read.check.length > 0 && content_hash(before) != read.check.hash)) {
    (void)world_.disk.remove(saved);
    return false;
  }
  auto stat = (*file)->stat();
  if (!stat) return false;
  counters_.spooled_bytes += at - std::min(from, at);
  tail.file = std::move(*file);
  ++open_files_;
  tail.base = tail.record.base = from;
  tail.record.identity = tail.identity = stat->identity;
  tail.record.path = saved;
  tail.is_spool = tail.is_unlinked = true;
  by_identity_[key_of(stat->identity)] = &tail;
  record(tail);
  world_.log.info("file.unpacked", {{"file", tail.record.origin}, {"from", path}});
  return true;
}

void Follower::check_restored(Tail& tail) {
  if (tail.file == nullptr && !reopen(tail)) return;
  auto stat = tail.file->stat();
  if (!stat) return;
  tail.size = tail.base + stat->size;
  tail.modified_ns = stat->modified_ns;
  const Progress read = readers_.read_most(tail);
  if (tail.is_spool) {
    tail.is_begin_known = readers_.settled_to(tail) > 0;
    if (!tail.is_begin_known) find_begin(tail);  // all of it is in the spool: base is 0
    return readers_.on_bytes(tail);
  }
  // Nothing is known of a file that held nothing when it was seen last, but its birth.
  const bool is_known =
      tail.record.head.length == 0 ? read.offset == 0 : is_copy(*tail.file, tail.size, tail, read);
  if (tail.size < read.offset || !is_known) {
    // What is there now was written after the truncation, and is read from its beginning.
    tail.size = read.offset;
    return truncated(tail);
  }
  // One destination may have been told of a hole, and the next one not any more.
  tail.is_begin_known = readers_.settled_to(tail) > 0;
  (void)check_head(tail);  // it may have grown, or never have been looked at
  const TailId id = tail.record.id;
  grown(tail, *stat);
  if (find(id) == nullptr) return;
  if (tail.is_begin_known) readers_.on_bytes(tail);
  const bool is_settled = readers_.settled_to(tail) >= tail.size;
  if (open_files_ < settings_.open_files_max || tail.file == nullptr || !is_settled) return;
  tail.file.reset();
  --open_files_;
}

void Follower::give_up(Tail& tail, std::string_view why) {
  tail.is_ended = true;
  world_.log.info(
      "file.gone",
      {{"file", tail.record.path}, {"why", why}, {"read_to", readers_.read_most(tail).offset}});
}

}  // namespace consort::logsaver
