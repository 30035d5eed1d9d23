#include "wire/server_timing.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

using consort::append_timing;
using consort::first_duration_ms;
using consort::next_timing;
using consort::Timing;
using namespace std::chrono_literals;

namespace {

/// "name dur desc|..." of the whole list.
std::string shape(std::string_view value) {
  std::string out;
  Timing timing;
  while (next_timing(value, timing)) {
    if (!out.empty()) out += '|';
    out += timing.name;
    if (timing.dur_ms) out += " " + std::to_string(static_cast<int>(*timing.dur_ms * 1000));
    if (!timing.desc.empty()) out += " " + std::string(timing.desc);
  }
  return out;
}

}  // namespace

TEST_CASE("the examples of W3C Server Timing read as the specification says") {
  CHECK(shape("miss, db;dur=53, app;dur=47.2") == "miss|db 53000|app 47200");
  CHECK(shape("customView, dc;desc=atl") == "customView|dc atl");
  CHECK(shape("cache;desc=\"Cache Read\";dur=23.2") == "cache 23200 Cache Read");
  CHECK(shape("total;dur=123.4") == "total 123400");
}

TEST_CASE("blanks may stand around every mark") {
  CHECK(shape(" a ; dur = 1.5 ; desc = \"x\" ,\tb\t;\tdur\t=\t2 ") == "a 1500 x|b 2000");
}

TEST_CASE("the first parameter of a name counts") {
  CHECK(shape("a;dur=1;dur=2;desc=x;desc=y") == "a 1000 x");
  CHECK(shape("a;DUR=1;Desc=x") == "a 1000 x");
  CHECK(shape("a;dur=bad;dur=2") == "a");
}

TEST_CASE("marks inside quotes separate nothing") {
  CHECK(shape("a;desc=\"x,y;dur=9\";dur=1, b") == "a 1000 x,y;dur=9|b");
  CHECK(shape("a;desc=\"x\\\",y\";dur=1") == "a 1000 x\\\",y");
}

TEST_CASE("what is malformed is passed over up to the next comma") {
  CHECK(shape("") == "");
  CHECK(shape(" , ,, ") == "");
  CHECK(shape("=, ;dur=1, b;dur=2") == "b 2000");
  CHECK(shape("\"a,b\", c") == "c");
  CHECK(shape("a b c;dur=1") == "a 1000");
  CHECK(shape("a;dur=1 junk;desc=x, b") == "a 1000 x|b");
  CHECK(shape("a;;;dur=1") == "a 1000");
  CHECK(shape("a;dur") == "a");
  CHECK(shape("a;desc=\"open, b;dur=1") == "a open, b;dur=1");
  CHECK(shape("a;desc=\"open\\") == "a open\\");
}

TEST_CASE("a duration is a plain number that time can have") {
  CHECK(first_duration_ms("a;dur=1e3") == 1000.0);
  CHECK(first_duration_ms("a;dur=\"2.5\"") == 2.5);
  CHECK(first_duration_ms("a;dur=0") == 0.0);
  for (const char* bad : {"a;dur=-1", "a;dur=nan", "a;dur=inf", "a;dur=1e999", "a;dur=1ms",
                          "a;dur=", "a;dur=\"\"", "a;dur=0x10", "a;duration=1", "a", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(first_duration_ms(bad));
  }
}

TEST_CASE("the first duration of the list is the leaf's") {
  CHECK(first_duration_ms("miss, queue;dur=bad, db;dur=53, app;dur=47.2") == 53.0);
}

TEST_CASE("entries are written with microseconds and without needless zeros") {
  std::string out;
  append_timing(out, "scatter", 1200us);
  append_timing(out, "slowest", 1001us, "s7");
  append_timing(out, "merge", 40us);
  append_timing(out, "none", 0us);
  append_timing(out, "long", 90s);
  append_timing(out, "back", -5us);
  CHECK(out ==
        "scatter;dur=1.2, slowest;desc=\"s7\";dur=1.001, merge;dur=0.04, none;dur=0, "
        "long;dur=90000, back;dur=0");
}

TEST_CASE("durations are written as a floating-point number of milliseconds would be") {
  for (std::int64_t us = 0; us < 10'000'000'000; us += us < 20'000 ? 1 : us / 97) {
    char digits[32];
    // 17 digits would show the error of the binary number, and 15 are enough.
    const int size = std::snprintf(digits, sizeof digits, "%.15g", static_cast<double>(us) / 1000);
    std::string out;
    append_timing(out, "a", std::chrono::microseconds(us));
    REQUIRE(out == "a;dur=" + std::string(digits, static_cast<std::size_t>(size)));
    REQUIRE(first_duration_ms(out) == static_cast<double>(us) / 1000);
  }
  std::string out;
  append_timing(out, "a", std::chrono::microseconds::max());
  CHECK(out == "a;dur=9223372036854775.807");
}

TEST_CASE("a description cannot break out of its quotes") {
  std::string out;
  append_timing(out, "a", 1ms, "x\"\r\n, b;dur=9");
  CHECK(out == "a;desc=\"x\\\"??, b;dur=9\";dur=1");
  CHECK(first_duration_ms(out) == 1.0);
}
