// What --help prints, made from the tables: examples first, then options in groups.
#pragma once

#include <string>

#include "app/commands.hpp"
#include "app/roles.hpp"
#include "manage/config.hpp"

namespace consort {

/// Every command with one line; also what `consort` alone prints.
std::string overview_help();
std::string group_help(const RoleGroup& group);
std::string role_help(const RoleSpec& spec);
std::string command_help(const Command& command);

/// "ADDRESS", "DURATION", ...: what stands for a value; empty for a flag that takes none.
std::string placeholder(const Option& option);
/// The default as text; empty when there is none worth showing.
std::string default_text(const Option& option, const void* config);
/// "auto, memcached or redis".
std::string list_of(std::span<const std::string_view> words);

/// A role's options in the order of its manual: its own tables first, then the common one. Keeps
/// the configuration alive whose members are the defaults.
class RoleOptions {
 public:
  explicit RoleOptions(const RoleSpec& spec);
  std::span<const BoundTable> own() const { return own_; }
  BoundTable common() const { return {common_, &manage_}; }
  std::vector<BoundTable> all() const;

 private:
  std::unique_ptr<RoleConfig> config_;
  mutable ManageConfig manage_;
  std::vector<BoundTable> own_;
  std::span<const Option> common_;
};

}  // namespace consort
