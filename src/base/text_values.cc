// How durations, sizes, numbers and flags read and print (Text<T> in options.hpp).
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "base/options.hpp"
#include "base/text.hpp"

namespace consort {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor = 1;
};

constexpr std::array kDurationUnits = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                                       Unit{"ms", 1}};

constexpr std::array kSizeUnits = {Unit{"TiB", 1ULL << 40},
                                   Unit{"GiB", 1ULL << 30},
                                   Unit{"MiB", 1ULL << 20},
                                   Unit{"KiB", 1ULL << 10},
                                   Unit{"TB", 1'000'000'000'000},
                                   Unit{"GB", 1'000'000'000},
                                   Unit{"MB", 1'000'000},
                                   Unit{"kB", 1'000},
                                   Unit{"KB", 1'000},
                                   Unit{"B", 1}};

constexpr std::uint64_t kMaxDurationMs = static_cast<std::uint64_t>(kMaxDuration.count());

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct Quantity {
  std::uint64_t number = 0;
  bool overflows = false;
  std::string_view unit;
};

/// Takes the digits, and then what is not digits, from the front of text; none without digits.
std::optional<Quantity> take_quantity(std::string_view& text) {
  Quantity taken;
  auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), taken.number);
  if (status == std::errc::invalid_argument) return std::nullopt;
  taken.overflows = status == std::errc::result_out_of_range;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  std::size_t letters = 0;
  while (letters < text.size() && !is_digit(text[letters])) ++letters;
  taken.unit = text.substr(0, letters);
  text.remove_prefix(letters);
  return taken;
}

/// number * factor + sum, as long as it stays within limit.
std::optional<std::uint64_t> add_product(std::uint64_t sum, const Quantity& taken,
                                         std::uint64_t factor, std::uint64_t limit) {
  if (taken.overflows || taken.number > (limit - sum) / factor) return std::nullopt;
  return sum + taken.number * factor;
}

tl::unexpected<Error> not_a(std::string_view text, std::string_view what) {
  return fail(Errc::invalid, in_quotes(text).append(" is not ").append(what));
}

tl::unexpected<Error> too_large(std::string_view text, std::string_view limit) {
  return fail(Errc::invalid,
              in_quotes(text).append(" is too large (at most ").append(limit).append(")"));
}

tl::unexpected<Error> not_a_duration(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_digit)) {
    std::string number(text.substr(0, 20));
    return not_a(text, "a duration without a unit (try " + number + "ms, " + number + "s or " +
                           number + "m)");
  }
  return not_a(text, "a duration (try 250ms, 10s or 5m)");
}

template <class N>
std::string print_number(N number) {
  std::array<char, 32> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), end};
}

}  // namespace

Result<Millis> Text<Millis>::parse(std::string_view text) {
  if (text == "0") return Millis{0};
  std::uint64_t total = 0;
  std::string_view rest = text;
  // Units fall from hours to milliseconds: what follows "5m" may be s or ms, never m or h again.
  std::span<const Unit> units = kDurationUnits;
  do {
    auto taken = take_quantity(rest);
    if (!taken) return not_a_duration(text);
    auto unit = std::find_if(units.begin(), units.end(),
                             [&](const Unit& known) { return known.name == taken->unit; });
    if (unit == units.end()) return not_a_duration(text);
    auto sum = add_product(total, *taken, unit->factor, kMaxDurationMs);
    if (!sum) return too_large(text, print(kMaxDuration));
    total = *sum;
    units = units.subspan(static_cast<std::size_t>(unit - units.begin()) + 1);
  } while (!rest.empty());
  return Millis{static_cast<std::int64_t>(total)};
}

std::string Text<Millis>::print(Millis value) {
  if (value.count() == 0) return "0";
  std::string out(value.count() < 0 ? "-" : "");
  // Negating as unsigned is defined for the smallest number, too.
  auto rest = static_cast<std::uint64_t>(value.count());
  if (value.count() < 0) rest = 0 - rest;
  // 1500ms reads better than 1s500ms.
  if (rest < 60'000 && rest % 1'000 != 0) return out + print_number(rest) + "ms";
  for (const Unit& unit : kDurationUnits) {
    if (rest >= unit.factor) out.append(print_number(rest / unit.factor)).append(unit.name);
    rest %= unit.factor;
  }
  return out;
}

Result<ByteSize> Text<ByteSize>::parse(std::string_view text) {
  constexpr std::string_view kTry = "a size (try 512, 64KiB or 8MiB)";
  std::string_view rest = text;
  auto taken = take_quantity(rest);
  if (!taken || !rest.empty()) return not_a(text, kTry);
  std::uint64_t factor = 1;
  if (!taken->unit.empty()) {
    auto unit = std::find_if(kSizeUnits.begin(), kSizeUnits.end(),
                             [&](const Unit& known) { return known.name == taken->unit; });
    if (unit == kSizeUnits.end()) return not_a(text, kTry);
    factor = unit->factor;
  }
  auto bytes = add_product(0, *taken, factor, UINT64_MAX);
  if (!bytes) return too_large(text, "16777215TiB");
  return ByteSize{*bytes};
}

std::string Text<ByteSize>::print(ByteSize value) {
  std::string plain = print_number(value.bytes);
  if (value.bytes == 0) return plain;
  // The shortest of the exact forms; units stand from binary to decimal, so binary wins a draw.
  std::string best;
  for (const Unit& unit : kSizeUnits) {
    if (unit.factor == 1 || value.bytes % unit.factor != 0) continue;
    std::string form = print_number(value.bytes / unit.factor).append(unit.name);
    if (best.empty() || form.size() < best.size()) best = std::move(form);
  }
  return best.empty() || plain.size() < best.size() ? plain : best;
}

Result<bool> Text<bool>::parse(std::string_view text) {
  for (std::string_view word : {"true", "yes", "on", "1"}) {
    if (equals_ignoring_case(text, word)) return true;
  }
  for (std::string_view word : {"false", "no", "off", "0"}) {
    if (equals_ignoring_case(text, word)) return false;
  }
  return not_a(text, "true or false (yes, no, on, off, 1 and 0 will do)");
}

std::string Text<bool>::print(bool value) {
  return value ? "true" : "false";
}

Result<std::uint32_t> Text<std::uint32_t>::parse(std::string_view text) {
  std::uint32_t number = 0;
  auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status == std::errc::invalid_argument || stop != text.data() + text.size()) {
    return not_a(text, "a number (try 8)");
  }
  if (status != std::errc{}) return too_large(text, print(UINT32_MAX));
  return number;
}

std::string Text<std::uint32_t>::print(std::uint32_t value) {
  return print_number(value);
}

Result<double> Text<double>::parse(std::string_view text) {
  double number = 0;
  auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  // from_chars also reads "inf", "nan" and "-0", none of which is a share of anything.
  if (status != std::errc{} || stop != text.data() + text.size() || !std::isfinite(number) ||
      std::signbit(number)) {
    return not_a(text, "a ratio (try 0.5 or 1.25)");
  }
  return number;
}

std::string Text<double>::print(double value) {
  return print_number(value);
}

}  // namespace consort
