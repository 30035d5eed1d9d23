// Reads logfmt, the lines of `key=value` that Go programs write.
//
//   level=warn msg="slow \"query\"" took=1.5s cached      level, msg, took and cached (empty)
//
//   line  = blanks [ item { blanks item } ] blanks
//   item  = key "=" ( value | '"' { byte | '\' byte } '"' ) | key
//   key   = bytes above the blank but '=' and '"'
//   value = bytes above the blank, not beginning with '"'; none too
//
// There is no standard; this takes what github.com/kr/logfmt and go-logfmt write, and plain values
// with '=' and '"' in them, as others do. Escapes are those of JSON. Keys come as they are written,
// twice if they are there twice.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "roles/logsaver/records/record.hpp"

namespace consort::logsaver {

/// More is no logfmt, but text with many words.
inline constexpr std::size_t kLogfmtFieldsMax = 256;

/// Replaces `fields`, whose views are of the text, or of scratch where a value had escapes. False
/// for other text: a quote that does not close or stands in a key, no `=` at all, too many fields.
/// One pass, no allocation but scratch's and one per long value with escapes.
bool parse_logfmt(std::string_view text, std::vector<Field>& fields, std::string& scratch);

}  // namespace consort::logsaver
