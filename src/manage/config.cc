#include "manage/config.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "base/address.hpp"
#include "base/json_writer.hpp"
#include "manage/config_settings.hpp"

namespace consort {
namespace {

std::string with_article(std::string_view kind) {
  if (kind == Text<std::string>::kind) return std::string(kind);
  const bool vowel = !kind.empty() && std::string_view("aeiou").find(kind[0]) != kind.npos;
  return (vowel ? "an " : "a ") + std::string(kind);
}

std::string_view describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "nothing";
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    if (auto part = trim(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

struct Bound {
  const Option* option = nullptr;
  void* config = nullptr;
};

/// Sources are applied from the weakest to the strongest, so that a later value simply replaces an
/// earlier one; a list is emptied once by each source that mentions it. Settings are taken down
/// before the role validates: validate() may rewrite its members into what it runs, and
/// --print-config must give back what was configured.
class Loader {
 public:
  Loader(const RoleSpec& spec, const ConfigSources& sources, Problems& problems)
      : spec_(spec), sources_(sources), problems_(problems) {}

  LoadedConfig load();

 private:
  /// Who gave a key its value last.
  struct Given {
    std::size_t layer = 0;
    std::string source;
  };
  /// One value on its way into an option, and how to speak of it.
  struct Incoming {
    Bound target;
    std::string key;
    std::string source;
    Place place;
    std::string label;  ///< how a message begins: "--timeout", "CONSORT_X_TIMEOUT", "timeout"
  };

  std::vector<std::string> config_files() const;
  void read_files();
  void read_file(const std::string& path);
  Result<std::string> read(const std::string& path);
  void read_environment();
  void read_variable(const Bound& bound);
  void read_secret_file(const Bound& bound);
  void read_flags();

  void apply_map(const Node& map, const std::vector<BoundTable>& tables, const std::string& prefix);
  void apply_member(const Node& key, const Node& value, const Bound& bound,
                    const std::string& prefix);
  void apply_entries(const Node& map, const Bound& bound);
  void apply_value(const Node& value, const Incoming& to);
  void assign(const Incoming& to, std::string_view text);
  void touch(const Incoming& to);

  void check_required();
  void check_manage(const ManageConfig& manage);
  std::string source_of(const std::string& key) const;

  std::string file_source(Place place) const;
  std::string label_of(const std::string& key) const;
  static Bound find(const std::vector<BoundTable>& tables, std::string_view key);
  void report_unknown(const Node& key, const std::vector<BoundTable>& tables);

  const RoleSpec& spec_;
  const ConfigSources& sources_;
  Problems& problems_;
  std::vector<BoundTable> tables_;
  std::map<std::string, Given> given_;
  std::vector<SourceFile> files_;
  std::string path_;           ///< of the file being read
  std::size_t layer_ = 0;      ///< of the source being read; higher is stronger
  bool beyond_flags_ = false;  ///< a file or a variable took part
  /// A file could not be read: what seems to be missing may stand in it.
  bool is_incomplete_ = false;
  RoleConfig* role_ = nullptr;
};

LoadedConfig Loader::load() {
  LoadedConfig loaded;
  loaded.manage = default_manage(spec_);
  loaded.role = spec_.make_config();
  role_ = loaded.role.get();
  tables_ = role_->tables();
  tables_.push_back({manage_options(spec_), &loaded.manage});

  read_files();
  read_environment();
  const std::size_t elsewhere = problems_.errors().size();
  read_flags();
  check_manage(loaded.manage);
  loaded.settings =
      take_settings(tables_, [this](const std::string& key) { return source_of(key); });
  if (!is_incomplete_) {
    check_required();
    role_->validate(problems_);
  }
  loaded.files = std::move(files_);
  // What validation finds may be anybody's doing: the command line is blamed only when alone.
  const bool flags_alone = elsewhere == 0 && !beyond_flags_;
  loaded.only_usage_errors = !problems_.ok() && flags_alone;
  return loaded;
}

std::vector<std::string> Loader::config_files() const {
  std::vector<std::string> paths;
  for (const Flag& flag : sources_.flags) {
    if (flag.name == "config") paths.push_back(flag.value);
  }
  if (!paths.empty() || !sources_.environment) return paths;
  return split_list(sources_.environment(environment_name(spec_, "config")).value_or(""));
}

void Loader::read_files() {
  for (const std::string& path : config_files()) {
    beyond_flags_ = true;
    ++layer_;
    read_file(path);
  }
}

void Loader::read_file(const std::string& path) {
  path_ = path;
  problems_.set_source(path);
  auto text = read(path);
  if (!text) {
    is_incomplete_ = true;
    problems_.error("cannot read the configuration: " + text.error().message());
    return;
  }
  Problems syntax(path);
  Node root = read_document(*text, syntax);
  for (const std::string& warning : syntax.warnings()) problems_.warn(warning);
  if (!syntax.ok()) {
    is_incomplete_ = true;
    for (const std::string& error : syntax.errors()) problems_.error(error);
    return;
  }
  if (root.kind != Node::Kind::map) {
    is_incomplete_ = true;
    problems_.error(root.place,
                    "expected options as `key: value`, found " + std::string(describe(root)));
    return;
  }
  role_->adapt_file(root, problems_);
  apply_map(root, tables_, "");
}

Result<std::string> Loader::read(const std::string& path) {
  auto text = sources_.read_file(path);
  files_.push_back({path, content_of(text)});
  return text;
}

void Loader::apply_map(const Node& map, const std::vector<BoundTable>& tables,
                       const std::string& prefix) {
  std::map<std::string_view, Place> seen;
  for (const auto& [key, value] : map.members) {
    const Bound bound = find(tables, key.scalar);
    if (bound.option == nullptr) {
      report_unknown(key, tables);
      continue;
    }
    auto [first, is_new] = seen.emplace(bound.option->name, key.place);
    if (!is_new) {
      problems_.error(key.place, "\"" + key.scalar + "\" was given in line " +
                                     std::to_string(first->second.line) + " already");
      continue;
    }
    apply_member(key, value, bound, prefix);
  }
}

void Loader::apply_member(const Node& key, const Node& value, const Bound& bound,
                          const std::string& prefix) {
  if (!allowed_in_file(*bound.option)) {
    problems_.error(key.place, "\"" + key.scalar + "\" belongs on the command line: --" +
                                   std::string(bound.option->name));
    return;
  }
  if (!bound.option->nested.empty()) {
    apply_entries(value, bound);
    return;
  }
  Incoming to;
  to.target = bound;
  to.key = prefix + file_key(bound.option->name);
  to.label = key.scalar;
  to.place = value.place.line != 0 ? value.place : key.place;
  to.source = file_source(key.place);
  apply_value(value, to);
}

// A later file may add keys to an entry that an earlier one began. Pointers to entries die with
// the next add_entry, so each entry is filled before the next one is looked up.
void Loader::apply_entries(const Node& map, const Bound& bound) {
  const Option& option = *bound.option;
  const std::string map_key = file_key(option.name);
  if (map.kind != Node::Kind::map) {
    problems_.error(map.place,
                    map_key + ": expected a map of names, found " + std::string(describe(map)));
    return;
  }
  for (const auto& [name, fields] : map.members) {
    const std::string key = map_key + "." + name.scalar;
    if (fields.kind != Node::Kind::map) {
      problems_.error(name.place,
                      key + ": expected a map of options, found " + std::string(describe(fields)));
      continue;
    }
    void* entry = nullptr;
    for (std::size_t i = 0; i < option.entries(bound.config) && entry == nullptr; ++i) {
      std::string known;
      const void* candidate = option.entry(bound.config, i, known);
      // The table reads entries as const; this one lies inside a configuration we are filling.
      if (known == name.scalar) entry = const_cast<void*>(candidate);
    }
    if (entry == nullptr) entry = option.add_entry(bound.config, name.scalar);
    apply_map(fields, {{option.nested, entry}}, key + ".");
  }
}

void Loader::apply_value(const Node& value, const Incoming& to) {
  const Option& option = *to.target.option;
  auto refuse = [&](Place place, const Node& found) {
    const std::string wanted =
        option.repeats ? "a list or " + with_article(option.kind) : with_article(option.kind);
    problems_.error(place,
                    to.label + ": expected " + wanted + ", found " + std::string(describe(found)));
  };
  auto put = [&](const Node& scalar) {
    Incoming one = to;
    if (scalar.place.line != 0) one.place = scalar.place;
    const bool bare_millis =
        (option.flags & kBareMillis) != 0 && !scalar.quoted && is_digits(scalar.scalar);
    assign(one, bare_millis ? scalar.scalar + "ms" : scalar.scalar);
  };
  if (value.kind == Node::Kind::scalar) {
    put(value);
    return;
  }
  // Even a value that is refused was given: it must not be called missing as well.
  touch(to);
  if (value.kind != Node::Kind::list || !option.repeats) {
    refuse(to.place, value);
    return;
  }
  for (const Node& item : value.items) {
    if (item.kind == Node::Kind::scalar) {
      put(item);
    } else {
      refuse(item.place, item);
    }
  }
}

void Loader::touch(const Incoming& to) {
  auto [given, is_new] = given_.try_emplace(to.key);
  if (!is_new && given->second.layer == layer_) return;
  given->second = {layer_, to.source};
  if (to.target.option->repeats) to.target.option->clear(to.target.config);
}

void Loader::assign(const Incoming& to, std::string_view text) {
  const Option& option = *to.target.option;
  touch(to);
  Result<> done;
  if (option.kind == Text<std::string>::kind && !option.choices.empty()) {
    auto choice = detail::parse_choice(text, option.choices);
    if (!choice) done = fail(std::move(choice.error()));
  }
  if (done) done = option.set(to.target.config, text);
  if (!done) problems_.error(to.place, to.label + ": " + done.error().message());
}

void Loader::read_environment() {
  ++layer_;
  if (!sources_.environment) return;
  for (const BoundTable& table : tables_) {
    for (const Option& option : table.options) {
      if (!option.nested.empty() || (option.flags & kFlagOnly) != 0) continue;
      const Bound bound{&option, table.config};
      read_variable(bound);
      if ((option.flags & kSecret) != 0) read_secret_file(bound);
    }
  }
}

void Loader::read_variable(const Bound& bound) {
  const std::string name = environment_name(spec_, bound.option->name);
  const std::string text = sources_.environment(name).value_or("");
  if (text.empty()) return;
  beyond_flags_ = true;
  if ((bound.option->flags & kSecret) != 0) {
    problems_.error(name +
                    ": a secret in the environment is seen by every child and in every "
                    "dump; put it into a file and set " +
                    name + "_FILE to its path");
    return;
  }
  const Incoming to{bound, file_key(bound.option->name), "env " + name, {}, name};
  if (!bound.option->repeats) {
    assign(to, text);
    return;
  }
  for (const std::string& part : split_list(text)) assign(to, part);
}

void Loader::read_secret_file(const Bound& bound) {
  const std::string name = environment_name(spec_, bound.option->name) + "_FILE";
  const std::string path = sources_.environment(name).value_or("");
  if (path.empty()) return;
  beyond_flags_ = true;
  auto text = read(path);
  if (!text) {
    problems_.error(name + ": " + text.error().message());
    return;
  }
  // Editors and `echo` end a file with a newline that is not part of the secret.
  std::string_view secret = *text;
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.remove_suffix(1);
  assign({bound, file_key(bound.option->name), "env " + name, {}, name}, secret);
}

void Loader::read_flags() {
  ++layer_;
  for (const Flag& flag : sources_.flags) {
    const Bound bound = find(tables_, flag.name);
    const std::string label = "--" + flag.name;
    if (bound.option == nullptr || !bound.option->nested.empty()) {
      problems_.error("unknown option \"" + label + "\"");
    } else if ((bound.option->flags & kSecret) != 0) {
      problems_.error(label + ": a secret on the command line is seen by everybody; set " +
                      environment_name(spec_, flag.name) + "_FILE to the path of a file");
    } else {
      assign({bound, file_key(bound.option->name), "flag " + label, {}, label}, flag.value);
    }
  }
}

void Loader::check_required() {
  for (const BoundTable& table : tables_) {
    for (const Option& option : table.options) {
      if ((option.flags & kRequired) == 0 || given_.contains(file_key(option.name))) continue;
      std::string text = "--" + std::string(option.name) + " is required";
      if (allowed_in_file(option)) {
        text += " (or " + environment_name(spec_, option.name) + ", or \"" + file_key(option.name) +
                "\" in the file)";
      }
      problems_.error(std::move(text));
    }
  }
}

void Loader::check_manage(const ManageConfig& manage) {
  if (manage.admin != "none" && !manage.admin.empty()) {
    auto address = Address::parse(manage.admin);
    if (!address) problems_.error(label_of("admin") + ": " + address.error().message());
  }
  // It becomes a part of a socket's name, a line of /proc/net/unix and a word of commands.
  const bool is_word = std::all_of(manage.name.begin(), manage.name.end(),
                                   [](char c) { return c > ' ' && c < '\x7F' && c != '/'; });
  if (manage.name.empty() || !is_word) {
    std::string text = label_of("name") + ": ";
    append_json_string(text, manage.name);
    problems_.error(text + " must be one word of ASCII without /");
  }
  if (manage.stall_limit.count() <= 0) {
    problems_.error(label_of("stall_limit") + ": must be more than 0");
  }
  if (manage.shutdown_delay > manage.grace) {
    problems_.error(label_of("shutdown_delay") + ": " + Text<Millis>::print(manage.shutdown_delay) +
                    " is longer than the grace of " + Text<Millis>::print(manage.grace) +
                    ", which would leave no time to drain");
  }
}

std::string Loader::source_of(const std::string& key) const {
  const auto given = given_.find(key);
  return given == given_.end() ? "default" : given->second.source;
}

std::string Loader::file_source(Place place) const {
  return "file " + path_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

// For a check after loading: the source's own way to spell the key.
std::string Loader::label_of(const std::string& key) const {
  const std::string source = source_of(key);
  if (source == "default") return key;
  const std::size_t space = source.find(' ');
  const std::string where = source.substr(space + 1);
  return source.starts_with("file ") ? where + ": " + key : where;
}

Bound Loader::find(const std::vector<BoundTable>& tables, std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (option.name == name) return {&option, table.config};
    }
  }
  return {};
}

void Loader::report_unknown(const Node& key, const std::vector<BoundTable>& tables) {
  std::vector<std::string> keys;
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (allowed_in_file(option)) keys.push_back(file_key(option.name));
    }
  }
  std::string word = file_key(key.scalar);
  const std::vector<std::string_view> names(keys.begin(), keys.end());
  std::string text = "unknown key \"" + key.scalar + "\"";
  if (auto instead = instead_of(tables, word); !instead.empty()) {
    text += " (" + std::string(instead) + ")";
  } else if (auto near = nearest(word, names); !near.empty()) {
    text += " (did you mean \"" + std::string(near) + "\"?)";
  }
  problems_.error(key.place, std::move(text));
}

}  // namespace

std::uint64_t content_of(const Result<std::string>& text) {
  return std::hash<std::string>{}(text ? "+" + *text : "-" + text.error().message());
}

LoadedConfig load_config(const RoleSpec& spec, const ConfigSources& sources, Problems& problems) {
  return Loader(spec, sources, problems).load();
}

}  // namespace consort
