// Structured header values (RFC 8941): reads dictionaries, writes integers, decimals, strings and
// tokens.
//
//   Consort-Coverage: total=10, ok=9, hedged=1, percent=90.0, partial, note="s7"; since=3
//                     key=item ( , key=item )*      a key alone is the boolean true
//   item = integer (15 digits) | decimal (12.3 digits) | "string" | token | :base64: | ?0 | ?1
//          each may be followed by parameters, ;key or ;key=item, and (items) may stand for an item
//
// Reading is strict, as the RFC wants it: one mistake and the whole value counts as absent. Every
// part of the grammar is checked; of byte sequences, inner lists and parameters only the raw text
// is kept, since no header that consort reads has them. Several header lines of one name are joined
// with ", " before they come here (RFC 9110, 5.2).
//
// Reading costs no allocation and one pass; a key costs a look at up to kMaxKeys others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort::sf {

/// Different keys in one dictionary; one more is an error. Repeated keys count once.
inline constexpr std::size_t kMaxKeys = 32;
/// The largest integer that the grammar can say, in both directions.
inline constexpr std::int64_t kMaxInteger = 999'999'999'999'999;

enum class Type : std::uint8_t { integer, decimal, string, token, bytes, boolean, inner_list };

/// A value without its parameters. Views point into the text that was read.
struct Item {
  Type type = Type::boolean;
  std::int64_t number = 0;     ///< integer; decimal in thousandths; boolean 0 or 1
  std::string_view text = {};  ///< string: between its quotes, with its escapes; token; bytes: the
                               ///< base64 text; inner list: between its brackets

  std::optional<std::int64_t> as_integer() const;
  /// Of an integer or a decimal.
  std::optional<double> as_number() const;
  /// Of a string, without its escapes, or a token.
  std::optional<std::string> as_text() const;
};

struct Member {
  std::string_view key;
  Item value = {};
  std::string_view parameters = {};  ///< raw and well-formed: ";since=3", or empty
};

/// At most kMaxKeys members, in the order in which their keys came first; the last value of a key
/// counts. Lives no longer than the text that it was read from.
class Dictionary {
 public:
  const Member* begin() const { return members_.data(); }
  const Member* end() const { return members_.data() + size_; }
  std::size_t size() const { return size_; }
  /// Null when the key is not there.
  const Member* find(std::string_view key) const;
  /// False when there is no room for one more key.
  bool set(const Member& member);

 private:
  std::array<Member, kMaxKeys> members_ = {};
  std::size_t size_ = 0;
};

/// Errc::invalid says what is wrong and at which byte; Errc::limit for too many keys.
Result<Dictionary> parse_dictionary(std::string_view text);

/// lcalpha or "*", then lcalpha, digits and "_-.*".
bool is_key(std::string_view text);
bool is_token(std::string_view text);

// The writers append; where the grammar has no form for a value they return false and append
// nothing.

/// At most 15 digits.
bool append_integer(std::string& out, std::int64_t number);
/// Rounds to three digits, halves to even: 90 is "90.0", 0.0625 is "0.062". At most 12 digits
/// before the point.
bool append_decimal(std::string& out, double number);
/// Printable ASCII only; puts the quotes and escapes.
bool append_string(std::string& out, std::string_view text);
/// The same for what a person should read: every other byte becomes "?".
void append_lossy_string(std::string& out, std::string_view text);
bool append_token(std::string& out, std::string_view token);

}  // namespace consort::sf
