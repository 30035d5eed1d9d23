// Where a piece of JSON text may be cut out and something else put in, so that it stays JSON.
//
//   {"a":"x\u0041y","n":-4111111111111111}
//           ^^^^       a cut that ends here takes all of the escape
//                      ^^^^^^^^^^^^^^^^    a cut here takes the minus too, and wants quotes
//
// Follows quotes and escapes from the beginning, once: pieces are asked for from left to right. Of
// text that is no JSON it says something, but stays inside the text.
#pragma once

#include <cstddef>
#include <string_view>

namespace consort::logsaver {

class JsonPlaces {
 public:
  /// What may be an object, by its first byte that is no blank.
  static bool is_object(std::string_view text);

  explicit JsonPlaces(std::string_view text) : text_(text) {}

  /// Widens [begin, end) to whole escapes, and to the whole number or word when it lies in one, but
  /// not to before `from`. True when it did lie in one: a string belongs in its place.
  bool widen(std::size_t from, std::size_t& begin, std::size_t& end);

 private:
  /// Moves to the first byte or escape that ends behind `at`; there is one, or the text ends.
  void seek(std::size_t at);

  std::string_view text_;
  std::size_t begin_ = 0;   ///< of the byte or escape that was reached
  bool in_string_ = false;  ///< before it
};

}  // namespace consort::logsaver
