#include "roles/gather/topology_file.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/options.hpp"

namespace consort::gather {
namespace {

constexpr std::string_view kRootKeys[] = {"epoch", "shards", "replicas"};
constexpr std::string_view kShardKeys[] = {"id", "weight", "range", "tags", "replicas"};
constexpr std::string_view kReplicaKeys[] = {"url", "weight", "zone", "priority"};
constexpr std::string_view kTaggedKeys[] = {"url", "weight", "zone", "priority", "tag"};
constexpr std::uint64_t kMaxEpoch = 1'000'000'000'000'000'000;
constexpr std::size_t kMaxWordBytes = 256;  // of zones, tags, and the ends of ranges

/// "N/M": the N-th of M partitions, from 0.
struct Partition {
  std::uint64_t number = 0;
  std::uint64_t count = 0;
};

bool parse_number(std::string_view text, std::uint64_t& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end;
}

/// A document's tree to a topology. Goes on after each problem, so that all are told at once.
class Reader {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}

  Topology read(const Node& root);

 private:
  void read_shards(const Node& list);
  ShardSpec read_shard(const Node& node, std::size_t index);
  void read_ranges(const Node& map, ShardSpec& shard);
  std::optional<RangeValue> read_end(const Node& node);
  void read_tags(const Node& map, ShardSpec& shard);
  void read_replicas(const Node& list, ShardSpec& shard);
  std::optional<ReplicaSpec> read_replica(const Node& node, std::span<const std::string_view> keys);

  void read_partitions(const Node& list);
  std::optional<Partition> read_partition(const Node& replica);

  void check_keys(const Node& map, std::span<const std::string_view> keys);
  void check_ids();
  /// The node when the map has the key with something of that kind; a problem when it is another.
  const Node* member(const Node& map, std::string_view key, Node::Kind kind);
  std::string word(const Node& map, std::string_view key);
  void number(const Node& map, std::string_view key, std::uint64_t lowest, std::uint64_t highest,
              std::uint64_t& value);

  Problems& problems_;
  Topology topology_;
  std::vector<Place> places_;  ///< of the shards
};

std::string_view describe(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "nothing";
}

std::string expected(std::string_view key, std::string_view what, Node::Kind found) {
  std::string text(key);
  return text.append(": expected ").append(what).append(", found ").append(describe(found));
}

Topology Reader::read(const Node& root) {
  if (root.kind != Node::Kind::map) {
    problems_.error(root.place, expected("topology", "`shards: [...]`", root.kind));
    return {};
  }
  check_keys(root, kRootKeys);
  number(root, "epoch", 0, kMaxEpoch, topology_.epoch);
  const Node* shards = member(root, "shards", Node::Kind::list);
  const Node* replicas = member(root, "replicas", Node::Kind::list);
  if (shards != nullptr && replicas != nullptr) {
    problems_.error(replicas->place, "replicas: either these or shards, not both");
  } else if (shards != nullptr) {
    read_shards(*shards);
  } else if (replicas != nullptr) {
    read_partitions(*replicas);
  } else if (root.find("shards") == nullptr && root.find("replicas") == nullptr) {
    problems_.error(root.place, "there are no shards: write `shards: [{replicas: [URL]}]`");
  }
  check_ids();
  return std::move(topology_);
}

void Reader::read_shards(const Node& list) {
  if (list.items.empty()) problems_.error(list.place, "shards: the list is empty");
  for (const Node& node : list.items) {
    if (topology_.shards.size() == kMaxShards) {
      problems_.error(node.place, "shards: more than " + std::to_string(kMaxShards));
      return;
    }
    topology_.shards.push_back(read_shard(node, topology_.shards.size()));
    places_.push_back(node.place);
  }
}

ShardSpec Reader::read_shard(const Node& node, std::size_t index) {
  ShardSpec shard;
  shard.id = default_shard_id(index);
  if (node.kind != Node::Kind::map) {
    problems_.error(node.place, expected("shard", "a map with `replicas`", node.kind));
    return shard;
  }
  check_keys(node, kShardKeys);
  if (const Node* id = member(node, "id", Node::Kind::scalar); id != nullptr) {
    shard.id = id->scalar;
    if (!is_shard_id(shard.id)) {
      problems_.error(id->place,
                      "id: " + in_quotes(shard.id) + " is not 1 to 64 letters, digits, _ - .");
    }
  }
  number(node, "weight", 1, kMaxShardWeight, shard.weight);
  if (const Node* map = member(node, "range", Node::Kind::map); map != nullptr) {
    read_ranges(*map, shard);
  }
  if (const Node* map = member(node, "tags", Node::Kind::map); map != nullptr) {
    read_tags(*map, shard);
  }
  if (const Node* list = member(node, "replicas", Node::Kind::list); list != nullptr) {
    read_replicas(*list, shard);
  } else if (node.find("replicas") == nullptr) {
    problems_.error(node.place, "shard " + in_quotes(shard.id) + " has no replicas");
  }
  return shard;
}

void Reader::read_ranges(const Node& map, ShardSpec& shard) {
  if (map.members.size() > kMaxShardRanges) {
    problems_.error(map.place, "range: more than " + std::to_string(kMaxShardRanges) + " fields");
    return;
  }
  for (const auto& [key, value] : map.members) {
    const std::string name = "range." + key.scalar;
    if (value.kind != Node::Kind::list || value.items.size() != 2) {
      problems_.error(value.place, name + ": expected [LOWEST, HIGHEST]");
      continue;
    }
    ShardRange range;
    range.field = key.scalar;
    range.lo = read_end(value.items[0]);
    range.hi = read_end(value.items[1]);
    const bool is_mixed = range.lo && range.hi && range.lo->is_number() != range.hi->is_number();
    if (is_mixed) {
      problems_.error(value.place, name + ": one end is a number and the other is text");
    } else if (range.lo && range.hi && compare_values(*range.lo, *range.hi) > 0) {
      problems_.error(value.place, name + ": " + in_quotes(range.lo->text) + " is above " +
                                       in_quotes(range.hi->text));
    }
    shard.ranges.push_back(std::move(range));
  }
}

std::optional<RangeValue> Reader::read_end(const Node& node) {
  if (node.kind == Node::Kind::null) return std::nullopt;
  if (node.kind != Node::Kind::scalar || node.scalar.size() > kMaxWordBytes) {
    problems_.error(node.place, "range: an end is a number, a text of up to 256 bytes, or null");
    return std::nullopt;
  }
  return node.quoted ? RangeValue::as_text(node.scalar) : RangeValue::parse(node.scalar);
}

void Reader::read_tags(const Node& map, ShardSpec& shard) {
  if (map.members.size() > kMaxShardTags) {
    problems_.error(map.place, "tags: more than " + std::to_string(kMaxShardTags));
    return;
  }
  for (const auto& [key, value] : map.members) {
    if (value.kind != Node::Kind::scalar || value.scalar.size() > kMaxWordBytes) {
      problems_.error(value.place, "tags." + key.scalar + ": expected a text of up to 256 bytes");
      continue;
    }
    shard.tags.emplace_back(key.scalar, value.scalar);
  }
}

void Reader::read_replicas(const Node& list, ShardSpec& shard) {
  if (list.items.empty()) {
    problems_.error(list.place, "shard " + in_quotes(shard.id) + " has no replicas");
  }
  for (const Node& node : list.items) {
    std::optional<ReplicaSpec> replica = read_replica(node, kReplicaKeys);
    if (!replica) continue;
    if (auto added = add_replica(shard, std::move(*replica)); !added) {
      problems_.error(node.place, "shard " + in_quotes(shard.id) + ": " + added.error().text());
      if (added.error().code() == Errc::limit) return;
    }
  }
}

/// A URL alone, or a map with these keys.
std::optional<ReplicaSpec> Reader::read_replica(const Node& node,
                                                std::span<const std::string_view> keys) {
  const Node* text = &node;
  ReplicaSpec replica;
  if (node.kind == Node::Kind::map) {
    check_keys(node, keys);
    std::uint64_t weight = 1;
    std::uint64_t priority = 0;
    number(node, "weight", 1, kMaxReplicaWeight, weight);
    number(node, "priority", 0, UINT16_MAX, priority);
    replica.weight = static_cast<std::uint32_t>(weight);
    replica.priority = static_cast<std::uint16_t>(priority);
    replica.zone = word(node, "zone");
    text = member(node, "url", Node::Kind::scalar);
    if (node.find("url") == nullptr) problems_.error(node.place, "replica: url is missing");
    if (text == nullptr) return std::nullopt;
  } else if (node.kind != Node::Kind::scalar) {
    problems_.error(node.place, expected("replica", "a URL or a map with `url`", node.kind));
    return std::nullopt;
  }
  Result<http::Url> url = http::Url::parse(text->scalar);
  if (!url) {
    problems_.error(text->place, url.error().message());
    return std::nullopt;
  }
  replica.url = std::move(*url);
  return replica;
}

void Reader::read_partitions(const Node& list) {
  if (list.items.empty()) problems_.error(list.place, "replicas: the list is empty");
  std::uint64_t count = 0;
  Place first{};
  for (const Node& node : list.items) {
    std::optional<ReplicaSpec> replica = read_replica(node, kTaggedKeys);
    const std::optional<Partition> partition = read_partition(node);
    if (!partition) continue;
    if (count == 0) {
      count = partition->count;
      first = node.place;
      topology_.shards.resize(count);
      places_.assign(count, list.place);
    }
    if (partition->count != count) {
      problems_.error(node.place, "tag: of " + std::to_string(partition->count) +
                                      " partitions, but in line " + std::to_string(first.line) +
                                      " of " + std::to_string(count));
      continue;
    }
    if (!replica) continue;
    ShardSpec& shard = topology_.shards[partition->number];
    if (auto added = add_replica(shard, std::move(*replica)); !added) {
      problems_.error(node.place, added.error().text());
    }
  }
  if (!problems_.ok()) return;  // what is missing may be what was wrong
  for (std::size_t i = 0; i < topology_.shards.size(); ++i) {
    topology_.shards[i].id = default_shard_id(i);
    if (!topology_.shards[i].replicas.empty()) continue;
    problems_.error(list.place, "replicas: none has the tag " + std::to_string(i) + "/" +
                                    std::to_string(count));
  }
}

std::optional<Partition> Reader::read_partition(const Node& replica) {
  if (replica.kind == Node::Kind::map && replica.find("tag") != nullptr) {
    const Node* tag = member(replica, "tag", Node::Kind::scalar);
    if (tag == nullptr) return std::nullopt;
    const std::string_view text = tag->scalar;
    const std::size_t slash = std::min(text.find('/'), text.size());
    Partition partition;
    const bool is_good = slash < text.size() &&
                         parse_number(text.substr(0, slash), partition.number) &&
                         parse_number(text.substr(slash + 1), partition.count) &&
                         partition.number < partition.count && partition.count <= kMaxShards;
    if (is_good) return partition;
    problems_.error(tag->place, "tag: " + in_quotes(text) +
                                    " is not N/M with N from 0 to M-1 and M up to " +
                                    std::to_string(kMaxShards));
    return std::nullopt;
  }
  problems_.error(replica.place,
                  "replica: a tag as 0/3 is missing, which says the partition it holds");
  return std::nullopt;
}

void Reader::check_keys(const Node& map, std::span<const std::string_view> keys) {
  for (const auto& [key, value] : map.members) {
    if (std::find(keys.begin(), keys.end(), key.scalar) != keys.end()) continue;
    std::string text = "unknown key " + in_quotes(key.scalar);
    if (const std::string_view near = nearest(key.scalar, keys); !near.empty()) {
      text.append(" (did you mean ").append(in_quotes(near)).append("?)");
    }
    problems_.error(key.place, std::move(text));
  }
}

void Reader::check_ids() {
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < topology_.shards.size(); ++i) {
    const std::string& id = topology_.shards[i].id;
    if (id.empty()) continue;  // of partitions that are wrong, or told already
    const auto [first, is_new] = seen.emplace(id, i);
    if (is_new) continue;
    problems_.error(places_[i], "the shard in line " + std::to_string(places_[first->second].line) +
                                    " is called " + in_quotes(id) + " already");
  }
}

const Node* Reader::member(const Node& map, std::string_view key, Node::Kind kind) {
  const Node* node = map.find(key);
  if (node == nullptr || node->kind == kind) return node;
  problems_.error(node->place, expected(key, describe(kind), node->kind));
  return nullptr;
}

std::string Reader::word(const Node& map, std::string_view key) {
  const Node* node = member(map, key, Node::Kind::scalar);
  if (node == nullptr) return {};
  if (node->scalar.size() <= kMaxWordBytes) return node->scalar;
  problems_.error(node->place, std::string(key) + ": longer than 256 bytes");
  return {};
}

void Reader::number(const Node& map, std::string_view key, std::uint64_t lowest,
                    std::uint64_t highest, std::uint64_t& value) {
  const Node* node = member(map, key, Node::Kind::scalar);
  if (node == nullptr) return;
  std::uint64_t found = 0;
  if (parse_number(node->scalar, found) && found >= lowest && found <= highest) {
    value = found;
    return;
  }
  problems_.error(node->place, std::string(key) + ": " + in_quotes(node->scalar) +
                                   " is not a number from " + std::to_string(lowest) + " to " +
                                   std::to_string(highest));
}

}  // namespace

Topology read_topology(std::string_view text, Problems& problems) {
  const std::size_t before = problems.errors().size();
  const Node root = read_document(text, problems);
  if (problems.errors().size() != before) return {};
  return Reader(problems).read(root);
}

Result<Topology> read_topology_file(std::string_view text, const std::string& path) {
  Problems problems(path);
  Topology topology = read_topology(text, problems);
  if (problems.ok()) return topology;
  std::string why;
  const std::vector<std::string>& errors = problems.errors();
  for (std::size_t i = 0; i < std::min(errors.size(), kMaxTold); ++i) {
    why += (i == 0 ? "" : "; ") + errors[i];
  }
  if (errors.size() > kMaxTold) {
    why += "; and " + std::to_string(errors.size() - kMaxTold) + " more";
  }
  return fail(Errc::invalid, std::move(why));
}

}  // namespace consort::gather
