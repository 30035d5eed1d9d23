#include "base/tree_builder.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace consort {

bool TreeBuilder::open(Node::Kind kind, Place place) {
  if (!reserve(1)) return false;
  if (open_.size() == kMaxDocumentDepth) {
    problem_ = kTooDeep;
    return false;
  }
  open_.push_back({.node = {.kind = kind, .place = place}, .key = {}});
  return true;
}

bool TreeBuilder::reserve(std::size_t nodes) {
  if (nodes > kMaxDocumentNodes - nodes_) {
    problem_ = kTooMany;
    return false;
  }
  nodes_ += nodes;
  return true;
}

Node TreeBuilder::close() {
  CHECK(!open_.empty() && !open_.back().has_key);
  Node node = std::move(open_.back().node);
  open_.pop_back();
  return node;
}

void TreeBuilder::add(Node node) {
  if (open_.empty()) {
    root_ = std::move(node);
    return;
  }
  Level& level = open_.back();
  if (level.node.kind == Node::Kind::list) {
    level.node.items.push_back(std::move(node));
  } else if (!level.has_key) {
    level.key = std::move(node);
    level.has_key = true;
  } else {
    level.node.members.emplace_back(std::move(level.key), std::move(node));
    level.has_key = false;
  }
}

std::vector<DuplicateKey> find_duplicates(const Node& map) {
  // Sorted by key and then by place; equal keys are neighbours. A set of keys would need hashing
  // that an attacker cannot steer.
  std::vector<std::size_t> order(map.members.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  auto key = [&](std::size_t i) -> const std::string& { return map.members[i].first.scalar; };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    int compared = key(a).compare(key(b));
    return compared != 0 ? compared < 0 : a < b;
  });

  std::vector<std::pair<std::size_t, std::size_t>> pairs;  // second, first
  std::size_t first = 0;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (key(order[i]) != key(order[first])) {
      first = i;
    } else {
      pairs.emplace_back(order[i], order[first]);
    }
  }
  std::sort(pairs.begin(), pairs.end());

  std::vector<DuplicateKey> found;
  for (auto [again, before] : pairs) {
    const Node& repeated = map.members[again].first;
    found.push_back({repeated.scalar, map.members[before].first.place, repeated.place});
  }
  return found;
}

}  // namespace consort
