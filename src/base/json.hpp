// What read_document needs of the strict JSON reader beyond read_json.
#pragma once

#include <string_view>

namespace consort {

/// True when text is one JSON value as RFC 8259 has it. Duplicate keys and depth do not matter.
bool is_json(std::string_view text);

}  // namespace consort
