// What the tests of the built-in merges share: merges by their configured text, and parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "roles/gather/merge/merge.hpp"
#include "roles/gather/merge/spec.hpp"

namespace consort::gather::test {

struct Part {
  std::uint32_t index = 0;
  std::string body;
  std::string content_type = "application/json";
};

/// Bodies of shards 0, 1, ..
inline std::vector<Part> parts_of(std::vector<std::string> bodies) {
  std::vector<Part> parts;
  for (std::string& body : bodies) {
    parts.push_back({static_cast<std::uint32_t>(parts.size()), std::move(body)});
  }
  return parts;
}

inline std::unique_ptr<Merge> merge_by(std::string_view text, std::uint32_t width) {
  auto spec = MergeSpec::parse(text);
  if (!spec) return nullptr;
  return make_merge(*spec, width, spec->k_default);
}

/// Shard ids are s0, s1, ..
inline Result<> feed(Merge& merge, const Part& part) {
  const std::string shard = "s" + std::to_string(part.index);
  return merge.feed(
      {.index = part.index, .shard = shard, .content_type = part.content_type, .body = part.body});
}

/// "": the part was taken.
inline std::string refusal(Merge& merge, const Part& part) {
  auto fed = feed(merge, part);
  return fed ? "" : fed.error().text();
}

inline MergedBody merged(std::string_view text, const std::vector<Part>& parts,
                         std::uint32_t width) {
  auto merge = merge_by(text, width);
  for (const Part& part : parts) static_cast<void>(feed(*merge, part));
  return merge->finish();
}

/// The answer to these bodies, of shards 0, 1, ..
inline std::string merged(std::string_view text, std::vector<std::string> bodies) {
  const auto width = static_cast<std::uint32_t>(bodies.size());
  return merged(text, parts_of(std::move(bodies)), width).body;
}

inline std::vector<Part> shuffled(std::vector<Part> parts, Random& random) {
  for (std::size_t i = parts.size(); i > 1; --i) {
    std::swap(parts[i - 1], parts[static_cast<std::size_t>(random.below(i))]);
  }
  return parts;
}

}  // namespace consort::gather::test
