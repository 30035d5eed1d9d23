// The bytes of the journal's file: how entries are framed, and read back from a file of which the
// machine's end, or its disk, may have spoiled a part.
//
//   file    "consort logsaver journal\n" | u32 version | frames              (all little-endian)
//   frame   u32 crc32c of all that follows | u32 length of the entry | u64 durable | entry
//
// `durable`: that many bytes of the file were known to survive a power cut when the frame was
// written. A compacted file was synced before it got its name, so its first frames may name more
// bytes than stood before them.
//
// The acknowledgement 07 00 ac 02 as the first frame of a file whose header was synced:
//   <crc32c> 04 00 00 00 | 1d 00 00 00 00 00 00 00 | 07 00 ac 02
//
// A frame that is cut off or does not match its sum ends the file when no whole frame, before or
// behind it, says that those bytes were durable: they were being written when the machine stopped,
// and pages do not reach a disk in order. Else the disk has lied, and the file is refused. A
// flipped bit behind what the last frame calls durable cannot be told from a cut, and is taken for
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "io/file_system.hpp"

namespace consort::logsaver {

/// 2: hashes of manifests among the entries. A file of version 1 is read, and called 2 from then
/// on.
inline constexpr std::uint32_t kJournalVersion = 2;
inline constexpr std::uint32_t kJournalVersionOldest = 1;
inline constexpr std::size_t kFrameHeadBytes = 4 + 4 + 8;

std::string journal_header();
void append_frame(std::string& out, std::string_view entry, std::uint64_t durable);

/// Reads a file from its begin on, in blocks: memory does not grow with the file. The file must
/// outlive it, and must not change.
class JournalReader {
 public:
  JournalReader(io::File& file, std::uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  /// First. False: there is none, or only its first part, so the file holds nothing. Errc::invalid:
  /// not a journal, or one of a newer version.
  Result<bool> read_header();
  /// The next entry, valid until the next call; nothing at the end, which is before file_bytes when
  /// something has to be cut off. Errc::io: the disk has lied.
  Result<std::optional<std::string_view>> next();
  /// Where the last whole frame (or the header) ends.
  std::uint64_t end() const { return end_; }
  /// What the header said.
  std::uint32_t version() const { return version_; }
  /// The most bytes that a frame called durable.
  std::uint64_t durable() const { return durable_; }

 private:
  struct Frame {
    std::string_view entry;
    std::uint64_t durable = 0;
  };
  /// Nothing where no whole frame stands, and for those that say less than `durable_min`.
  Result<std::optional<Frame>> frame_at(std::uint64_t offset, std::uint64_t durable_min);
  Result<std::optional<std::string_view>> end_at_broken_frame();
  /// Exactly these bytes, which the file has.
  Result<std::string_view> bytes_at(std::uint64_t offset, std::size_t length);

  io::File& file_;
  std::uint64_t file_bytes_;
  std::uint64_t end_ = 0;
  std::uint64_t durable_ = 0;
  std::uint32_t version_ = 0;
  std::string block_;  ///< the file's bytes from block_offset_ on
  std::uint64_t block_offset_ = 0;
};

}  // namespace consort::logsaver
