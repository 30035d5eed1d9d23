// A batch's manifest (manifest.hpp) as metadata of its object.
//
//   x-amz-meta-consort-manifest: {"v":1,"batch":...        x-amz-meta-consort-manifest-2: ...
//
// In pieces, since some servers take values of 256 bytes only (OpenStack Swift); S3 takes 2 KiB of
// metadata in all, names included, of which kObjectManifestBytesMax leaves the rest to others.
#pragma once

#include <string>
#include <string_view>

#include "wire/http1.hpp"

namespace consort::logsaver {

/// Names without "x-amz-meta-". Nothing for an empty one.
void add_manifest(http1::Headers& metadata, std::string_view manifest);
/// Of an object's headers, with names in lower case; empty when it has none.
std::string manifest_in(const http1::Headers& headers);

}  // namespace consort::logsaver
