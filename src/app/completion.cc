// A script knows every command line "path" ("ambassador shard-proxy"), the words and flags that may
// follow it, and for each flag what its value may be. It never runs consort: completing must work
// where the binary is slow to start or of another machine.
#include "app/completion.hpp"

#include <algorithm>
#include <vector>

#include "app/cli.hpp"
#include "app/help.hpp"

namespace consort {
namespace {

constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};

struct Candidate {
  std::string word;
  std::string summary;
};

struct FlagChoices {
  std::string flag;  ///< with its dashes
  std::string summary;
  bool takes_value = false;
  bool takes_file = false;
  bool needs_equals = false;  ///< a value, if any, stands behind '='
  std::vector<std::string> choices;
};

struct Path {
  std::string path;  ///< words after "consort", separated by a blank; empty at the start
  std::vector<Candidate> words;
  std::vector<FlagChoices> flags;
};

FlagChoices choices_of(const Option& option) {
  FlagChoices made;
  made.flag = "--" + std::string(option.name);
  made.summary = option.doc;
  made.takes_value = option.kind != Text<bool>::kind;
  made.takes_file = placeholder(option) == "FILE";
  made.needs_equals = is_bare_allowed(option);
  made.choices.assign(option.choices.begin(), option.choices.end());
  return made;
}

void add_flags(Path& path, std::span<const Option> options) {
  for (const Option& option : options) {
    if (!option.nested.empty() || (option.flags & kSecret) != 0) continue;
    path.flags.push_back(choices_of(option));
  }
}

void add_help_flag(Path& path) {
  FlagChoices help;
  help.flag = "--help";
  help.summary = "examples and options";
  path.flags.push_back(std::move(help));
}

std::vector<Path> all_paths() {
  std::vector<Path> paths(1);
  for (const RoleGroup& group : role_groups()) {
    paths.front().words.push_back({std::string(group.name), std::string(group.summary)});
    Path path{std::string(group.name), {}, {}};
    for (const RoleSpec* spec : roles()) {
      if (spec->group != group.name) continue;
      path.words.push_back({std::string(spec->name), std::string(spec->summary)});
    }
    add_help_flag(path);
    paths.push_back(std::move(path));
  }
  for (const RoleSpec* spec : roles()) {
    Path path{command_of(*spec), {}, {}};
    for (const BoundTable& table : RoleOptions(*spec).all()) add_flags(path, table.options);
    add_help_flag(path);
    paths.push_back(std::move(path));
  }
  for (const Command& command : commands()) {
    paths.front().words.push_back({std::string(command.name), std::string(command.summary)});
    Path path{std::string(command.name), {}, {}};
    for (std::string_view word : command.words) path.words.push_back({std::string(word), {}});
    add_flags(path, command.options);
    add_help_flag(path);
    paths.push_back(std::move(path));
  }
  add_help_flag(paths.front());
  return paths;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string words_and_flags(const Path& path) {
  std::vector<std::string> all;
  all.reserve(path.words.size() + path.flags.size());
  for (const Candidate& each : path.words) all.push_back(each.word);
  for (const FlagChoices& each : path.flags) all.push_back(each.flag);
  return joined(all);
}

std::string group_pattern() {
  std::vector<std::string> names;
  for (const RoleGroup& group : role_groups()) names.emplace_back(group.name);
  std::string text = joined(names);
  std::replace(text.begin(), text.end(), ' ', '|');
  return text;
}

/// Text inside single quotes: bash and zsh end the quotes for a quote, fish escapes it.
std::string in_fish_quotes(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

/// The lines that are the same in bash and zsh: from $at (the path) and $flag (with its '=' if it
/// was typed) to $offer or $files. Words of ours never hold quotes or blanks.
std::string case_lines(const std::vector<Path>& paths) {
  std::string out = "  case \"$at $flag\" in\n";
  for (const Path& path : paths) {
    for (const FlagChoices& each : path.flags) {
      if (!each.takes_value) continue;
      const std::string pattern = "'" + path.path + " " + each.flag;
      out += "    ";
      if (!each.needs_equals) out += pattern + "' | ";
      out += pattern + "=') ";
      if (each.takes_file) {
        out += "files=yes ;;\n";
      } else {
        out += "offer='" + joined(each.choices) + "' ;;\n";
      }
    }
  }
  out += "    *)\n      case \"$at\" in\n";
  for (const Path& path : paths) {
    out += "        '" + path.path + "') offer='" + words_and_flags(path) + "' ;;\n";
  }
  return out + "      esac ;;\n  esac\n";
}

// bash makes '=' a word of its own, so that "--hash=f" is the three words --hash, = and f.
std::string bash_script(const std::vector<Path>& paths) {
  return R"(# bash completion for consort. Load it with: source <(consort completion bash)
_consort() {
  local cur=${COMP_WORDS[COMP_CWORD]} flag='' at='' offer='' files=''
  if ((COMP_CWORD > 1)); then
    at=${COMP_WORDS[1]}
    case "$at" in
      )" +
         group_pattern() +
         R"() if ((COMP_CWORD > 2)); then at="$at ${COMP_WORDS[2]}"; fi ;;
    esac
    flag=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $cur == = ]]; then
      cur=''
      flag="$flag="
    elif [[ $flag == = ]]; then
      flag="${COMP_WORDS[COMP_CWORD - 2]}="
    fi
  fi
)" + case_lines(paths) +
         R"(  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$cur")
  fi
}
complete -F _consort consort
)";
}

// In zsh, `path` and `words` are taken: the one is PATH, the other the command line.
std::string zsh_script(const std::vector<Path>& paths) {
  return R"(#compdef consort
# zsh completion for consort. Load it with: source <(consort completion zsh)
_consort() {
  local cur=${words[CURRENT]} flag='' at='' offer='' files=''
  if ((CURRENT > 2)); then
    at=${words[2]}
    case "$at" in
      )" +
         group_pattern() +
         R"() if ((CURRENT > 3)); then at="$at ${words[3]}"; fi ;;
    esac
    flag=${words[CURRENT - 1]}
    if [[ $cur == --*=* ]]; then
      flag="${cur%%=*}="
      compset -P '*='
    fi
  fi
)" + case_lines(paths) +
         R"(  if [[ -n $files ]]; then
    _files
  else
    compadd -- ${=offer}
  fi
}
if [[ ${funcstack[1]} == _consort ]]; then
  _consort "$@"
else
  compdef _consort consort
fi
)";
}

std::string fish_lines(const Path& path) {
  const std::string start = "complete -c consort -n '__consort_at " + path.path + "' ";
  std::string out;
  for (const Candidate& each : path.words) {
    out += start + "-a " + each.word;
    if (!each.summary.empty()) out += " -d " + in_fish_quotes(each.summary);
    out += "\n";
  }
  for (const FlagChoices& each : path.flags) {
    out += start + "-l " + each.flag.substr(2);
    if (each.takes_file) {
      out += " -r -F";
    } else if (each.takes_value && !each.needs_equals) {
      out += " -x";
    }
    if (!each.choices.empty()) out += " -a " + in_fish_quotes(joined(each.choices));
    out += " -d " + in_fish_quotes(each.summary) + "\n";
  }
  return out;
}

std::string fish_script(const std::vector<Path>& paths) {
  std::string groups = group_pattern();
  std::replace(groups.begin(), groups.end(), '|', ' ');
  std::string out = R"(# fish completion for consort. Load it with: consort completion fish | source
function __consort_at
    set -l typed (commandline -opc)
    set -l at $typed[2]
    if contains -- "$at" )" +
                    groups + R"(
        set -a at $typed[3]
    end
    test "$at" = "$argv"
end
complete -c consort -f
)";
  for (const Path& path : paths) out += fish_lines(path);
  return out;
}

}  // namespace

std::span<const std::string_view> completion_shells() {
  return kShells;
}

std::string completion_script(std::string_view shell) {
  const std::vector<Path> paths = all_paths();
  if (shell == "bash") return bash_script(paths);
  if (shell == "zsh") return zsh_script(paths);
  return fish_script(paths);
}

}  // namespace consort
