#include "roles/logsaver/facts.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "roles/logsaver/records/kubernetes_names.hpp"
#include "roles/logsaver/sinks/json_text.hpp"

namespace consort::logsaver {
namespace {

void add(TailFacts& facts, std::string_view name, std::string_view value) {
  const auto has_name = [&](const auto& label) { return label.first == name; };
  if (value.empty() || std::ranges::any_of(facts.labels, has_name)) return;
  facts.labels.emplace_back(name, value);
}

void add_member(std::string& members, std::string_view name) {
  if (!members.empty()) members += ',';
  append_json_text(members, name);
  members += ':';
}

/// The path is not said to whom all of its names are told.
bool tells_path(const TailFacts& facts, const KubernetesNames& names) {
  const auto tells = [&facts](std::string_view name, std::string_view value) {
    const std::pair<std::string, std::string> label(name, value);
    return value.empty() || std::ranges::find(facts.labels, label) != facts.labels.end();
  };
  return tells("namespace", names.pod_namespace) && tells("pod", names.pod) &&
         tells("pod_uid", names.uid) && tells("container", names.container) &&
         tells("container_id", names.container_id);
}

std::string members_of(const TailFacts& facts, const std::optional<KubernetesNames>& names) {
  std::string members;
  if (names && tells_path(facts, *names)) {
    if (const std::uint64_t restarts = names->restarts.value_or(0); restarts > 0) {
      add_member(members, "restarts");
      append_number(members, restarts);
    }
  } else {
    add_member(members, "file");
    append_json_text(members, facts.file);
  }
  for (const auto& [name, value] : facts.labels) {
    add_member(members, name);
    append_json_text(members, value);
  }
  return members;
}

}  // namespace

TailFacts make_facts(const FactRules& rules, std::uint64_t state_id, const TailRecord& tail) {
  TailFacts facts;
  facts.id = to_hex(state_id) + "-" + std::to_string(tail.id);
  facts.file = tail.origin;
  for (const auto& [name, value] : rules.labels) add(facts, name, value);
  add(facts, "host", rules.host);
  std::optional<KubernetesNames> names;
  if (rules.kubernetes) names = kubernetes_names(tail.origin);
  if (names) {
    add(facts, "namespace", names->pod_namespace);
    add(facts, "pod", names->pod);
    add(facts, "pod_uid", names->uid);
    add(facts, "container", names->container);
    add(facts, "container_id", names->container_id);
  }
  facts.json_members = members_of(facts, names);
  return facts;
}

}  // namespace consort::logsaver
