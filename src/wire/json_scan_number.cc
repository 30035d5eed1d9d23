#include "wire/json_scan_number.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace consort {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A number as 0.DIGITS times 10 to the power of exponent, where the first digit is not 0.
struct Decimal {
  int sign = 0;             ///< 0 for zero; the rest is then not used
  std::string_view digits;  ///< may hold a point, which counts for nothing; zeros may end it
  std::int64_t exponent = 0;
};

/// Clipped to 10^17: so that sums with the length of a text cannot overflow.
std::int64_t read_exponent(std::string_view text) {
  constexpr std::int64_t kLimit = 100'000'000'000'000'000;
  std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  std::int64_t value = 0;
  for (; at < text.size() && is_digit(text[at]); ++at) {
    value = std::min(value * 10 + (text[at] - '0'), kLimit);
  }
  return text.starts_with('-') ? -value : value;
}

/// Of checked text its value; of any other the value of some of its bytes, the same each time.
Decimal read_decimal(std::string_view text) {
  Decimal result;
  std::size_t at = text.starts_with('-') ? 1 : 0;
  result.sign = at == 1 ? -1 : 1;
  std::size_t point = text.npos;
  const auto take = [&text, &at, &point](bool is_zero_only) {
    for (; at < text.size(); ++at) {
      if (text[at] == '.' && point == text.npos) {
        point = at;
      } else if (is_zero_only ? text[at] != '0' : !is_digit(text[at])) {
        break;
      }
    }
  };
  take(true);
  const std::size_t first = at;
  take(false);
  result.digits = text.substr(first, at - first);
  if (result.digits.empty()) {
    result.sign = 0;
    return result;
  }
  // Digits before the point count up; zeros between the point and the first digit count down.
  const auto before_point = static_cast<std::int64_t>(std::min(point, at));
  const auto begin = static_cast<std::int64_t>(first);
  result.exponent = before_point - begin + (before_point < begin ? 1 : 0);
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    result.exponent += read_exponent(text.substr(at + 1));
  }
  return result;
}

/// The next digit, and 0 for ever after the last.
char next_digit(std::string_view& digits) {
  if (digits.starts_with('.')) digits.remove_prefix(1);
  if (digits.empty()) return '0';
  const char digit = digits[0];
  digits.remove_prefix(1);
  return digit;
}

int compare_digits(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const char digit_a = next_digit(a);
    const char digit_b = next_digit(b);
    if (digit_a != digit_b) return digit_a < digit_b ? -1 : 1;
  }
  return 0;
}

}  // namespace

int compare_json_numbers(std::string_view a, std::string_view b) {
  const Decimal x = read_decimal(a);
  const Decimal y = read_decimal(b);
  if (x.sign != y.sign) return x.sign < y.sign ? -1 : 1;
  if (x.sign == 0) return 0;
  if (x.exponent != y.exponent) return (x.exponent < y.exponent ? -1 : 1) * x.sign;
  return compare_digits(x.digits, y.digits) * x.sign;
}

std::uint64_t number_order_prefix(std::string_view text) {
  constexpr std::uint64_t kZero = std::uint64_t{1} << 60;
  constexpr int kDigits = 14;  // 10^14 fits in 47 bits
  constexpr std::int64_t kLowest = -2040;
  constexpr std::int64_t kHighest = 2040;
  Decimal number = read_decimal(text);
  if (number.sign == 0) return kZero;
  std::uint64_t digits = 0;
  for (int i = 0; i < kDigits; ++i) {
    digits = digits * 10 + static_cast<std::uint64_t>(next_digit(number.digits) - '0');
  }
  // Beyond the bounds all numbers are one.
  if (number.exponent < kLowest || number.exponent > kHighest) digits = 0;
  const std::int64_t exponent = std::clamp(number.exponent, kLowest - 1, kHighest + 1);
  const std::uint64_t size = static_cast<std::uint64_t>(exponent - kLowest + 2) << 47 | digits;
  return number.sign < 0 ? kZero - size : kZero + size;
}

void append_canonical_number(std::string& out, std::string_view text) {
  const Decimal number = read_decimal(text);
  if (number.sign == 0) {
    out += '0';
    return;
  }
  if (number.sign < 0) out += '-';
  const std::size_t first = out.size();
  for (const char c : number.digits) {
    if (c != '.') out += c;
  }
  // The first digit is not 0, so this ends.
  while (out.back() == '0') out.pop_back();
  // As an integer with an exponent, where the decimal is a fraction with one.
  const std::int64_t exponent = number.exponent - static_cast<std::int64_t>(out.size() - first);
  if (exponent != 0) out += 'e' + std::to_string(exponent);
}

}  // namespace consort
