// `consort sidecar logsaver`: follows log files and saves every line of them once.
#pragma once

#include "manage/role.hpp"

namespace consort::logsaver {

extern const RoleSpec kLogsaver;

}  // namespace consort::logsaver
