// --stdin: lines from standard input, on their way to the destinations kept in files of our own.
//
//   standard input --> DIRECTORY/stdin --16 MiB, at a line's end--> DIRECTORY/stdin.000007
//                          |  followed like any other, rotation too      |
//                          +----------------- settled ------------------>+--> removed
//
// So a destination that is away costs disk and not memory, and after a kill -9 the next start
// sends what was not acknowledged; records that straddle two of the files stay whole. Reading waits
// while kUnsettledMax bytes are not settled, and while the disk is full: then whoever writes to us
// waits too.
//
// Limits: what a kill finds in the pipe, or between the pipe and the file (64 KiB at most), is
// gone; and as the files are not synced, a power cut may take what was read last. A line that a
// kill tears apart becomes two. A line of more than kSegmentMax bytes gets a line end in between.
//
// Standard input may be a pipe, a terminal, a socket or a file. The first three can be watched,
// but only by making them non-blocking for everybody who has them (a shell and its terminal, say),
// and files cannot; so it is looked at, every 50 ms while nothing comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/event.hpp"
#include "async/timer.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "io/file_system.hpp"
#include "io/loop.hpp"
#include "io/scratch_directory.hpp"

namespace consort::logsaver {

/// Reads what is there without waiting: 0 is the end, nothing means not now.
using ReadInput = std::function<Result<std::optional<std::size_t>>(std::span<char> into)>;
/// Of a descriptor that others may share: its flags stay as they are.
ReadInput descriptor_reader(int fd);

/// Belongs to the loop's thread.
class StandardInput {
 public:
  static constexpr std::uint64_t kSegmentBytes = 16ULL << 20;
  static constexpr std::uint64_t kSegmentMax = 256ULL << 20;
  static constexpr std::uint64_t kUnsettledMax = 64ULL << 20;
  /// What records say that they come from.
  static constexpr std::string_view kOrigin = "stdin";

  struct Limits {
    std::uint64_t segment_bytes = kSegmentBytes;
    std::uint64_t segment_bytes_max = kSegmentMax;
    std::uint64_t unsettled_bytes_max = kUnsettledMax;
    /// Where nothing survives us there may be little room: /dev/shm of a container has 64 MiB.
    static Limits volatile_ones() { return {4ULL << 20, 8ULL << 20, 16ULL << 20}; }
  };
  struct World {
    io::Loop& loop;
    io::FileSystem& disk;
    Logger& log;
    ReadInput read;
    /// How far all destinations have that file; nothing for one that is not followed. What is lost
    /// counts as settled.
    std::function<std::optional<std::uint64_t>(const io::FileIdentity&)> settled_to;
  };

  StandardInput(World world, std::string directory, Limits limits);
  /// In that state directory, or with an empty one in a temporary directory, which ends with us.
  static Result<std::unique_ptr<StandardInput>> open(World world, const std::string& state);

  /// Before the files are followed. Takes up what an earlier process left.
  Result<> open();
  /// What to follow; after open().
  std::string glob() const;
  /// What all paths of our files begin with; the directory without links.
  static std::string prefix_of(std::string_view directory) {
    return std::string(directory) + "/stdin";
  }
  const std::string& prefix() const { return prefix_; }
  /// Begins to read.
  void start();
  /// As if the input ended here.
  void stop();
  /// One task waits until the input has ended and all of it is in files.
  Event::Wait ended() { return ended_.wait(); }
  bool has_ended() const { return ended_.is_set(); }
  /// It has, and all of it has arrived; the files are gone then.
  bool is_settled();
  std::uint64_t unsettled_bytes() const;
  /// Reading ended before the input did.
  bool has_failed() const { return has_failed_; }
  /// Why nothing is read though something is there, or why it failed: for people.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Segment {
    std::string path;
    std::unique_ptr<io::File> file;  ///< of the one that is written
    io::FileIdentity identity;
    std::uint64_t size = 0;
    std::uint64_t settled = 0;
    bool is_followed = false;  ///< or was
  };

  Result<> take_up(const std::string& name);
  Result<> begin_segment();
  void end_segment();
  void pump();
  bool take_some();
  bool keep();
  bool write(std::string_view bytes);
  void settle();
  void end();

  const World world_;
  std::unique_ptr<io::ScratchDirectory> scratch_;
  std::string directory_;
  const Limits limits_;
  std::string prefix_;            ///< of our paths
  std::deque<Segment> segments_;  ///< in order; the last one may be written
  std::uint64_t next_number_ = 1;
  bool is_within_line_ = false;
  std::vector<char> buffer_;
  std::string_view pending_;  ///< in buffer_: not in a file yet
  std::uint64_t wait_ms_ = 0;
  std::string trouble_;
  bool has_failed_ = false;
  bool is_over_ = false;  ///< nothing more will be read
  Event ended_;
  Timer timer_;
};

}  // namespace consort::logsaver
