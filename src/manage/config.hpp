// From argv, environment and file to one checked configuration that knows where each value came
// from. Precedence: flag > environment > file > default.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.hpp"
#include "base/log.hpp"
#include "base/options.hpp"
#include "manage/role.hpp"

namespace consort {

/// The options that every role has (`--admin`, `--grace`, ...). Jobs have only the first of them,
/// up to log_format, and log warnings only unless told otherwise.
struct ManageConfig {
  std::vector<std::string> config_files;  ///< later files override earlier ones, key by key
  bool check_config = false;
  std::string print_config;  ///< "", "effective", "schema" or "example"
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::automatic;
  std::string admin;  ///< address, or "none"; empty is the role's default port
  std::string admin_token_file;
  std::vector<std::string> admin_host;  ///< further Host names that guarded paths accept
  Millis grace{30'000};
  Millis shutdown_delay{0};
  Millis stall_limit{10'000};
  bool watch_config = true;
  std::string name;  ///< of this instance; default the role's name
};
extern const std::span<const Option> kManageOptions;

/// Those of kManageOptions that the role has.
std::span<const Option> manage_options(const RoleSpec& spec);
/// The defaults of one role: its own name and admin port filled in.
ManageConfig default_manage(const RoleSpec& spec);
/// "connect-timeout" is the key "connect_timeout" in a file.
std::string file_key(std::string_view option_name);
/// CONSORT_<ROLE>_<OPTION>. Of a secret only this name with _FILE is read.
std::string environment_name(const RoleSpec& spec, std::string_view option_name);
/// False for what belongs to one invocation: --config itself and options marked kFlagOnly.
bool allowed_in_file(const Option& option);

/// One flag as typed: its name without dashes and its value ("true" for a bare flag).
struct Flag {
  std::string name;
  std::string value;
};

/// Everything a configuration is made from, injected; kept so that a reload can do it again.
struct ConfigSources {
  std::vector<Flag> flags;
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::function<Result<std::string>(const std::string& path)> read_file;
};

/// One effective value, for /config and --print-config.
struct Setting {
  std::string key;                  ///< "timeout", "pools.alpha.hash"
  std::vector<std::string> values;  ///< "******" when secret
  bool repeats = false;
  bool reloads = false;
  bool secret = false;
  /// "flag --timeout", "env CONSORT_..", "file a.yaml:4:3" or "default".
  std::string source;
  /// A hash of the true values, so that compare() sees a changed secret. Not for printing.
  std::size_t fingerprint = 0;
};

/// A file that was read for the configuration (also a secret's), and a hash of what was in it.
struct SourceFile {
  std::string path;
  std::uint64_t content = 0;
};
/// Equal for equal bytes, and for equal reasons why there are none.
std::uint64_t content_of(const Result<std::string>& text);

struct LoadedConfig {
  ManageConfig manage;
  std::unique_ptr<RoleConfig> role;
  std::vector<Setting> settings;
  std::vector<SourceFile> files;  ///< as they were read, unreadable ones too
  /// Everything wrong was typed on the command line: exit code 64 instead of 78.
  bool only_usage_errors = false;
};

/// Reads all sources and reports everything wrong at once; when problems.ok() is false the result
/// must not be used. A variable of a repeating option separates its values by commas; an empty
/// variable is no variable.
LoadedConfig load_config(const RoleSpec& spec, const ConfigSources& sources, Problems& problems);

/// The effective configuration as YAML that --config accepts; secrets masked.
std::string print_config_yaml(const LoadedConfig& loaded);
/// A JSON Schema of the file.
std::string print_config_schema(const RoleSpec& spec);
/// A file to start from: every key with its default and meaning, commented out.
std::string print_config_example(const RoleSpec& spec);

/// The keys in which two configurations differ, split by whether a reload can apply them.
struct ConfigChange {
  std::vector<std::string> reloadable;
  std::vector<std::string> needs_restart;
};
ConfigChange compare(const LoadedConfig& before, const LoadedConfig& after);

}  // namespace consort
