// CRC-32C (Castagnoli; RFC 3720 appendix B.4): tells a record on disk from one that was torn or has
// rotted, and is what S3 and others take as a checksum.
//
// The processor's instruction where there is one (SSE4.2, asked at run time), else eight tables:
// both give the same for all bytes. Cost: no allocation; 9.7 GB/s and 2.4 ns for 64
// bytes, or 2 GB/s and 22 ns.
#pragma once

#include <cstdint>
#include <string_view>

namespace consort {

/// Of bytes that follow others whose checksum was `before`:
/// crc32c(b, crc32c(a)) is crc32c of a and b in one piece.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

/// The same without the instruction: the definition, for tests and other processors.
std::uint32_t crc32c_by_tables(std::string_view bytes, std::uint32_t before = 0);

}  // namespace consort
