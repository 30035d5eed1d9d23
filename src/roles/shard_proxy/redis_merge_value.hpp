// Taking replies apart and putting them together again, for the merging of Redis replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace consort::shard_proxy {

/// The elements of a complete aggregate, each as its raw bytes; a map's keys and values by turns.
/// Attributes before the aggregate are skipped, those before an element stay with it.
class Elements {
 public:
  explicit Elements(std::string_view reply);
  /// '*', '~', '>' or '%'; 0 when the reply is a null or no aggregate.
  char type() const { return type_; }
  bool is_aggregate() const { return type_ != 0; }
  /// Elements; of a map the keys and the values. Believe it only for complete replies.
  std::size_t size() const { return size_; }
  /// The bytes that next() has not given yet.
  std::string_view rest() const { return rest_; }
  /// The next element; empty when there is none.
  std::string_view next();

 private:
  std::string_view rest_;
  std::size_t size_ = 0;
  char type_ = 0;
};

/// The text of a complete "$", "=" (without its "txt:"), "+", ":" or "," reply; nothing for errors,
/// nulls and aggregates.
std::optional<std::string_view> text_of(std::string_view reply);
/// The number of a complete ":" reply.
std::optional<std::int64_t> integer_of(std::string_view reply);
/// "$-1", "*-1" or "_".
bool is_null(std::string_view reply);
/// The type byte past any attribute; 0 for nothing.
char type_of(std::string_view reply);

/// "*N" and its like. Of a map `elements` counts keys and values, as in Elements::size().
void append_aggregate(std::string& out, char type, std::size_t elements);
void append_integer(std::string& out, std::int64_t value);
/// A text as `type` has it: '=' for verbatim, else a bulk.
void append_text(std::string& out, char type, std::string_view text);

/// A whole text as a number. Nothing for anything else, infinities included.
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_double(std::string_view text);
/// `decimals` digits after the point.
std::string format_fixed(double value, int decimals);

}  // namespace consort::shard_proxy
