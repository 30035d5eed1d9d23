// `consort sidecar logsaver --explain PATH`: why a file is or is not followed, in words.
#pragma once

#include <string>
#include <string_view>

namespace consort::logsaver {

class LogsaverConfig;

/// Returns the exit code: 0 when the path would be followed, 1 when not.
int explain_path(const LogsaverConfig& config, std::string_view here, const std::string& path,
                 std::string& out);

}  // namespace consort::logsaver
