// Merging INFO: a text of sections, whose lines are fields.
//
//   # Server CRLF
//   redis_version:7.0.15 CRLF
//   ...
//   CRLF
//   # Clients CRLF
//
// Sections and fields keep the order of the first server; what only a later one has comes after
// them. A pool answers as one master without cluster, whatever its servers are. Ratios and sizes
// for people are computed from the merged numbers. The pool's peak of memory is not known, since
// the servers' peaks were not at one time: it is given as the highest of them, but never less than
// what is used now.
#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "roles/shard_proxy/redis_merge.hpp"
#include "roles/shard_proxy/redis_merge_info_fields.hpp"
#include "roles/shard_proxy/redis_merge_value.hpp"

namespace consort::shard_proxy {
namespace {

struct Field {
  std::string_view name;
  std::vector<std::string_view> values;  ///< of the servers that have it; none: a bare line
  std::string merged;
};

struct Section {
  std::string_view title;  ///< "# Server"; empty for lines before any title
  std::vector<Field> fields;
  std::unordered_map<std::string_view, std::size_t> places;  ///< of fields by name
};

struct Constant {
  std::string_view field;
  std::string_view value;
};
constexpr Constant kConstants[] = {
    {"redis_mode", "standalone"}, {"role", "master"}, {"cluster_enabled", "0"}};

struct Ratio {
  std::string_view field;
  std::string_view above;
  std::string_view below;
};
constexpr Ratio kRatios[] = {
    {"allocator_frag_ratio", "allocator_active", "allocator_allocated"},
    {"allocator_rss_ratio", "allocator_resident", "allocator_active"},
    {"rss_overhead_ratio", "used_memory_rss", "allocator_resident"},
    {"mem_fragmentation_ratio", "used_memory_rss", "used_memory"},
};

/// Takes the texts one after the other, views that outlive it. Fields are found in constant time:
/// commandstats may have hundreds, errorstats thousands.
class InfoMerger {
 public:
  void add(std::string_view text);
  std::string finish();

 private:
  Section& section_of(std::string_view title);
  static void add_line(Section& section, std::string_view line);
  void merge_fields();
  void correct();
  void set(std::string_view field, std::string value);
  double number(std::string_view field) const;

  std::vector<Section> sections_;
  std::unordered_map<std::string_view, std::size_t> section_places_;
  std::unordered_map<std::string_view, Field*> merged_;  ///< by name, when all are merged
};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_numbered(std::string_view name, std::string_view prefix) {
  return name.size() > prefix.size() && name.starts_with(prefix) &&
         name.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
}

void InfoMerger::add(std::string_view text) {
  std::string_view title;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.starts_with('#')) {
      title = line;
      section_of(title);
    } else if (!line.empty()) {
      add_line(section_of(title), line);
    }
  }
}

Section& InfoMerger::section_of(std::string_view title) {
  auto [at, is_new] = section_places_.try_emplace(title, sections_.size());
  if (is_new) sections_.push_back({.title = title});
  return sections_[at->second];
}

// The lines of modules share one name, and the replicas of every server begin at slave0: these are
// told apart by the whole line.
void InfoMerger::add_line(Section& section, std::string_view line) {
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  const bool is_own = name == "module" || is_numbered(name, "slave");
  auto [at, is_new] = section.places.try_emplace(is_own ? line : name, section.fields.size());
  if (is_new) section.fields.push_back({.name = name});
  if (colon < line.size()) section.fields[at->second].values.push_back(line.substr(colon + 1));
}

void InfoMerger::merge_fields() {
  for (Section& section : sections_) {
    for (Field& field : section.fields) {
      if (field.values.empty()) continue;
      field.merged = is_info_list(field.name)
                         ? merge_info_lists(field.name, field.values)
                         : merge_info_values(info_rule(field.name), field.values);
      merged_.try_emplace(field.name, &field);
    }
  }
}

double InfoMerger::number(std::string_view field) const {
  auto found = merged_.find(field);
  return found == merged_.end() ? 0 : parse_double(found->second->merged).value_or(0);
}

void InfoMerger::set(std::string_view field, std::string value) {
  auto found = merged_.find(field);
  if (found != merged_.end()) found->second->merged = std::move(value);
}

void InfoMerger::correct() {
  for (const Constant& constant : kConstants) set(constant.field, std::string(constant.value));
  const double used = number("used_memory");
  if (number("used_memory_peak") < used) set("used_memory_peak", format_fixed(used, 0));
  for (const Ratio& ratio : kRatios) {
    const double below = number(ratio.below);
    if (below > 0) set(ratio.field, format_fixed(number(ratio.above) / below, 2));
  }
  const double peak = number("used_memory_peak");
  if (peak > 0) set("used_memory_peak_perc", format_fixed(used * 100 / peak, 2) + "%");
  const double net = used - number("used_memory_startup");
  const double dataset = number("used_memory_dataset");
  if (net > 0) set("used_memory_dataset_perc", format_fixed(dataset * 100 / net, 2) + "%");
  constexpr std::string_view kHuman = "_human";
  for (auto& [name, field] : merged_) {
    if (!name.ends_with(kHuman)) continue;
    const std::string_view exact = name.substr(0, name.size() - kHuman.size());
    if (merged_.contains(exact)) field->merged = human_bytes(number(exact));
  }
}

bool is_database(const Field& field) {
  return is_numbered(field.name, "db");
}

// Databases in the order of their numbers, as the server has them.
void sort_databases(std::vector<Field>& fields) {
  std::vector<Field> databases;
  for (Field& field : fields) {
    if (is_database(field)) databases.push_back(std::move(field));
  }
  std::erase_if(fields, is_database);
  auto rank = [](const Field& field) {
    return std::pair(parse_integer(field.name.substr(2)).value_or(0), field.name);
  };
  std::sort(databases.begin(), databases.end(),
            [&](const Field& a, const Field& b) { return rank(a) < rank(b); });
  for (Field& field : databases) fields.push_back(std::move(field));
}

std::string InfoMerger::finish() {
  merge_fields();
  correct();
  std::string text;
  for (Section& section : sections_) {
    if (!text.empty()) text.append("\r\n");
    if (!section.title.empty()) text.append(section.title).append("\r\n");
    sort_databases(section.fields);
    std::size_t replicas = 0;
    for (const Field& field : section.fields) {
      if (is_numbered(field.name, "slave")) {
        text.append("slave").append(std::to_string(replicas++));
      } else {
        text.append(field.name);
      }
      if (!field.values.empty()) text.append(":").append(field.merged);
      text.append("\r\n");
    }
  }
  return text;
}

}  // namespace

std::string merge_info(Replies replies, const MergeArgs&) {
  if (replies.empty()) return std::string(kUnlikeReplies);
  InfoMerger merger;
  for (std::string_view reply : replies) {
    const char type = type_of(reply);
    std::optional<std::string_view> text = text_of(reply);
    if (!text || (type != '$' && type != '=')) return std::string(kUnlikeReplies);
    merger.add(*text);
  }
  std::string out;
  append_text(out, type_of(replies.front()), merger.finish());
  return out;
}

}  // namespace consort::shard_proxy
