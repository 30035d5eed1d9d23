#include "wire/retry_after.hpp"

#include <doctest/doctest.h>

#include <string>

using consort::kMaxRetryAfter;
using consort::parse_http_date;
using consort::parse_retry_after;
using consort::pushback_of;
using namespace std::chrono_literals;

namespace {

// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
constexpr std::int64_t kThen = 784'111'777;

}  // namespace

TEST_CASE("HTTP dates of the preferred form are read") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == kThen);
  CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT") == 0);
  CHECK(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT") == -1);
  CHECK(parse_http_date("Thu, 29 Feb 2024 12:00:00 GMT") == 1'709'208'000);
  CHECK(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT") == 253'402'300'799);
  CHECK(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == 1'483'228'800);
}

TEST_CASE("dates that are none or of other forms are not read") {
  for (const char* bad : {"", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
                          "Sun, 6 Nov 1994 08:49:37 GMT", "sun, 06 Nov 1994 08:49:37 GMT",
                          "Sun, 06 NOV 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
                          "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
                          "Wed, 29 Feb 2023 12:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov -994 08:49:37 GMT",
                          "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_http_date(bad));
  }
}

TEST_CASE("Retry-After is seconds or a date seen from now") {
  const std::int64_t now_ms = kThen * 1000;
  CHECK(parse_retry_after("120", now_ms) == 120s);
  CHECK(parse_retry_after("0", now_ms) == 0s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now_ms) == 10s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now_ms + 1) == 10s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now_ms - 1) == 11s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now_ms) == 0s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:36 GMT", now_ms) == 0s);
  CHECK(parse_retry_after("Mon, 01 Jan 0001 00:00:00 GMT", now_ms) == 0s);
  for (const char* bad : {"", "-1", "+1", "1.5", "soon", " 1", "1s", "120, 130"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_retry_after(bad, now_ms));
  }
}

TEST_CASE("a very long wait is cut to a year") {
  CHECK(parse_retry_after("99999999999999999999999999", 0) == kMaxRetryAfter);
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", 0) == kMaxRetryAfter);
}

TEST_CASE("a pushback comes from gRPC's header or from Retry-After") {
  CHECK_FALSE(pushback_of({{"server", "x"}}, 0));
  CHECK(pushback_of({{"grpc-retry-pushback-ms", "250"}}, 0)->wait == 250ms);
  CHECK(pushback_of({{"retry-after", "2"}}, 0)->wait == 2s);
  CHECK(pushback_of({{"retry-after", "2"}, {"grpc-retry-pushback-ms", "250"}}, 0)->wait == 250ms);
  CHECK(pushback_of({{"retry-after", "2"}, {"retry-after", "9"}}, 0)->wait == 2s);
  CHECK(pushback_of({{"grpc-retry-pushback-ms", "0"}}, 0)->wait == 0ms);
  CHECK_FALSE(pushback_of({{"grpc-retry-pushback-ms", "0"}}, 0)->never);
}

TEST_CASE("a pushback that is negative or malformed means never") {
  for (const char* bad : {"-1", "", "x", "1.5", "1 "}) {
    CAPTURE(bad);
    CHECK(pushback_of({{"grpc-retry-pushback-ms", bad}}, 0)->never);
    CHECK(pushback_of({{"retry-after", bad}}, 0)->never);
    CHECK(pushback_of({{"retry-after", "2"}, {"grpc-retry-pushback-ms", bad}}, 0)->never);
  }
}
