// Records that a destination will never take, kept with the reason until somebody looks.
//
//   STATE/dead/<sink's number>.ndjson
//   {"time":"2026-11-22T05:00:00.000Z","sink":"http://in/","reason":"400: no","record":"..."}
//
// `consort sidecar logsaver --replay` sends them again. Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

class DeadLetters {
 public:
  /// An empty directory keeps none: they are counted only.
  DeadLetters(io::FileSystem& disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)) {}

  /// All of them, or an error and none.
  Result<> add(SinkIndex sink, std::string_view name, std::int64_t now_ms,
               std::span<const Rejection> rejected);
  std::uint64_t bytes() const { return bytes_; }

 private:
  io::FileSystem& disk_;
  const std::string directory_;
  std::uint64_t bytes_ = 0;
};

}  // namespace consort::logsaver
