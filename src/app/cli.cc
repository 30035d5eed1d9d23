#include "app/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace consort {
namespace {

constexpr std::string_view kPrintConfig = "print-config";

/// The option that a token `--name...` means; nullptr when none.
const Option* find_option(std::span<const BoundTable> tables, std::string_view name) {
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (option.name == name && option.nested.empty()) return &option;
    }
  }
  return nullptr;
}

std::string unknown_option(std::span<const BoundTable> tables, const std::string& token) {
  const std::string typed = token.substr(0, token.find('='));
  std::vector<std::string_view> names{"help"};
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (option.nested.empty()) names.push_back(option.name);
    }
  }
  std::string text = "unknown option \"" + typed + "\"";
  const std::string_view word = std::string_view(typed).substr(typed.find_first_not_of('-'));
  if (auto instead = instead_of(tables, word); !instead.empty()) {
    text += ": " + std::string(instead);
  } else if (auto near = nearest(word, names); !near.empty()) {
    text += ", did you mean \"--" + std::string(near) + "\"?";
  } else {
    text += " (--help lists all)";
  }
  return text;
}

// CLI11 would take the next word as the value of `--name=`, so these never reach it.
void take_empty_values(std::span<const BoundTable> tables, std::vector<std::string>& args,
                       CommandLine& line) {
  std::erase_if(args, [&](const std::string& token) {
    if (!token.starts_with("--") || !token.ends_with('=')) return false;
    const std::string name = token.substr(2, token.size() - 3);
    if (find_option(tables, name) == nullptr) return false;
    line.flags.push_back({name, ""});
    return true;
  });
}

void report_extras(std::span<const BoundTable> tables, const std::vector<std::string>& extras,
                   CommandLine& line) {
  bool after_unknown = false;
  for (const std::string& extra : extras) {
    const bool is_option = extra.size() > 1 && extra.starts_with('-') &&
                           extra.find_first_not_of('-') != std::string::npos;
    if (is_option) {
      line.errors.push_back(unknown_option(tables, extra));
      after_unknown = extra.find('=') == std::string::npos;
    } else if (after_unknown) {
      after_unknown = false;  // most likely the value of the unknown option
    } else {
      line.words.push_back(extra);
    }
  }
}

struct Registered {
  const Option* option = nullptr;
  CLI::Option* parsed = nullptr;
};

std::vector<Registered> register_options(std::span<const BoundTable> tables, CLI::App& app) {
  std::vector<Registered> all;
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      // Of two tables with the same name the first one has the flag.
      if (find_option(tables, option.name) != &option) continue;
      const std::string flag = "--" + std::string(option.name);
      CLI::Option* made = is_bare_allowed(option) ? app.add_flag(flag) : app.add_option(flag);
      made->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      all.push_back({&option, made});
    }
  }
  return all;
}

void collect(const std::vector<Registered>& options, CommandLine& line) {
  for (const Registered& each : options) {
    for (const std::string& value : each.parsed->results()) {
      const bool is_bare = each.option->name == kPrintConfig && value == "true";
      line.flags.push_back({std::string(each.option->name), is_bare ? "effective" : value});
    }
  }
}

}  // namespace

bool is_bare_allowed(const Option& option) {
  return option.kind == Text<bool>::kind || option.name == kPrintConfig;
}

bool asks_for_help(const std::vector<std::string>& args) {
  const auto end = std::find(args.begin(), args.end(), "--");
  return std::any_of(args.begin(), end,
                     [](const std::string& arg) { return arg == "-h" || arg == "--help"; });
}

CommandLine parse_command_line(std::span<const BoundTable> tables,
                               const std::vector<std::string>& args) {
  CommandLine line;
  const auto end = std::find(args.begin(), args.end(), "--");
  if (end != args.end()) line.after.assign(end + 1, args.end());
  std::vector<std::string> own(args.begin(), end);
  take_empty_values(tables, own, line);

  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  const std::vector<Registered> options = register_options(tables, app);
  // CLI11 throws for one thing that is left to it: the last flag lacks its value.
  const std::string last = own.empty() ? std::string() : own.back();
  try {
    std::reverse(own.begin(), own.end());
    app.parse(own);
  } catch (const CLI::ArgumentMismatch&) {
    line.errors.push_back(last + " needs a value");
    return line;
  } catch (const CLI::Error& error) {
    line.errors.emplace_back(error.what());
    return line;
  }
  collect(options, line);
  report_extras(tables, app.remaining(), line);
  return line;
}

}  // namespace consort
