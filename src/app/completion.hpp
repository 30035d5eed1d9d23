// Shell completion scripts, generated from the tables of roles and commands.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace consort {

/// The shells that `consort completion` knows.
std::span<const std::string_view> completion_shells();
/// A script for one of completion_shells(), to be sourced or installed.
std::string completion_script(std::string_view shell);

}  // namespace consort
