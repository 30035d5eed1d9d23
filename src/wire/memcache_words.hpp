// The words of a memcached command line as memcached 1.6.18 reads them; for memcache_request.cc.
#pragma once

#include <cstdint>
#include <string_view>

namespace consort::memcache {

/// A number as the C library reads it for the server: white space, a sign, digits, and then the end
/// of the word or white space (a word can hold tabs). Flags, deltas and CAS values; "-1" is none.
bool is_unsigned(std::string_view word);
/// The same for an expiry time.
bool is_signed(std::string_view word);
/// The length of a body. Like the server it keeps the low 32 bits of what fits in 64, and refuses
/// what is then negative or within two bytes of the largest int.
bool read_length(std::string_view word, std::uint32_t& length);
/// Whether decode_base64() takes it.
bool is_base64(std::string_view text);

}  // namespace consort::memcache
