// Where the keys of a Redis request are: by the server's key specifications, or by code of ours for
// the commands whose syntax no specification describes.
//
//   specification = begin (an argument number, or a word to look for), then
//                   range (to a last key, every so many arguments) or keynum (a number, so many)
//
//   EVAL script numkeys key ...      begin 2; keynum: the number at +0, the first key at +1
//   MSET key value ...               begin 1; range: to the last argument (-1), every second
//   X.COPY .. KEYS key ...           begin behind KEYS, looked for from argument 1; range to -1
//
// Source: Redis' documentation, "Command key specifications", and how redis 7.0 evaluates them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "wire/resp.hpp"

namespace consort::redis {

/// The arguments of a request, the command's name first, wherever they lie. A view: what it was
/// made from must outlive it.
class Arguments {
 public:
  Arguments(std::span<const std::string_view> words) : words_(words) {}
  Arguments(const resp::RequestParser& request, std::string_view bytes)
      : request_(&request), bytes_(bytes) {}

  std::size_t size() const { return request_ != nullptr ? request_->argc() : words_.size(); }
  std::string_view operator[](std::size_t i) const {
    return request_ != nullptr ? request_->arg(i, bytes_) : words_[i];
  }

 private:
  const resp::RequestParser* request_ = nullptr;
  std::string_view bytes_;
  std::span<const std::string_view> words_;
};

/// One of the server's key specifications. All numbers count arguments.
struct KeySpec {
  enum class Find : std::uint8_t { range, keynum };

  std::int16_t begin;  ///< from where the next numbers count; with a keyword: where the search for
                       ///< it begins, forwards, or if negative from the end and backwards
  Find find;
  std::int16_t last;   ///< range: last key after the first, or from the end if negative; keynum:
                       ///< where the number is
  std::int16_t step;   ///< from key to key; positive
  std::int16_t first;  ///< keynum: the first key
  std::int16_t limit = 0;  ///< range with a negative last: 2 stops after half of what is left,
                           ///< 3 after a third; 0 and 1 do not
  std::string_view keyword = {};  ///< lower case; the keys begin behind it, and without it are none

  bool operator==(const KeySpec&) const = default;
};

/// How the keys of a group of commands are found.
struct KeyRule {
  /// unknown: only the server can tell.
  enum class Special : std::uint8_t { none, sort, migrate, xread, georadius, unknown };
  static constexpr std::size_t kMaxSpecs = 4;

  KeySpec specs[kMaxSpecs];
  std::uint8_t count;  ///< of the specifications that are used
  Special special;     ///< other than none: code of ours, and the specifications do not matter

  bool has_keys() const { return count > 0 || special != Special::none; }
  bool operator==(const KeyRule&) const = default;
};

/// Whether the server takes a request of so many arguments: then keys that are not there were
/// optional (PFMERGE with a destination only), else they are missing.
enum class Arity : std::uint8_t { refused, accepted };

/// Replaces `positions` by the argument numbers of the keys, ascending. False, with no positions,
/// when the arguments are too few or too malformed, or the rule is unknown.
bool find_keys(const KeyRule& rule, const Arguments& arguments, Arity arity,
               std::vector<std::uint32_t>& positions);

/// Whether an XREAD or XREADGROUP has the option BLOCK.
bool stream_blocks(const Arguments& arguments);
/// Whether a SORT has a BY or GET pattern that reads keys which only the server can name.
bool sort_reads_by_pattern(const Arguments& arguments);

}  // namespace consort::redis
