// YAML text to a tree; read_document adds what makes it a reader of JSON, too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/document.hpp"

namespace consort {

/// Something wrong at a place.
struct Fault {
  Place place{};
  std::string text{};
};

struct YamlTree {
  Node root{};
  std::vector<Fault> faults{};  ///< empty when root is good
  bool is_yaml = true;  ///< false when the syntax, and not our own rules, stopped the reading
};

/// text has at most kMaxDocumentBytes. The root is null when the document is empty.
YamlTree read_yaml(std::string_view text);

}  // namespace consort
