// A shard's replicas in virtual time: calls arrive at random, ReplicaChoice places them, and each
// replica takes as long as the test says.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/replica_choice.hpp"

namespace consort::gather::testing {

/// Things that happen later, in order of their time and then of their asking.
class Future {
 public:
  void at(std::uint64_t us, std::function<void()> what) { events_.emplace(us, std::move(what)); }
  std::uint64_t now_us() const { return now_us_; }
  std::uint64_t now_ms() const { return now_us_ / 1'000; }
  void run_until(std::uint64_t us) {
    while (!events_.empty() && events_.begin()->first <= us) {
      auto event = events_.extract(events_.begin());
      now_us_ = event.key();
      event.mapped()();
    }
    now_us_ = us;
  }

 private:
  std::multimap<std::uint64_t, std::function<void()>> events_;
  std::uint64_t now_us_ = 0;
};

/// One shard. Time is in seconds where a test reads it.
class ShardSim {
 public:
  struct Answer {
    std::uint64_t us;
    bool ok = true;
  };
  struct Replica {
    explicit Replica(ReplicaStats::Place place) : stats(place) {}
    ReplicaStats stats;
    std::function<Answer()> answer;  ///< asked at the start of a call
    std::uint64_t calls = 0;         ///< since the last clear_counts()
    std::uint32_t most_inflight = 0;
  };

  ShardSim(ReplicaChoice::Options options, std::uint64_t seed) : random(seed), choice_(options) {}

  Replica& add(std::uint64_t us, ReplicaStats::Place place = {}) {
    replicas.push_back(std::make_unique<Replica>(place));
    replicas.back()->answer = [us] { return Answer{us}; };
    pointers_.push_back(&replicas.back()->stats);
    return *replicas.back();
  }
  std::span<ReplicaStats* const> group() const { return pointers_; }

  /// Calls arrive with this mean rate (a Poisson process) until the time is over.
  void run(double seconds, double calls_per_s) {
    const std::uint64_t end = future.now_us() + static_cast<std::uint64_t>(seconds * 1e6);
    arrive(end, 1e6 / calls_per_s);
    future.run_until(end);
  }
  void clear_counts() {
    for (auto& replica : replicas) {
      replica->calls = 0;
      replica->most_inflight = 0;
    }
    refused = 0;
  }
  double share(std::size_t index) const {
    std::uint64_t all = 0;
    for (const auto& replica : replicas) all += replica->calls;
    return all == 0 ? 0 : static_cast<double>(replicas[index]->calls) / static_cast<double>(all);
  }

  Future future;
  Random random;
  std::vector<std::unique_ptr<Replica>> replicas;
  std::uint64_t refused = 0;  ///< calls for which no replica was left
  bool reports_service = false;

 private:
  void arrive(std::uint64_t end, double mean_us) {
    const auto wait = static_cast<std::uint64_t>(-std::log(1 - random.unit()) * mean_us);
    const std::uint64_t at = future.now_us() + std::max<std::uint64_t>(wait, 1);
    if (at > end) return;
    future.at(at, [this, end, mean_us] {
      call();
      arrive(end, mean_us);
    });
  }
  void call() {
    const auto index = choice_.pick(pointers_, {}, future.now_ms(), random);
    if (!index) {
      ++refused;
      return;
    }
    Replica& replica = *replicas[*index];
    replica.stats.on_start(future.now_ms());
    ++replica.calls;
    replica.most_inflight = std::max(replica.most_inflight, replica.stats.inflight());
    const Answer answer = replica.answer();
    future.at(future.now_us() + answer.us, [this, &replica, answer] {
      if (!answer.ok) {
        replica.stats.on_failure(future.now_ms(), answer.us, ReplicaFailure::gateway);
        return;
      }
      LeafReport report;
      if (reports_service) report.service_ms = static_cast<double>(answer.us) / 1'000;
      replica.stats.on_success(future.now_ms(), answer.us, report);
    });
  }

  ReplicaChoice choice_;
  std::vector<ReplicaStats*> pointers_;
};

}  // namespace consort::gather::testing
