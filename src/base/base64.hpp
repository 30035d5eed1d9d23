// Base64 of RFC 4648 section 4: bytes that must travel inside text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace consort {

/// Appends with padding and without line breaks: 4 characters for each 3 bytes.
void append_base64(std::string& out, std::string_view bytes);

/// The bytes, or nothing for what is not base64. Padding may be left out, as many encoders do;
/// white space and the alphabet for URLs are refused.
std::optional<std::string> parse_base64(std::string_view text);

}  // namespace consort
