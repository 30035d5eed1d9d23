// The file's groups and lists, rewritten into the flat keys of the tables:
//
//   routes: [{match: GET /a, ..}, ..]        routes: {"GET /a": {match: GET /a, ..}, ..}
//   scatter: {to, path, headers: {N: V}}     to, path, header: ["N: V"]
//   leaf: {timeout, hedge: {..}, select}     leaf_timeout, hedge, select
//   gather: {mode, ok_statuses, ..}          mode, ok_status, ..
//   merge: {type: top-k, key: /score, ..}    merge: "top-k:/score:..", merge_url, ..
//   topology: {file: PATH}                   topology: PATH
//
// A key that no group has is left where it stands, so that it is complained of in its own place.

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "roles/gather/config.hpp"

namespace consort::gather {
namespace {

using Members = std::vector<std::pair<Node, Node>>;

Node scalar_node(std::string text, Place place) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.quoted = true;
  node.scalar = std::move(text);
  node.place = place;
  return node;
}

std::string normal(std::string_view key) {
  std::string text(key);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

/// Takes the member out; a null node when there is none.
std::optional<std::pair<Node, Node>> take(Members& members, std::string_view key) {
  const auto found = std::find_if(members.begin(), members.end(), [key](const auto& member) {
    return normal(member.first.scalar) == key;
  });
  if (found == members.end()) return std::nullopt;
  std::pair<Node, Node> taken = std::move(*found);
  members.erase(found);
  return taken;
}

struct Rename {
  std::string_view from;
  std::string_view to;
};

constexpr Rename kScatter[] = {{"to", "to"},
                               {"path", "path"},
                               {"hash", "hash"},
                               {"distribution", "distribution"},
                               {"hash_tag", "hash_tag"},
                               {"on_missing_key", "on_missing_key"},
                               {"headers", "header"}};
constexpr Rename kLeaf[] = {{"timeout", "leaf_timeout"}, {"connect_timeout", "connect_timeout"},
                            {"attempts", "attempts"},    {"hedge", "hedge"},
                            {"select", "select"},        {"idempotent", "idempotent"}};
constexpr Rename kGather[] = {{"mode", "mode"},
                              {"min_coverage", "min_coverage"},
                              {"wait_factor", "wait_factor"},
                              {"ok_statuses", "ok_status"},
                              {"empty_statuses", "empty_status"}};
constexpr Rename kMerge[] = {{"url", "merge_url"},
                             {"exec", "merge_exec"},
                             {"coprocess", "merge_coprocess"},
                             {"format", "merge_format"},
                             {"files", "merge_files"},
                             {"cgi", "merge_cgi"},
                             {"processes", "merge_processes"},
                             {"fallback", "merge_fallback"}};

void report_unknown(const Node& key, std::string_view group, std::span<const Rename> known,
                    Problems& problems) {
  std::vector<std::string_view> names;
  for (const Rename& each : known) names.push_back(each.from);
  const std::string_view near = nearest(key.scalar, names);
  std::string text = "unknown key " + in_quotes(key.scalar) + " in " + std::string(group);
  if (!near.empty()) text += " (did you mean " + in_quotes(near) + "?)";
  problems.error(key.place, std::move(text));
}

/// Moves the members of a group to the route, under their flat names.
void flatten(Members& route, std::string_view group, std::span<const Rename> names,
             Problems& problems) {
  const Node* node = nullptr;
  for (const auto& [key, value] : route) {
    if (key.scalar == group) node = &value;
  }
  // A group that is left empty is no group.
  if (node != nullptr && node->kind == Node::Kind::null) {
    take(route, group);
    return;
  }
  if (node == nullptr || node->kind != Node::Kind::map) return;
  auto taken = take(route, group);
  for (auto& [key, value] : taken->second.members) {
    const std::string from = normal(key.scalar);
    const auto known = std::find_if(names.begin(), names.end(),
                                    [&from](const Rename& each) { return each.from == from; });
    if (known == names.end()) {
      report_unknown(key, group, names, problems);
      continue;
    }
    key.scalar = known->to;
    route.emplace_back(std::move(key), std::move(value));
  }
}

/// {X-Shard: "{shard}"} -> ["X-Shard: {shard}"]
void flatten_headers(Members& route) {
  for (auto& [key, value] : route) {
    if (key.scalar != "header" || value.kind != Node::Kind::map) continue;
    Node list;
    list.kind = Node::Kind::list;
    list.place = value.place;
    for (const auto& [name, text] : value.members) {
      list.items.push_back(scalar_node(name.scalar + ": " + text.scalar, name.place));
    }
    value = std::move(list);
  }
}

/// [0, 1] -> "0:1"
void flatten_wait_factor(Members& route) {
  for (auto& [key, value] : route) {
    if (key.scalar != "wait_factor" || value.kind != Node::Kind::list) continue;
    std::string text;
    for (const Node& item : value.items) text += (text.empty() ? "" : ":") + item.scalar;
    value = scalar_node(std::move(text), value.place);
  }
}

/// 0.05 -> "5%"
std::string as_percent(const std::string& share) {
  auto value = Text<double>::parse(share);
  if (!value) return share;
  char text[32];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, *value * 100, std::chars_format::general, 6);
  return std::string(text, end) + "%";
}

/// {percentile: 95, max_extra: 0.05, delay: 10ms} -> "p95:5%:10ms"
void flatten_hedge(Members& route, Problems& problems) {
  static constexpr Rename kHedge[] = {
      {"percentile", ""}, {"max_extra", ""}, {"min_delay", ""}, {"delay", ""}};
  for (auto& [key, value] : route) {
    if (key.scalar != "hedge" || value.kind != Node::Kind::map) continue;
    std::string text;
    for (const auto& [name, part] : value.members) {
      const std::string known = normal(name.scalar);
      if (!text.empty()) text += ':';
      if (known == "min_delay") {
        text += "min=" + part.scalar;
      } else if (known == "percentile") {
        text += "p" + part.scalar;
      } else if (known == "max_extra") {
        text += as_percent(part.scalar);
      } else if (known == "delay") {
        text += part.scalar;
      } else {
        report_unknown(name, "hedge", kHedge, problems);
      }
    }
    value = scalar_node(std::move(text), value.place);
  }
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// What `k` says: 10, or {query: size, default: 10, max: 1000}.
void append_k(const Node& node, std::string& positional, std::string& named, Problems& problems) {
  static constexpr Rename kKeys[] = {{"query", ""}, {"default", ""}, {"max", ""}};
  if (node.kind != Node::Kind::map) {
    positional = node.scalar;
    return;
  }
  for (const auto& [name, value] : node.members) {
    if (name.scalar == "default") {
      positional = value.scalar;
    } else if (name.scalar == "query") {
      named += ":k-query=" + escaped(value.scalar);
    } else if (name.scalar == "max") {
      named += ":k-max=" + value.scalar;
    } else {
      report_unknown(name, "k", kKeys, problems);
    }
  }
}

/// {type: top-k, items: /hits, key: /score, order: desc, k: 10} -> "top-k:/score:10:items=/hits"
void flatten_merge(Members& route, Problems& problems) {
  const auto has_map = [](const auto& member) {
    return member.first.scalar == "merge" && member.second.kind == Node::Kind::map;
  };
  if (std::none_of(route.begin(), route.end(), has_map)) return;
  auto taken = take(route, "merge");
  std::string type;
  std::string key;
  std::string k;
  std::string order;
  std::string named;
  for (auto& [name, value] : taken->second.members) {
    const std::string known = normal(name.scalar);
    const auto* carrier = std::find_if(std::begin(kMerge), std::end(kMerge),
                                       [&known](const Rename& each) { return each.from == known; });
    if (carrier != std::end(kMerge)) {
      name.scalar = carrier->to;
      route.emplace_back(std::move(name), std::move(value));
    } else if (known == "type") {
      type = value.scalar;
    } else if (known == "key" || known == "separator" || known == "pointer") {
      key = value.scalar;
    } else if (known == "k") {
      append_k(value, k, named, problems);
    } else if (known == "order") {
      order = value.scalar;
    } else if (known == "items" || known == "dedup" || known == "validate") {
      named += ":" + known + "=" + escaped(value.scalar);
    } else {
      static constexpr Rename kAll[] = {{"type", ""},      {"key", ""},       {"k", ""},
                                        {"order", ""},     {"items", ""},     {"dedup", ""},
                                        {"validate", ""},  {"url", ""},       {"exec", ""},
                                        {"coprocess", ""}, {"separator", ""}, {"pointer", ""}};
      report_unknown(name, "merge", kAll, problems);
    }
  }
  if (type.empty() && key.empty() && named.empty()) return;
  std::string text = type.empty() ? "array" : type;
  if (!key.empty()) text += ":" + escaped(key);
  if (!k.empty()) text += ":" + k;
  if (!order.empty()) text += ":" + order;
  route.emplace_back(scalar_node("merge", taken->first.place),
                     scalar_node(text + named, taken->second.place));
}

void flatten_route(Node& route, Problems& problems) {
  if (route.kind != Node::Kind::map) return;
  flatten(route.members, "scatter", kScatter, problems);
  flatten(route.members, "leaf", kLeaf, problems);
  flatten(route.members, "gather", kGather, problems);
  for (auto& [key, value] : route.members) {
    if (key.scalar == "headers") key.scalar = "header";
    if (normal(key.scalar) == "ok_statuses") key.scalar = "ok_status";
    if (normal(key.scalar) == "empty_statuses") key.scalar = "empty_status";
    if (normal(key.scalar) == "wait_factor") key.scalar = "wait_factor";
  }
  flatten_headers(route.members);
  flatten_wait_factor(route.members);
  flatten_hedge(route.members, problems);
  flatten_merge(route.members, problems);
}

/// A list of routes becomes a map: a route is called by its `name`, else by its match.
void name_routes(Node& routes, Problems& problems) {
  if (routes.kind != Node::Kind::list) return;
  Node map;
  map.kind = Node::Kind::map;
  map.place = routes.place;
  for (Node& route : routes.items) {
    if (route.kind != Node::Kind::map) {
      problems.error(route.place, "a route is a map with `match` and more");
      continue;
    }
    auto name = take(route.members, "name");
    const Node* match = route.find("match");
    const std::string text = name               ? name->second.scalar
                             : match != nullptr ? match->scalar
                                                : std::to_string(map.members.size());
    if (map.find(text) != nullptr) {
      problems.error(route.place,
                     "two routes are called " + in_quotes(text) + "; give them a `name`");
      continue;
    }
    map.members.emplace_back(scalar_node(text, route.place), std::move(route));
  }
  routes = std::move(map);
}

bool is_route_key(std::string_view key) {
  const std::string name = normal(key);
  return std::any_of(kRouteOptions.begin(), kRouteOptions.end(),
                     [&name](const Option& option) { return normal(option.name) == name; });
}

/// They exclude each other, so a route that has one of them inherits none.
bool is_merge_key(const Node& key) {
  return normal(key.scalar).starts_with("merge");
}

/// What stands beside `routes` is each route's default.
void inherit(Node& root) {
  Members defaults;
  for (auto& member : root.members) {
    if (is_route_key(member.first.scalar)) defaults.push_back(member);
  }
  std::erase_if(root.members, [](const auto& member) { return is_route_key(member.first.scalar); });
  Node* target = root.find("routes");
  for (auto& [name, route] : target->members) {
    const bool has_merge = std::any_of(route.members.begin(), route.members.end(),
                                       [](const auto& own) { return is_merge_key(own.first); });
    for (const auto& member : defaults) {
      const std::string key = normal(member.first.scalar);
      if (has_merge && is_merge_key(member.first)) continue;
      const bool has =
          std::any_of(route.members.begin(), route.members.end(),
                      [&](const auto& own) { return normal(own.first.scalar) == key; });
      if (!has) route.members.push_back(member);
    }
  }
}

/// {file: PATH}, {dns: NAME:PORT, as: replicas} -> one text
void flatten_topology(Node& root) {
  Node* topology = root.find("topology");
  if (topology == nullptr || topology->kind != Node::Kind::map) return;
  if (const Node* file = topology->find("file"); file != nullptr) {
    *topology = scalar_node("file:" + file->scalar, file->place);
    return;
  }
  for (const std::string_view kind : {"dns", "srv"}) {
    const Node* name = topology->find(kind);
    if (name == nullptr) continue;
    const Node* as = topology->find("as");
    std::string text = std::string(kind) + "://" + name->scalar;
    if (as != nullptr) text += "?as=" + as->scalar;
    *topology = scalar_node(std::move(text), name->place);
    return;
  }
}

}  // namespace

bool adapt_routes(Node& root, Problems& problems) {
  if (root.kind != Node::Kind::map) return false;
  flatten_topology(root);
  // A `leaf` that is a map is the group of a route; a text or a list are the leaves themselves.
  flatten_route(root, problems);
  for (auto& [key, value] : root.members) {
    if (key.scalar == "leaves") key.scalar = "leaf";
  }
  Node* routes = root.find("routes");
  if (routes == nullptr) return false;
  name_routes(*routes, problems);
  if (routes->kind != Node::Kind::map) return true;
  for (auto& [name, route] : routes->members) flatten_route(route, problems);
  inherit(root);
  return true;
}

}  // namespace consort::gather
