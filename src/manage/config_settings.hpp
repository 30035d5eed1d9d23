// The effective values of a loaded configuration, as text with their sources; a part of config.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "manage/config.hpp"

namespace consort {

/// Who gave the value of a key ("pools.alpha.hash"): "flag --hash", "default", ...
using SourceOf = std::function<std::string(const std::string& key)>;

/// Every key that a file may hold, in the tables' order; secrets masked.
std::vector<Setting> take_settings(const std::vector<BoundTable>& tables,
                                   const SourceOf& source_of);

}  // namespace consort
