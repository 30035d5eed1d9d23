// Finding values in JSON text without building a tree: where a document, an element or a member
// begins and ends, as views into the text, so that a merge can copy the bytes as they came. Numbers
// keep their digits, strings their escapes, and nothing is rounded.
//
//   Result<std::string_view> body = check_json(text);        // or trim_json() of a trusted leaf
//   JsonArrayReader hits(*pointer.find(*body));              // wire/json_pointer.hpp
//   for (std::string_view hit; hits.next(hit);) ...          // views into text, no white space
//
// Two depths of distrust:
//   check_json   all of RFC 8259 and nothing else: UTF-8 (RFC 3629), escapes, numbers, commas, no
//                byte order mark, nothing after the value. A lone surrogate escape ("\ud800") is
//                allowed, as the grammar allows it. The one limit of ours is kMaxJsonDepth.
//   the readers  only follow quotes and brackets. Of checked text they give exactly its elements.
//                Of any other bytes they give something, or fail; they never read outside the text,
//                do not loop, and do not recurse. Brackets are counted without regard to their kind
//                ("[}" is balanced), and a quote after an odd number of backslashes is no quote.
//
// Cost: one pass and no allocation (the error text and unescape_json_string() aside); check_json
// makes a second pass where it refuses. On one core of 2024: check_json 2 to 3 GB/s on lists of
// hits (an answer of 190 bytes in 60 tokens: 1050 instructions, 0.1 us), skipping 3 GB/s and more.
// The stack is the same for any input. Everything here is pure and safe on any thread.
//
// Sources: RFC 8259 (grammar), RFC 3629 (UTF-8). The block masks follow the idea of G. Langdale and
// D. Lemire, "Parsing Gigabytes of JSON per Second" (2019), section 3.1, with 16-byte registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

/// Arrays and objects within each other. More is an error of the document: others who read what we
/// pass on may recurse.
inline constexpr std::size_t kMaxJsonDepth = 512;

/// In the order in which compare_json() sorts values of different kinds.
enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

/// By the first byte of a value without white space around it. Of bytes that are no JSON: number;
/// of nothing: null.
JsonKind json_kind(std::string_view value);

/// The value of a whole document, without the white space around it; or what is wrong, and at which
/// byte (counted from 0).
Result<std::string_view> check_json(std::string_view text);

/// The same view of every document that check_json() takes, without looking inside: for leaves that
/// are trusted to write JSON. Fails where quotes or brackets do not close, or where more follows.
Result<std::string_view> trim_json(std::string_view text);

/// The elements of an array, in order.
class JsonArrayReader {
 public:
  explicit JsonArrayReader(std::string_view array);
  /// False at the end, and at the first byte that cannot be followed (failed() is then true).
  bool next(std::string_view& element);
  /// The text was no array, or had none of the commas and brackets that it needs.
  bool failed() const { return failed_; }

 private:
  bool stop(bool failed);

  const char* at_;  ///< null when nothing more comes
  const char* end_;
  bool first_ = true;
  bool failed_ = false;
};

/// The members of an object, in order, duplicates included.
class JsonObjectReader {
 public:
  explicit JsonObjectReader(std::string_view object);
  /// raw_key has no quotes around it, and its escapes as they are written.
  bool next(std::string_view& raw_key, std::string_view& value);
  bool failed() const { return failed_; }

 private:
  bool stop(bool failed);
  bool read_key(std::string_view& raw_key);

  const char* at_;  ///< null when nothing more comes
  const char* end_;
  bool first_ = true;
  bool failed_ = false;
};

/// Whether an object has a member of that name at its top level, written without escapes; false of
/// what is no object. Objects that do not have the quoted name anywhere cost 8 ns per 122 bytes.
bool json_has_member(std::string_view object, std::string_view name);

/// What lies between the quotes of a string, as UTF-8. Half a surrogate pair becomes U+FFFD; bytes
/// after a backslash that are no escape stay as they are.
std::string unescape_json_string(std::string_view raw);
/// unescape_json_string(raw) == text, without an allocation where raw has no escapes.
bool json_string_equals(std::string_view raw, std::string_view text);

/// Below, equal to, or above 0, as a sorts before, with, or after b: a total order of the values.
/// Kinds in the order of JsonKind; false before true; numbers by their exact decimal value, however
/// long (2^53 + 1 is above 2^53, 1e400 above 1e399, 1.0 equals 1; -0 equals 0); strings by the code
/// points they stand for; all arrays are equal, and so are all objects. Exponents beyond 10^17
/// count as 10^17. No allocation, but for strings with escapes.
int compare_json(std::string_view a, std::string_view b);

/// The order of compare_json() as far as 64 bits go: where the prefixes of two values differ, so do
/// the values, and in the same way. For a value that is compared more often than once. Numbers
/// differ in 14 digits, strings in 7 bytes. Below 2^64 - 1.
std::uint64_t json_order_prefix(std::string_view value);

/// Deeper values count as they are written: each level reads all that is below it once more.
inline constexpr std::size_t kMaxCanonicalDepth = 32;
/// A text that equal values share, whatever their white space, escapes, digits and order of
/// members: a key for sets and maps, not a document. Of numbers and strings it makes one what
/// compare_json() finds equal; duplicate members all count, in their order.
std::string canonical_json(std::string_view value);

}  // namespace consort
