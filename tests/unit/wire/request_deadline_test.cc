#include "wire/request_deadline.hpp"

#include <doctest/doctest.h>

#include <string>

using consort::AskedDeadline;
using consort::envoy_timeout_ms;
using consort::grpc_timeout;
using consort::parse_grpc_timeout;
using consort::parse_timeout_ms;
using namespace std::chrono_literals;

TEST_CASE("grpc-timeout has a number and one of six units") {
  CHECK(parse_grpc_timeout("2H") == 2h);
  CHECK(parse_grpc_timeout("3M") == 3min);
  CHECK(parse_grpc_timeout("4S") == 4s);
  CHECK(parse_grpc_timeout("380m") == 380ms);
  CHECK(parse_grpc_timeout("5u") == 5us);
  CHECK(parse_grpc_timeout("5999n") == 5us);
  CHECK(parse_grpc_timeout("0m") == 0us);
  CHECK(parse_grpc_timeout("00000001S") == 1s);
  CHECK(parse_grpc_timeout("99999999H") == 99999999h);
  for (const char* bad : {"", "m", "5", "123456789m", "5s", "5h", "5 m", " 5m", "-5m", "+5m",
                          "5.0m", "5mm", "5N", "5U", "m5", "5m, 7m"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_grpc_timeout(bad));
  }
}

TEST_CASE("Envoy's timeouts are digits") {
  CHECK(parse_timeout_ms("380") == 380ms);
  CHECK(parse_timeout_ms("0") == 0ms);
  CHECK(parse_timeout_ms("999999999999") == 999999999999ms);
  for (const char* bad : {"", "1000000000000", "-1", "1.5", "1s", " 1", "0x1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_timeout_ms(bad));
  }
}

TEST_CASE("of several deadlines the smallest wins") {
  const auto left = [](const consort::http1::Headers& headers) {
    return AskedDeadline::from(headers).left;
  };
  CHECK(left({{"host", "a"}, {"accept", "5m"}}) == std::nullopt);
  CHECK(left({{"grpc-timeout", "1S"}, {"x-envoy-expected-rq-timeout-ms", "900"}}) == 900ms);
  CHECK(left({{"x-envoy-upstream-rq-timeout-ms", "500"}, {"grpc-timeout", "1S"}}) == 500ms);
  CHECK(left({{"prefer", "handling=strict, wait=2"}, {"grpc-timeout", "3S"}}) == 2s);
  CHECK(left({{"prefer", "wait=2"}, {"grpc-timeout", "1S"}}) == 1s);
  CHECK(left({{"grpc-timeout", "3S"}, {"grpc-timeout", "2S"}}) == 2s);
  CHECK(left({{"grpc-timeout", "0m"}, {"prefer", "wait=2"}}) == 0s);
}

TEST_CASE("malformed deadlines are counted and ignored") {
  const AskedDeadline asked = AskedDeadline::from({{"grpc-timeout", "soon"},
                                                   {"x-envoy-expected-rq-timeout-ms", "-5"},
                                                   {"prefer", "wait=ages"},
                                                   {"prefer", "handling=maybe"},
                                                   {"x-envoy-upstream-rq-timeout-ms", "70"}});
  CHECK(asked.left == 70ms);
  CHECK(asked.malformed == 3);
}

TEST_CASE("the largest unit is written that says it exactly") {
  CHECK(grpc_timeout(380ms) == "380m");
  CHECK(grpc_timeout(1500us) == "1500u");
  CHECK(grpc_timeout(1us) == "1u");
  CHECK(grpc_timeout(2s) == "2S");
  CHECK(grpc_timeout(60s) == "1M");
  CHECK(grpc_timeout(90s) == "90S");
  CHECK(grpc_timeout(7200s) == "2H");
  CHECK(grpc_timeout(99'999'999us) == "99999999u");
}

TEST_CASE("more than eight digits are rounded down to the next unit that fits") {
  CHECK(grpc_timeout(123'456'789us) == "123456m");
  CHECK(grpc_timeout(100'000'000'001us) == "100000S");
  CHECK(grpc_timeout(std::chrono::microseconds::max()) == "99999999H");
  CHECK(grpc_timeout(99999999h + 1us) == "99999999H");
}

TEST_CASE("nothing left is 0, and something left never is") {
  CHECK(grpc_timeout(0us) == "0m");
  CHECK(grpc_timeout(-5s) == "0m");
  CHECK(envoy_timeout_ms(0us) == "0");
  CHECK(envoy_timeout_ms(-1us) == "0");
  CHECK(envoy_timeout_ms(1us) == "1");
  CHECK(envoy_timeout_ms(999us) == "1");
  CHECK(envoy_timeout_ms(380'999us) == "380");
}

TEST_CASE("what is written reads back to the same or a little less") {
  for (std::int64_t us = 1; us < 1'000'000'000'000'000; us = us * 7 + 3) {
    CAPTURE(us);
    const auto back = parse_grpc_timeout(grpc_timeout(std::chrono::microseconds(us)));
    REQUIRE(back);
    CHECK(back->count() <= us);
    CHECK(back->count() > us - us / 1000 - 1);
  }
}
