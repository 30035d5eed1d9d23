#include "roles/gather/merge/decimal_sum.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace consort::gather {
namespace {

/// 10^38 is the highest power of ten in 127 bits.
constexpr std::uint32_t kMaxScale = 38;
/// Exponents beyond decide nothing more than that the number is no exact one.
constexpr std::int64_t kMaxExponent = 1'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The exponent after 'e', cut at +-kMaxExponent.
std::int64_t parse_exponent(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  std::int64_t exponent = 0;
  for (char c : text) {
    if (!is_digit(c)) break;
    exponent = std::min(exponent * 10 + (c - '0'), kMaxExponent);
  }
  return is_negative ? -exponent : exponent;
}

double to_double(std::string_view number) {
  double value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc::result_out_of_range) return value;
  // Too near to zero, or too far from it? from_chars does not say which.
  const std::size_t mark = number.find_first_of("eE");
  std::int64_t exponent = 0;
  if (mark != std::string_view::npos) exponent = parse_exponent(number.substr(mark + 1));
  const std::string_view mantissa = number.substr(0, mark);
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const std::size_t first = std::min(mantissa.find_first_of("123456789"), mantissa.size());
  exponent += static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
  if (exponent < 0) return 0;
  const double infinity = std::numeric_limits<double>::infinity();
  return number.starts_with('-') ? -infinity : infinity;
}

std::string print_double(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return std::string(text, end);
}

}  // namespace

bool DecimalSum::scale_up(Int128& digits, std::uint32_t by) {
  if (digits == 0) return by <= kMaxScale;
  for (; by > 0; --by) {
    if (__builtin_mul_overflow(digits, Int128{10}, &digits)) return false;
  }
  return true;
}

bool DecimalSum::parse(std::string_view number, Int128& digits, std::uint32_t& scale) {
  const bool is_negative = number.starts_with('-');
  if (is_negative) number.remove_prefix(1);
  digits = 0;
  std::int64_t after_point = 0;
  bool is_after_point = false;
  for (std::size_t i = 0; i < number.size(); ++i) {
    const char c = number[i];
    if (c == 'e' || c == 'E') {
      after_point -= parse_exponent(number.substr(i + 1));
      break;
    }
    if (c == '.') {
      is_after_point = true;
    } else if (is_digit(c)) {
      if (__builtin_mul_overflow(digits, Int128{10}, &digits)) return false;
      if (__builtin_add_overflow(digits, Int128{c - '0'}, &digits)) return false;
      if (is_after_point) ++after_point;
    }
  }
  if (is_negative) digits = -digits;
  if (digits == 0) after_point = std::clamp<std::int64_t>(after_point, 0, kMaxScale);
  if (after_point > kMaxScale) return false;
  scale = after_point > 0 ? static_cast<std::uint32_t>(after_point) : 0;
  if (after_point >= 0) return true;
  return -after_point <= kMaxScale && scale_up(digits, static_cast<std::uint32_t>(-after_point));
}

void DecimalSum::add(std::string_view number) {
  Int128 digits = 0;
  std::uint32_t scale = 0;
  if (is_exact_ && parse(number, digits, scale)) {
    Int128 sum = digits_;
    const std::uint32_t common = std::max(scale, scale_);
    if (scale_up(sum, common - scale_) && scale_up(digits, common - scale) &&
        !__builtin_add_overflow(sum, digits, &sum)) {
      digits_ = sum;
      scale_ = common;
      return;
    }
  }
  if (is_exact_) rounded_ = to_double(text());
  is_exact_ = false;
  rounded_ += to_double(number);
}

std::string DecimalSum::print(Int128 digits, std::uint32_t scale) {
  const bool is_negative = digits < 0;
  std::string reversed;
  // Digit by digit from the end: the lowest value has no positive counterpart.
  for (std::uint32_t i = 0; digits != 0 || i <= scale; ++i) {
    if (i == scale && scale > 0) reversed += '.';
    const int digit = static_cast<int>(digits % 10);
    reversed += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    digits /= 10;
  }
  if (is_negative) reversed += '-';
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

std::string DecimalSum::text() const {
  return is_exact_ ? print(digits_, scale_) : print_double(rounded_);
}

std::string DecimalSum::mean(std::uint32_t count) const {
  if (!is_exact_) return print_double(rounded_ / count);
  Int128 digits = digits_;
  for (std::uint32_t scale = scale_; scale <= kMaxScale; ++scale) {
    if (digits % count == 0) return print(digits / count, scale);
    if (!scale_up(digits, 1)) break;
  }
  return print_double(to_double(text()) / count);
}

}  // namespace consort::gather
