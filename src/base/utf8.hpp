// Where UTF-8 text ends and other bytes begin: names and messages of peers may hold anything.
#pragma once

#include <cstddef>
#include <string_view>

namespace consort {

/// The length (1..4) of the character at the front of text, 0 when no valid one starts there.
/// Follows RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
std::size_t utf8_character_bytes(std::string_view text);

/// The longest beginning of text within bytes_max that does not cut a character apart.
std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max);

}  // namespace consort
