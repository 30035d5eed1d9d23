// JSON numbers as exact decimals of any length: for json_scan*.cc, which order and compare values.
// A double would make one of 2^53 and 2^53 + 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace consort {

/// Below, equal to or above 0. Exponents beyond 10^17 count as 10^17.
int compare_json_numbers(std::string_view a, std::string_view b);

/// Below 2^61, and never above that of a higher number: what json_order_prefix() has of a number.
std::uint64_t number_order_prefix(std::string_view text);

/// The same text for all ways to write one number: "0", "-125e-1", "1e400".
void append_canonical_number(std::string& out, std::string_view text);

}  // namespace consort
