// `consort gather-root`: scatter a request to many leaves, gather their answers into one.
#pragma once

#include "manage/role.hpp"

namespace consort::gather {

extern const RoleSpec kGatherRoot;

}  // namespace consort::gather
