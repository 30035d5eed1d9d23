#include "roles/gather/health.hpp"

#include <algorithm>
#include <utility>

namespace consort::gather {

bool LeafHealth::is_usable(ReplicaStats& stats, const Troubles& before, std::uint64_t now_ms) {
  if (stats.is_drained() || stats.is_ejected(now_ms)) return false;
  const std::uint32_t failures = stats.tally().consecutive_errors;
  if (failures < kFailures) return true;
  const auto known = before.find(&stats);
  Trouble trouble = known == before.end() ? Trouble{0, now_ms} : known->second;
  if (trouble.failures != failures) trouble = {failures, now_ms};
  troubles_[&stats] = trouble;
  return now_ms >= trouble.since_ms + kDoubtMs;
}

void LeafHealth::tell(Root& root, std::uint64_t now_ms) {
  const auto& epoch = root.epoch();
  if (!epoch->generation) {
    checks_.set("leaves", Health::fail,
                failure_.empty() ? "the leaves are not known yet" : failure_);
    return;
  }
  // Made anew each time, so that replicas that have left the topology are forgotten.
  const Troubles before = std::exchange(troubles_, {});
  std::size_t missing = 0;
  std::string first;
  for (const Shard& shard : epoch->generation->shards) {
    bool usable = false;
    for (ReplicaStats* stats : shard.stats) usable = is_usable(*stats, before, now_ms) || usable;
    if (usable) continue;
    if (missing++ == 0) first = shard.spec->id;
  }
  root.state().metrics.shards_without_replica.set(static_cast<std::int64_t>(missing));
  const std::size_t width = epoch->generation->shards.size();
  double strictest = 0;
  for (const auto& route : epoch->routes) {
    if (route->config.mode.kind == Mode::Kind::all) {
      strictest = std::max(strictest, route->config.min_coverage);
    }
  }
  const double reachable =
      100.0 * static_cast<double>(width - missing) / static_cast<double>(width);
  std::string text = std::to_string(width - missing) + " of " + std::to_string(width) +
                     " shards have a usable replica";
  if (missing > 0) text += "; none has " + first;
  if (!failure_.empty()) text += "; the last good topology stays: " + failure_;
  const bool fails = missing == width || reachable < strictest;
  const bool is_fine = missing == 0 && failure_.empty();
  checks_.set("leaves", fails ? Health::fail : is_fine ? Health::pass : Health::warn, text);
}

}  // namespace consort::gather
