// Zstandard (RFC 8878): frames for wire/compressor.cc, and their reading for verification.
//
// Frames have their content's size in front and its checksum behind. The window is at most 256 KiB:
// with blocks of 1 MiB that costs at most 2 % of size at levels 3 to 9 and none at level 1, and
// keeps both ends small (level 9 would take 12.8 MiB with all of the block, and takes 3.6).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "wire/compressor.hpp"

namespace consort {

std::unique_ptr<Compressor> make_zstd_compressor(int level);

/// "zstd 1.5.4 window 18": as the library says, and what shapes our frames besides the level.
std::string zstd_library();

/// What frames one after the other contain. Errc::protocol, with the offset, for what is corrupt,
/// cut off, empty or not zstd; Errc::limit for more than bytes_max bytes, or a window above 8 MiB
/// (which would have to be held at once).
Result<std::string> unzstd(std::string_view frames, std::size_t bytes_max);

}  // namespace consort
