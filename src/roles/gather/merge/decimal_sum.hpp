// Adds JSON numbers without rounding, as long as 38 digits hold the sum.
//
// A double holds integers only to 2^53, and 0.1 + 0.2 is not 0.3 in it. Counters and amounts are
// what leaves report, so the sum is kept as an integer of 128 bits and a power of ten: 0.1 + 0.2 is
// 0.3, 9007199254740993 + 1 is 9007199254740994. The result has as many digits after the point as
// the addend that has most (1.50 + 1.50 is 3.00). An addend or sum beyond 38 digits (1e300, 1e-40)
// makes it a double from there on; then the order of addends matters to the last bit, which is why
// callers add in shard order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace consort::gather {

class DecimalSum {
 public:
  /// A number as RFC 8259 writes it. Of other bytes: some number.
  void add(std::string_view number);

  /// As JSON; "0" before the first add(). A sum beyond doubles is null: JSON has no infinity.
  std::string text() const;
  /// The sum divided by count (above 0): exact when the quotient has a finite number of digits that
  /// fit, else the nearest double.
  std::string mean(std::uint32_t count) const;

 private:
  __extension__ using Int128 = __int128;

  static bool parse(std::string_view number, Int128& digits, std::uint32_t& scale);
  static bool scale_up(Int128& digits, std::uint32_t by);
  static std::string print(Int128 digits, std::uint32_t scale);

  Int128 digits_ = 0;  ///< the sum is digits_ / 10^scale_
  std::uint32_t scale_ = 0;
  bool is_exact_ = true;
  double rounded_ = 0;  ///< the sum, once it is not exact
};

}  // namespace consort::gather
