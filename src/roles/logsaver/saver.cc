#include "roles/logsaver/saver.hpp"

#include <algorithm>
#include <limits>

#include "roles/logsaver/follow/spool_copy.hpp"

namespace consort::logsaver {

Result<> Saver::start() {
  if (auto started = follower_.start(); !started) return started;
  for (const auto& delivery : deliveries_) delivery->start();
  return {};
}

bool Saver::is_idle() const {
  return !follower_.is_holding() &&
         std::ranges::all_of(deliveries_, [](const auto& each) { return each->is_idle(); });
}

bool Saver::is_settled() const {
  return std::ranges::all_of(deliveries_, [](const auto& each) { return each->is_settled(); });
}

std::uint64_t Saver::read_of(const Tail& tail) const {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (const auto& each : deliveries_) least = std::min(least, each->read_to(tail).offset);
  return least;
}

FileSums Saver::file_sums() const {
  FileSums sums;
  for (const auto& [id, tail] : follower_.tails()) {
    const std::uint64_t read = read_of(*tail);
    if (!tail->is_ended && tail->size > read) sums.unread_bytes += tail->size - read;
    if (tail->spool != nullptr) {
      sums.spool_bytes += tail->spool->to - tail->spool->from;
    } else if (tail->is_spool && tail->size > tail->base) {
      sums.spool_bytes += tail->size - tail->base;
    }
  }
  sums.unsafe_bytes = follower_.unsafe_bytes();
  return sums;
}

std::optional<std::uint64_t> Saver::settled_of(const io::FileIdentity& identity) const {
  for (const auto& [id, tail] : follower_.tails()) {
    const io::FileIdentity& other = tail->identity;
    if (other.inode != identity.inode || other.born_ns != identity.born_ns ||
        other.file_system != identity.file_system) {
      continue;
    }
    return tail->is_ended ? std::numeric_limits<std::uint64_t>::max() : settled_to(*tail);
  }
  return std::nullopt;
}

void Saver::on_new(Tail& tail) {
  for (const auto& each : deliveries_) each->on_new(tail);
}

void Saver::on_bytes(Tail& tail) {
  for (const auto& each : deliveries_) each->on_bytes(tail);
}

void Saver::on_dropped(Tail& tail) {
  for (const auto& each : deliveries_) each->on_dropped(tail);
}

Progress Saver::read_most(const Tail& tail) const {
  Progress most;
  for (const auto& each : deliveries_) {
    Progress at = each->read_to(tail);
    if (at.offset >= most.offset) most = at;
  }
  return most;
}

std::uint64_t Saver::settled_to(const Tail& tail) const {
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (const auto& each : deliveries_) least = std::min(least, each->settled_to(tail));
  return least;
}

bool Saver::is_settled(const Tail& tail) const {
  return std::ranges::all_of(deliveries_, [&tail](const auto& each) {
    return each->settled_to(tail) >= each->read_to(tail).offset;
  });
}

}  // namespace consort::logsaver
