// Small comparisons and spellings of text that protocols need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace consort {

/// ASCII only, as the protocols mean it.
bool equals_ignoring_case(std::string_view a, std::string_view b);
/// For secrets: the time taken tells only whether the lengths differ.
bool equals_in_constant_time(std::string_view a, std::string_view b);
/// The lowest digits, small letters, zeros in front.
std::string to_hex(std::uint64_t number, std::size_t digits = 16);

}  // namespace consort
