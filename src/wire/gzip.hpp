// Gzip (RFC 1952) by libdeflate, for wire/compressor.cc: each member is made in one call, which is
// twice as fast as a stream of zlib. wire/gzip_reader.hpp reads.
#pragma once

#include <memory>
#include <string>

#include "wire/compressor.hpp"

namespace consort {

std::unique_ptr<Compressor> make_gzip_compressor(int level);

/// "libdeflate 1.14". The library does not say it at run time, but it is linked statically: what
/// was compiled is what runs.
std::string gzip_library();

}  // namespace consort
