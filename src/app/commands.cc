#include "app/commands.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>

#include "app/cli.hpp"
#include "app/completion.hpp"
#include "app/help.hpp"
#include "app/manual.hpp"
#include "app/output.hpp"
#include "app/roles.hpp"
#include "app/sources.hpp"
#include "app/version.hpp"
#include "manage/probe.hpp"
#include "manage/runtime.hpp"

namespace consort {
namespace {

struct VersionRequest {
  bool json = false;
};
struct ManualRequest {
  bool generate = false;
};

constexpr Option kHealthOptions[] = {
    option<&HealthRequest::ready>("ready",
                                  "ask whether it can take work, not only whether it lives"),
    option<&HealthRequest::timeout>("timeout", "for each process; default 1s"),
};
constexpr Option kStatusOptions[] = {
    option<&StatusRequest::json>("json", "a JSON array instead of a table"),
    option<&StatusRequest::timeout>("timeout", "for each process; default 1s"),
};
constexpr Option kVersionOptions[] = {
    option<&VersionRequest::json>("json", "with build id and compiler, as JSON"),
};
constexpr Option kManualOptions[] = {
    option<&ManualRequest::generate>("generate",
                                     "the OPTIONS section of a role's page in mdoc; without a "
                                     "topic, the roles' names"),
};

int finish(std::string_view text, int code = kExitOk) {
  return write_out(text) ? code : kExitIo;
}

int usage_error(std::string_view message) {
  complain(message);
  return kExitUsage;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
  const std::string_view near = nearest(word, names);
  return near.empty() ? std::string() : ", did you mean \"" + std::string(near) + "\"?";
}

/// Fills a request from flags and gives back the words; reports every error.
struct Parsed {
  bool ok = true;
  std::vector<std::string> words;
};
Parsed parse_into(const Command& command, void* request, const std::vector<std::string>& args) {
  Parsed parsed;
  const BoundTable table{command.options, request};
  CommandLine line = parse_command_line({&table, 1}, args);
  for (const Flag& flag : line.flags) {
    for (const Option& option : command.options) {
      if (option.name != flag.name) continue;
      auto done = option.set(request, flag.value);
      if (!done) line.errors.push_back("--" + flag.name + ": " + done.error().message());
    }
  }
  for (const std::string& error : line.errors) complain(error);
  parsed.ok = line.errors.empty();
  parsed.words = std::move(line.words);
  parsed.words.insert(parsed.words.end(), line.after.begin(), line.after.end());
  return parsed;
}

int run_health(const Command& self, const std::vector<std::string>& args) {
  HealthRequest request;
  Parsed parsed = parse_into(self, &request, args);
  if (!parsed.ok) return kExitUsage;
  request.targets = std::move(parsed.words);
  std::string out;
  const int code = health_command(request, out);
  return finish(out, code);
}

int run_status(const Command& self, const std::vector<std::string>& args) {
  StatusRequest request;
  Parsed parsed = parse_into(self, &request, args);
  if (!parsed.ok) return kExitUsage;
  request.names = std::move(parsed.words);
  std::string out;
  const int code = status_command(request, out);
  return finish(out, code);
}

int run_completion(const Command& self, const std::vector<std::string>& args) {
  const Parsed parsed = parse_into(self, nullptr, args);
  if (!parsed.ok) return kExitUsage;
  if (parsed.words.size() != 1) return usage_error("completion: name one shell: bash, zsh or fish");
  const auto shells = completion_shells();
  const std::string& shell = parsed.words.front();
  if (std::find(shells.begin(), shells.end(), shell) == shells.end()) {
    return usage_error("completion: unknown shell \"" + shell + "\" (bash, zsh or fish)");
  }
  return finish(completion_script(shell));
}

int print_topics() {
  std::string out = "Topics of `consort man TOPIC`:\n";
  for (const ManualTopic& topic : manual_topics()) {
    std::string name = "  " + topic.name;
    name.resize(std::max<std::size_t>(name.size() + 2, 20), ' ');
    out += name + topic.summary + "\n";
  }
  return finish(out);
}

int generate_manual(const std::vector<std::string>& words) {
  if (words.empty()) {
    std::string names;
    for (const RoleSpec* spec : roles()) names += std::string(spec->name) + "\n";
    return finish(names);
  }
  const RoleSpec* spec = find_role(words.front());
  if (spec == nullptr) return usage_error("man: unknown role \"" + words.front() + "\"");
  return finish(options_mdoc(*spec));
}

int run_manual(const Command& self, const std::vector<std::string>& args) {
  ManualRequest request;
  const Parsed parsed = parse_into(self, &request, args);
  if (!parsed.ok) return kExitUsage;
  if (request.generate) return generate_manual(parsed.words);
  if (parsed.words.empty()) return print_topics();
  // The words of a command name its role, and man pages are called consort-ROLE: each spelling
  // finds the page.
  std::string_view topic = parsed.words.back();
  constexpr std::string_view kPagePrefix = "consort-";
  if (topic.starts_with(kPagePrefix)) topic.remove_prefix(kPagePrefix.size());
  const std::string page = manual_page(topic);
  if (!page.empty()) return finish(page);
  const std::vector<ManualTopic> topics = manual_topics();
  std::vector<std::string_view> names;
  names.reserve(topics.size());
  for (const ManualTopic& each : topics) names.push_back(each.name);
  return usage_error("man: unknown topic \"" + std::string(topic) + "\"" +
                     did_you_mean(topic, names));
}

int run_version(const Command& self, const std::vector<std::string>& args) {
  VersionRequest request;
  const Parsed parsed = parse_into(self, &request, args);
  if (!parsed.ok) return kExitUsage;
  if (!parsed.words.empty()) {
    return usage_error("unexpected argument \"" + parsed.words.front() + "\"");
  }
  return finish(request.json ? version_json() : version_text());
}

int run_help(const Command& self, const std::vector<std::string>& args);

constexpr std::string_view kShellWords[] = {"bash", "zsh", "fish"};

constexpr Command kCommands[] = {
    {"health",
     "[NAME|URL]...",
     "exit 0 if every process here is healthy, else 1",
     "consort health\nconsort health --ready shard-proxy\nHEALTHCHECK CMD [\"/consort\", "
     "\"health\"]\n",
     kHealthOptions,
     {},
     run_health},
    {"status",
     "[NAME]...",
     "what the processes here are doing",
     "consort status\nconsort status --json\n",
     kStatusOptions,
     {},
     run_status},
    {"completion",
     "bash|zsh|fish",
     "a completion script for a shell",
     "source <(consort completion bash)\n",
     {},
     kShellWords,
     run_completion},
    {"man",
     "[TOPIC]",
     "the manual, also where man(1) is missing",
     "consort man shard-proxy\nconsort man exit-codes\n",
     kManualOptions,
     {},
     run_manual},
    {"version",
     "",
     "which consort this is",
     "consort version --json\n",
     kVersionOptions,
     {},
     run_version},
    {"help",
     "[COMMAND]",
     "examples and options of a command",
     "consort help ambassador shard-proxy\n",
     {},
     {},
     run_help},
};

void report(const Problems& problems) {
  for (const std::string& warning : problems.warnings()) complain("warning: " + warning);
  for (const std::string& error : problems.errors()) complain(error);
}

/// The forms of --print-config that need no configuration.
std::optional<int> print_form(const RoleSpec& spec, const std::vector<Flag>& flags) {
  for (const Flag& flag : flags) {
    if (flag.name != "print-config") continue;
    if (flag.value == "schema") return finish(print_config_schema(spec));
    if (flag.value == "example") return finish(print_config_example(spec));
  }
  return std::nullopt;
}

/// The sources with another file in place of theirs. Flags that go with a file stay; those that
/// describe everything by themselves would only hide what is in it.
ConfigSources with_file(const ConfigSources& own, const LoadedConfig& loaded,
                        const std::string& path) {
  ConfigSources other = own;
  const bool had_file = !loaded.manage.config_files.empty();
  std::erase_if(other.flags, [had_file](const Flag& flag) {
    for (const Option& option : kManageOptions) {
      if (option.name == flag.name && !allowed_in_file(option)) return true;
    }
    return !had_file;
  });
  other.flags.push_back({"config", path});
  return other;
}

int run_loaded(const RoleSpec& spec, ConfigSources sources) {
  Problems problems;
  LoadedConfig loaded = load_config(spec, sources, problems);
  report(problems);
  if (!problems.ok()) return loaded.only_usage_errors ? kExitUsage : kExitConfig;
  if (loaded.manage.check_config) return finish("configuration ok\n");
  std::string answer;
  bool other_failed = false;
  const LoadOther load_other = [&](const std::string& path) -> Result<std::unique_ptr<RoleConfig>> {
    Problems in_other;
    LoadedConfig other = load_config(spec, with_file(sources, loaded, path), in_other);
    report(in_other);
    if (in_other.ok()) return std::move(other.role);
    other_failed = true;
    return fail(Errc::invalid, path + " is not a valid configuration");
  };
  if (auto code = loaded.role->answer_with(load_other, answer); code) {
    return other_failed ? kExitConfig : finish(answer, *code);
  }
  if (!loaded.manage.print_config.empty()) return finish(print_config_yaml(loaded));
  // Reading options leaves freed blocks behind that the role would never use.
  ::malloc_trim(0);
  return run_role(spec, std::move(loaded), std::move(sources));
}

int run_role_command(const RoleSpec& spec, const std::vector<std::string>& args) {
  if (asks_for_help(args)) return finish(role_help(spec));
  CommandLine line = parse_command_line(RoleOptions(spec).all(), args);
  line.words.insert(line.words.end(), line.after.begin(), line.after.end());
  if (!spec.argument.empty()) {
    for (std::string& word : line.words) {
      line.flags.push_back({std::string(spec.argument), std::move(word)});
    }
    line.words.clear();
  }
  if (line.errors.empty() && !line.words.empty()) {
    const std::string& word = line.words.front();
    // "://" is a server's address, which nobody's shell has made of a glob.
    const bool is_path = word.find_first_of("/.") != word.npos && word.find("://") == word.npos;
    line.errors.push_back(
        "unexpected argument \"" + word + "\"" +
        (is_path ? " (an option takes one value: are there quotes around a glob?)" : ""));
  }
  for (const std::string& error : line.errors) complain(error);
  if (!line.errors.empty()) return kExitUsage;
  if (auto code = print_form(spec, line.flags); code) return *code;
  return run_loaded(spec, process_sources(std::move(line.flags)));
}

int unknown_command(const std::string& word) {
  // A role's name without its group is the likeliest slip of all.
  if (const RoleSpec* spec = find_role(word); spec != nullptr) {
    return usage_error("unknown command \"" + word + "\", did you mean \"" + command_of(*spec) +
                       "\"?");
  }
  std::vector<std::string_view> names;
  for (const RoleGroup& group : role_groups()) names.push_back(group.name);
  for (const Command& command : kCommands) names.push_back(command.name);
  for (const RoleSpec* spec : roles()) {
    if (spec->group.empty()) names.push_back(spec->name);
  }
  return usage_error("unknown command \"" + word + "\"" + did_you_mean(word, names));
}

int unknown_option(const std::string& word) {
  constexpr std::string_view kNames[] = {"--help", "--version"};
  return usage_error("unknown option \"" + word + "\"" + did_you_mean(word, kNames));
}

int run_group(const RoleGroup& group, const std::vector<std::string>& args) {
  if (args.empty()) {
    write_err(group_help(group));
    return kExitUsage;
  }
  const std::string& word = args.front();
  const RoleSpec* spec = find_role(word);
  if (spec != nullptr && spec->group == group.name) {
    return run_role_command(*spec, {args.begin() + 1, args.end()});
  }
  if (asks_for_help(args)) return finish(group_help(group));
  if (word.starts_with('-')) return unknown_option(word);
  std::vector<std::string_view> names;
  for (const RoleSpec* each : roles()) {
    if (each->group == group.name) names.push_back(each->name);
  }
  const std::string prefix = std::string(group.name) + " ";
  std::string message = "unknown command \"" + prefix + word + "\"";
  if (const std::string_view near = nearest(word, names); !near.empty()) {
    message += ", did you mean \"" + prefix + std::string(near) + "\"?";
  }
  return usage_error(message);
}

int run_help(const Command& self, const std::vector<std::string>& args) {
  const Parsed parsed = parse_into(self, nullptr, args);
  if (!parsed.ok) return kExitUsage;
  if (parsed.words.empty()) return finish(overview_help());
  const std::string& word = parsed.words.front();
  if (const RoleGroup* group = find_group(word); group != nullptr) {
    std::vector<std::string> rest(parsed.words.begin() + 1, parsed.words.end());
    rest.emplace_back("--help");
    return run_group(*group, rest);
  }
  if (const RoleSpec* spec = find_role(word); spec != nullptr) return finish(role_help(*spec));
  const Command* command = find_command(word);
  return command != nullptr ? finish(command_help(*command)) : unknown_command(word);
}

int dispatch(const std::vector<std::string>& args) {
  if (args.empty()) {
    write_err(overview_help());
    return kExitUsage;
  }
  const std::string& word = args.front();
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (const RoleGroup* group = find_group(word); group != nullptr) return run_group(*group, rest);
  const RoleSpec* spec = find_role(word);
  if (spec != nullptr && spec->group.empty()) return run_role_command(*spec, rest);
  if (const Command* command = find_command(word); command != nullptr) {
    return asks_for_help(rest) ? finish(command_help(*command)) : command->run(*command, rest);
  }
  if (word == "--version" || word == "-V") return finish(version_text());
  if (!word.starts_with('-')) return unknown_command(word);
  return asks_for_help(args) ? finish(overview_help()) : unknown_option(word);
}

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int run_program(const std::vector<std::string>& args) {
  if (args.empty()) return dispatch({});
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  std::string_view program = args.front();
  program.remove_prefix(program.rfind('/') + 1);
  constexpr std::string_view kPrefix = "consort-";
  if (program.starts_with(kPrefix)) {
    const RoleSpec* spec = find_role(program.substr(kPrefix.size()));
    if (spec != nullptr) return run_role_command(*spec, rest);
  }
  return dispatch(rest);
}

}  // namespace consort
