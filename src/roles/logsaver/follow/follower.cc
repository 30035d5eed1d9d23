#include "roles/logsaver/follow/follower.hpp"

#include <algorithm>
#include <utility>

#include "roles/logsaver/follow/spool_copy.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kMovedNamesMax = 10'000;
/// A file that was moved out of sight may come back for so long; then it is a new one.
constexpr std::uint64_t kForgetMs = 24ULL * 3600 * 1000;

}  // namespace

Tail::Tail() = default;
Tail::~Tail() = default;

Follower::Follower(const World& world, const Selection& selection, FollowSettings settings,
                   TailReaders& readers)
    : world_(world),
      selection_(selection),
      settings_(settings),
      readers_(readers),
      hold_timer_(
          world.loop.timers(), [](void* self) { static_cast<Follower*>(self)->release_due(); },
          this),
      spool_timer_(
          world.loop.timers(), [](void* self) { static_cast<Follower*>(self)->save_some(); }, this),
      tree_(world.loop, world.disk, selection, settings.poll, *this) {}

Follower::~Follower() = default;

Result<> Follower::start() {
  is_first_start_ = world_.journal.next_tail_id() == 1;
  next_id_ = world_.journal.next_tail_id();
  restore();
  tree_.start();
  on_scanned();
  is_first_start_ = false;
  return {};
}

Tail* Follower::find(TailId id) const {
  auto found = tails_.find(id);
  return found == tails_.end() ? nullptr : found->second.get();
}

void Follower::on_path(const std::string& path) {
  meet(path, path);
}

void Follower::on_changed(const std::string& path) {
  auto found = by_path_.find(path);
  if (found != by_path_.end()) return refresh(*found->second);
  if (selection_.matches(path)) meet(path, path);
}

void Follower::on_stranger(const std::string& path) {
  // Made anew there: what was renamed to it before is another file.
  if (std::exchange(just_moved_, {}) != path) moved_names_.erase(path);
  auto stat = world_.disk.stat(path);
  if (!stat || stat->kind != io::FileKind::regular) return;
  auto known = by_identity_.find(key_of(stat->identity));
  if (known == by_identity_.end()) return;
  Tail& tail = *known->second;
  if (is_other_file(tail, path, *stat)) return retire(tail);
  found_at(tail, path);
  refresh(tail);
}

void Follower::on_gone(const std::string& path) {
  unreadable_.erase(path);
  auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  Tail& tail = *found->second;
  // Of who was there before it: it came while that was still to be told.
  auto stat = world_.disk.stat(path);
  if (stat && key_of(stat->identity) == key_of(tail.identity)) return;
  lose_path(tail);
  refresh(tail);
}

void Follower::on_scanned() {
  std::vector<TailId> ids;
  ids.reserve(tails_.size());
  for (const auto& [id, tail] : tails_) ids.push_back(id);
  for (TailId id : ids) {
    Tail* tail = find(id);
    if (tail == nullptr) continue;
    if (!tail->is_recorded) record(*tail);
    if (tail->is_listed && tail->scan != scan_) {
      auto stat = world_.disk.stat(tail->record.path);
      if (!stat && stat.error().code() != Errc::not_found) {
        // Not to be looked at now is not gone.
        tail->trouble = stat.error().message();
      } else if (!stat || key_of(stat->identity) != key_of(tail->identity)) {
        const std::string path = tail->record.path;
        on_gone(path);
        if (stat && selection_.matches(path)) meet(path, path);
      } else {
        refresh(*tail);
      }
    } else if (!tail->is_listed) {
      refresh(*tail);
    }
    tail = find(id);
    if (tail != nullptr) review(*tail);
  }
  ++scan_;
}

/// Files that came and were renamed before we heard of them are still to be followed.
/// Even twice: so it is remembered which names are those of files that were followed.
void Follower::on_moved(const std::string& from, const std::string& to) {
  std::string origin;
  if (auto known = moved_names_.extract(from); !known.empty()) {
    origin = std::move(known.mapped());
  } else if (selection_.matches(from)) {
    origin = from;
  }
  if (origin.empty()) {
    moved_names_.erase(to);
    return;
  }
  if (moved_names_.size() >= kMovedNamesMax) moved_names_.clear();
  moved_names_[to] = origin;
  just_moved_ = to;
  meet(to, origin);
}

void Follower::meet(const std::string& path, const std::string& origin) {
  auto stat = world_.disk.stat(path);
  if (!stat) {
    if (stat.error().code() == Errc::not_found) return on_gone(path);
    unreadable_[path] = stat.error().message();
    return;
  }
  if (stat->kind != io::FileKind::regular) {
    unreadable_[path] = path + ": not a regular file";
    return;
  }
  auto known = by_identity_.find(key_of(stat->identity));
  if (known != by_identity_.end() && is_other_file(*known->second, path, *stat)) {
    retire(*known->second);
    known = by_identity_.end();
  }
  if (known == by_identity_.end()) {
    meet_original(path);
    auto file = world_.disk.open(path, io::OpenFor::reading);
    auto opened = file ? (*file)->stat() : fail(std::move(file.error()));
    if (!opened) {
      if (opened.error().code() == Errc::not_found) return on_gone(path);
      if (unreadable_.emplace(path, opened.error().message()).second) {
        world_.log.warn("file.unreadable", {{"file", path}, {"why", opened.error().message()}});
      }
      return;
    }
    known = by_identity_.find(key_of(opened->identity));
    if (known == by_identity_.end()) {
      unreadable_.erase(path);
      Tail& fresh = add(path, origin, std::move(*file), *opened);
      return grown(fresh, *opened);
    }
  }
  unreadable_.erase(path);
  Tail& tail = *known->second;
  tail.scan = scan_;
  found_at(tail, path);
  grown(tail, *stat);
}

/// Where births are as coarse as a tick, or not told at all, a new file may look like one that is
/// gone. That one is unlinked, or was closed when its name went.
bool Follower::is_other_file(Tail& tail, const std::string& path, const io::FileStat& stat) {
  if (tail.file != nullptr) {
    if (!tail.is_unlinked || stat.links == 0) return false;
    auto own = tail.file->stat();
    return own && own->links == 0;
  }
  if (tail.is_ended) return true;
  if (tail.is_listed && tail.record.path == path) return false;
  auto file = world_.disk.open(path, io::OpenFor::reading);
  auto opened = file ? (*file)->stat() : fail(std::move(file.error()));
  if (!opened || key_of(opened->identity) != key_of(tail.identity)) return false;
  const std::uint32_t before = tail.identity.generation;
  if (before != 0 && opened->identity.generation != 0) {
    return before != opened->identity.generation;
  }
  return !is_copy(**file, opened->size, tail, readers_.read_most(tail));
}

/// Nothing of it will be read any more; it stays until what was read is settled.
void Follower::retire(Tail& tail) {
  by_identity_.erase(key_of(tail.identity));
  if (tail.file == nullptr) tail.is_ended = true;
  review(tail);
}

Tail& Follower::add(const std::string& path, const std::string& origin,
                    std::unique_ptr<io::File> file, const io::FileStat& stat) {
  close_cold();
  const TailId id = next_id_++;
  Tail& tail = *tails_.emplace(id, std::make_unique<Tail>()).first->second;
  tail.record.id = id;
  tail.record.identity = tail.identity = stat.identity;
  tail.record.origin = origin;
  tail.file = std::move(file);
  ++open_files_;
  tail.changed_ms = world_.loop.now_ms();
  tail.scan = scan_;
  by_identity_[key_of(stat.identity)] = &tail;
  tail.copy_of = likely_original(path);
  tail.may_be_copy = tail.copy_of != nullptr;
  if (tail.copy_of != nullptr) {
    tail.copy_of->is_original = true;
  }
  // We may come after a truncation that left a hole, or to a copy of one.
  tail.is_begin_known = false;
  take_path(tail, path);
  put_in_order(tail);
  if (is_first_start_ && settings_.from_end) {
    tail.begin = tail.size = stat.size;
    tail.is_begin_known = true;
    // By its first bytes a restart knows it again, though nothing was promised of it.
    (void)check_head(tail);
  }
  record(tail);
  readers_.on_new(tail);
  world_.log.info(
      "file.found",
      {{"file", path}, {"tail", id}, {"inode", stat.identity.inode}, {"size", stat.size}});
  return tail;
}

/// Behind all that were there under that path before: mostly the newest, but what was renamed
/// before we heard of it is older than the one that took its place.
void Follower::put_in_order(Tail& tail) {
  Tail*& newest = newest_of_origin_[tail.record.origin];
  const bool is_renamed = tail.record.path != tail.record.origin;
  Tail* before = newest;
  Tail* behind = nullptr;
  while (before != nullptr && is_renamed && before->record.path == tail.record.origin &&
         before->identity.born_ns >= tail.identity.born_ns) {
    behind = before;
    before = before->previous;
  }
  tail.previous = before;
  tail.next = behind;
  if (before != nullptr) before->next = &tail;
  if (behind != nullptr) behind->previous = &tail;
  if (behind == nullptr) newest = &tail;
}

/// The journal may be on a full disk: then the tail waits, and nothing of it is read.
bool Follower::record(Tail& tail) {
  // The journal takes new ids in rising order only: those that it refused before come first.
  for (auto each = tails_.lower_bound(world_.journal.next_tail_id());
       each != tails_.end() && each->first < tail.record.id; ++each) {
    if (!record(*each->second)) return false;
  }
  auto put = world_.journal.put_tail(tail.record);
  tail.is_recorded = put.has_value();
  if (put) tail.is_head_recorded = true;
  tail.trouble = put ? "" : put.error().message();
  return tail.is_recorded;
}

void Follower::take_path(Tail& tail, const std::string& path) {
  auto [at, is_new] = by_path_.try_emplace(path, &tail);
  if (!is_new && at->second != &tail) {
    Tail& other = *at->second;
    at->second = &tail;
    other.is_listed = false;
    other.changed_ms = world_.loop.now_ms();
  }
  tail.is_listed = true;
  tail.is_unlinked = false;
  if (tail.spool == nullptr) tail.record.path = path;
}

void Follower::found_at(Tail& tail, const std::string& path) {
  if (tail.is_listed && tail.record.path == path) return;
  if (tail.is_listed) {
    // A second name (a link) of what is still where it was is no renaming.
    auto old = world_.disk.stat(tail.record.path);
    if (old && key_of(old->identity) == key_of(tail.identity)) return;
    by_path_.erase(tail.record.path);
  }
  take_path(tail, path);
  tail.changed_ms = world_.loop.now_ms();
  ++counters_.rotations;
  world_.log.info("file.renamed",
                  {{"file", tail.record.origin}, {"tail", tail.record.id}, {"to", path}});
  if (tail.is_recorded) record(tail);
}

void Follower::lose_path(Tail& tail) {
  by_path_.erase(tail.record.path);
  tail.is_listed = false;
  tail.changed_ms = world_.loop.now_ms();
  // Closed files are those that everybody has, or that cannot be read any more (see close_cold).
  if (tail.file == nullptr) tail.is_unlinked = true;
}

void Follower::refresh(Tail& tail) {
  if (tail.file == nullptr) {
    if (!tail.is_listed || tail.is_ended) return;
    auto stat = world_.disk.stat(tail.record.path);
    if (stat && key_of(stat->identity) == key_of(tail.identity)) grown(tail, *stat);
    return;
  }
  auto stat = tail.file->stat();
  if (!stat) {
    tail.trouble = stat.error().message();
    return;
  }
  grown(tail, *stat);
}

void Follower::grown(Tail& tail, const io::FileStat& stat) {
  const std::uint64_t size = tail.base + stat.size;
  if (size < readers_.read_most(tail).offset) return truncated(tail);
  const bool is_touched = size != tail.size || stat.modified_ns != tail.modified_ns;
  if (is_touched) {
    const std::uint64_t size_before = std::exchange(tail.size, size);
    tail.modified_ns = stat.modified_ns;
    tail.changed_ms = world_.loop.now_ms();
    tree_.saw_change();
    // Unread bytes are held by their descriptor: their name may go before a reader has its turn.
    if (tail.file == nullptr) (void)reopen(tail);
    // Where a reader will look at once it sees for itself; where it cannot, or a copy waits to be
    // told from a new file, it must be seen now.
    const bool is_to_be_seen = tail.is_original || size_before > readers_.read_most(tail).offset;
    if (!check_head(tail) || (is_to_be_seen && !is_as_read(tail))) {
      tail.size = size_before;
      return truncated(tail);
    }
  }
  const bool was_known = tail.is_begin_known;
  const bool was_unlinked = tail.is_unlinked;
  if (stat.links == 0) tail.is_unlinked = true;
  if (!tail.is_begin_known) find_begin(tail);
  if (!tail.is_begin_known || (tail.may_be_copy && is_held(tail))) return;
  // A last line without its end can be sent once nobody will end it.
  const bool is_news = is_touched || !was_known || tail.is_unlinked != was_unlinked;
  if (is_news) readers_.on_bytes(tail);
  if (tail.is_unlinked) save(tail);
}

void Follower::review(Tail& tail) {
  // Most tails, each time that all directories were listed.
  if (tail.is_listed && !tail.is_unlinked && !tail.is_ended) return;
  const std::uint64_t quiet_ms = world_.loop.now_ms() - tail.changed_ms;
  const std::uint64_t settled = readers_.settled_to(tail);
  if (world_.journal.ledger().is_promised(tail.record.id)) return;
  if (!readers_.is_settled(tail)) return;  // a batch that is not promised yet has bytes of it
  if (tail.is_ended) return drop(tail);
  // Of what is nothing but a hole nobody will read anything.
  const std::uint64_t done = tail.is_begin_known ? settled : std::max(settled, tail.begin);
  if (done < tail.size || quiet_ms < settings_.rotate_wait_ms) return;
  if (tail.is_unlinked) return drop(tail);
  if (tail.is_listed) return;
  if (quiet_ms >= kForgetMs) return drop(tail);
  if (tail.file == nullptr) return;
  tail.file.reset();
  --open_files_;
}

void Follower::drop(Tail& tail) {
  readers_.on_dropped(tail);
  forget_spool(tail);
  if (auto at = by_identity_.find(key_of(tail.identity));
      at != by_identity_.end() && at->second == &tail) {
    by_identity_.erase(at);
  }
  if (auto at = by_path_.find(tail.record.path); at != by_path_.end() && at->second == &tail) {
    by_path_.erase(at);
  }
  auto newest = newest_of_origin_.find(tail.record.origin);
  if (newest != newest_of_origin_.end() && newest->second == &tail) {
    if (tail.previous != nullptr) {
      newest->second = tail.previous;
    } else {
      newest_of_origin_.erase(newest);
    }
  }
  if (tail.previous != nullptr) tail.previous->next = tail.next;
  if (tail.next != nullptr) tail.next->previous = tail.previous;
  held_.erase(&tail);
  const std::set<Tail*> held = held_;
  for (Tail* copy : held) {
    if (copy->copy_of == &tail) release(*copy);
  }
  if (tail.is_original) {
    for (const auto& [id, other] : tails_) {
      if (other->copy_of == &tail) other->copy_of = nullptr;
    }
  }
  if (tail.file != nullptr) --open_files_;
  // When the journal cannot be written the tail is found gone at the next start.
  if (tail.is_recorded) (void)world_.journal.forget_tail(tail.record.id);
  tails_.erase(tail.record.id);
}

}  // namespace consort::logsaver
