#include "base/checks.hpp"

#include <algorithm>
#include <utility>

namespace consort {

std::string_view to_string(Health health) {
  switch (health) {
    case Health::pass:
      return "pass";
    case Health::warn:
      return "warn";
    case Health::fail:
      return "fail";
  }
  return "unknown";
}

void CheckBoard::set(std::string_view name, Health health, std::string text, bool gates_readiness) {
  const std::lock_guard lock(mutex_);
  // Linear: a role has a handful of checks, at most one per server of a pool.
  auto found = std::ranges::find(checks_, name, &Check::name);
  if (found == checks_.end()) {
    found = checks_.insert(checks_.end(), Check{.name = std::string(name), .text = {}});
  }
  found->health = health;
  found->text = std::move(text);
  found->gates_readiness = gates_readiness;
}

void CheckBoard::remove(std::string_view name) {
  const std::lock_guard lock(mutex_);
  std::erase_if(checks_, [name](const Check& check) { return check.name == name; });
}

std::vector<Check> CheckBoard::all() const {
  const std::lock_guard lock(mutex_);
  return checks_;
}

Health CheckBoard::worst(bool gating_only) const {
  const std::lock_guard lock(mutex_);
  Health worst = Health::pass;
  for (const Check& check : checks_) {
    if (!gating_only || check.gates_readiness) worst = std::max(worst, check.health);
  }
  return worst;
}

}  // namespace consort
