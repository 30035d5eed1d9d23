#include "app/roles.hpp"

#include "roles/gather/check_role.hpp"
#include "roles/gather/leaf_role.hpp"
#include "roles/gather/role.hpp"
#include "roles/logsaver/role.hpp"
#include "roles/logsaver/verify/role.hpp"
#include "roles/shard_proxy/role.hpp"

namespace consort {
namespace {

constexpr const RoleSpec* kRoles[] = {
    &shard_proxy::kShardProxy, &gather::kGatherRoot, &gather::kGatherLeaf,
    &gather::kGatherCheck,     &logsaver::kLogsaver, &logsaver::kVerify,
};

constexpr RoleGroup kGroups[] = {
    {"ambassador", "stand between an application and the servers it uses"},
    {"sidecar", "extend an application through a volume that they share"},
};

}  // namespace

std::span<const RoleSpec* const> roles() {
  return kRoles;
}
std::span<const RoleGroup> role_groups() {
  return kGroups;
}

const RoleSpec* find_role(std::string_view name) {
  for (const RoleSpec* spec : kRoles) {
    if (spec->name == name) return spec;
  }
  return nullptr;
}

const RoleGroup* find_group(std::string_view name) {
  for (const RoleGroup& group : kGroups) {
    if (group.name == name) return &group;
  }
  return nullptr;
}

std::string command_of(const RoleSpec& spec) {
  std::string words(spec.group);
  if (!words.empty()) words += ' ';
  return words += spec.name;
}

}  // namespace consort
