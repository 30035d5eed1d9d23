// Small local files as text: configuration, mounted secrets, /proc.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"

namespace consort::io {

/// The whole content, read until the end rather than by size: pipes and /proc have none. Errors
/// name the path; more than bytes_max is Errc::limit. Blocks as long as the file does, so on a loop
/// only for regular files and /proc.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace consort::io
