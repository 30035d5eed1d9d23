// Whether the leaves are such that requests can be answered: the role's checks for readiness.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "roles/gather/root.hpp"

namespace consort::gather {

/// A shard without a usable replica: all are drained, ejected, or have failed kFailures times in a
/// row within the last kDoubtMs. After that it is given the benefit of the doubt, since a root that
/// is not ready gets no requests by which it could learn that the leaf is back.
class LeafHealth {
 public:
  static constexpr std::uint32_t kFailures = 5;
  static constexpr std::uint64_t kDoubtMs = 10'000;

  explicit LeafHealth(CheckBoard& checks) : checks_(checks) {}
  /// About once a second. Fails the check "leaves" when the coverage of the strictest route cannot
  /// be reached; warns while some shard is missing.
  void tell(Root& root, std::uint64_t now_ms);
  void tell_failure(const std::string& why) { failure_ = why; }

 private:
  struct Trouble {
    std::uint32_t failures;
    std::uint64_t since_ms;
  };
  using Troubles = std::map<const ReplicaStats*, Trouble>;
  bool is_usable(ReplicaStats& stats, const Troubles& before, std::uint64_t now_ms);

  CheckBoard& checks_;
  Troubles troubles_;
  std::string failure_;  ///< of the topology's source; empty while it works
};

}  // namespace consort::gather
