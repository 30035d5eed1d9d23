// What happens when a file is truncated, and how its copy is told from a new file.
#include <algorithm>
#include <array>
#include <utility>

#include "roles/logsaver/follow/follower.hpp"
#include "roles/logsaver/follow/spool_copy.hpp"

namespace consort::logsaver {
namespace {

constexpr std::uint64_t kCompareBytes = 4096;
constexpr std::string_view kSeparators = ".-_";

struct Parts {
  std::string_view directory;  ///< with its slash
  std::string_view name;
};

Parts split(std::string_view path) {
  const std::size_t slash = path.rfind('/') + 1;
  return {path.substr(0, slash), path.substr(slash)};
}

/// app.log.1, app.log-20261122 and app-20261122.log may be copies of app.log.
bool may_be_copy_by_name(std::string_view copy, std::string_view original) {
  const std::string_view stem = original.substr(0, original.find_last_of('.'));
  return copy.size() > original.size() && copy.starts_with(stem) &&
         kSeparators.find(copy[stem.size()]) != std::string_view::npos;
}

/// The names that a rotation may have made that one from, the longest first, until `look` says
/// false.
template <class Look>
void for_each_original(const std::string& path, Look look) {
  const auto [directory, name] = split(path);
  const std::size_t last_dot = name.find_last_of('.');
  const std::string_view ending = last_dot == std::string_view::npos ? "" : name.substr(last_dot);
  for (std::size_t at = name.find_last_of(kSeparators); at != std::string_view::npos && at > 0;
       at = name.find_last_of(kSeparators, at - 1)) {
    for (std::string_view end : {std::string_view(), ending}) {
      std::string candidate(directory);
      candidate.append(name.substr(0, at)).append(end);
      if (candidate != path && !look(candidate)) return;
    }
  }
}

bool reads_as(io::File& file, std::uint64_t offset, const ContentCheck& check) {
  std::array<char, kCompareBytes> buffer;
  const std::span<char> into(buffer.data(), std::min<std::size_t>(check.length, buffer.size()));
  auto count = file.read_at(offset, into);
  return count && *count == check.length &&
         content_hash(std::string_view(buffer.data(), *count)) == check.hash;
}

bool have_equal_bytes(io::File& a, io::File& b, std::uint64_t offset, std::uint64_t size) {
  std::array<char, kCompareBytes> left;
  std::array<char, kCompareBytes> right;
  auto from_a = a.read_at(offset, std::span<char>(left.data(), size));
  auto from_b = b.read_at(offset, std::span<char>(right.data(), size));
  return from_a && from_b && *from_a == size && *from_b == size &&
         std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(size), right.begin());
}

}  // namespace

Tail* Follower::likely_original(const std::string& path) const {
  Tail* likely = nullptr;
  for_each_original(path, [&](const std::string& candidate) {
    auto found = by_path_.find(candidate);
    if (found != by_path_.end() && !found->second->is_ended) likely = found->second;
    return likely == nullptr;
  });
  return likely;
}

/// When both are new, or the original is while another file is still known under its name, the copy
/// may be told of first: it could not be held back for what nobody knows.
void Follower::meet_original(const std::string& path) {
  for_each_original(path, [&](const std::string& candidate) {
    auto found = by_path_.find(candidate);
    if (found == by_path_.end() && !selection_.matches(candidate)) return true;
    auto stat = world_.disk.stat(candidate);
    if (!stat || stat->kind != io::FileKind::regular) return true;
    const bool is_known =
        found != by_path_.end() && key_of(found->second->identity) == key_of(stat->identity);
    if (!is_known) meet(candidate, candidate);
    return false;
  });
}

/// Asked while nobody has read from it. As long as it is equal to what it may be a copy of, and for
/// a while after it has grown last, nobody does.
bool Follower::is_held(Tail& tail) {
  const std::uint64_t now_ms = world_.loop.now_ms();
  if (tail.copy_of == nullptr || !begins_like(tail, *tail.copy_of)) {
    release(tail);
    return false;
  }
  if (held_.insert(&tail).second || tail.changed_ms == now_ms) {
    tail.held_until_ms = now_ms + settings_.hold_copies_ms;
  }
  if (now_ms >= tail.held_until_ms) {
    release(tail);
    return false;
  }
  if (!hold_timer_.armed()) hold_timer_.arm_at(tail.held_until_ms);
  return true;
}

void Follower::release(Tail& tail) {
  const bool was_held = held_.erase(&tail) > 0;
  tail.copy_of = nullptr;
  tail.may_be_copy = false;
  if (was_held) readers_.on_bytes(tail);
}

void Follower::release_due() {
  const std::uint64_t now_ms = world_.loop.now_ms();
  std::uint64_t next_ms = TimerQueue::kNever;
  const std::set<Tail*> held = held_;
  for (Tail* tail : held) {
    if (!held_.contains(tail)) continue;
    if (tail->held_until_ms <= now_ms) {
      // A truncation that nobody told us of makes it the copy after all.
      Tail* original = tail->copy_of;
      if (original != nullptr && !original->is_ended && !is_as_read(*original)) {
        original->size = original->size_read;
        truncated(*original);
      }
      if (held_.contains(tail)) release(*tail);
    } else {
      next_ms = std::min(next_ms, tail->held_until_ms);
    }
  }
  hold_timer_.arm_at(next_ms);
}

bool Follower::begins_like(Tail& copy, Tail& original) {
  if (copy.size == 0) return true;
  if (original.is_ended || (copy.file == nullptr && !reopen(copy))) return false;
  if (original.file != nullptr || reopen(original)) {
    auto stat = original.file->stat();
    const std::uint64_t size = std::min(copy.size, kCompareBytes);
    if (stat && stat->size >= copy.size && have_equal_bytes(*copy.file, *original.file, 0, size) &&
        have_equal_bytes(*copy.file, *original.file, copy.size - size, size)) {
      return true;
    }
  }
  // Truncated already, though nobody has told us: what we know of its bytes must do.
  return is_copy(*copy.file, copy.size, original, readers_.read_most(original));
}

bool Follower::is_copy(io::File& file, std::uint64_t size, const Tail& original,
                       const Progress& read) const {
  const ContentCheck& head = original.record.head;
  if (head.length == 0 || size < std::max<std::uint64_t>(head.length, read.offset)) return false;
  if (!reads_as(file, 0, head)) return false;
  return read.check.length == 0 || reads_as(file, read.offset - read.check.length, read.check);
}

void Follower::truncated(Tail& tail) {
  ++counters_.truncations;
  const std::string path = tail.record.path;
  const bool was_listed = tail.is_listed;
  const io::FileIdentity identity = tail.identity;
  std::unique_ptr<io::File> file = std::move(tail.file);
  if (file != nullptr) {
    --open_files_;
  } else if (auto opened = world_.disk.open(path, io::OpenFor::reading)) {
    file = std::move(*opened);
  }
  if (was_listed) by_path_.erase(path);
  tail.is_listed = false;
  // Whoever holds the file now, it is another tail.
  if (auto at = by_identity_.find(key_of(identity));
      at != by_identity_.end() && at->second == &tail) {
    by_identity_.erase(at);
  }
  const TailId id_behind = tail.next != nullptr ? tail.next->record.id : 0;
  const bool is_moved = move_to_copy(tail);
  if (!is_moved) {
    const std::uint64_t read = readers_.read_most(tail).offset;
    const std::uint64_t lost = tail.size > read ? tail.size - read : 0;
    counters_.lost_bytes += lost;
    tail.is_ended = true;
    tail.size = std::min(tail.size, read);
    if (lost > 0) {
      world_.log.error("file.truncated_unread", {{"file", path}, {"lost_bytes", lost}});
    }
  }
  world_.log.info("file.truncated",
                  {{"file", path}, {"rest_in", is_moved ? tail.record.path : std::string("-")}});
  if (file != nullptr) {
    auto stat = file->stat();
    if (stat && key_of(stat->identity) == key_of(identity)) {
      Tail& fresh = begin_again(tail, std::move(file), path, was_listed);
      grown(fresh, *stat);
    }
  }
  if (is_moved) {
    readers_.on_bytes(tail);
  } else {
    review(tail);
  }
  // It may have waited for what is not there any more.
  if (Tail* behind = find(id_behind); behind != nullptr) readers_.on_bytes(*behind);
}

/// To the copy that was made of it, if there is one: the one that was held back, or else any file
/// beside it that begins with what we know of it.
bool Follower::move_to_copy(Tail& tail) {
  const Progress read = readers_.read_most(tail);
  const std::set<Tail*> held = held_;
  for (Tail* copy : held) {
    if (copy->copy_of != &tail || copy->size < read.offset) continue;
    if (copy->file == nullptr && !reopen(*copy)) continue;
    auto stat = copy->file->stat();
    if (!stat || (tail.record.head.length > 0 && !is_copy(*copy->file, stat->size, tail, read))) {
      continue;
    }
    std::unique_ptr<io::File> file = std::move(copy->file);
    --open_files_;
    const std::string path = copy->record.path;
    drop(*copy);
    move_to(tail, std::move(file), path, *stat);
    return true;
  }
  const auto [directory, name] = split(tail.record.path);
  auto entries = world_.disk.list(std::string(directory));
  if (!entries) return false;
  for (const io::DirectoryEntry& entry : *entries) {
    const std::string path = std::string(directory) + entry.name;
    // By what it is, not by its path: who was there may have been renamed, which we hear later.
    // Nor only by its present name: it may have been rotated itself since the copy was made.
    if (!may_be_copy_by_name(entry.name, name) &&
        !may_be_copy_by_name(entry.name, split(tail.record.origin).name)) {
      continue;
    }
    auto file = world_.disk.open(path, io::OpenFor::reading);
    auto stat = file ? (*file)->stat() : fail(std::move(file.error()));
    if (!stat || !is_copy(**file, stat->size, tail, read)) continue;
    if (auto known = by_identity_.find(key_of(stat->identity)); known != by_identity_.end()) {
      Tail& other = *known->second;
      if (&other == &tail) continue;
      if (is_other_file(other, path, *stat)) {
        retire(other);
      } else if (is_untouched(other)) {
        drop(other);  // taken for a file of its own, and nobody has begun with it
      } else {
        continue;
      }
    }
    move_to(tail, std::move(*file), path, *stat);
    return true;
  }
  return false;
}

bool Follower::is_untouched(const Tail& tail) const {
  return readers_.read_most(tail).offset == 0 && readers_.settled_to(tail) == 0 &&
         !world_.journal.ledger().is_promised(tail.record.id) && !tail.is_ended;
}

void Follower::move_to(Tail& tail, std::unique_ptr<io::File> file, const std::string& path,
                       const io::FileStat& stat) {
  tail.file = std::move(file);
  ++open_files_;
  if (tail.spool != nullptr) forget_spool(tail);
  tail.spool.reset();
  tail.base = tail.record.base = 0;
  tail.record.identity = tail.identity = stat.identity;
  tail.size = stat.size;
  tail.modified_ns = stat.modified_ns;
  tail.changed_ms = world_.loop.now_ms();
  tail.is_unlinked = tail.is_spool = false;
  by_identity_[key_of(stat.identity)] = &tail;
  take_path(tail, path);
  record(tail);
}

Tail& Follower::begin_again(Tail& tail, std::unique_ptr<io::File> file, const std::string& path,
                            bool was_listed) {
  auto stat = file->stat();
  const TailId id = next_id_++;
  Tail& fresh = *tails_.emplace(id, std::make_unique<Tail>()).first->second;
  fresh.record.id = id;
  if (stat) fresh.record.identity = fresh.identity = stat->identity;
  fresh.record.origin = tail.record.origin;
  fresh.record.path = path;
  fresh.file = std::move(file);
  ++open_files_;
  fresh.changed_ms = world_.loop.now_ms();
  fresh.scan = scan_;
  fresh.is_begin_known = false;
  by_identity_[key_of(fresh.identity)] = &fresh;
  if (was_listed) take_path(fresh, path);
  fresh.previous = &tail;
  fresh.next = tail.next;
  if (tail.next != nullptr) tail.next->previous = &fresh;
  tail.next = &fresh;
  Tail*& newest = newest_of_origin_[fresh.record.origin];
  if (newest == nullptr || newest == &tail) newest = &fresh;
  record(fresh);
  readers_.on_new(fresh);
  return fresh;
}

}  // namespace consort::logsaver
