// Reads the bytes of tails, and finds out whether they are still those that were there before.
#include <algorithm>
#include <array>
#include <utility>

#include "roles/logsaver/follow/follower.hpp"

namespace consort::logsaver {
namespace {

constexpr std::size_t kNulBlock = 4 * 1024;
constexpr std::uint64_t kNulBytesAtOnce = 64ULL << 20;
/// Of the open files, how many of the coldest are closed at once when there are too many.
constexpr std::size_t kCloseAtOnceShare = 16;
/// So many more may be open than there should be, while they hold what is unread.
constexpr std::size_t kLeastSpareFiles = 32;

/// Behind a hole what was written began at once: one that goes on is of another truncation.
bool is_larger_hole(std::string_view bytes, std::size_t check_bytes) {
  return check_bytes > 0 && bytes.size() > check_bytes &&
         bytes.find_first_not_of('\0') > check_bytes;
}

}  // namespace

/// Keeps the hash of the first bytes as they grow to kHeadCheckBytes; false: they are others now.
bool Follower::check_head(Tail& tail) {
  ContentCheck& head = tail.record.head;
  if (tail.is_spool || head.length == kHeadCheckBytes || tail.size <= head.length) return true;
  if (tail.file == nullptr && !reopen(tail)) return true;
  char buffer[kHeadCheckBytes];
  auto count = tail.file->read_at(0, buffer);
  if (!count) return true;
  const std::string_view bytes(buffer, *count);
  if (bytes.size() < head.length) return false;
  if (head.length > 0 && content_hash(bytes.substr(0, head.length)) != head.hash) return false;
  head = {static_cast<std::uint32_t>(bytes.size()), content_hash(bytes)};
  tail.is_head_recorded = false;
  return true;
}

/// The bytes before where the furthest reader stands, or the first ones, are those that were there.
bool Follower::is_as_read(Tail& tail) {
  if (tail.is_spool || (tail.file == nullptr && !reopen(tail))) return true;
  const Progress read = readers_.read_most(tail);
  const ContentCheck& check = read.offset == 0 ? tail.record.head : read.check;
  const std::uint64_t at = read.offset == 0 ? 0 : read.offset - check.length;
  if (check.length == 0 || at < tail.base) return true;
  char buffer[kEndCheckBytes + 1];
  auto count = tail.file->read_at(at - tail.base, std::span<char>(buffer, check.length + 1));
  if (!count) return true;
  if (*count < check.length) return false;
  if (read.offset > 0 && is_larger_hole({buffer, *count}, check.length)) return false;
  return content_hash({buffer, check.length}) == check.hash;
}

ContentCheck Follower::look_back(Tail& tail, std::uint64_t offset) {
  char buffer[kEndCheckBytes];
  const std::uint64_t from =
      std::max(tail.base, offset - std::min<std::uint64_t>(offset, kEndCheckBytes));
  if (tail.file == nullptr || from >= offset) return {};
  auto count = tail.file->read_at(from - tail.base, std::span<char>(buffer, offset - from));
  if (!count || *count != offset - from) return {};
  return {static_cast<std::uint32_t>(*count), content_hash({buffer, *count})};
}

Result<> Follower::remember_head(Tail& tail) {
  if (tail.is_head_recorded) return {};
  auto put = world_.journal.put_tail(tail.record);
  tail.is_head_recorded = put.has_value();
  return put;
}

/// A writer without O_APPEND goes on at its old offset after a truncation: what lies before it was
/// never written.
void Follower::find_begin(Tail& tail) {
  if (tail.size <= tail.begin || tail.file == nullptr) return;
  auto data = tail.file->data_from(tail.begin);
  if (!data) return;
  std::uint64_t at = std::max(*data, tail.begin);
  const std::uint64_t until = at + kNulBytesAtOnce;
  std::array<char, kNulBlock> block;
  while (at < std::min(until, tail.size)) {
    auto count = tail.file->read_at(at, block);
    if (!count || *count == 0) break;
    const auto* const end = block.data() + *count;
    const auto* const first =
        std::find_if(std::as_const(block).data(), end, [](char byte) { return byte != '\0'; });
    at += static_cast<std::uint64_t>(first - block.data());
    if (first == end) continue;
    tail.is_begin_known = true;
    break;
  }
  tail.begin = at;
}

Reading Follower::read(Tail& tail, const Progress& at, std::span<char> buffer) {
  if (tail.is_ended) return {ReadState::gone};
  if (tail.may_be_copy && tail.copy_of != nullptr) return {ReadState::held};
  if (!tail.is_recorded && !record(tail)) return {ReadState::failed};
  if (tail.file == nullptr) {
    auto opened = reopen(tail);
    if (!opened && opened.error().code() == Errc::not_found && !tail.is_listed) {
      const std::uint64_t read = readers_.read_most(tail).offset;
      counters_.lost_bytes += tail.size - std::min(tail.size, read);
      give_up(tail, "not found any more");
      return {ReadState::gone};
    }
    if (!opened) {
      tail.trouble = opened.error().message();
      return {ReadState::failed};
    }
  }
  // The spool begins where nobody wants to read before: there the check has nothing to look at.
  const bool has_check = at.offset - at.check.length >= tail.base;
  const std::uint32_t check_bytes = has_check ? at.check.length : 0;
  auto count = tail.file->read_at(at.offset - check_bytes - tail.base, buffer);
  if (!count) {
    tail.trouble = count.error().message();
    return {ReadState::failed};
  }
  const std::string_view bytes(buffer.data(), *count);
  // At the very beginning there is nothing before it: the first bytes are still those we saw.
  const bool is_first = at.offset == 0 && !tail.is_spool;
  const ContentCheck& check = is_first ? tail.record.head : at.check;
  const std::uint32_t known = is_first ? check.length : check_bytes;
  if (is_larger_hole(bytes, check_bytes) || bytes.size() < known ||
      (known > 0 && content_hash(bytes.substr(0, known)) != check.hash)) {
    const TailId id = tail.record.id;
    // What it grew to since the last read may have been written after the truncation.
    tail.size = tail.size_read;
    truncated(tail);
    Tail* still = find(id);
    if (still == nullptr || still->is_ended) return {ReadState::gone};
    return read(*still, at, buffer);
  }
  tail.trouble.clear();
  tail.size_read = at.offset - check_bytes + bytes.size();
  tail.size = std::max(tail.size, tail.size_read);
  return {ReadState::fine, bytes.substr(check_bytes), bytes.size() < buffer.size()};
}

Result<> Follower::reopen(Tail& tail) {
  close_cold();
  auto file = world_.disk.open(tail.record.path, io::OpenFor::reading);
  if (!file) return fail(std::move(file.error()));
  auto stat = (*file)->stat();
  if (!stat) return fail(std::move(stat.error()));
  if (key_of(stat->identity) != key_of(tail.identity)) {
    return fail(Errc::not_found, tail.record.path + ": another file is there now");
  }
  tail.file = std::move(*file);
  ++open_files_;
  return {};
}

/// The files that have been quiet longest and are wholly settled can be opened again. With far too
/// many others are closed too: they wait under their names, and what is deleted before its turn is
/// lost and counted; but with no descriptor left nothing at all would be saved.
void Follower::close_cold() {
  if (open_files_ < std::max(settings_.open_files_max, none_cold_below_)) return;
  const std::size_t share = settings_.open_files_max / kCloseAtOnceShare + 1;
  const std::size_t most =
      settings_.open_files_max + std::max(settings_.open_files_max / 2, kLeastSpareFiles);
  std::vector<Tail*> cold;
  std::vector<Tail*> unsettled;
  for (const auto& [id, tail] : tails_) {
    if (tail->file == nullptr || !tail->is_listed) continue;
    if (readers_.settled_to(*tail) >= tail->size) {
      cold.push_back(tail.get());
    } else if (!tail->may_be_copy && !tail->is_original) {
      unsettled.push_back(tail.get());
    }
  }
  if (cold.empty() && open_files_ >= most) cold = std::move(unsettled);
  const std::size_t count = std::min(cold.size(), share);
  std::partial_sort(cold.begin(), cold.begin() + static_cast<std::ptrdiff_t>(count), cold.end(),
                    [](Tail* a, Tail* b) { return a->changed_ms < b->changed_ms; });
  for (std::size_t i = 0; i < count; ++i) {
    cold[i]->file.reset();
    --open_files_;
  }
  // Not a look at all files for each new one, while none of them can be closed.
  none_cold_below_ = count > 0 ? 0 : std::max(std::min(open_files_ + share, most), open_files_ + 1);
}

}  // namespace consort::logsaver
