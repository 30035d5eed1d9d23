// What is said of all records of one tail: its file, the host, the labels, Kubernetes' names.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "roles/logsaver/follow/tail.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

struct FactRules {
  std::vector<std::pair<std::string, std::string>> labels;
  std::string host;  ///< empty: not said
  bool kubernetes = true;
};

/// Labels: --label's, then host, then namespace, pod, container, and whichever else the path tells.
/// A name that is given is not told by others. JSON has no "file" where the path's names say all of
/// it (100 bytes of each line), but how often the container was restarted, if it was.
TailFacts make_facts(const FactRules& rules, std::uint64_t state_id, const TailRecord& tail);

}  // namespace consort::logsaver
