// What the merges of lists share (top-k, sorted, union): where the list is in a leaf's answer, in
// which order its elements are, and the shape of the answer that is made of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "wire/json_pointer.hpp"

namespace consort::gather {

/// Where lists are.
struct ListOptions {
  JsonPointer items;     ///< the array in each body; the root: each body is the array
  bool validate = true;  ///< off for trusted leaves: only quotes and brackets are followed
};

/// The array at options.items, as a view into body; JsonArrayReader reads it to its end without
/// failing. An error, for people, when the body is no JSON or has no array there.
Result<std::string_view> find_list(std::string_view body, const ListOptions& options);

/// [ELEMENT,ELEMENT] in the shape that the bodies have: for items /result/hits that is
/// {"result":{"hits":[..]}}, with nothing else in it. Numbers in the pointer count as names here.
class ListWriter {
 public:
  /// bytes: the size of all elements with their commas, where it is known.
  ListWriter(const JsonPointer& items, std::size_t bytes);
  void add(std::string_view element);
  /// Once, as the last call.
  std::string take();

 private:
  std::string out_;
  std::size_t depth_;
  bool is_empty_ = true;
};

/// What decides where an element stands. The key is a view; who keeps it keeps the text.
struct Ranked {
  std::optional<std::string_view> key;  ///< nothing: the element has none
  std::uint64_t prefix = 0;             ///< of the key, in the order of the answer
  std::uint32_t shard = 0;
  std::uint32_t position = 0;  ///< in the list of its shard
};

/// The order of answers: the key by compare_json(), of equal keys the shard, within a shard the
/// position; elements without a key come last in both directions. A strict total order, so that no
/// answer depends on who came first. Most comparisons are of two integers.
class ListOrder {
 public:
  ListOrder(JsonPointer key, bool descending) : key_(std::move(key)), descending_(descending) {}

  /// Sets the key and the prefix.
  void find_key(std::string_view element, Ranked& rank) const;
  /// Below 0 when a goes before b, and 0 when their keys do not decide.
  int compare_keys(const Ranked& a, const Ranked& b) const;
  bool goes_before(const Ranked& a, const Ranked& b) const;

 private:
  JsonPointer key_;
  bool descending_;
};

}  // namespace consort::gather
