// File systems whose changes may come from elsewhere, of which inotify does not tell: NFS, FUSE and
// the like. Their files and directories are polled.
#pragma once

#include <string>

namespace consort::io {

/// One statfs(2). False also for what is not there.
bool is_changed_elsewhere(const std::string& path);

}  // namespace consort::io
