#include "app/help.hpp"

#include <algorithm>

#include "app/cli.hpp"

namespace consort {
namespace {

constexpr std::size_t kWidth = 80;

/// Words broken into lines that begin with `indent`.
void append_wrapped(std::string& out, std::size_t indent, std::string_view text) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (column != 0 && column + 1 + end > kWidth) {
      out += '\n';
      column = 0;
    }
    if (column == 0) {
      out.append(indent, ' ');
      column = indent;
    } else {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += '\n';
}

void append_row(std::string& out, std::string_view name, std::string_view summary) {
  constexpr std::size_t kNameColumn = 26;
  std::string line = "  " + std::string(name);
  if (line.size() + 2 > kNameColumn) {
    out += line + "\n";
    line.clear();
  }
  line.resize(kNameColumn, ' ');
  out += line + std::string(summary) + "\n";
}

void append_examples(std::string& out, std::string_view examples) {
  if (examples.empty()) return;
  out += "Examples:\n";
  while (!examples.empty()) {
    const std::size_t end = std::min(examples.find('\n'), examples.size());
    out += "  " + std::string(examples.substr(0, end)) + "\n";
    examples.remove_prefix(std::min(end + 1, examples.size()));
  }
  out += "\n";
}

// "default 500ms; one of a, b; may be repeated; CONSORT_X_TIMEOUT"
std::string facts_of(const Option& option, const void* config, const RoleSpec* spec) {
  std::vector<std::string> facts;
  if (!option.choices.empty()) facts.push_back("one of " + list_of(option.choices));
  if ((option.flags & kRequired) != 0) facts.emplace_back("required");
  if (auto text = default_text(option, config); !text.empty()) facts.push_back("default " + text);
  if (option.repeats) facts.emplace_back("may be repeated");
  if (spec != nullptr && (option.flags & kFlagOnly) == 0) {
    const bool secret = (option.flags & kSecret) != 0;
    facts.push_back(environment_name(*spec, option.name) + (secret ? "_FILE" : ""));
  }
  std::string text;
  for (const std::string& fact : facts) text += (text.empty() ? "" : "; ") + fact;
  return text;
}

std::string upper(std::string_view word) {
  std::string text(word);
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string heading_of(const Option& option) {
  // A secret has no flag, only a key and a variable.
  if ((option.flags & kSecret) != 0) return file_key(option.name) + ": TEXT (not a flag)";
  std::string text = "--" + std::string(option.name);
  const std::string value = placeholder(option);
  if (value.empty()) return text;
  return text + (is_bare_allowed(option) ? "[=" + value + "]" : " " + value);
}

void append_options(std::string& out, std::span<const BoundTable> tables, const RoleSpec* spec) {
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (!option.nested.empty()) continue;
      out += "  " + heading_of(option) + "\n";
      append_wrapped(out, 8, option.doc);
      const std::string facts = facts_of(option, table.config, spec);
      if (!facts.empty()) append_wrapped(out, 8, facts);
    }
  }
}

void append_maps(std::string& out, std::span<const BoundTable> tables) {
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (option.nested.empty()) continue;
      out += "\nOnly in a file:\n  " + file_key(option.name) + ":\n";
      append_wrapped(out, 8, option.doc);
      std::string keys = "keys:";
      for (const Option& field : option.nested) keys += " " + file_key(field.name);
      append_wrapped(out, 8, keys);
    }
  }
}

}  // namespace

std::string placeholder(const Option& option) {
  if (option.kind == Text<bool>::kind) return {};
  if (option.name == "print-config") return "FORM";
  if (option.name == "admin") return "ADDRESS";
  if (option.name == "config" || option.name.ends_with("-file")) return "FILE";
  return upper(option.kind);
}

std::string default_text(const Option& option, const void* config) {
  const bool shown = (option.flags & (kSecret | kFlagOnly)) == 0 && config != nullptr;
  if (!shown) return {};
  std::string text;
  for (const std::string& value : option.get(config)) text += (text.empty() ? "" : ", ") + value;
  return text == "false" ? std::string() : text;
}

std::string list_of(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

RoleOptions::RoleOptions(const RoleSpec& spec)
    : config_(spec.make_config()),
      manage_(default_manage(spec)),
      own_(config_->tables()),
      common_(manage_options(spec)) {}

std::vector<BoundTable> RoleOptions::all() const {
  std::vector<BoundTable> tables = own_;
  tables.push_back(common());
  return tables;
}

std::string overview_help() {
  std::string out = "consort: sidecars, ambassadors and adapters for containers\n\nExamples:\n";
  for (const RoleSpec* spec : roles()) {
    out += "  consort " + command_of(*spec) + " --help\n";
  }
  out += "  consort health\n  consort status\n\nUsage: consort COMMAND [options]\n\nRoles:\n";
  for (const RoleSpec* spec : roles()) append_row(out, command_of(*spec), spec->summary);
  out += "\nCommands:\n";
  for (const Command& command : commands()) append_row(out, command.name, command.summary);
  return out + "\n`consort COMMAND --help` tells more; `consort man` lists the manual's pages.\n";
}

std::string group_help(const RoleGroup& group) {
  std::string out = "consort " + std::string(group.name) + ": " + std::string(group.summary) +
                    "\n\nUsage: consort " + std::string(group.name) + " ROLE [options]\n\nRoles:\n";
  for (const RoleSpec* spec : roles()) {
    if (spec->group == group.name) append_row(out, spec->name, spec->summary);
  }
  return out + "\n`consort " + std::string(group.name) + " ROLE --help` tells more.\n";
}

std::string role_help(const RoleSpec& spec) {
  const std::string command = "consort " + command_of(spec);
  std::string out = command + ": " + std::string(spec.summary) + "\n\n";
  append_examples(out, spec.examples);
  out += "Usage: " + command + " [options]";
  if (!spec.argument.empty()) out += " " + upper(spec.argument) + "...";
  out += "\n\nOptions:\n";
  const RoleOptions options(spec);
  append_options(out, options.own(), &spec);
  append_maps(out, options.own());
  out += spec.is_job ? "\nCommon options:\n" : "\nOptions of every role:\n";
  const BoundTable common = options.common();
  append_options(out, {&common, 1}, &spec);
  out += "\n";
  append_wrapped(out, 0,
                 "A flag is stronger than its variable, a variable than the file's key (the "
                 "option's name with _ for -), and that than the default. Variables of repeated "
                 "options hold values separated by commas. Durations: 250ms, 10s, 5m; sizes: "
                 "64KiB, 8MiB; addresses: host:port, :port, unix:/path, unix:@abstract.");
  return out;
}

std::string command_help(const Command& command) {
  std::string usage = "consort " + std::string(command.name);
  std::string out = usage + ": " + std::string(command.summary) + "\n\n";
  append_examples(out, command.examples);
  if (!command.options.empty()) usage += " [options]";
  if (!command.arguments.empty()) usage += " " + std::string(command.arguments);
  out += "Usage: " + usage + "\n";
  if (command.options.empty()) return out;
  out += "\nOptions:\n";
  const BoundTable table{command.options, nullptr};
  append_options(out, {&table, 1}, nullptr);
  return out;
}

}  // namespace consort
