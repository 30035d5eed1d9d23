// Log lines to a descriptor without ever hanging on whoever reads it.
//
//   flowing --full for kPatience--> stuck --takes bytes again--> flowing, on_recovered(lost lines)
//   (a line waits)                  (lines are lost at once)
//
// A reader that is merely slow loses nothing. One that stopped reading would otherwise block the
// first thread that logs, and every other one behind the logger's lock: probes would hang, and no
// signal could end the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "base/metrics.hpp"
#include "base/options.hpp"

namespace consort {

/// One caller at a time (the logger's lock sees to it); lost() is for any thread. The descriptor's
/// flags stay as they are, for other processes hold it too: one of them that writes to the same
/// pipe at the same moment can still block a line.
class LogSink {
 public:
  /// How long the first line waits that finds the descriptor full.
  static constexpr Millis kPatience{1000};
  /// What a pipe that says it is writable takes without blocking (PIPE_BUF).
  static constexpr std::size_t kChunkBytes = 4096;

  explicit LogSink(int fd, Millis patience = kPatience) : fd_(fd), patience_(patience) {}

  /// Told how many lines are missing, once lines flow again. It must not log: it is called while a
  /// line is written.
  void on_recovered(std::function<void(std::uint64_t lost)> told) { recovered_ = std::move(told); }

  /// The line ends with \n. Each call writes all of it or counts it as lost.
  void write(std::string_view line);
  std::uint64_t lost() const { return lost_.value(); }

 private:
  bool write_all(std::string_view bytes);
  bool wait_writable();

  int fd_;
  Millis patience_;
  std::function<void(std::uint64_t)> recovered_;
  Counter lost_;
  std::uint64_t told_ = 0;
  bool is_stuck_ = false;
  bool is_cut_ = false;  ///< the last bytes written were the beginning of a lost line
};

}  // namespace consort
