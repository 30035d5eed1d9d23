// Every effect that a sink may have, and what all sinks are told alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "io/dns.hpp"
#include "io/file_system.hpp"
#include "io/files.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "io/tls.hpp"
#include "roles/logsaver/sinks/json_text.hpp"

namespace consort::logsaver {

/// A value that sinks keep; what it refers to outlives them. All of it belongs to the loop's
/// thread.
struct SinkWorld {
  io::Loop& loop;
  io::Network& network;
  io::Dns& dns;
  io::FileSystem& disk;
  io::Files& files;  ///< tokens and passwords
  Random& random;
  Logger& log;
  /// Made when the first sink needs it, and kept.
  std::function<Result<io::TlsClient*>()> tls;
  std::function<std::int64_t()> wall_ms;  ///< since 1970
  /// Writes what standard output takes now, without waiting: 0..size.
  std::function<Result<std::size_t>(std::string_view)> write_stdout;
  /// Variables of the environment; none without it.
  std::function<std::optional<std::string>(const std::string&)> environment{};
  std::string host;  ///< this machine's or pod's name
  InvalidUtf8 invalid_utf8 = InvalidUtf8::replace;
};

}  // namespace consort::logsaver
