#include "roles/gather/replica_choice.hpp"

#include <algorithm>
#include <array>

namespace consort::gather {
namespace {

/// The second candidate must be this much better. Below it the difference is noise, and following
/// noise would send everything to one of two equal replicas.
constexpr double kClearly = 1.25;
/// A replica that fails always costs as much as one that is 20 times slower.
constexpr double kMinSuccessShare = 0.05;

/// What a pick is about, and which of the replicas it looks at.
struct Question {
  std::span<ReplicaStats* const> replicas;
  std::span<const std::uint32_t> tried;
  std::uint64_t now_ms;
  Random& random;
  std::size_t first;
  std::size_t count;

  std::size_t index(std::size_t i) const {
    const std::size_t index = first + i;
    return index < replicas.size() ? index : index - replicas.size();
  }
  bool may_try(std::size_t index) const {
    return !replicas[index]->is_drained() &&
           std::find(tried.begin(), tried.end(), index) == tried.end();
  }
  bool is_usable(const ReplicaStats& replica) const {
    return !replica.is_drained() && !replica.is_ejected(now_ms);
  }
};

/// Those of the lowest tier, with their weights.
struct Candidates {
  struct Candidate {
    std::size_t index;
    std::uint32_t weight;
  };
  std::array<Candidate, ReplicaChoice::kMaxLookedAt> list;  // not initialised: read up to count
  std::size_t count = 0;
  std::uint64_t weight = 0;
  unsigned tier = UINT8_MAX + 1;

  void add(std::size_t index, const ReplicaStats::Place& place) {
    if (place.tier > tier) return;
    if (place.tier < tier) {
      tier = place.tier;
      count = 0;
      weight = 0;
    }
    list[count++] = {index, place.weight};
    weight += place.weight;
  }
  /// The position that owns this share of the weight; `without` (a position) owns nothing.
  std::size_t at_weight(std::uint64_t share, std::size_t without = SIZE_MAX) const {
    std::size_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i == without) continue;
      last = i;
      if (share < list[i].weight) return i;
      share -= list[i].weight;
    }
    return last;
  }
};

struct Peers {
  bool has_known = false;  ///< one that is warm and usable, tried or not
  bool has_ejected = false;
};

Peers look_at_peers(const Question& question) {
  Peers peers;
  for (std::size_t i = 0; i < question.count; ++i) {
    const ReplicaStats& replica = *question.replicas[question.index(i)];
    if (replica.is_ejected(question.now_ms)) {
      peers.has_ejected = true;
    } else if (replica.is_warm() && !replica.is_drained()) {
      peers.has_known = true;
    }
  }
  return peers;
}

std::optional<std::size_t> due_probe(const Question& question) {
  for (std::size_t i = 0; i < question.count; ++i) {
    const std::size_t index = question.index(i);
    ReplicaStats& replica = *question.replicas[index];
    if (!replica.is_probe_due(question.now_ms) || !question.may_try(index)) continue;
    replica.on_probe(question.now_ms);
    return index;
  }
  return std::nullopt;
}

void collect(const Question& question, const ReplicaChoice::Options& options, bool has_known,
             bool ejected, Candidates& found) {
  for (std::size_t i = 0; i < question.count; ++i) {
    const std::size_t index = question.index(i);
    const ReplicaStats& replica = *question.replicas[index];
    if (replica.is_ejected(question.now_ms) != ejected || !question.may_try(index)) continue;
    const bool is_new = has_known && !replica.is_warm();
    const std::uint32_t limit =
        is_new ? std::min(options.max_inflight, options.probe_inflight) : options.max_inflight;
    if (replica.inflight() < limit) found.add(index, replica.place());
  }
}

/// The lowest cost that is well known, or else the lowest at all: nobody is believed to be better
/// just because nothing is known.
double floor_us(const Question& question) {
  double known = 0;
  double any = 0;
  auto lower = [](double& best, double cost) {
    if (cost > 0 && (best <= 0 || cost < best)) best = cost;
  };
  for (std::size_t i = 0; i < question.count; ++i) {
    const ReplicaStats& replica = *question.replicas[question.index(i)];
    if (!question.is_usable(replica)) continue;
    const double cost = replica.cost_us(question.now_ms);
    lower(any, cost);
    if (replica.is_well_known(question.now_ms)) lower(known, cost);
  }
  return std::max(known > 0 ? known : any, 1.0);
}

double success_share(const ReplicaStats& replica, std::uint64_t now_ms) {
  return std::max(1 - replica.failure_share(now_ms), kMinSuccessShare);
}

/// What one more call to this replica is believed to cost.
double load_of(const ReplicaStats& replica, const Question& question) {
  double cost = replica.cost_us(question.now_ms);
  if (!replica.is_well_known(question.now_ms)) cost = std::max(cost, floor_us(question));
  const double outstanding = static_cast<double>(replica.inflight()) / replica.place().weight;
  return cost * (outstanding + 1) / success_share(replica, question.now_ms);
}

bool is_clearly_better(const ReplicaStats& one, const ReplicaStats& other,
                       const Question& question) {
  const std::uint64_t now_ms = question.now_ms;
  if (one.has_report(now_ms) && other.has_report(now_ms) && one.is_warm() && other.is_warm()) {
    return one.c3_rank() / success_share(one, now_ms) * kClearly <
           other.c3_rank() / success_share(other, now_ms);
  }
  return load_of(one, question) * kClearly < load_of(other, question);
}

std::size_t choose_adaptive(const Question& question, const Candidates& candidates) {
  const std::size_t one = candidates.at_weight(question.random.below(candidates.weight));
  const std::uint64_t rest = candidates.weight - candidates.list[one].weight;
  const std::size_t other =
      candidates.count == 2 ? 1 - one : candidates.at_weight(question.random.below(rest), one);
  auto replica_at = [&](std::size_t position) -> const ReplicaStats& {
    return *question.replicas[candidates.list[position].index];
  };
  return is_clearly_better(replica_at(other), replica_at(one), question) ? other : one;
}

std::size_t choose_least_inflight(const Question& question, const Candidates& candidates) {
  std::size_t best = 0;
  std::uint64_t best_inflight = 0;
  std::uint64_t alike = 0;  // weight of those that are as good as the best
  for (std::size_t i = 0; i < candidates.count; ++i) {
    const auto [index, weight] = candidates.list[i];
    const std::uint64_t inflight = question.replicas[index]->inflight();
    // inflight / weight, compared without dividing.
    const std::uint64_t mine = inflight * candidates.list[best].weight;
    const std::uint64_t its = best_inflight * weight;
    if (i > 0 && mine > its) continue;
    alike = i > 0 && mine == its ? alike + weight : weight;
    if (question.random.below(alike) >= weight) continue;
    best = i;
    best_inflight = inflight;
  }
  return best;
}

}  // namespace

std::optional<std::size_t> ReplicaChoice::pick(std::span<ReplicaStats* const> replicas,
                                               std::span<const std::uint32_t> tried,
                                               std::uint64_t now_ms, Random& random, For purpose) {
  if (replicas.empty()) return std::nullopt;
  const bool all = replicas.size() <= kMaxLookedAt;
  const Question question{.replicas = replicas,
                          .tried = tried,
                          .now_ms = now_ms,
                          .random = random,
                          .first = all ? 0 : random.below(replicas.size()),
                          .count = all ? replicas.size() : kMaxLookedAt};
  const Peers peers = look_at_peers(question);
  if (peers.has_ejected && purpose == For::call && tried.empty()) {
    if (auto probe = due_probe(question)) return probe;
  }
  Candidates found;
  collect(question, options_, peers.has_known, false, found);
  if (found.count == 0 && peers.has_ejected && purpose == For::call) {
    collect(question, options_, peers.has_known, true, found);
  }
  if (found.count == 0) return std::nullopt;
  if (found.count == 1) return found.list[0].index;
  switch (options_.policy) {
    case SelectPolicy::adaptive:
      return found.list[choose_adaptive(question, found)].index;
    case SelectPolicy::round_robin:
      return found.list[found.at_weight(turn_++ % found.weight)].index;
    case SelectPolicy::random:
      return found.list[found.at_weight(random.below(found.weight))].index;
    case SelectPolicy::least_inflight:
      return found.list[choose_least_inflight(question, found)].index;
  }
  return std::nullopt;
}

}  // namespace consort::gather
