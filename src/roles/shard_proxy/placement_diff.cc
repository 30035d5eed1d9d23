#include "roles/shard_proxy/placement_diff.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace consort::shard_proxy {
namespace {

constexpr std::uint64_t kSeed = 20'240'229;
// Above what the sample itself may be wrong by.
constexpr double kNeedless = 0.05;

/// The nth of the sample keys, for n from 0 on. Sixteen random digits, as no hash likes them less
/// than real keys; short, as the time goes into hashing.
class SampleKeys {
 public:
  std::string_view next() {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::uint64_t bits = random_.next();
    for (char& c : text_) {
      c = kDigits[bits & 15];
      bits >>= 4;
    }
    return {text_.data(), text_.size()};
  }

 private:
  Random random_{kSeed};
  std::array<char, 16> text_{};
};

bool is_same_server(const ServerSpec& a, const ServerSpec& b) {
  return a.name == b.name && a.weight == b.weight && a.address == b.address;
}

bool is_same_placement(const PlacedPool& a, const PlacedPool& b) {
  return a.config.distribution == b.config.distribution && a.config.hash == b.config.hash &&
         a.config.hash_tag == b.config.hash_tag &&
         std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                    is_same_server);
}

/// The place of an address in the list, added when it is new.
std::size_t entry_of(std::vector<PlacementDiff::Server>& servers, const ServerSpec& spec) {
  std::string address = spec.address.to_string();
  auto same = std::find_if(servers.begin(), servers.end(),
                           [&address](const auto& server) { return server.address == address; });
  if (same != servers.end()) return static_cast<std::size_t>(same - servers.begin());
  servers.emplace_back();
  servers.back().name = spec.name;
  servers.back().address = std::move(address);
  return servers.size() - 1;
}

std::string percent_text(double share) {
  auto tenths = static_cast<std::uint64_t>(std::llround(share * 1000));
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

std::string server_line(const PlacementDiff::Server& server) {
  std::string line = "  " + server.name;
  if (server.name != server.address) line += " at " + server.address;
  if (!server.is_before) return line + ": comes, " + percent_text(server.after) + "\n";
  if (!server.is_after) return line + ": goes, had " + percent_text(server.before) + "\n";
  return line + ": " + percent_text(server.before) + " -> " + percent_text(server.after) + "\n";
}

std::string needless_reason(const PlacedPool& before, const PlacedPool& after) {
  if (before.config.distribution != after.config.distribution) return "the distribution changes";
  if (before.config.hash != after.config.hash) return "the hash changes";
  switch (after.config.distribution) {
    case Distribution::modula:
      return "modula counts servers; ketama, jump and rendezvous move fewer";
    case Distribution::jump:
      return "jump goes by the order of the servers: append new ones, replace one in its place";
    default:
      return "names and weights decide the placement: keep those of servers that stay";
  }
}

std::string warnings(const PlacedPool& before, const PlacedPool& after, const PlacementDiff& diff) {
  std::string out;
  if (before.config.protocol != after.config.protocol) {
    out += "  warning: the protocol changes: the pool is made anew\n";
  }
  if (before.config.hash_tag != after.config.hash_tag) {
    out += "  warning: hash_tag changes: keys that hold a tag move as well, the sample has none\n";
  }
  if (diff.moved > diff.least + kNeedless) {
    out += "  warning: " + percent_text(diff.least) +
           " would have to move: " + needless_reason(before, after) + "\n";
  }
  return out;
}

const PoolConfig* pool_called(std::span<const PoolConfig> pools, const std::string& name) {
  for (const PoolConfig& pool : pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

std::string servers_text(const PoolConfig& pool) {
  if (pool.servers_from) return "servers from " + pool.servers_from->to_string();
  return std::to_string(pool.servers.size()) + (pool.servers.size() == 1 ? " server" : " servers");
}

void report_pool(const PlacedPool& before, const PlacedPool& after, std::string& out) {
  out += "pool " + before.config.name + ": " + describe_move(before, after, kReportKeys) + "\n";
  if (!has_places(before) || !has_places(after)) return;
  PlacementDiff diff = diff_placement(before, after, kReportKeys);
  for (const PlacementDiff::Server& server : diff.servers) out += server_line(server);
  out += warnings(before, after, diff);
}

}  // namespace

bool has_places(const PlacedPool& pool) {
  return !pool.servers.empty() && pool.config.distribution != Distribution::random;
}

PlacementDiff diff_placement(const PlacedPool& before, const PlacedPool& after,
                             std::uint32_t keys) {
  PlacementDiff diff;
  std::vector<std::size_t> old_entry;
  std::vector<std::size_t> new_entry;
  for (const ServerSpec& spec : before.servers) {
    old_entry.push_back(entry_of(diff.servers, spec));
    diff.servers[old_entry.back()].is_before = true;
  }
  for (const ServerSpec& spec : after.servers) {
    new_entry.push_back(entry_of(diff.servers, spec));
    diff.servers[new_entry.back()].is_after = true;
  }
  Placement old_place = before.config.make_placement(before.servers, {});
  Placement new_place = after.config.make_placement(after.servers, {});
  Random unused(kSeed);  // drawn from by `random` only
  SampleKeys sample;
  const double one = 1.0 / keys;
  for (std::uint32_t i = 0; i < keys; ++i) {
    std::string_view key = sample.next();
    std::size_t from = old_entry[old_place.server_of(key, unused)];
    std::size_t to = new_entry[new_place.server_of(key, unused)];
    diff.servers[from].before += one;
    diff.servers[to].after += one;
    if (from != to) diff.moved += one;
  }
  for (const PlacementDiff::Server& server : diff.servers) {
    diff.least += std::max(0.0, server.after - server.before);
  }
  return diff;
}

double moved_share(const PlacedPool& before, const PlacedPool& after) {
  if (!has_places(before) || !has_places(after) || is_same_placement(before, after)) return 0;
  return diff_placement(before, after, kLiveKeys).moved;
}

double percent(double share) {
  return std::round(share * 1000) / 10;
}

std::string describe_move(const PlacedPool& before, const PlacedPool& after, std::uint32_t keys) {
  for (const PlacedPool& side : {before, after}) {
    if (side.config.distribution == Distribution::random) {
      return "distribution random: keys have no place";
    }
    if (side.servers.empty() && side.config.servers_from) {
      return "only a running proxy knows the servers from " +
             side.config.servers_from->to_string() + " (POST /reload?dry-run=1 asks it)";
    }
    if (side.servers.empty()) return "it has no servers";
  }
  if (is_same_placement(before, after)) return "no key moves";
  double moved = diff_placement(before, after, keys).moved;
  if (moved == 0) return "no key moves";
  return "about " + percent_text(moved) + " of the keys move to another server";
}

std::string diff_report(std::span<const PoolConfig> before, std::span<const PoolConfig> after) {
  std::string out;
  for (const PoolConfig& pool : before) {
    const PoolConfig* next = pool_called(after, pool.name);
    if (next == nullptr) {
      out += "pool " + pool.name + ": goes, with " + servers_text(pool) + "\n";
    } else {
      report_pool({pool, pool.servers}, {*next, next->servers}, out);
    }
  }
  for (const PoolConfig& pool : after) {
    if (pool_called(before, pool.name) != nullptr) continue;
    out += "pool " + pool.name + ": comes, with " + servers_text(pool) + "\n";
  }
  return out;
}

}  // namespace consort::shard_proxy
