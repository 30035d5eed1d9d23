#include "net/placement.hpp"

#ifndef __clang_analyzer__  // inlined, it would look for mistakes inside xxHash
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.hpp"

namespace consort {
namespace {

/// Draws of jump before the pool counts as too lopsided for it. With half of the servers dead, one
/// key in 2^32 gets that far.
constexpr int kMaxJumpDraws = 32;
constexpr std::uint64_t kAcceptAll = std::uint64_t{1} << 32;

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit,
/// which fnv1a_64 and the 15 bits of crc32 need more than others.
constexpr std::uint64_t mix(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

/// The 64-bit key that jump wants, from the 32 bits of the key hash; another one for each draw.
constexpr std::uint64_t jump_key(std::uint32_t hash, int draw) {
  return mix(hash + kGolden * static_cast<std::uint64_t>(draw + 1));
}

/// Figure 1 of the paper; the loop runs ln(buckets) times on average.
std::uint32_t jump_bucket(std::uint64_t key, std::size_t buckets) {
  std::int64_t bucket = -1;
  std::int64_t next = 0;
  while (next < static_cast<std::int64_t>(buckets)) {
    bucket = next;
    key = key * 2862933555777941757ULL + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (0x1p31 / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<std::uint32_t>(bucket);
}

/// How often twemproxy and libmemcached hash a server for the ring, four points each time. The
/// arithmetic is theirs, in float: the server of weight 1 beside four of weight 6 gets 7 slices,
/// in double it would get 8.
std::uint32_t ketama_slices(std::uint32_t weight, std::uint64_t total, std::size_t servers) {
  float share = static_cast<float>(weight) / static_cast<float>(total);
  float slices = share * 160.0F / 4.0F * static_cast<float>(servers);
  return static_cast<std::uint32_t>(
      std::floor(static_cast<float>(static_cast<double>(slices) + 0.0000000001)));
}

}  // namespace

std::string placement_name(const Address& address, std::string_view explicit_name) {
  constexpr std::uint16_t kLibmemcachedPort = 11211;
  if (!explicit_name.empty()) return std::string(explicit_name);
  if (address.kind == Address::Kind::unix_path) return address.path + ':';
  if (address.kind == Address::Kind::unix_abstract) return '@' + address.path + ':';
  if (address.port == kLibmemcachedPort) return address.host;
  return address.host + ':' + std::to_string(address.port);
}

std::string_view placement_trap(Distribution distribution, KeyHash hash) {
  if (hash == KeyHash::crc32 && distribution == Distribution::ketama) {
    return "hash crc32 has 15 bits, so with ketama one server gets nearly every key; "
           "use crc32a or murmur";
  }
  if (hash == KeyHash::fnv1a_64 && distribution == Distribution::ketama) {
    return "hash fnv1a_64 puts keys that differ in their last character on one server; "
           "for a new pool use murmur, or distribution jump";
  }
  return {};
}

Placement::Placement(Distribution distribution, KeyHash hash, std::string hash_tag,
                     std::vector<PlacementServer> servers)
    : distribution_(distribution), hash_(hash), hash_tag_(std::move(hash_tag)) {
  CHECK(hash_tag_.empty() || hash_tag_.size() == 2);
  build_live(servers);
  if (live_.size() < 2) return;
  if (distribution_ == Distribution::ketama) build_ring(servers);
  if (distribution_ == Distribution::jump) build_jump(servers);
}

void Placement::build_live(std::span<const PlacementServer> servers) {
  for (std::uint32_t i = 0; i < servers.size(); ++i) {
    const PlacementServer& server = servers[i];
    if (!server.live || server.weight == 0) continue;
    live_.push_back({i, server.weight, XXH64(server.name.data(), server.name.size(), 0), 0});
  }
  std::sort(live_.begin(), live_.end(), [&](const Server& a, const Server& b) {
    const std::string& left = servers[a.index].name;
    const std::string& right = servers[b.index].name;
    if (left.size() != right.size()) return left.size() < right.size();
    const int order = left.compare(right);
    return order != 0 ? order < 0 : a.index < b.index;
  });
  for (Server& server : live_) {
    total_weight_ += server.weight;
    server.weight_end = total_weight_;
    if (server.weight != live_.front().weight) equal_weights_ = false;
  }
}

void Placement::build_ring(std::span<const PlacementServer> servers) {
  for (std::uint32_t rank = 0; rank < live_.size(); ++rank) {
    std::string label = servers[live_[rank].index].name + '-';
    const std::size_t stem = label.size();
    const std::uint32_t slices = ketama_slices(live_[rank].weight, total_weight_, live_.size());
    for (std::uint32_t slice = 0; slice < slices; ++slice) {
      label.resize(stem);
      label += std::to_string(slice);
      for (std::uint32_t value : md5_words(label)) ring_.push_back({value, rank});
    }
  }
  // Equal points belong to the server that sorts first; twemproxy leaves it to qsort.
  std::sort(ring_.begin(), ring_.end(), [](const RingPoint& a, const RingPoint& b) {
    return a.value != b.value ? a.value < b.value : a.server < b.server;
  });
  for (RingPoint& point : ring_) point.server = live_[point.server].index;
  // Somebody's share is at least the average one of 40 slices, less a rounding error.
  CHECK(!ring_.empty());
  index_ring();
}

/// As many starting places as points, to the next power of two: the search then looks at one or two
/// points, for MD5 spreads them evenly.
void Placement::index_ring() {
  const unsigned bits = static_cast<unsigned>(std::bit_width(ring_.size()));
  ring_shift_ = 32 - bits;
  ring_start_.resize(std::size_t{1} << bits);
  std::uint32_t at = 0;
  for (std::size_t top = 0; top < ring_start_.size(); ++top) {
    const auto lowest = static_cast<std::uint32_t>(top << ring_shift_);
    while (at < ring_.size() && ring_[at].value < lowest) ++at;
    ring_start_[top] = at;
  }
  ring_.push_back({0xffffffff, ring_.front().server});
}

void Placement::build_jump(std::span<const PlacementServer> servers) {
  std::uint32_t largest = 0;
  for (const Server& server : live_) largest = std::max(largest, server.weight);
  jump_accept_.resize(servers.size());
  for (const Server& server : live_) {
    jump_accept_[server.index] = kAcceptAll * server.weight / largest;
  }
}

std::string_view Placement::hashed_part(std::string_view key) const {
  if (hash_tag_.empty()) return key;
  const std::size_t open = key.find(hash_tag_[0]);
  if (open == key.npos) return key;
  const std::size_t close = key.find(hash_tag_[1], open + 1);
  if (close == key.npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

std::uint32_t Placement::server_of(std::string_view key, Random& random) const {
  if (live_.size() < 2) return live_.empty() ? kNoServer : live_.front().index;
  if (distribution_ == Distribution::random) return live_[random.below(live_.size())].index;
  return place(hash_key(hash_, hashed_part(key)));
}

Placement::Explanation Placement::explain(std::string_view key) const {
  Explanation why;
  why.hashed = hashed_part(key);
  if (live_.size() < 2) {
    why.single = !live_.empty();
    if (why.single) why.server = live_.front().index;
    return why;
  }
  if (distribution_ == Distribution::random) return why;
  why.hash = hash_key(hash_, why.hashed);
  why.server = place(why.hash);
  if (distribution_ == Distribution::ketama) why.point = ring_point(why.hash).value;
  if (distribution_ == Distribution::modula) {
    why.point = static_cast<std::uint32_t>(modula_slot(why.hash));
  }
  return why;
}

std::span<const Placement::RingPoint> Placement::ring() const {
  return std::span(ring_).first(ring_.empty() ? 0 : ring_.size() - 1);
}

std::uint32_t Placement::place(std::uint32_t hash) const {
  switch (distribution_) {
    case Distribution::ketama:
      return ring_point(hash).server;
    case Distribution::modula:
      return owner_of_slot(modula_slot(hash));
    case Distribution::jump:
      return jump(hash);
    case Distribution::rendezvous:
      return rendezvous(hash);
    case Distribution::random:
      break;
  }
  return kNoServer;
}

/// The last element stops the walk: no hash is above it.
const Placement::RingPoint& Placement::ring_point(std::uint32_t hash) const {
  const RingPoint* at = &ring_[ring_start_[hash >> ring_shift_]];
  while (at->value < hash) ++at;
  return *at;
}

std::uint32_t Placement::owner_of_slot(std::uint64_t slot) const {
  auto owner = std::upper_bound(
      live_.begin(), live_.end(), slot,
      [](std::uint64_t wanted, const Server& server) { return wanted < server.weight_end; });
  return owner->index;
}

std::uint32_t Placement::jump(std::uint32_t hash) const {
  for (int draw = 0; draw < kMaxJumpDraws; ++draw) {
    const std::uint64_t key = jump_key(hash, draw);
    const std::uint32_t bucket = jump_bucket(key, jump_accept_.size());
    const std::uint64_t accept = jump_accept_[bucket];
    // Most pools have equal weights and no server down: the second hash is rarely needed.
    if (accept == kAcceptAll || (accept > 0 && (mix(key) >> 32) < accept)) return bucket;
  }
  // Weights stay true at the price of stability, in pools of which almost nothing is live.
  return owner_of_slot(jump_key(hash, kMaxJumpDraws) % total_weight_);
}

/// The largest score wins: -weight / ln(u), u in (0, 1) from the key and the server (Schindler and
/// Schomaker's logarithmic method). It grows with u, so that equal weights need no logarithm.
std::uint32_t Placement::rendezvous(std::uint32_t hash) const {
  const std::uint64_t key = mix(hash + kGolden);
  const Server* best = &live_.front();
  if (equal_weights_) {
    std::uint64_t highest = 0;
    for (const Server& server : live_) {
      const std::uint64_t score = mix(key ^ server.seed);
      if (score <= highest) continue;
      best = &server;
      highest = score;
    }
    return best->index;
  }
  double highest = 0;
  for (const Server& server : live_) {
    // Half a step away from 0 and from 1, where the logarithm is not a score.
    const double unit = (static_cast<double>(mix(key ^ server.seed) >> 12) + 0.5) * 0x1p-52;
    const double score = -static_cast<double>(server.weight) / std::log(unit);
    if (score <= highest) continue;
    best = &server;
    highest = score;
  }
  return best->index;
}

}  // namespace consort
