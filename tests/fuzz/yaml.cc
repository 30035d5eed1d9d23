// read_document on any bytes: it keeps its limits, and what it reads survives a trip through JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/document.hpp"

namespace {

using consort::Node;
using consort::Place;
using consort::Problems;

// Trees that aliases blow up to more than this are read, but not printed and read again.
constexpr std::size_t kMaxPrinted = 256 * 1024;

void require(bool condition) {
  if (!condition) std::abort();
}

/// The same values in the same order. What is bare in JSON must have been bare before; a plain
/// YAML word ("yes") becomes quoted text.
bool same(const Node& before, const Node& after) {
  if (before.kind != after.kind || before.scalar != after.scalar) return false;
  if (before.quoted && !after.quoted) return false;
  if (before.items.size() != after.items.size()) return false;
  if (before.members.size() != after.members.size()) return false;
  for (std::size_t i = 0; i < before.items.size(); ++i) {
    if (!same(before.items[i], after.items[i])) return false;
  }
  for (std::size_t i = 0; i < before.members.size(); ++i) {
    if (before.members[i].first.scalar != after.members[i].first.scalar) return false;
    if (!same(before.members[i].second, after.members[i].second)) return false;
  }
  return true;
}

std::size_t count(const Node& node, std::size_t depth) {
  bool nests = node.kind == Node::Kind::list || node.kind == Node::Kind::map;
  require(depth + (nests ? 1 : 0) <= consort::kMaxDocumentDepth);
  std::size_t nodes = 1;
  for (const Node& item : node.items) nodes += count(item, depth + 1);
  for (const auto& [key, value] : node.members) {
    require(key.kind == Node::Kind::scalar);
    nodes += 1 + count(value, depth + 1);
  }
  return nodes;
}

/// A place lies within the text: no further down than it has lines, no further right than bytes.
void require_place(const Place& place, std::string_view text) {
  require(place.line <= text.size() + 1 && place.column <= text.size() + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Problems problems("fuzz");
  Node tree = consort::read_document(text, problems);
  require(problems.errors().size() <= Problems::kMaxEach + 1);

  // Strict JSON is always a document, with the same values.
  auto json = consort::read_json(text);
  bool holds = json && (json->kind == Node::Kind::map || json->kind == Node::Kind::list);
  if (holds) require(problems.ok() && same(*json, tree));

  if (!problems.ok()) return 0;
  require_place(tree.place, text);
  require(count(tree, 0) <= consort::kMaxDocumentNodes);

  std::string printed = consort::to_json(tree, 0);
  if (printed.size() > kMaxPrinted) return 0;
  auto again = consort::read_json(printed);
  require(again.has_value() && same(tree, *again));
  Problems none;
  Node document = consort::read_document(consort::to_json(tree, 2), none);
  require(none.ok() && same(tree, document));
  return 0;
}
