// Reads gzip (RFC 1952) as it comes, in pieces of any size, with 40 KiB of memory: for log files
// that were compressed when they were rotated.
//
//         +--------------------- magic ---------------------+
//         v                                                 |
//   before --magic--> member --checksum and length right--> between --zero--> zeros
//      |                 |                                     |                |
//      |    damaged      |        neither magic nor zero       |   not zero     |
//      +-----------------+------------> broken <---------------+----------------+
//
// Members may follow each other; zeros may follow the last one, as tapes and preallocated files
// have them. Anything else behind a member is an error, as for `gzip -t`, but after all bytes of
// the members before it were given. The input may end in `between` and in `zeros` only.
//
// Bytes are given before the checksum of their member is known: whoever must not act on damaged
// bytes waits until the member's end. Where the reader stops is the same however the input is cut.
//
//   std::string_view input = piece;                    // of the file
//   while (true) {
//     Result<std::size_t> size = reader.read(input, buffer);
//     if (!size) return fail(...);                     // Errc::protocol, with offsets
//     if (*size == 0) break;                           // the piece is used up: read another one
//     use(buffer.first(*size));
//   }
//   ... at the file's end: reader.finish()
//
// By zlib's inflate; 930 MB/s of JSON lines, uncompressed. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

class GzipReader {
 public:
  GzipReader();
  GzipReader(GzipReader&&) noexcept;
  GzipReader& operator=(GzipReader&&) noexcept;
  ~GzipReader();

  /// Fills `out` (which has room) and takes from `input` what that needs. Less than asked for only
  /// when the input is used up or an error follows; 0 only when it is used up. Once it failed, it
  /// fails for ever.
  Result<std::size_t> read(std::string_view& input, std::span<char> out);
  /// read() of up to `bytes` bytes that nobody wants to see, to get to an uncompressed offset: how
  /// many; less only when the input is used up or an error follows, 0 only when it is used up.
  Result<std::uint64_t> skip(std::string_view& input, std::uint64_t bytes);

  /// Whether the input may end here.
  bool at_end() const;
  /// That it has ended: an error when something is missing.
  Result<> finish() const;

  std::uint64_t compressed_offset() const;    ///< how much of the input is used
  std::uint64_t uncompressed_offset() const;  ///< how much was read or skipped

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What members one after the other contain. Errors as above, and Errc::limit for more than
/// bytes_max bytes.
Result<std::string> gunzip(std::string_view members, std::size_t bytes_max);

}  // namespace consort
