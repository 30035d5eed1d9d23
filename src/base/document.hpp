// A configuration document: a tree that remembers where each value stood, from YAML or JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace consort {

/// A place in a file, counted from 1; line 0 means no place.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// One value. Scalars stay text: the option that takes them decides what they mean (so that
/// "0123", "no" or 1e3 are never changed by the reader); `quoted` tells "400" from 400, and is true
/// for every YAML style but the plain one and for values tagged !!str. A map's keys are unique.
struct Node {
  enum class Kind : std::uint8_t { null, scalar, list, map };

  Kind kind = Kind::null;
  bool quoted = false;
  Place place{};  ///< of the first character
  std::string scalar{};
  std::vector<Node> items{};                     ///< of a list
  std::vector<std::pair<Node, Node>> members{};  ///< of a map, in order; keys are scalars

  /// The value of a map's key; null when there is none, or when this is no map. Linear.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};

/// Everything found wrong with a configuration, and what deserves a warning: all at once.
class Problems {
 public:
  explicit Problems(std::string source = {}) : source_(std::move(source)) {}
  void set_source(std::string source) { source_ = std::move(source); }
  /// After these many a file is beyond repair by hand; one more line says that others were left
  /// out.
  static constexpr std::size_t kMaxEach = 100;

  /// "SOURCE:LINE:COL: text" when place is known ("LINE:COL: text" without a source), else "text".
  void error(Place place, std::string text);
  void error(std::string text) { error(Place{}, std::move(text)); }
  void warn(Place place, std::string text);
  void warn(std::string text) { warn(Place{}, std::move(text)); }
  bool ok() const { return errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::string source_;
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

/// Of the text, and again of what its aliases add.
inline constexpr std::size_t kMaxDocumentBytes = 16 * 1024 * 1024;
/// Lists and maps inside each other.
inline constexpr std::size_t kMaxDocumentDepth = 64;
/// Keys, values, lists and maps, counted after aliases are expanded.
inline constexpr std::size_t kMaxDocumentNodes = 1'000'000;

/// Reads YAML 1.1, of which JSON is nearly a part; a text that is JSON but not YAML (escaped
/// surrogate pairs, very long keys) is read as well. Aliases are expanded and merge keys (<<)
/// resolved: a map's own keys win over merged ones, and earlier merged maps over later ones.
///
/// Refuses duplicate keys, several documents, tags of other types, keys that are not scalars, and
/// what is beyond the limits above; each is reported with its place. An empty document, or one that
/// holds only null, is an empty map. When problems were added, the tree must not be used.
Node read_document(std::string_view text, Problems& problems);

/// The node as JSON text; scalars that are not quoted and look like JSON numbers, booleans or null
/// are printed bare. indent 0 gives one line. Both readers here read it back to the same tree.
std::string to_json(const Node& node, int indent);

/// Strict JSON (RFC 8259) into the same tree, without places: for answers of other programs.
/// Duplicate keys are refused, for two programs may disagree on which one counts. Numbers that fit
/// in 64 bits lose superfluous signs, all others keep their text. Errc::limit beyond the limits
/// above, else Errc::invalid.
Result<Node> read_json(std::string_view text);

}  // namespace consort
