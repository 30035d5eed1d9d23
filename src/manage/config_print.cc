// The configuration as text: effective values, an example to start from, and what a reload changes.
//
//   timeout: 2s                    # flag --timeout
//   pools:
//     alpha:
//       server:                    # file app.yaml:4:5
//         - 10.0.0.1:11211
//   # redis_auth: "******"         # env CONSORT_SHARD_PROXY_REDIS_AUTH_FILE
//
// What is printed can be given to --config again and means the same. A secret stays a comment, for
// its mask must not become a password.
#include <algorithm>
#include <map>

#include "base/check.hpp"
#include "base/json_writer.hpp"
#include "manage/config.hpp"

namespace consort {
namespace {

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '/';
}

// Words that some YAML reader takes for a truth value or for nothing. Ours does not, but the text
// may pass through Helm or kubectl first. true and false stay bare: they are what flags print.
bool has_a_yaml_meaning(std::string_view text) {
  constexpr std::string_view kWords[] = {"null", "Null", "NULL", "yes", "Yes", "YES", "no",
                                         "No",   "NO",   "on",   "On",  "ON",  "off", "Off",
                                         "OFF",  "y",    "Y",    "n",   "N"};
  return std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
}

/// Bare when every reader agrees on it, else with JSON's quotes, which are also YAML's.
std::string yaml_scalar(std::string_view text) {
  bool bare = !text.empty() && is_word_char(text.front()) && !has_a_yaml_meaning(text);
  for (std::size_t i = 0; i < text.size() && bare; ++i) {
    const char c = text[i];
    const bool inner_colon = c == ':' && i + 1 < text.size() && text[i + 1] != ' ';
    const bool inner_space = c == ' ' && i + 1 < text.size() && is_word_char(text[i + 1]);
    bare = is_word_char(c) || c == '.' || c == '-' || c == '+' || c == '@' || c == '%' ||
           inner_colon || inner_space;
  }
  if (bare) return std::string(text);
  std::string quoted;
  append_json_string(quoted, text);
  return quoted;
}

/// A setting's key in its parts. Names of entries may contain dots; maps and options never do.
struct KeyParts {
  std::string map;
  std::string entry;
  std::string option;
};

KeyParts split_key(const std::string& key) {
  const std::size_t first = key.find('.');
  if (first == std::string::npos) return {{}, {}, key};
  const std::size_t last = key.rfind('.');
  return {key.substr(0, first), key.substr(first + 1, last - first - 1), key.substr(last + 1)};
}

void append_line(std::string& out, std::size_t indent, std::string text, std::string_view comment) {
  constexpr std::size_t kCommentColumn = 32;
  std::string line(indent, ' ');
  line += text;
  if (!comment.empty()) {
    const std::size_t width = std::max(kCommentColumn, line.size() + 2);
    line.resize(width, ' ');
    line.append("# ").append(comment);
  }
  out += line + "\n";
}

void append_setting(std::string& out, std::size_t indent, const std::string& key,
                    const Setting& setting) {
  if (setting.repeats && !setting.secret) {
    append_line(out, indent, setting.values.empty() ? key + ": []" : key + ":", setting.source);
    for (const std::string& value : setting.values) {
      append_line(out, indent + 2, "- " + yaml_scalar(value), {});
    }
    return;
  }
  const std::string value = setting.values.empty() ? std::string() : setting.values.front();
  std::string text = key + ": " + yaml_scalar(value);
  // A kind that has no text for "nothing" could not read its empty default back.
  const bool only_shown = setting.secret || (value.empty() && setting.source == "default");
  append_line(out, indent, only_shown ? "# " + text : text, setting.source);
}

std::string first_line_of(const Option& option) {
  std::string text(option.doc);
  if (!option.choices.empty()) {
    text += "; one of";
    for (std::string_view choice : option.choices) {
      text += choice == option.choices.front() ? " " : ", ";
      text += choice;
    }
  }
  if ((option.flags & kRequired) != 0) text += " (required)";
  return text;
}

void append_example(std::string& out, const std::string& indent, const Option& option,
                    const void* config) {
  out += indent + "# " + first_line_of(option) + "\n";
  const std::string key = indent + "# " + file_key(option.name) + ":";
  const std::vector<std::string> values = option.get(config);
  if ((option.flags & kSecret) != 0 || values.empty()) {
    out += key + (option.repeats ? " []" : "") + "\n";
  } else if (option.repeats) {
    out += key + "\n";
    for (const std::string& value : values) out += indent + "#   - " + yaml_scalar(value) + "\n";
  } else {
    out += key + " " + yaml_scalar(values.front()) + "\n";
  }
}

void append_map_example(std::string& out, const Option& option, RoleConfig& role) {
  out += "# " + std::string(option.doc) + "\n# " + file_key(option.name) + ":\n#   example:\n";
  for (const BoundTable& table : role.tables()) {
    for (const Option& candidate : table.options) {
      if (candidate.name != option.name) continue;
      const void* entry = candidate.add_entry(table.config, "example");
      for (const Option& field : option.nested) append_example(out, "#     ", field, entry);
    }
  }
}

}  // namespace

std::string print_config_yaml(const LoadedConfig& loaded) {
  std::string out;
  KeyParts previous;
  for (const Setting& setting : loaded.settings) {
    const KeyParts parts = split_key(setting.key);
    if (!parts.map.empty() && parts.map != previous.map) out += parts.map + ":\n";
    if (!parts.map.empty() && (parts.map != previous.map || parts.entry != previous.entry)) {
      out += "  " + yaml_scalar(parts.entry) + ":\n";
    }
    append_setting(out, parts.map.empty() ? 0 : 4, parts.option, setting);
    previous = parts;
  }
  return out;
}

std::string print_config_example(const RoleSpec& spec) {
  auto role = spec.make_config();
  ManageConfig manage = default_manage(spec);
  std::vector<BoundTable> tables = role->tables();
  tables.push_back({manage_options(spec), &manage});
  std::string out = "# consort " + std::string(spec.name) + ": every key with its default.\n";
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (!allowed_in_file(option)) continue;
      out += "\n";
      if (option.nested.empty()) {
        append_example(out, "", option, table.config);
      } else {
        auto scratch = spec.make_config();
        append_map_example(out, option, *scratch);
      }
    }
  }
  return out;
}

ConfigChange compare(const LoadedConfig& before, const LoadedConfig& after) {
  // Settings of both sides by key; an entry that is on one side only counts as changed.
  std::map<std::string_view, std::pair<const Setting*, const Setting*>> sides;
  for (const Setting& setting : before.settings) sides[setting.key].first = &setting;
  for (const Setting& setting : after.settings) sides[setting.key].second = &setting;
  ConfigChange change;
  for (const auto& [key, pair] : sides) {
    const auto& [old_one, new_one] = pair;
    const bool same = old_one != nullptr && new_one != nullptr &&
                      old_one->values == new_one->values &&
                      old_one->fingerprint == new_one->fingerprint;
    if (same) continue;
    const Setting* either = new_one != nullptr ? new_one : old_one;
    CHECK(either != nullptr);
    (either->reloads ? change.reloadable : change.needs_restart).emplace_back(key);
  }
  return change;
}

}  // namespace consort
