#include "wire/prefer.hpp"

#include <doctest/doctest.h>

#include <string>

using consort::Handling;
using consort::Preferences;

namespace {

Preferences read(std::string_view field) {
  Preferences preferences;
  preferences.add(field);
  return preferences;
}

}  // namespace

TEST_CASE("the examples of RFC 7240 read as the RFC says") {
  CHECK(read("respond-async, wait=10").wait_s == 10);
  CHECK(read("handling=lenient").handling == Handling::lenient);
  CHECK(read("handling=strict").handling == Handling::strict);
  CHECK(read("handling=lenient, wait=100, respond-async").wait_s == 100);
  CHECK(read("return=minimal; foo=\"some parameter\"").malformed_handlings == 0);
  // The two forms of section 2 that say the same.
  CHECK(read("priority=5").wait_s == read("priority=\"5\"").wait_s);
}

TEST_CASE("names and values of preferences are read in any form that the grammar allows") {
  for (const char* field : {"wait=7", "WAIT=7", "Wait = 7", "wait=\"7\"", "wait\t=\t7", "wait=7;x",
                            "wait=7 ; x=\"a,b\"", ", ,wait=7", "foo=\"a, wait=9\", wait=7",
                            "foo=\"\\\", wait=9\", wait=7", "wait=007", "x;wait=9, wait=7"}) {
    CAPTURE(field);
    CHECK(read(field).wait_s == 7);
  }
  CHECK(read("HANDLING=\"Strict\"").handling == Handling::strict);
}

TEST_CASE("the first of equal preferences counts, over all headers") {
  const Preferences both = Preferences::from({{"prefer", "wait=1, handling=strict"},
                                              {"host", "wait=9"},
                                              {"prefer", "handling=lenient, wait=2"}});
  CHECK(both.wait_s == 1);
  CHECK(both.handling == Handling::strict);
}

TEST_CASE("malformed preferences are ignored and counted") {
  for (const char* field : {"wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=\"\"",
                            "wait=\"7", "wait=1 2", "wait=7=8", "wait;=7"}) {
    CAPTURE(field);
    CHECK_FALSE(read(field).wait_s);
    CHECK(read(field).malformed_waits == 1);
  }
  CHECK_FALSE(read("handling=maybe").handling);
  CHECK(read("handling=maybe").malformed_handlings == 1);
  CHECK(read("wait=x, wait=5").wait_s == 5);
  CHECK(read("=7, =, \"wait=7\", ;;;, wait-=7, await=7").wait_s == std::nullopt);
  CHECK(read("wait=x\\").malformed_waits == 1);
  CHECK(read("a=\"\\").malformed_waits == 0);
}

TEST_CASE("a very long wait is cut instead of wrapping around") {
  CHECK(read("wait=4294967297").wait_s == Preferences::kMaxWaitS);
  CHECK(read("wait=99999999999999999999999999").wait_s == Preferences::kMaxWaitS);
  CHECK(read("wait=0").wait_s == 0);
}

TEST_CASE("Preference-Applied tells what was honoured") {
  CHECK(consort::preference_applied({}) == "");
  CHECK(consort::preference_applied({.wait_s = 10}) == "wait=10");
  CHECK(consort::preference_applied({.handling = Handling::lenient}) == "handling=lenient");
  CHECK(consort::preference_applied({.wait_s = 2, .handling = Handling::strict}) ==
        "handling=strict, wait=2");
}
