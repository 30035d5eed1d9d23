#include <algorithm>

#include "manage/config.hpp"

namespace consort {
namespace {

constexpr std::string_view kPrintForms[] = {"effective", "schema", "example"};

// A text with named forms: a bare --print-config means the first of them.
constexpr Option print_config_option() {
  Option made = option<&ManageConfig::print_config>(
      "print-config", "print the configuration, its JSON Schema or an example file, and end",
      kFlagOnly);
  made.choices = kPrintForms;
  return made;
}

constexpr Option kManageTable[] = {
    option<&ManageConfig::config_files>(
        "config", "file with options in YAML or JSON; a later file overrides earlier ones by key"),
    option<&ManageConfig::check_config>(
        "check-config", "only check the configuration; exit code 0 or 78", kFlagOnly),
    print_config_option(),
    option<&ManageConfig::log_level>("log-level", "the least important lines that are written",
                                     kReload),
    option<&ManageConfig::log_format>("log-format", "auto is pretty on a terminal, else json"),
    option<&ManageConfig::admin>("admin",
                                 "where health, metrics and administration listen; or none"),
    option<&ManageConfig::admin_token_file>(
        "admin-token-file", "file with the token that opens guarded paths to other machines"),
    option<&ManageConfig::admin_host>("admin-host", "further Host name that guarded paths accept"),
    option<&ManageConfig::grace>("grace", "from the stop signal until unfinished work is dropped"),
    option<&ManageConfig::shutdown_delay>(
        "shutdown-delay", "serve on for this long after the stop signal, while routers notice"),
    option<&ManageConfig::stall_limit>("stall-limit",
                                       "a work loop silent for this long turns /livez to 503"),
    option<&ManageConfig::watch_config>(
        "watch-config", "take over a configuration file when its content changes, as SIGHUP does"),
    option<&ManageConfig::name>("name", "of this instance, in logs and for `consort health NAME`"),
};

/// What makes sense without a listener and a lifecycle: the configuration and the log.
constexpr std::size_t kJobOptions = 5;
static_assert(kManageTable[kJobOptions].name == "admin");

}  // namespace

constinit const std::span<const Option> kManageOptions{kManageTable};

std::span<const Option> manage_options(const RoleSpec& spec) {
  return spec.is_job ? kManageOptions.first(kJobOptions) : kManageOptions;
}

ManageConfig default_manage(const RoleSpec& spec) {
  ManageConfig manage;
  manage.name = spec.name;
  manage.admin = ":" + std::to_string(spec.admin_port);
  if (spec.is_job) manage.log_level = LogLevel::warn;
  return manage;
}

std::string file_key(std::string_view option_name) {
  std::string key(option_name);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string environment_name(const RoleSpec& spec, std::string_view option_name) {
  std::string name = "CONSORT_" + std::string(spec.name) + "_" + std::string(option_name);
  for (char& c : name) {
    if (c == '-') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

bool allowed_in_file(const Option& option) {
  return (option.flags & kFlagOnly) == 0 && option.name != "config";
}

}  // namespace consort
