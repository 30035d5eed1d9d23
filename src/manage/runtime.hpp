// Runs one role as a managed process: two threads (role, admin), signals, the lifecycle, exit code.
#pragma once

#include "manage/config.hpp"

namespace consort {

/// From a checked configuration to the process's exit code. Blocks until the role has ended.
/// Exit codes: 0 graceful stop, 69 could not start (address in use, ...), 1 the role failed. A job
/// has one thread and an exit code of its own, or 128+n when signal n ends it.
int run_role(const RoleSpec& spec, LoadedConfig loaded, ConfigSources sources);

}  // namespace consort
