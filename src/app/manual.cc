#include "app/manual.hpp"

#include "app/cli.hpp"
#include "app/help.hpp"

namespace consort {
namespace {

constexpr std::string_view kExitCodes = R"(EXIT CODES

0     success; also a process that was asked to stop and did
1     the asked-for work failed: a role ended with an error, `health` found an
      unhealthy process, `status` found nobody who answers
64    usage: an unknown command or option, or a bad value on the command line
69    service unavailable: an address is in use, a listener could not start
70    internal error: a bug of consort
74    input or output failed
75    a temporary failure; trying again may succeed
78    configuration: a file or the environment holds something wrong
124   the program that consort ran took longer than it may
125   consort failed before it could run a program
126   the program was found and could not be executed
127   the program was not found
128+n the program was ended by signal n
)";

constexpr std::string_view kConfiguration = R"(CONFIGURATION

Every option of a role is declared once. It is a flag (--connect-timeout 5s), an
environment variable (CONSORT_SHARD_PROXY_CONNECT_TIMEOUT) and a key of the file
(connect_timeout: 5s; dashes are accepted too). A flag is stronger than the
variable, the variable than the file, the file than the default. An option that
may be repeated takes all its values from the strongest source that has it; a
variable separates them by commas. An empty variable is no variable.

Files are YAML or JSON. --config may be given several times; a later file
overrides earlier ones key by key. Unknown keys, wrong types and duplicate keys
are errors with file, line and column; all of them are reported at once.

Secrets come from the file, or from the file that a variable ending in _FILE
names; never from a flag or a plain variable. They are never printed.

--check-config      only check; exit code 0 or 78
--print-config      the effective values and where each came from, as a file
--print-config=schema    a JSON Schema of the file
--print-config=example   a file to start from

SIGHUP and POST /reload read everything again: if it is valid, what can change at
run time changes; if it is not, nothing does.
)";

struct Page {
  std::string_view name;
  std::string_view summary;
  std::string_view text;
};
constexpr Page kPages[] = {
    {"configuration", "where options come from, and what wins", kConfiguration},
    {"exit-codes", "what the exit code means", kExitCodes},
};

/// Text for mdoc: no line may begin with a control character, and a backslash is one.
std::string mdoc_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool at_start = out.empty() || out.back() == '\n';
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? std::string("\\e") : std::string(1, c);
  }
  return out;
}

std::string sentence(std::string_view text) {
  std::string out(text);
  if (out.empty()) return out;
  if (out.front() >= 'a' && out.front() <= 'z') {
    out.front() = static_cast<char>(out.front() - 'a' + 'A');
  }
  if (out.back() != '.') out += '.';
  return out;
}

std::string mdoc_heading(const Option& option) {
  const std::string name(option.name);
  if ((option.flags & kSecret) != 0) return ".It Cm " + file_key(name) + " (not a flag)\n";
  const std::string value = placeholder(option);
  if (value.empty()) return ".It Fl -" + name + "\n";
  if (is_bare_allowed(option)) return ".It Fl -" + name + " Ns Op = Ns Ar " + value + "\n";
  return ".It Fl -" + name + " Ar " + value + "\n";
}

std::string mdoc_option(const Option& option, const void* config, const RoleSpec& spec) {
  std::string out = mdoc_heading(option) + mdoc_text(sentence(option.doc)) + "\n";
  if (!option.choices.empty()) {
    out += ".br\nOne of";
    for (std::string_view choice : option.choices) {
      out += choice == option.choices.front() ? "\n.Cm " : " ,\n.Cm ";
      out += choice;
    }
    out += " .\n";
  }
  if ((option.flags & kRequired) != 0) out += "Required.\n";
  if (option.repeats) out += "May be repeated.\n";
  if (const std::string text = default_text(option, config); !text.empty()) {
    out += "The default is\n.Ql " + mdoc_text(text) + " .\n";
  }
  if ((option.flags & kReload) != 0 && !spec.is_job) out += "A reload applies a change.\n";
  if ((option.flags & kFlagOnly) == 0) {
    const bool secret = (option.flags & kSecret) != 0;
    out += ".br\n.Ev " + environment_name(spec, option.name) + (secret ? "_FILE" : "") + "\n";
  }
  return out;
}

std::string mdoc_list(const BoundTable& table, const RoleSpec& spec) {
  std::string out;
  for (const Option& option : table.options) {
    if (option.nested.empty()) out += mdoc_option(option, table.config, spec);
  }
  return out;
}

std::string mdoc_maps(std::span<const BoundTable> tables) {
  std::string out;
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (option.nested.empty()) continue;
      out += ".Pp\nOnly in a file:\n.Bl -tag -width Ds\n.It Cm " + file_key(option.name) + "\n" +
             mdoc_text(sentence(option.doc)) + "\nIts keys are";
      for (const Option& field : option.nested) {
        out += &field == option.nested.data() ? "\n.Cm " : " ,\n.Cm ";
        out += file_key(field.name);
      }
      out += " .\n.El\n";
    }
  }
  return out;
}

std::string role_page(const RoleSpec& spec) {
  return role_help(spec) + "\nSee also: consort man configuration, consort man exit-codes\n";
}

}  // namespace

std::vector<ManualTopic> manual_topics() {
  std::vector<ManualTopic> topics;
  for (const RoleSpec* spec : roles()) {
    topics.push_back({std::string(spec->name), std::string(spec->summary)});
  }
  for (const Page& page : kPages) {
    topics.push_back({std::string(page.name), std::string(page.summary)});
  }
  return topics;
}

std::string manual_page(std::string_view topic) {
  if (const RoleSpec* spec = find_role(topic); spec != nullptr) return role_page(*spec);
  for (const Page& page : kPages) {
    if (page.name == topic) return std::string(page.text);
  }
  return {};
}

std::string options_mdoc(const RoleSpec& spec) {
  const RoleOptions options(spec);
  std::string out = ".Sh OPTIONS\n.Bl -tag -width Ds\n";
  for (const BoundTable& table : options.own()) out += mdoc_list(table, spec);
  out += ".El\n" + mdoc_maps(options.own());
  out += spec.is_job ? ".Ss Common options\n" : ".Ss Options of every role\n";
  out += ".Bl -tag -width Ds\n";
  return out + mdoc_list(options.common(), spec) + ".El\n";
}

}  // namespace consort
