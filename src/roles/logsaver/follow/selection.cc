#include "roles/logsaver/follow/selection.hpp"

#include <algorithm>
#include <array>

namespace consort::logsaver {
namespace {

constexpr std::array<std::string_view, 5> kPackedEndings = {".gz", ".xz", ".zst", ".bz2", ".Z"};

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || directory == "/" || path[directory.size()] == '/');
}

std::string absolute(std::string_view path, std::string_view here) {
  if (path.starts_with('/')) return std::string(path);
  while (path.starts_with("./")) path.remove_prefix(2);
  std::string whole(here);
  if (!whole.ends_with('/')) whole += '/';
  return whole += path;
}

}  // namespace

bool is_compressed_name(std::string_view path) {
  return std::ranges::any_of(kPackedEndings,
                             [&](std::string_view ending) { return path.ends_with(ending); });
}

Result<Selection> Selection::make(Rules rules, std::string_view here) {
  Selection made;
  for (const std::string& text : rules.include) {
    auto glob = Glob::compile(absolute(text, here));
    if (!glob) return fail(std::move(glob.error()).in("--path " + text));
    std::string root = glob->fixed_directory();
    if (std::ranges::find(made.roots_, root) == made.roots_.end()) made.roots_.push_back(root);
    made.include_.push_back({std::move(*glob), text, false, is_compressed_name(text)});
  }
  for (const std::string& text : rules.exclude) {
    const bool is_name = text.find('/') == std::string::npos;
    auto glob = Glob::compile(is_name ? text : absolute(text, here));
    if (!glob) return fail(std::move(glob.error()).in("--exclude " + text));
    made.exclude_.push_back({std::move(*glob), text, is_name, false});
  }
  for (const std::string& path : rules.own) made.own_.push_back(absolute(path, here));
  return made;
}

Selection::Answer Selection::ask(std::string_view path) const {
  const Rule* named = nullptr;
  for (const Rule& rule : include_) {
    if (!rule.glob.matches(path)) continue;
    if (named == nullptr || rule.takes_packed) named = &rule;
  }
  if (named == nullptr) return {};
  for (const std::string& own : own_) {
    if (is_below(path, own)) return {Verdict::own, own};
  }
  for (const Rule& rule : exclude_) {
    if (rule.glob.matches(rule.is_name ? name_of(path) : path)) {
      return {Verdict::excluded, rule.text};
    }
  }
  if (is_compressed_name(path) && !named->takes_packed) return {Verdict::compressed, named->text};
  return {Verdict::followed, named->text};
}

bool Selection::wants_directory(std::string_view path) const {
  if (std::ranges::any_of(roots_, [&](const auto& root) { return is_below(root, path); })) {
    return true;
  }
  return std::ranges::any_of(include_,
                             [&](const Rule& rule) { return rule.glob.may_match_below(path); });
}

}  // namespace consort::logsaver
