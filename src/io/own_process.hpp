// What whoever started this process gave it: variables, and descriptors to write to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace consort::io {

/// None when it is not set; an empty one is set.
std::optional<std::string> environment(const std::string& name);

/// All of it, or false. Blocks as long as nobody reads: for commands, not for roles that serve.
bool write_all(int descriptor, std::string_view text);

}  // namespace consort::io
