// The sources of aws_credentials.hpp, one function each; only aws_credential*.cc use this.
//
// Each gives the keys, nothing when it is not configured, or what is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "async/deadline.hpp"
#include "async/task.hpp"
#include "base/error.hpp"
#include "net/aws_credentials.hpp"
#include "net/aws_sigv4.hpp"

namespace consort::aws::detail {

using Found = Result<std::optional<Keys>>;

Found from_settings(const CredentialSettings& settings, const CredentialWorld& world);
Found from_environment(const CredentialWorld& world);
Found from_profile(const CredentialSettings& settings, const CredentialWorld& world);

/// The arguments outlive the tasks.
Task<Found> from_web_identity(const CredentialWorld& world, const std::string& region,
                              Deadline deadline);
Task<Found> from_container(const CredentialWorld& world, Deadline deadline);
Task<Found> from_instance(const CredentialWorld& world, Deadline deadline);

/// The variable's value; nothing when it is empty too.
std::optional<std::string> variable(const CredentialWorld& world, const std::string& name);
/// A small file's content without the line break at its end. Secrets live in such files.
Result<std::string> read_secret(const CredentialWorld& world, const std::string& path);

/// One section of an INI file as AWS's tools write it: "[name]", "key = value", "#" and ";" begin
/// comments. The value of a key, empty when there is none.
std::string ini_value(std::string_view text, std::string_view section, std::string_view key);
bool has_ini_section(std::string_view text, std::string_view section);

}  // namespace consort::aws::detail
