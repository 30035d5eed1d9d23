// `consort sidecar verify`: proves that what logsaver has saved is all there, and as it was.
//
//   verify TARGET...    a line for each problem, one for each stream; 0 when all is complete, 1
//   when
//                       something is missing or changed, 69 when a target cannot be reached
//
// A job: it has no admin interface, writes what it finds to standard output, and ends.
#pragma once

#include "manage/role.hpp"

namespace consort::logsaver {

extern const RoleSpec kVerify;

}  // namespace consort::logsaver
