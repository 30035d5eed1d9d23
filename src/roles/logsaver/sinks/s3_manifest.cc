#include "roles/logsaver/sinks/s3_manifest.hpp"

#include <algorithm>
#include <cstddef>

namespace consort::logsaver {
namespace {

constexpr std::string_view kName = "consort-manifest";
constexpr std::size_t kPieceBytes = 240;
constexpr std::size_t kPiecesMax = 16;

std::string name_of(std::size_t piece) {
  std::string name(kName);
  if (piece > 0) name.append("-").append(std::to_string(piece + 1));
  return name;
}

}  // namespace

void add_manifest(http1::Headers& metadata, std::string_view manifest) {
  for (std::size_t piece = 0; !manifest.empty(); ++piece) {
    const std::size_t size = std::min(kPieceBytes, manifest.size());
    metadata.emplace_back(name_of(piece), manifest.substr(0, size));
    manifest.remove_prefix(size);
  }
}

std::string manifest_in(const http1::Headers& headers) {
  std::string manifest;
  for (std::size_t piece = 0; piece < kPiecesMax; ++piece) {
    const std::string_view part = http1::find_header(headers, "x-amz-meta-" + name_of(piece));
    if (part.empty()) break;
    manifest += part;
  }
  return manifest;
}

}  // namespace consort::logsaver
