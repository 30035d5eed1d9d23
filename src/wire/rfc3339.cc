#include "wire/rfc3339.hpp"

#include <array>
#include <chrono>
#include <cstring>

namespace consort {
namespace {

constexpr std::size_t kSecondsBytes = 19;  // 2016-10-06T00:17:09
constexpr std::size_t kFractionDigitsMax = 9;
constexpr unsigned kFirstYear = 1678;
constexpr unsigned kLastYear = 2261;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

constexpr std::array<std::int64_t, 10> kPowersOfTen = {
    1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
constexpr std::array<unsigned, 13> kDaysBeforeMonth = {0,   0,   31,  59,  90,  120, 151,
                                                       181, 212, 243, 273, 304, 334};
constexpr std::array<unsigned, 13> kDaysOfMonth = {0,  31, 28, 31, 30, 31, 30,
                                                   31, 31, 30, 31, 30, 31};

/// Reads digits at fixed places and notes whether all of them were digits.
class Digits {
 public:
  explicit Digits(const char* text) : text_(text) {}
  unsigned two(std::size_t at) { return digit(at) * 10 + digit(at + 1); }
  bool ok() const { return worst_ <= 9; }

 private:
  unsigned digit(std::size_t at) {
    const unsigned value = static_cast<unsigned char>(text_[at]) - unsigned{'0'};
    if (value > worst_) worst_ = value;
    return value;
  }

  const char* text_;
  unsigned worst_ = 0;  ///< a byte below '0' wraps around and is large too
};

bool is_leap_year(unsigned year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/// From 1970-01-01; of a day that exists, or kNoDay.
constexpr std::int64_t kNoDay = -1'000'000;
std::int64_t days_of(unsigned year, unsigned month, unsigned day) {
  if (year < kFirstYear || year > kLastYear || month == 0 || month > 12) return kNoDay;
  const unsigned leap = is_leap_year(year) ? 1 : 0;
  if (day == 0 || day > kDaysOfMonth[month] + (month == 2 ? leap : 0)) return kNoDay;
  constexpr unsigned kLeapDaysBefore1970 = 1969 / 4 - 1969 / 100 + 1969 / 400;
  const unsigned last = year - 1;
  const unsigned leap_days = last / 4 - last / 100 + last / 400;
  const unsigned day_of_year = kDaysBeforeMonth[month] + (month > 2 ? leap : 0) + day - 1;
  return (static_cast<std::int64_t>(year) - 1970) * 365 +
         (static_cast<std::int64_t>(leap_days) - kLeapDaysBefore1970) + day_of_year;
}

/// The bytes of ".669", or 0 when there is no such fraction.
std::size_t read_fraction(std::string_view text, std::int64_t& ns) {
  std::int64_t value = 0;
  std::size_t count = 0;
  for (; count + 1 < text.size(); ++count) {
    const unsigned digit = static_cast<unsigned char>(text[count + 1]) - unsigned{'0'};
    if (digit > 9) break;
    if (count == kFractionDigitsMax) return 0;
    value = value * 10 + digit;
  }
  if (count == 0) return 0;
  ns = value * kPowersOfTen[kFractionDigitsMax - count];
  return count + 1;
}

/// The bytes of "Z" or "+01:00", or 0.
std::size_t read_offset(std::string_view text, std::int64_t& seconds) {
  if (text.empty()) return 0;
  if ((text[0] | 0x20) == 'z') return 1;
  if ((text[0] != '+' && text[0] != '-') || text.size() < 6 || text[3] != ':') return 0;
  Digits digits(text.data());
  const unsigned hours = digits.two(1);
  const unsigned minutes = digits.two(4);
  if (!digits.ok() || hours > 23 || minutes > 59) return 0;
  seconds = static_cast<std::int64_t>(hours) * 3600 + static_cast<std::int64_t>(minutes) * 60;
  if (text[0] == '-') seconds = -seconds;
  return 6;
}

}  // namespace

std::size_t read_rfc3339_ns(std::string_view text, std::int64_t& time_ns) {
  if (text.size() <= kSecondsBytes) return 0;
  const char* const at = text.data();
  const bool has_marks = at[4] == '-' && at[7] == '-' && at[13] == ':' && at[16] == ':' &&
                         ((at[10] | 0x20) == 't' || at[10] == ' ');
  Digits digits(at);
  const unsigned year = digits.two(0) * 100 + digits.two(2);
  const unsigned month = digits.two(5);
  const unsigned day = digits.two(8);
  const unsigned hour = digits.two(11);
  const unsigned minute = digits.two(14);
  const unsigned second = digits.two(17);
  if (!has_marks || !digits.ok() || hour > 23 || minute > 59 || second > 60) return 0;
  const std::int64_t days = days_of(year, month, day);
  if (days == kNoDay) return 0;

  std::size_t used = kSecondsBytes;
  std::int64_t fraction_ns = 0;
  if (text[used] == '.') {
    const std::size_t bytes = read_fraction(text.substr(used), fraction_ns);
    if (bytes == 0) return 0;
    used += bytes;
  }
  // The moment after a leap second has no fraction: .5 in it is not .5 of the next second.
  if (second == 60) fraction_ns = 0;
  std::int64_t offset_seconds = 0;
  const std::size_t offset_bytes = read_offset(text.substr(used), offset_seconds);
  if (offset_bytes == 0) return 0;
  const std::int64_t day_seconds =
      static_cast<std::int64_t>(hour) * 3600 + static_cast<std::int64_t>(minute) * 60 + second;
  time_ns = (days * 86'400 + day_seconds - offset_seconds) * kNsPerSecond + fraction_ns;
  return used + offset_bytes;
}

std::optional<std::int64_t> parse_rfc3339_ns(std::string_view text) {
  std::int64_t time_ns = 0;
  const std::size_t used = read_rfc3339_ns(text, time_ns);
  if (used == 0 || used != text.size()) return std::nullopt;
  return time_ns;
}

std::size_t Rfc3339Reader::read_ns(std::string_view text, std::int64_t& time_ns) {
  const bool has_nine_digits = text.size() >= kRfc3339Bytes && text[kSecondBytes - 1] == '.' &&
                               text[kRfc3339Bytes - 1] == 'Z';
  if (!has_nine_digits) return read_rfc3339_ns(text, time_ns);
  std::int64_t fraction_ns = 0;
  bool is_number = true;
  for (const char c : text.substr(kSecondBytes, kFractionDigitsMax)) {
    const unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
    is_number &= digit <= 9;
    fraction_ns = fraction_ns * 10 + digit;
  }
  if (is_number && std::memcmp(text.data(), second_.data(), kSecondBytes) == 0) {
    time_ns = second_ns_ + fraction_ns;
    return kRfc3339Bytes;
  }
  const std::size_t used = read_rfc3339_ns(text, time_ns);
  // A leap second is another one than it is written as.
  if (used == kRfc3339Bytes && is_number && text.substr(17, 2) != "60") {
    std::memcpy(second_.data(), text.data(), kSecondBytes);
    second_ns_ = time_ns - fraction_ns;
  }
  return used;
}

void append_rfc3339_ns(std::string& out, std::int64_t time_ns) {
  using std::chrono::days;
  const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::nanoseconds(time_ns)};
  const std::chrono::sys_days midnight = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(midnight);
  // Not time - midnight: of the earliest times, midnight is before what 64 bits hold.
  std::int64_t ns = time_ns % (86'400 * kNsPerSecond);
  if (ns < 0) ns += 86'400 * kNsPerSecond;

  char text[] = "0000-00-00T00:00:00.000000000Z";
  static_assert(sizeof text == kRfc3339Bytes + 1);
  const auto put = [&text](std::size_t last, std::size_t count, std::int64_t value) {
    for (; count > 0; --count, --last, value /= 10) {
      text[last] = static_cast<char>('0' + value % 10);
    }
  };
  put(3, 4, static_cast<int>(date.year()));
  put(6, 2, static_cast<unsigned>(date.month()));
  put(9, 2, static_cast<unsigned>(date.day()));
  const std::int64_t seconds = ns / kNsPerSecond;
  put(12, 2, seconds / 3600);
  put(15, 2, seconds / 60 % 60);
  put(18, 2, seconds % 60);
  put(28, 9, ns % kNsPerSecond);
  out.append(text, kRfc3339Bytes);
}

void Rfc3339Writer::append_ns(std::string& out, std::int64_t time_ns) {
  std::int64_t second = time_ns / kNsPerSecond;
  auto ns = static_cast<std::int32_t>(time_ns % kNsPerSecond);
  if (ns < 0) {
    ns += static_cast<std::int32_t>(kNsPerSecond);
    --second;
  }
  if (second != second_ || text_.empty()) {
    text_.clear();
    append_rfc3339_ns(text_, time_ns);
    second_ = second;
    out += text_;
    return;
  }
  char* last = text_.data() + kRfc3339Bytes - 2;
  for (std::size_t i = 0; i < kFractionDigitsMax; ++i, --last, ns /= 10) {
    *last = static_cast<char>('0' + ns % 10);
  }
  out += text_;
}

}  // namespace consort
