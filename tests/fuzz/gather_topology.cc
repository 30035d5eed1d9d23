// Everything that says where a root scatters to, on any bytes: --leaf, topology files, origins and
// selections. Refused with a reason, or a value that keeps its promises and reads back from its
// print. The first byte picks the reader.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "roles/gather/leaf_spec.hpp"
#include "roles/gather/shard_select.hpp"
#include "roles/gather/topology_file.hpp"
#include "roles/gather/topology_source.hpp"

using namespace consort;
using namespace consort::gather;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_shard(const ShardSpec& shard) {
  require(shard.weight >= 1 && shard.weight <= kMaxShardWeight);
  require(!shard.replicas.empty() && shard.replicas.size() <= kMaxReplicas);
  require(shard.ranges.size() <= kMaxShardRanges && shard.tags.size() <= kMaxShardTags);
  std::set<std::string> urls;
  std::uint16_t priority = 0;
  for (const ReplicaSpec& replica : shard.replicas) {
    const std::string url = replica.url.to_string();
    require(urls.insert(url).second);
    require(http::Url::parse(url) == replica.url);
    require(replica.weight >= 1 && replica.weight <= kMaxReplicaWeight);
    require(replica.priority >= priority);
    priority = replica.priority;
  }
  for (const ShardRange& range : shard.ranges) {
    if (range.lo && range.hi) require(compare_values(*range.lo, *range.hi) <= 0);
  }
}

void check_topology(const Topology& topology) {
  require(!topology.shards.empty() && topology.shards.size() <= kMaxShards);
  std::set<std::string_view> ids;
  for (const ShardSpec& shard : topology.shards) {
    require(is_shard_id(shard.id) && ids.insert(shard.id).second);
    check_shard(shard);
  }
}

void leaves(std::string_view text) {
  const Result<LeafSpec> leaf = LeafSpec::parse(text);
  if (!leaf) {
    require(!leaf.error().message().empty());
    return;
  }
  require(leaf->text == text);
  const Result<Topology> topology = topology_of(std::span(&*leaf, 1));
  if (topology) check_topology(*topology);
}

void file(std::string_view text) {
  Problems problems("t");
  const Topology topology = read_topology(text, problems);
  if (problems.ok()) check_topology(topology);
}

void origin(std::string_view text) {
  const Result<TopologyOrigin> read = TopologyOrigin::parse(text);
  if (!read) return;
  require(TopologyOrigin::parse(read->to_string()) == *read);
}

/// Up to the first line end a selection, behind it a query; the same bytes are body and path.
void selection(std::string_view text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const Result<SelectSpec> read = SelectSpec::parse(text.substr(0, end));
  if (!read) return;
  require(read->to_string() == SelectSpec::parse(read->to_string())->to_string());
  static const auto topology = std::make_shared<const Topology>(
      *read_topology_file("shards:\n"
                          "- {range: {ts: [0, 9], n: [a, m]}, tags: {z: a}, replicas: [http://a]}\n"
                          "- {range: {ts: [9, null]}, tags: {z: b}, replicas: [http://b]}\n"
                          "- {replicas: [http://c]}\n",
                          "t"));
  SelectInput input;
  input.query = text.substr(std::min(end + 1, text.size()));
  input.path = input.query;
  input.body = input.query;
  const auto chosen = ShardSelector(topology, *read).select(input);
  if (!chosen) {
    require(chosen.error().code() == Errc::invalid || chosen.error().code() == Errc::limit);
    return;
  }
  for (std::size_t i = 0; i < chosen->size(); ++i) {
    require((*chosen)[i] < topology->shards.size());
    require(i == 0 || (*chosen)[i - 1] < (*chosen)[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'l':
      leaves(text);
      break;
    case 'f':
      file(text);
      break;
    case 'o':
      origin(text);
      break;
    default:
      selection(text);
  }
  return 0;
}
