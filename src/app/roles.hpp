// The table of roles: adding a role is adding one line to roles.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "manage/role.hpp"

namespace consort {

/// A word before a role's name that gathers roles of one kind.
struct RoleGroup {
  std::string_view name;
  std::string_view summary;
};

std::span<const RoleSpec* const> roles();
std::span<const RoleGroup> role_groups();

/// nullptr when there is none of that name.
const RoleSpec* find_role(std::string_view name);
const RoleGroup* find_group(std::string_view name);
/// What a user types after "consort": "ambassador shard-proxy".
std::string command_of(const RoleSpec& spec);

}  // namespace consort
