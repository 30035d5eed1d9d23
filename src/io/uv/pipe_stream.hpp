// Our end of a pipe to or from a child, on a UvLoop. One direction; read(2) and write(2).
//
//   open --end of file, EPIPE, failure--> ended   (silent after on_end)
//
// A pipe and not a socket pair, since scripts open /dev/stdin and /dev/stdout by name, which the
// kernel refuses for sockets. Writing to one whose reader is gone raises SIGPIPE: the process must
// ignore that signal (UvProcesses sees to it).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "async/timer.hpp"
#include "io/fd.hpp"
#include "io/stream.hpp"
#include "io/uv/fd_watcher.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// Which way our end of a pipe goes.
enum class PipeEnd : std::uint8_t { read, write };

class UvPipeStream final : public Stream {
 public:
  /// Full buffers read from one pipe before the others get their turn.
  static constexpr int kReadsPerEventMax = 4;

  UvPipeStream(UvLoop& loop, PipeEnd end);
  ~UvPipeStream() override;
  UvPipeStream(const UvPipeStream&) = delete;
  UvPipeStream& operator=(const UvPipeStream&) = delete;

  /// Takes our end of a pipe; quiet until set_handler().
  Result<> adopt(Fd fd);

  void set_handler(StreamHandler& handler) override;
  Result<std::size_t> try_write(std::string_view bytes) override;
  void want_writable() override;
  void pause_reading() override;
  void resume_reading() override;
  /// Closes a writing end; nothing else on a reading one.
  void shutdown_write() override;
  Peer peer() const override;

 private:
  void on_ready(Readiness ready);
  void read_some(const bool& gone);
  void fail_later(Error why);
  void on_later();
  void end(const Error& why);
  void close();
  void update_wish();

  UvLoop& loop_;
  const PipeEnd end_;
  StreamHandler* handler_ = nullptr;
  Fd fd_;
  FdWatcher watcher_;  // after fd_: it must let go before the descriptor closes
  Timer later_;
  std::optional<Error> failure_;  // told by later_
  bool* gone_ = nullptr;          // set by the destructor for the event under way
  bool ended_ = false;
  bool reading_ = true;
  bool wants_writable_ = false;
};

}  // namespace consort::io
