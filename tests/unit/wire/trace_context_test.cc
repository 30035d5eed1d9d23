#include "wire/trace_context.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using consort::normal_tracestate;
using consort::Random;
using consort::TraceContext;
using consort::TraceParent;

namespace {

constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kParent = "b7ad6b7169203331";
const std::string kValid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string with(std::size_t at, std::string_view bytes) {
  std::string text = kValid;
  return text.replace(at, bytes.size(), bytes);
}

TraceContext from(const consort::http1::Headers& headers) {
  Random random(1);
  return TraceContext::from(headers, random);
}

}  // namespace

TEST_CASE("a valid traceparent is read into its fields") {
  const auto parent = TraceParent::parse(kValid);
  REQUIRE(parent);
  CHECK(std::string_view(parent->trace_id.data(), 32) == kTrace);
  CHECK(std::string_view(parent->parent_id.data(), 16) == kParent);
  CHECK(parent->sampled);
}

TEST_CASE("only the lowest flag says sampled") {
  CHECK_FALSE(TraceParent::parse(with(53, "00"))->sampled);
  CHECK_FALSE(TraceParent::parse(with(53, "fe"))->sampled);
  CHECK(TraceParent::parse(with(53, "ff"))->sampled);
  CHECK(TraceParent::parse(with(53, "03"))->sampled);
}

TEST_CASE("a traceparent that breaks a rule is none") {
  const std::string bad[] = {
      "",
      kValid.substr(0, 54),
      kValid.substr(0, 53),
      kValid + "-",                              // version 00 ends after the flags
      kValid + "-what-the-future-will-be-like",  //
      kValid + "0",                              //
      " " + kValid,                              //
      kValid + ", " + kValid,                    // two in one header
      with(0, "ff"),                             // the forbidden version
      with(0, "0g"),                             //
      with(0, "0A"),                             // upper case, everywhere
      with(3, "0AF7"),                           //
      with(36, "B7AD"),                          //
      with(53, "0A"),                            //
      with(3, std::string(32, '0')),             // ids of zeros
      with(36, std::string(16, '0')),            //
      with(10, "g"),                             //
      with(40, "-"),                             //
      with(53, ".1"),                            //
      with(2, "_"),                              // the marks between the fields
      with(35, "_"),                             //
      with(52, "_"),                             //
      "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
  };
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(TraceParent::parse(text));
  }
}

TEST_CASE("a higher version is read as far as it is known") {
  CHECK(TraceParent::parse(with(0, "cc")));
  CHECK(TraceParent::parse(with(0, "01") + "-what-the-future-will-be-like"));
  CHECK(TraceParent::parse(with(0, "fe") + "-"));
  CHECK_FALSE(TraceParent::parse(with(0, "cc") + ".what-the-future-will-not-be-like"));
  CHECK_FALSE(TraceParent::parse(with(0, "cc") + "0"));
  CHECK_FALSE(TraceParent::parse(with(0, "cc").substr(0, 54)));
}

TEST_CASE("a request with a valid traceparent continues its trace") {
  const TraceContext context = from({{"traceparent", kValid}, {"tracestate", "rojo=1,congo=2"}});
  CHECK(context.continued());
  CHECK(context.trace_id() == kTrace);
  CHECK(context.parent_id() == kParent);
  CHECK(context.sampled());
  CHECK(context.tracestate() == "rojo=1,congo=2");
}

TEST_CASE("none, an invalid one or two traceparents begin a new trace without a tracestate") {
  const consort::http1::Headers cases[] = {
      {{"tracestate", "rojo=1"}},
      {{"traceparent", with(0, "ff")}, {"tracestate", "rojo=1"}},
      {{"traceparent", kValid}, {"traceparent", kValid}, {"tracestate", "rojo=1"}},
      {{"traceparent", "bad"}, {"traceparent", kValid}, {"tracestate", "rojo=1"}},
  };
  for (const auto& headers : cases) {
    const TraceContext context = from(headers);
    CHECK_FALSE(context.continued());
    CHECK_FALSE(context.sampled());
    CHECK(context.tracestate() == "");
    CHECK(context.trace_id() != kTrace);
    CHECK(context.trace_id().find_first_not_of("0123456789abcdef") == std::string_view::npos);
    CHECK(context.trace_id().find_first_not_of('0') != std::string_view::npos);
  }
}

TEST_CASE("a malformed tracestate is dropped, but the trace goes on") {
  const TraceContext context = from({{"traceparent", kValid}, {"tracestate", "rojo=1,rojo=2"}});
  CHECK(context.continued());
  CHECK(context.tracestate() == "");
}

TEST_CASE("several tracestate headers are one list") {
  const TraceContext context = from({{"tracestate", "foo=1"},
                                     {"traceparent", kValid},
                                     {"tracestate", ""},
                                     {"tracestate", "bar=2"}});
  CHECK(context.tracestate() == "foo=1,bar=2");
  CHECK(from({{"traceparent", kValid}, {"tracestate", "foo=1"}, {"tracestate", "foo=1"}})
            .tracestate() == "");
}

TEST_CASE("blanks and empty members of a tracestate go, the rest stays as it is") {
  CHECK(normal_tracestate("") == "");
  CHECK(normal_tracestate("foo=1 \t , \t bar=2, \t baz=3") == "foo=1,bar=2,baz=3");
  CHECK(normal_tracestate(",foo=1,, ,bar=2,") == "foo=1,bar=2");
  CHECK(normal_tracestate("foo= 1 x") == "foo= 1 x");
  CHECK(normal_tracestate("0t_-*/x@s9=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~") ==
        "0t_-*/x@s9=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~");
}

TEST_CASE("a tracestate with a bad key, a bad value or a key twice is dropped") {
  for (const char* bad :
       {"foo", "=1", "foo =1", "FOO=1", "foo.bar=1", "foo@=1,bar=2", "@foo=1,bar=2", "foo@@bar=1",
        "foo@bar@baz=1", "1foo=1", "foo@1bar=1", "fo\xc3\xb6=1", "foo=bar=baz", "foo=,bar=3",
        "foo=\x7f", "foo=a\tb", "foo=1,bar=2,foo=3", "foo=1,=2", "foo=1;bar=2,baz"}) {
    CAPTURE(bad);
    CHECK_FALSE(normal_tracestate(bad));
  }
}

TEST_CASE("keys, values and members of a tracestate have their lengths") {
  const auto repeat = [](std::size_t times, char c) { return std::string(times, c); };
  CHECK(normal_tracestate(repeat(256, 'z') + "=1"));
  CHECK_FALSE(normal_tracestate(repeat(257, 'z') + "=1"));
  CHECK(normal_tracestate(repeat(241, 't') + "@" + repeat(14, 'v') + "=1"));
  CHECK_FALSE(normal_tracestate(repeat(242, 't') + "@v=1"));
  CHECK_FALSE(normal_tracestate("t@" + repeat(15, 'v') + "=1"));
  CHECK(normal_tracestate("foo=" + repeat(256, 'v')));
  CHECK_FALSE(normal_tracestate("foo=" + repeat(257, 'v')));

  std::string members;
  for (int i = 0; i < 32; ++i) members += "bar" + std::to_string(i) + "=1,";
  CHECK(normal_tracestate(members));
  CHECK_FALSE(normal_tracestate(members + "bar32=1"));
}

TEST_CASE("each attempt gets a parent id of its own in the same trace") {
  Random random(7);
  const TraceContext context = from({{"traceparent", kValid}});
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string text = "traceparent: ";
    context.append_child_traceparent(text, random);
    const std::string value = text.substr(13);
    const auto child = TraceParent::parse(value);
    REQUIRE(child);
    CHECK(value.size() == 55);
    CHECK(value.starts_with("00-" + std::string(kTrace) + "-"));
    CHECK(value.ends_with("-01"));
    CHECK(seen.insert(value).second);
  }
}

TEST_CASE("version and unknown flags are not passed on, the sampled flag is") {
  Random random(7);
  std::string child;
  from({{"traceparent", with(0, "cc")}}).append_child_traceparent(child, random);
  CHECK(child.starts_with("00-"));
  CHECK(child.ends_with("-01"));
  child.clear();
  from({{"traceparent", with(53, "fe")}}).append_child_traceparent(child, random);
  CHECK(child.ends_with("-00"));
}
