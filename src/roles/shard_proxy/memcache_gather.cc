#include "roles/shard_proxy/memcache_gather.hpp"

#include <algorithm>

#include "wire/memcache.hpp"

namespace consort::shard_proxy {

std::string memcache_failure_line(const Failure& failure) {
  std::string line = "SERVER_ERROR ";
  line.append(failure.server).append(" ").append(failure.reason);
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return line + "\r\n";
}

RetrievalGather::RetrievalGather(Client& client, std::uint32_t slot, std::uint32_t parts,
                                 std::vector<Key> keys, PartialMultiget on_failure)
    : Gather(client, slot, parts), keys_(std::move(keys)), on_failure_(on_failure) {}

std::string RetrievalGather::failure_line(const Failure& failure) const {
  return memcache_failure_line(failure);
}

// Each part has its hits in the order in which its keys were asked. A key whose part shows another
// key next was a miss. An error line of a server or of ours takes END's place (mcrouter's rule),
// unless the pool wants the keys of a failed server to look like misses.
std::string RetrievalGather::merge() {
  struct Cursor {
    memcache::ValueReader reader;
    memcache::ValueReader::Value value;
    bool has_value;
  };
  std::vector<Cursor> cursors;
  cursors.reserve(parts_.size());
  std::size_t bytes = 8;
  std::string_view error;
  for (const Part& part : parts_) {
    Cursor cursor{memcache::ValueReader(part.reply), {}, false};
    cursor.has_value = cursor.reader.next(cursor.value);
    cursors.push_back(cursor);
    bytes += part.reply.size();
    if (part.failed && on_failure_ == PartialMultiget::error) error = part.failure;
  }
  std::string out;
  out.reserve(bytes);
  for (const Key& key : keys_) {
    Cursor& cursor = cursors[key.part];
    if (!cursor.has_value || cursor.value.key != key.name) continue;
    out.append(cursor.value.block);
    cursor.has_value = cursor.reader.next(cursor.value);
  }
  for (Cursor& cursor : cursors) {
    std::string_view tail = cursor.reader.tail();
    if (!tail.empty() && memcache::classify(tail) == memcache::Answer::error) error = tail;
  }
  out.append(error.empty() ? std::string_view("END\r\n") : error);
  return out;
}

std::string EveryServerGather::failure_line(const Failure& failure) const {
  return memcache_failure_line(failure);
}

std::string EveryServerGather::merge() {
  for (const Part& part : parts_) {
    if (part.failed) return part.failure;
    if (memcache::classify(part.reply) != memcache::Answer::success) return part.reply;
  }
  return parts_.front().reply;
}

std::string StatsGather::failure_line(const Failure& failure) const {
  return memcache_failure_line(failure);
}

std::string StatsGather::merge() {
  std::vector<std::string_view> replies;
  for (const Part& part : parts_) {
    if (part.failed) return part.failure;
    const std::string_view end = last_line(part.reply);
    if (end != "END") return std::string(end) + "\r\n";
    replies.push_back(part.reply);
  }
  return merge_stats(query_, replies);
}

std::string VersionGather::failure_line(const Failure& failure) const {
  return memcache_failure_line(failure);
}

std::string VersionGather::merge() {
  const std::string* lowest = nullptr;
  for (const Part& part : parts_) {
    if (part.failed) continue;
    if (!part.reply.starts_with("VERSION ")) return part.reply;
    const auto version = [](const std::string& reply) { return last_line(reply).substr(8); };
    if (!lowest || is_lower_version(version(part.reply), version(*lowest))) lowest = &part.reply;
  }
  return lowest ? *lowest : parts_.front().failure;
}

std::string QuietCreationGather::failure_line(const Failure& failure) const {
  return memcache_failure_line(failure);
}

std::string QuietCreationGather::merge() {
  const Part& before = parts_[0];
  const Part& own = parts_[1];
  if (own.failed) return own.failure;
  const bool existed = !before.failed && before.reply.starts_with("ME ");
  const bool is_ordinary = own.reply.starts_with("HD") || own.reply.starts_with("VA ");
  return existed && is_ordinary ? std::string() : own.reply;
}

}  // namespace consort::shard_proxy
