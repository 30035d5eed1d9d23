// From argv to an exit code: finds the command that was meant and runs it.
//
//   consort GROUP ROLE [options]     a role of the table (roles.cc)
//   consort COMMAND [arguments]      health, status, completion, man, version, help
//   consort-ROLE [options]           the same role, by the name of the executable
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.hpp"

namespace consort {

/// A command that is not a role.
struct Command {
  std::string_view name;
  std::string_view arguments;  ///< for the usage line: "[NAME|URL]..."
  std::string_view summary;
  std::string_view examples;
  std::span<const Option> options;
  std::span<const std::string_view> words;  ///< what the first argument may be, if that is fixed
  int (*run)(const Command& self, const std::vector<std::string>& args);
};

std::span<const Command> commands();
const Command* find_command(std::string_view name);

/// args[0] is the name of the executable.
int run_program(const std::vector<std::string>& args);

}  // namespace consort
