// Records that a destination will never take, kept with the reason until somebody looks.
//
//   STATE/dead/<sink's number>.ndjson
//   {"time":"2026-11-22T05:00:00.000Z","sink":"http://in/","reason":"400: no","record":"..."}
//
// `consort sidecar logsaver --replay` sends them again (replay.hpp). Being JSON, a letter has
// U+FFFD in place of bytes that are no UTF-8. Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "io/file_system.hpp"
#include "roles/logsaver/sinks/sink.hpp"

namespace consort::logsaver {

/// Without line end, and with none inside.
std::string write_letter(std::int64_t now_ms, std::string_view sink, const Rejection& rejection);

/// What is sent again.
struct DeadLetter {
  std::string sink;
  std::string record;
};
/// Errc::invalid for a line that is none. What else the line has does not matter.
Result<DeadLetter> read_letter(std::string_view line);

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
