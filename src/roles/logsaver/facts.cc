#include "roles/logsaver/facts.hpp"

#include <algorithm>
#include <string_view>

#include "roles/logsaver/records/kubernetes_names.hpp"
#include "roles/logsaver/sinks/json_text.hpp"

namespace consort::logsaver {
namespace {

std::string hex(std::uint64_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = text.size(); i-- > 0; number >>= 4) text[i] = kDigits[number & 15];
  return text;
}

void add(TailFacts& facts, std::string_view name, std::string_view value) {
  const auto has_name = [&](const auto& label) { return label.first == name; };
  if (value.empty() || std::ranges::any_of(facts.labels, has_name)) return;
  facts.labels.emplace_back(name, value);
}

}  // namespace

TailFacts make_facts(const FactRules& rules, std::uint64_t state_id, const TailRecord& tail) {
  TailFacts facts;
  facts.id = hex(state_id) + "-" + std::to_string(tail.id);
  facts.file = tail.origin;
  for (const auto& [name, value] : rules.labels) add(facts, name, value);
  add(facts, "host", rules.host);
  if (const auto names = kubernetes_names(tail.origin); rules.kubernetes && names) {
    add(facts, "namespace", names->pod_namespace);
    add(facts, "pod", names->pod);
    add(facts, "pod_uid", names->uid);
    add(facts, "container", names->container);
    add(facts, "container_id", names->container_id);
  }
  facts.json_members = "\"file\":";
  append_json_text(facts.json_members, facts.file);
  for (const auto& [name, value] : facts.labels) {
    facts.json_members += ',';
    append_json_text(facts.json_members, name);
    facts.json_members += ':';
    append_json_text(facts.json_members, value);
  }
  return facts;
}

}  // namespace consort::logsaver
