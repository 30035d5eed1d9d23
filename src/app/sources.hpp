// The real environment and files behind a configuration.
#pragma once

#include <vector>

#include "manage/config.hpp"

namespace consort {

/// Files are read up to kMaxDocumentBytes.
ConfigSources process_sources(std::vector<Flag> flags);

}  // namespace consort
