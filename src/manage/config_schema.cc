// A JSON Schema (2020-12) of a role's configuration file, for editors and for checks in CI.
#include "base/json_writer.hpp"
#include "manage/config.hpp"

namespace consort {
namespace {

// 0 is the one duration that needs no unit.
void write_duration(JsonWriter& json, bool bare_millis) {
  json.key("anyOf").begin_array();
  json.begin_object().key("type").value("string");
  json.key("pattern").value("^(0|([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$");
  json.key("minLength").value(1).end_object();
  json.begin_object();
  if (bare_millis) {
    json.key("type").value("integer").key("minimum").value(0);
  } else {
    json.key("const").value(0);
  }
  json.end_object().end_array();
}

// Numbers as numbers, truth values as such; everything else is text with the option's own syntax.
void write_type(JsonWriter& json, const Option& option) {
  if (!option.choices.empty()) {
    json.key("enum").begin_array();
    for (std::string_view choice : option.choices) json.value(choice);
    json.end_array();
  } else if (option.kind == Text<bool>::kind) {
    json.key("type").value("boolean");
  } else if (option.kind == Text<std::uint32_t>::kind) {
    json.key("type").value("integer").key("minimum").value(0);
  } else if (option.kind == Text<double>::kind) {
    json.key("type").value("number");
  } else if (option.kind == Text<ByteSize>::kind) {
    json.key("type").begin_array().value("string").value("integer").end_array();
  } else if (option.kind == Text<Millis>::kind) {
    write_duration(json, (option.flags & kBareMillis) != 0);
  } else {
    json.key("type").value("string");
  }
}

void write_default(JsonWriter& json, const Option& option, const void* config) {
  if ((option.flags & kSecret) != 0 || option.repeats) return;
  const std::vector<std::string> values = option.get(config);
  if (values.empty() || values.front().empty()) return;
  json.key("default");
  const bool bare = option.kind == Text<bool>::kind || option.kind == Text<std::uint32_t>::kind ||
                    option.kind == Text<double>::kind;
  if (bare) {
    json.raw(values.front());
  } else {
    json.value(values.front());
  }
}

void write_value(JsonWriter& json, const Option& option, const void* config) {
  json.key(file_key(option.name)).begin_object();
  json.key("description").value(option.doc);
  if (option.repeats) {
    json.key("anyOf").begin_array();
    json.begin_object();
    write_type(json, option);
    json.end_object();
    json.begin_object().key("type").value("array").key("items").begin_object();
    write_type(json, option);
    json.end_object().end_object();
    json.end_array();
  } else {
    write_type(json, option);
  }
  write_default(json, option, config);
  json.end_object();
}

void write_map(JsonWriter& json, const Option& option, void* config) {
  json.key(file_key(option.name)).begin_object();
  json.key("description").value(option.doc);
  json.key("type").value("object");
  json.key("additionalProperties").begin_object();
  json.key("type").value("object").key("additionalProperties").value(false);
  json.key("properties").begin_object();
  const void* entry = option.add_entry(config, "example");
  for (const Option& field : option.nested) write_value(json, field, entry);
  json.end_object().end_object().end_object();
}

}  // namespace

std::string print_config_schema(const RoleSpec& spec) {
  auto role = spec.make_config();
  ManageConfig manage = default_manage(spec);
  std::vector<BoundTable> tables = role->tables();
  tables.push_back({manage_options(spec), &manage});
  JsonWriter json(2);
  json.begin_object();
  json.key("$schema").value("https://json-schema.org/draft/2020-12/schema");
  json.key("title").value("consort " + std::string(spec.name));
  json.key("type").value("object").key("additionalProperties").value(false);
  json.key("properties").begin_object();
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (!allowed_in_file(option)) continue;
      if (option.nested.empty()) {
        write_value(json, option, table.config);
      } else {
        write_map(json, option, table.config);
      }
    }
  }
  json.end_object().end_object();
  return json.take() + "\n";
}

}  // namespace consort
