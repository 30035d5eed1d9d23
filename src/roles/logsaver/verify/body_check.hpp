// Compares a batch's bytes, as they are stored, with what its manifest says of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/digest.hpp"
#include "roles/logsaver/manifest.hpp"
#include "wire/gzip_reader.hpp"
#include "wire/zstd_reader.hpp"

namespace consort::logsaver {

/// Bytes come in pieces of any size; memory does not grow with them.
class BodyCheck {
 public:
  /// The manifest outlives it.
  explicit BodyCheck(const Manifest& manifest);

  void add(std::string_view piece);
  /// Once. What is wrong, for people; nothing when all is as it was.
  std::optional<std::string> finish();

 private:
  void take_plain(std::string_view plain);
  template <class Reader>
  void unpack(Reader& reader, std::string_view piece);

  const Manifest& manifest_;
  io::Sha256 sum_;
  std::optional<GzipReader> gzip_;
  std::optional<ZstdReader> zstd_;
  std::vector<char> buffer_;
  std::uint64_t stored_ = 0;
  std::uint64_t plain_ = 0;
  std::uint64_t lines_ = 0;
  std::string damage_;
};

}  // namespace consort::logsaver
