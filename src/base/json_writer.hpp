// Writes JSON text piece by piece, for log lines and the admin interface: no tree, no copies.
//
//   JsonWriter json;
//   json.begin_object().key("shard").value(3).key("up").value(true).end_object();
//   send(json.take());  // {"shard":3,"up":true}
//
// The writer puts commas, colons and indentation; the caller keeps the order: a key before each
// value inside an object, and an end for each begin. Breaking that order is a programming error
// (CHECK). Nesting is bounded by kMaxDepth, far above what we ever print.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace consort {

/// Appends text as a JSON string, with its quotes. Each byte that is not UTF-8 becomes U+FFFD, so
/// that what a peer sent can never make a line that JSON readers refuse. Control characters of
/// every kind are escaped, also those that JSON would allow, but a terminal or a YAML reader would
/// obey.
void append_json_string(std::string& out, std::string_view text);

/// Not thread-safe. Costs the growth of one string; take() hands it over and starts afresh.
class JsonWriter {
 public:
  static constexpr std::size_t kMaxDepth = 1024;

  /// indent 0 gives one line; otherwise so many blanks per level.
  explicit JsonWriter(int indent = 0) : indent_(indent) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(std::uint64_t number);
  /// The shortest text that reads back to the same number; NaN and infinities are null.
  JsonWriter& value(double number);
  JsonWriter& value(bool flag);
  /// Every other integer type, without an ambiguous call.
  template <std::integral N>
  JsonWriter& value(N number) {
    if constexpr (std::unsigned_integral<N>) {
      return value(static_cast<std::uint64_t>(number));
    } else {
      return value(static_cast<std::int64_t>(number));
    }
  }
  JsonWriter& null();
  /// A value that is JSON already, put in unchanged.
  JsonWriter& raw(std::string_view json);

  /// The text so far, without a newline at its end. Every begin must have had its end.
  std::string take();

 private:
  struct Level {
    bool is_object = false;
    bool is_empty = true;
  };

  void before_value();
  void begin(char bracket);
  void end(char bracket);
  void new_line();

  std::string out_;
  std::vector<Level> levels_;
  int indent_ = 0;
  bool after_key_ = false;
};

}  // namespace consort
