// Finds in log text what most must hide: the built-in rules of --redact, written by hand, for they
// run over every byte that is saved.
//
//   kind        what it finds
//   jwt         eyJ..., two dots and the base64url between and after them: JSON web tokens, signed
//               or encrypted, with empty payload or signature too (RFC 7515, RFC 7516)
//   bearer      "Bearer", in any case, blanks, and 8 or more bytes without blanks, quotes or
//               brackets (RFC 6750 and what servers hand out)
//   aws-key     AKIA, ASIA or ABIA and 16 or more capitals and digits: identifiers of access keys,
//               not the secrets beside them, which look like any other base64
//   creditcard  13 to 19 digits that begin with 2 to 6 and pass Luhn's check (ISO/IEC 7812-1),
//               as they are or in the groups that cards print (4-4-4-4, 4-4-4-4-3, 4-6-5, 4-6-4;
//               blanks or dashes); not inside words or after a decimal point
//   ipv4        four numbers up to 255 with dots, next to no other digit; version numbers and parts
//               of longer ones are found too
//   email       local@domain.name, also local%40domain.name, with ASCII letters, digits and ._%+-
//
// In doubt they find: what is hidden once too often can be looked up, what is saved once too often
// cannot be called back. Text may be JSON as it is written: a letter that is the end of an escape
// (\n4111..., \u003d4111...) does not hide what follows it.
//
// What is left when each kind in turn, in the order of Kind, is replaced by its name in brackets
// has no match of any kind left (tests/fuzz/redaction.cc). Linear in the text, whatever it is;
// no allocation. Of log text without a match about 0.5 ns per byte for the lot (may_find, and the
// search for cards).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace consort::logsaver::scanners {

/// In the order in which they are applied: removing one must not uncover one that came before.
enum class Kind : std::uint8_t { jwt, bearer, aws_key, email, ipv4, creditcard };
inline constexpr std::size_t kKinds = 6;

std::string_view to_string(Kind kind);
std::optional<Kind> kind_of(std::string_view name);

/// The kinds that the text may have, as bits 1 << Kind; one look for all of them.
std::uint32_t may_find(std::string_view text);

struct Found {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The first of that kind at or after `from`, where a text begins for it: what was before is gone.
std::optional<Found> find(Kind kind, std::string_view text, std::size_t from);

}  // namespace consort::logsaver::scanners
