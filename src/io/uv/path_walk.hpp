// The places where the meaning of a path can change.
//
//   /etc/app/app.yaml -> ..data/app.yaml,  ..data -> ..2024_05_01
//
//   (/etc/app, app.yaml)  (/etc/app, ..data)  (/etc/app/..2024_05_01, app.yaml)
//
// Each is a directory and the name in it that matters: of every symbolic link on the way, of what
// the path ends at, or of the first part that is missing. A plain directory on the way is no such
// place: renaming one is seen only by the directory itself, when it is the last.
#pragma once

#include <functional>
#include <string>

namespace consort::io {

/// Told of a place before it is looked at, so that a watch begun here misses nothing.
using LookAt = std::function<void(const std::string& directory, const std::string& name)>;

/// Blocks for a few lstat and readlink. Ends silently at what is missing, unreadable or more than
/// 40 links long.
void walk_path(const std::string& path, const LookAt& look_at);

}  // namespace consort::io
