// JSON pointers (RFC 6901): the address of a value within a document, such as /hits/0/score, looked
// up in text without a tree.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace consort {

/// A value; immutable once parsed. The default one is "", the whole document.
class JsonPointer {
 public:
  static constexpr std::size_t kMaxBytes = 1024;  ///< without the slash in front
  static constexpr std::size_t kMaxTokens = 32;

  /// A text without a slash in front is taken as if it had one: a bare name "score" is "/score".
  static Result<JsonPointer> parse(std::string_view text);

  /// The value there, as a view into `value`, which is a value without white space around it (the
  /// result of check_json(), trim_json() or a reader). Of two members with one name the first
  /// counts. Nothing where the path ends early, and where the bytes on the way are no JSON.
  std::optional<std::string_view> find(std::string_view value) const;

  /// As RFC 6901 writes it: "" or "/a/b~1c".
  std::string text() const;
  /// The names and indexes on the way, without their escapes.
  const std::vector<std::string>& tokens() const { return tokens_; }
  bool is_root() const { return tokens_.empty(); }

 private:
  std::vector<std::string> tokens_;
};

}  // namespace consort
