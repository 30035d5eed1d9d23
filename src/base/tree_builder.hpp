// Builds a document's tree from a reader's events, within the limits of document.hpp.
//
// The readers (yaml.cc, json.cc) see nested text as a flat run of events; the lists and maps that
// are still open stand on a stack here. Nothing recurses while reading, and the depth is checked
// before a level is opened, so that what may recurse later (copies, printing) is bounded, too.
//
//   {a: [1]}    open(map) add(a) open(list) add(1) add(close()) add(close()) take()
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.hpp"

namespace consort {

/// A key that stands twice in one map.
struct DuplicateKey {
  std::string name;
  Place first;
  Place second;
};
/// In the order of their second places in the map.
std::vector<DuplicateKey> find_duplicates(const Node& map);

class TreeBuilder {
 public:
  /// False, with problem() set, when a limit is reached.
  bool open(Node::Kind kind, Place place);
  /// Counts nodes that are about to be added: 1 for a scalar, more for a copied tree.
  bool reserve(std::size_t nodes);
  /// Takes the innermost open list or map out, finished. Duplicate keys are the caller's to check.
  Node close();
  /// Puts a finished node where the text has it: as key, value, item or root.
  void add(Node node);
  /// The root, or null when nothing was added.
  Node take() { return std::move(root_); }

  /// True when the next node is a map's key.
  bool wants_key() const { return !open_.empty() && open_.back().wants_key(); }
  std::size_t depth() const { return open_.size(); }
  /// Says which limit stopped the reading.
  std::string_view problem() const { return problem_; }

  static constexpr std::string_view kTooDeep = "lists and maps nest deeper than 64 levels";
  static constexpr std::string_view kTooMany =
      "holds more than 1000000 values (aliases count as what they stand for)";
  static_assert(kMaxDocumentDepth == 64 && kMaxDocumentNodes == 1'000'000,
                "the sentences above name the limits");

 private:
  struct Level {
    Node node;
    Node key;
    bool has_key = false;
    bool wants_key() const { return node.kind == Node::Kind::map && !has_key; }
  };

  std::vector<Level> open_;
  Node root_;
  std::size_t nodes_ = 0;
  std::string_view problem_;
};

}  // namespace consort
