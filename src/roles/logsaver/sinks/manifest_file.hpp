// The manifests (manifest.hpp) of a file that batches are saved to, in a file beside it.
//
//   out.log            the batches' bodies, one behind the other
//   out.log.manifest   a line for each: its manifest, with "at", where its body begins in out.log
//
// A line is cut off when it has no end, or is of the batch that is written once more: both are what
// a crash left. Limit: whoever rotates out.log rotates out.log.manifest with it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

inline constexpr std::string_view kManifestSuffix = ".manifest";

struct ManifestLine {
  std::string manifest;  ///< as its hash is of
  std::uint64_t at = 0;
};
/// Without line end.
std::string write_manifest_line(std::string_view manifest, std::uint64_t at);
/// Errc::invalid for a line that has no "at" as its last member.
Result<ManifestLine> read_manifest_line(std::string_view line);

/// Belongs to the loop's thread; the disk outlives it.
class ManifestFiles {
 public:
  explicit ManifestFiles(io::FileSystem& disk) : disk_(disk) {}

  struct Added {
    std::unique_ptr<io::File> file;  ///< to be synced
    bool is_new = false;             ///< its name too
  };
  /// Of a batch whose body begins at that offset of `path`. After an error nothing was added.
  Result<Added> add(const std::string& path, const Batch& batch, std::uint64_t at);

 private:
  /// The file as it was left, so that it is looked at once only.
  struct Left {
    std::string path;
    io::FileIdentity identity;
    std::uint64_t size = 0;
  };

  static Result<std::uint64_t> end_of(io::File& file, std::uint64_t size, const std::string& batch);

  io::FileSystem& disk_;
  Left left_;
};

}  // namespace consort::logsaver
