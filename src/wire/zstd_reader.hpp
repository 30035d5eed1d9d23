// Reads zstd frames (RFC 8878) as they come, in pieces of any size: for what is too large to be
// held at once. Beside the library's own memory (a window of at most 8 MiB) it takes none.
//
//   std::string_view input = piece;
//   while (true) {
//     Result<std::size_t> size = reader.read(input, buffer);
//     if (!size) return fail(...);                     // Errc::protocol or limit, with the offset
//     if (*size == 0) break;                           // the piece is used up: read another one
//     use(buffer.first(*size));
//   }
//   ... at the end: reader.at_end()
//
// Bytes are given before the checksum of their frame is known. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

class ZstdReader {
 public:
  ZstdReader();
  ZstdReader(ZstdReader&&) noexcept;
  ZstdReader& operator=(ZstdReader&&) noexcept;
  ~ZstdReader();

  /// Fills `out` (which has room) and takes from `input` what that needs; 0 only when it is used
  /// up. Once it failed, it fails for ever.
  Result<std::size_t> read(std::string_view& input, std::span<char> out);
  /// Whether the input may end here: behind a whole frame.
  bool at_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace consort
