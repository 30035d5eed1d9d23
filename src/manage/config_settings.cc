#include "manage/config_settings.hpp"

#include <functional>

namespace consort {
namespace {

constexpr std::string_view kMask = "******";

std::size_t fingerprint_of(const std::vector<std::string>& values) {
  std::size_t mixed = values.size();
  for (const std::string& value : values) {
    mixed = mixed * 31 + std::hash<std::string>{}(value);
  }
  return mixed;
}

Setting take(const Option& option, const void* config, std::string key, const SourceOf& source_of) {
  Setting made;
  made.values = option.get(config);
  made.fingerprint = fingerprint_of(made.values);
  made.repeats = option.repeats;
  made.reloads = (option.flags & kReload) != 0;
  made.secret = (option.flags & kSecret) != 0;
  if (made.secret) {
    for (std::string& value : made.values) {
      if (!value.empty()) value = kMask;
    }
  }
  made.source = source_of(key);
  made.key = std::move(key);
  return made;
}

/// The fields of every entry of a map option.
void take_entries(const Option& option, const void* config, const SourceOf& source_of,
                  std::vector<Setting>& all) {
  for (std::size_t i = 0; i < option.entries(config); ++i) {
    std::string name;
    const void* entry = option.entry(config, i, name);
    const std::string prefix = file_key(option.name) + "." + name + ".";
    for (const Option& field : option.nested) {
      all.push_back(take(field, entry, prefix + file_key(field.name), source_of));
    }
  }
}

}  // namespace

std::vector<Setting> take_settings(const std::vector<BoundTable>& tables,
                                   const SourceOf& source_of) {
  std::vector<Setting> all;
  for (const BoundTable& table : tables) {
    for (const Option& option : table.options) {
      if (!allowed_in_file(option)) continue;
      if (option.nested.empty()) {
        all.push_back(take(option, table.config, file_key(option.name), source_of));
      } else {
        take_entries(option, table.config, source_of, all);
      }
    }
  }
  return all;
}

}  // namespace consort
