// Copies the unsettled bytes of unlinked files to the spool, for they would end with our process.
#include <algorithm>
#include <utility>

#include "roles/logsaver/follow/follower.hpp"
#include "roles/logsaver/follow/spool_copy.hpp"

namespace consort::logsaver {
namespace {

/// Of one turn of the loop.
constexpr std::size_t kBytesAtOnce = 1 << 20;

}  // namespace

void Follower::save(Tail& tail) {
  if (world_.journal.directory().empty() || tail.file == nullptr || tail.is_ended) return;
  const std::uint64_t settled = readers_.settled_to(tail);
  if (settled >= tail.size) return;
  if (tail.spool == nullptr) {
    // Read back from the spool: it is there already.
    if (tail.is_spool) return;
    auto spool = std::make_unique<SpoolCopy>();
    const std::string directory = world_.journal.directory() + "/spool";
    spool->path = directory + "/" + std::to_string(tail.record.id);
    spool->from = spool->to = settled;
    auto made = world_.disk.make_directory(directory);
    auto file =
        made ? world_.disk.open(spool->path, io::OpenFor::writing) : fail(std::move(made.error()));
    auto empty = file ? (*file)->truncate(0) : fail(std::move(file.error()));
    if (!empty) {
      tail.trouble = "not saved to the spool: " + empty.error().message();
      return;
    }
    spool->file = std::move(*file);
    tail.spool = std::move(spool);
  }
  spooling_.insert(&tail);
  if (!spool_timer_.armed()) spool_timer_.arm_at(world_.loop.now_ms());
}

void Follower::save_some() {
  std::vector<char> buffer(kBytesAtOnce);
  const std::set<Tail*> spooling = spooling_;
  std::uint64_t spooled = 0;
  for (const auto& [id, tail] : tails_) {
    if (tail->spool != nullptr) spooled += tail->spool->to - tail->spool->from;
  }
  for (Tail* tail : spooling) {
    SpoolCopy& spool = *tail->spool;
    const bool is_over = tail->file == nullptr || readers_.settled_to(*tail) >= tail->size;
    spool.is_full = spooled + kBytesAtOnce > settings_.spool_bytes_max;
    auto count = is_over || spool.is_full ? Result<std::size_t>(0)
                                          : tail->file->read_at(spool.to - tail->base, buffer);
    auto written = count ? spool.file->write_at(spool.to - spool.from, {buffer.data(), *count})
                         : fail(std::move(count.error()));
    if (!written || spool.is_full) {
      spool.is_full = true;
      tail->trouble = "not saved to the spool: " +
                      (written ? "it is full (--spool-max)" : written.error().message());
      world_.log.error("spool.full", {{"file", tail->record.origin}, {"why", tail->trouble}});
      spooling_.erase(tail);
      continue;
    }
    spool.to += *count;
    spooled += *count;
    counters_.spooled_bytes += *count;
    if (*count == buffer.size()) continue;
    spooling_.erase(tail);
    if (is_over || spool.is_recorded) continue;
    auto stat = spool.file->stat();
    if (!stat) continue;
    TailRecord record = tail->record;
    record.identity = stat->identity;
    record.base = spool.from;
    record.path = spool.path;
    if (!world_.journal.put_tail(record)) continue;
    tail->record = std::move(record);
    spool.is_recorded = true;
    world_.log.info("file.spooled", {{"file", tail->record.origin},
                                     {"tail", tail->record.id},
                                     {"bytes", spool.to - spool.from}});
  }
  if (!spooling_.empty()) spool_timer_.arm_at(world_.loop.now_ms());
}

void Follower::forget_spool(Tail& tail) {
  spooling_.erase(&tail);
  if (tail.spool != nullptr) {
    (void)world_.disk.remove(tail.spool->path);
  } else if (is_in_spool(tail.record.path)) {
    (void)world_.disk.remove(tail.record.path);
  }
}

bool Follower::is_in_spool(const std::string& path) const {
  const std::string& directory = world_.journal.directory();
  return !directory.empty() && path.starts_with(directory + "/spool/");
}

std::uint64_t Follower::unsafe_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, tail] : tails_) {
    if (!tail->is_unlinked || tail->is_ended || tail->file == nullptr || tail->is_spool) continue;
    std::uint64_t safe = readers_.settled_to(*tail);
    if (tail->spool != nullptr && tail->spool->is_recorded) safe = std::max(safe, tail->spool->to);
    if (tail->size > safe) bytes += tail->size - safe;
  }
  return bytes;
}

}  // namespace consort::logsaver
