#include "wire/rfc3339.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

#include "base/random.hpp"

namespace consort {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// 2016-10-06T00:17:09Z
constexpr std::int64_t kThen = 1'475'713'029 * kSecond;

std::string printed(std::int64_t time_ns) {
  std::string out;
  append_rfc3339_ns(out, time_ns);
  return out;
}

TEST_CASE("times are read with any fraction and any offset") {
  CHECK(parse_rfc3339_ns("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339_ns("2016-10-06T00:17:09.669794202Z") == kThen + 669'794'202);
  CHECK(parse_rfc3339_ns("2016-10-06T00:17:09Z") == kThen);
  CHECK(parse_rfc3339_ns("2016-10-06T00:17:09.5Z") == kThen + 500'000'000);
  CHECK(parse_rfc3339_ns("2016-10-06t00:17:09.000001z") == kThen + 1'000);
  CHECK(parse_rfc3339_ns("2016-10-06 00:17:09.123Z") == kThen + 123'000'000);
  CHECK(parse_rfc3339_ns("2016-10-06T02:17:09+02:00") == kThen);
  CHECK(parse_rfc3339_ns("2016-10-05T18:47:09.25-05:30") == kThen + 250'000'000);
  CHECK(parse_rfc3339_ns("2016-10-06T00:17:09-00:00") == kThen);
  CHECK(parse_rfc3339_ns("2016-10-07T00:16:09+23:59") == kThen);
}

TEST_CASE("a leap second is the moment after it") {
  CHECK(parse_rfc3339_ns("2016-12-31T23:59:60.7Z") == 1'483'228'800 * kSecond);
  CHECK_FALSE(parse_rfc3339_ns("2016-12-31T23:59:61Z"));
}

TEST_CASE("what is no time is not read") {
  for (const std::string_view bad : {"",
                                     "2016-10-06",
                                     "2016-10-06T00:17:09",
                                     "2016-10-06T00:17:09.Z",
                                     "2016-10-06T00:17:09.1234567890Z",
                                     "2016-10-06T00:17:09,5Z",
                                     "2016-10-06T00:17:09+0200",
                                     "2016-10-06T00:17:09+24:00",
                                     "2016-10-06T00:17:09+02:60",
                                     "2016-10-06T00:17:09+02-00",
                                     "2016-10-06T00:17:09+2:000",
                                     "2016-10-06T00:17:09 Z",
                                     "2016-10-06T00:17:09ZZ",
                                     " 2016-10-06T00:17:09Z",
                                     "2016-10-06_00:17:09Z",
                                     "2016/10-06T00:17:09Z",
                                     "2016-10/06T00:17:09Z",
                                     "2016-10-06T00.17:09Z",
                                     "2016-10-06T00:17.09Z",
                                     "2016-00-06T00:17:09Z",
                                     "2016-13-06T00:17:09Z",
                                     "2016-10-00T00:17:09Z",
                                     "2016-10-32T00:17:09Z",
                                     "2016-02-30T00:17:09Z",
                                     "2015-02-29T00:17:09Z",
                                     "1900-02-29T00:17:09Z",
                                     "2016-10-06T24:00:00Z",
                                     "2016-10-06T00:60:09Z",
                                     "2016-1a-06T00:17:09Z",
                                     "2016-10-06T00:17:0/Z",
                                     "-016-10-06T00:17:09Z",
                                     "1677-12-31T23:59:59Z",
                                     "2262-01-01T00:00:00Z",
                                     "0001-01-01T00:00:00Z",
                                     "2016-10-06T00:17:09.12:Z",
                                     "2016-10-06T00:17:09.12"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_rfc3339_ns(bad));
  }
}

TEST_CASE("a time at the front says where it ends") {
  std::int64_t time_ns = 0;
  CHECK(read_rfc3339_ns("2016-10-06T00:17:09.669794202Z stdout F x", time_ns) == 30);
  CHECK(time_ns == kThen + 669'794'202);
  CHECK(read_rfc3339_ns("2016-10-06T00:17:09+00:00:00", time_ns) == 25);
  CHECK(read_rfc3339_ns("x2016-10-06T00:17:09Z", time_ns) == 0);
}

TEST_CASE("every day from 1678 to 2261 is the one that the calendar says") {
  using std::chrono::days;
  using std::chrono::sys_days;
  using std::chrono::year_month_day;
  std::size_t wrong = 0;
  for (int year = 1678; year <= 2261; ++year) {
    for (unsigned month = 1; month <= 12; ++month) {
      for (unsigned day = 1; day <= 31; ++day) {
        const year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                  std::chrono::day(day)};
        const auto two = [](unsigned value) {
          return std::string(1, static_cast<char>('0' + value / 10)) +
                 static_cast<char>('0' + value % 10);
        };
        const std::string text =
            std::to_string(year) + "-" + two(month) + "-" + two(day) + "T23:59:59.000000001Z";
        const auto read = parse_rfc3339_ns(text);
        if (read.has_value() != date.ok()) ++wrong;
        if (!read) continue;
        const std::int64_t midnight = sys_days(date).time_since_epoch().count();
        if (*read != (midnight * 86'400 + 86'399) * kSecond + 1) ++wrong;
        if (printed(*read) != text) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("printed times are read as what they were, and sort as they do") {
  CHECK(printed(0) == "1970-01-01T00:00:00.000000000Z");
  CHECK(printed(-1) == "1969-12-31T23:59:59.999999999Z");
  CHECK(printed(kThen + 5) == "2016-10-06T00:17:09.000000005Z");
  CHECK(printed(std::numeric_limits<std::int64_t>::min()) == "1677-09-21T00:12:43.145224192Z");
  CHECK(printed(std::numeric_limits<std::int64_t>::max()) == "2262-04-11T23:47:16.854775807Z");
  Random random(1);
  std::int64_t last = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto time_ns = static_cast<std::int64_t>(random.next() >> 1);
    const auto read = parse_rfc3339_ns(printed(time_ns));
    if (read) CHECK(*read == time_ns);
    CHECK((printed(time_ns) < printed(last)) == (time_ns < last));
    last = time_ns;
  }
}

TEST_CASE("a reader of many times reads each as if it were the only one") {
  Random random(3);
  Rfc3339Reader reader;
  std::int64_t none = 0;
  CHECK(reader.read_ns(std::string(20, '\0') + "000000000Z", none) == 0);
  const std::string_view endings[] = {"Z", "z", "+01:00", "", "0Z", "Zx"};
  std::string second = "2016-10-06T00:17:09";
  for (int i = 0; i < 50'000; ++i) {
    if (random.below(8) == 0) second[18] = static_cast<char>('0' + random.below(10));
    if (random.below(40) == 0) second[17] = "0156"[random.below(4)];
    if (random.below(40) == 0) second[3] = static_cast<char>('0' + random.below(10));
    if (random.below(40) == 0) second[10] = "Tt x"[random.below(4)];
    std::string text = second;
    const std::size_t digits = random.below(10) == 0 ? random.below(12) : 9;
    if (digits > 0) text += '.';
    for (std::size_t at = 0; at < digits; ++at) text += static_cast<char>('0' + random.below(10));
    text += endings[random.below(5) == 0 ? random.below(std::size(endings)) : 0];
    if (random.below(20) == 0) text[random.below(text.size())] = "/:a\0"[random.below(4)];
    std::int64_t once = 0;
    std::int64_t again = 0;
    REQUIRE(reader.read_ns(text, again) == read_rfc3339_ns(text, once));
    REQUIRE(again == once);
  }
}

TEST_CASE("a writer of many times prints each as if it were the only one") {
  Random random(2);
  Rfc3339Writer writer;
  std::int64_t time_ns = std::numeric_limits<std::int64_t>::min();
  for (int i = 0; i < 10'000; ++i) {
    std::string out = "x";
    writer.append_ns(out, time_ns);
    REQUIRE(out == "x" + printed(time_ns));
    const bool is_far = random.below(10) == 0;
    time_ns = is_far ? static_cast<std::int64_t>(random.next())
                     : static_cast<std::int64_t>(static_cast<std::uint64_t>(time_ns) +
                                                 random.below(kSecond) - kSecond / 2);
  }
  for (const std::int64_t near : {-1, 0, 1, -1'000'000'000, -1'000'000'001, 999'999'999}) {
    std::string out;
    writer.append_ns(out, near);
    CHECK(out == printed(near));
  }
}

}  // namespace
}  // namespace consort
