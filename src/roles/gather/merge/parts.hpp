// Keeps the bodies of leaves until the last has come: what merges stand on that need all of them in
// shard order.
//
// A body stays the string that came; the value in it (without the white space around) is an offset.
// join() writes them one after the other and frees each as it goes, so the peak is the answer and
// one body, not twice the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "roles/gather/merge/merge.hpp"

namespace consort::gather {

/// application/json and the "+json" types, parameters aside.
bool is_json_type(std::string_view content_type);
/// The names in use for one JSON value per line: application/x-ndjson, application/jsonl, ..
bool is_ndjson_type(std::string_view content_type);

/// The value of a body: checked (RFC 8259), or only found. The error is the leaf's.
Result<std::string_view> json_value(std::string_view body, bool validate);

class PartList {
 public:
  explicit PartList(std::uint32_t width) : slots_(width) {}

  /// Whether this part has a place: an index below the width that has not been fed.
  Result<> check_place(std::uint32_t index) const;
  /// The bytes as they came. Needs check_place().
  void keep(std::uint32_t index, std::string body);
  /// Checks the place and the JSON, and keeps the value.
  Result<> keep_json(PartBody part, bool validate);

  /// Of those that were kept, in shard order. Views into this object.
  std::vector<std::string_view> values() const;
  std::size_t value_bytes() const { return value_bytes_; }
  std::size_t size() const { return size_; }
  std::size_t held_bytes() const { return held_bytes_; }

  struct Frame {
    std::string_view before;
    std::string_view between;
    std::string_view after;
    bool skips_empty = false;  ///< values of no bytes get no `between` either
  };
  /// Takes all values. `labels`, when given, has for each index what stands in front of its value.
  std::string join(const Frame& frame, std::span<const std::string> labels = {});

 private:
  struct Slot {
    std::string body;
    std::size_t offset = 0;
    std::size_t bytes = 0;
    bool is_kept = false;
  };

  void put(std::uint32_t index, Slot slot);

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::size_t value_bytes_ = 0;
  std::size_t held_bytes_ = 0;
};

}  // namespace consort::gather
