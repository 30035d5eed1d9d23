// The real environment and files behind a configuration.
#pragma once

#include <string>
#include <vector>

#include "manage/config.hpp"

namespace consort {

/// A whole file of at most kMaxDocumentBytes. The error names the path and what is wrong with it.
Result<std::string> read_whole_file(const std::string& path);

ConfigSources process_sources(std::vector<Flag> flags);

}  // namespace consort
