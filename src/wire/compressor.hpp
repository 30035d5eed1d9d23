// Makes a batch small before it is sent or stored: blocks in, gzip members or zstd frames out.
//
//   add("aaa")  add("bbb")  -->  [member of aaa][member of bbb]
//
// Each add() appends whole members, which may lie one after the other in both formats (RFC 1952,
// 2.2; RFC 8878, 3): gunzip and unzstd of all give "aaabbb". So no state is carried from one block
// to the next, and what was appended is complete at any time.
//
// Deterministic: equal blocks cut alike, with equal coding, level and library, give equal bytes,
// whatever was compressed before, on any x86-64. No time, name or operating system is written
// (gzip: mtime 0, OS 255). A batch that is built again after a crash is the one that was sent.
// compressor_version() names what the bytes depend on besides, for the record of what was promised.
//
// Memory and speed with blocks of 1 MiB of JSON lines, on one 3 GHz core:
//
//   gzip 1     198 KiB   490 MB/s        zstd 1     568 KiB   750 MB/s
//   gzip 2-5   652 KiB   290 to 350      zstd 3   1,272 KiB   560 MB/s
//   gzip 6     652 KiB   180 MB/s        zstd 6   3,576 KiB   170 MB/s
//   gzip 9     652 KiB    24 MB/s        zstd 9   3,576 KiB   125 MB/s
//
// and besides as much as the largest member came out as: pages of the scratch that are never
// written are never resident. 436 and 544 KiB in all were resident at level 1. No allocation once
// blocks of the usual size have been seen; zstd alone gives memory back (and takes it again) when
// more than 128 blocks in a row need less than a third of it.
// Levels above 9 are refused: gzip's take 8.8 MiB for a twentieth less.
//
// One thread at a time for each compressor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/options.hpp"

namespace consort {

enum class Coding : std::uint8_t { none, gzip, zstd };

template <>
struct Choices<Coding> {
  static constexpr std::string_view names[] = {"none", "gzip", "zstd"};
};

inline constexpr int kCompressionLevelMin = 1;
inline constexpr int kCompressionLevelMax = 9;
inline constexpr int kCompressionLevelDefault = 1;

/// What HTTP calls it in Content-Encoding (RFC 9110, 8.4.1; RFC 8878, 7.2); empty for none.
std::string_view content_encoding(Coding coding);
/// ".gz", ".zst" or nothing.
std::string_view file_suffix(Coding coding);

class Compressor {
 public:
  /// A larger block becomes several members, so that the scratch has a bound.
  static constexpr std::size_t kMemberBytesMax = 4 * 1024 * 1024;

  virtual ~Compressor() = default;
  /// Appends the block, compressed. An empty block is a member too: what is empty unpacks as well.
  virtual void add(std::string_view block, std::string& out) = 0;
};

/// Coding::none has one too, which appends blocks as they are. The level must be in range.
std::unique_ptr<Compressor> make_compressor(Coding coding, int level = kCompressionLevelDefault);

/// "libdeflate 1.14 level 1", "zstd 1.5.4 window 18 level 1", "none": the bytes are a function of
/// this and of the blocks.
std::string compressor_version(Coding coding, int level = kCompressionLevelDefault);

}  // namespace consort
