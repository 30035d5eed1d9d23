// Reads the flags of one command. The only file that knows CLI11 is cli.cc.
//
// CLI11 2.1.2 splits tokens and matches names; everything else is ours, because it reads `--flag=`
// as if the next word were the value, has no "did you mean", knows exit codes of its own, and takes
// the environment before the file.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "manage/config.hpp"

namespace consort {

struct CommandLine {
  std::vector<Flag> flags;          ///< in order of the table; of one name in order of typing
  std::vector<std::string> words;   ///< what is no flag
  std::vector<std::string> after;   ///< what followed `--`
  std::vector<std::string> errors;  ///< messages, without "consort: "
};

/// `--name value`, `--name=value`, and bare `--name` for flags and --print-config. Values are not
/// looked at. Linear in tokens times options.
CommandLine parse_command_line(std::span<const BoundTable> tables,
                               const std::vector<std::string>& args);

/// True for an option that may stand without a value.
bool is_bare_allowed(const Option& option);
/// True when -h or --help stands anywhere before `--`.
bool asks_for_help(const std::vector<std::string>& args);

}  // namespace consort
