#include "wire/structured_field.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

namespace sf = consort::sf;

namespace {

/// The dictionary in one line for comparing: key, type and value, parameters.
std::string shape(std::string_view text) {
  const auto dictionary = sf::parse_dictionary(text);
  if (!dictionary) return "wrong";
  std::string out;
  for (const sf::Member& member : *dictionary) {
    static constexpr std::string_view kTypes = "idstby(";
    if (!out.empty()) out += ' ';
    out += member.key;
    out += ':';
    out += kTypes[static_cast<std::size_t>(member.value.type)];
    const bool is_number = member.value.type == sf::Type::integer ||
                           member.value.type == sf::Type::decimal ||
                           member.value.type == sf::Type::boolean;
    out += is_number ? std::to_string(member.value.number) : std::string(member.value.text);
    out += member.parameters;
  }
  return out;
}

/// The value of "a=TEXT".
std::string item(std::string_view text) {
  return shape("a=" + std::string(text));
}

std::string decimal(double number) {
  std::string out;
  return sf::append_decimal(out, number) ? out : "refused" + out;
}

}  // namespace

TEST_CASE("the dictionaries of RFC 8941 section 3.2 read as the RFC says") {
  CHECK(shape(R"(en="Applepie", da=:w4ZibGV0w6ZydGU=:)") == "en:sApplepie da:bw4ZibGV0w6ZydGU=");
  CHECK(shape("a=?0, b, c; foo=bar") == "a:y0 b:y1 c:y1; foo=bar");
  CHECK(shape("rating=1.5, feelings=(joy sadness)") == "rating:d1500 feelings:(joy sadness");
  CHECK(shape("a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid") == "a:(1 2 b:i3 c:i4;aa=bb d:(5 6;valid");
  CHECK(shape("foo=1, bar=2") == "foo:i1 bar:i2");
}

TEST_CASE("the items and lists of RFC 8941 section 3 read as values of a dictionary") {
  CHECK(item("42") == "a:i42");
  CHECK(item("4.5") == "a:d4500");
  CHECK(item(R"("hello world")") == "a:shello world");
  CHECK(item("foo123/456") == "a:tfoo123/456");
  CHECK(item(":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:") ==
        "a:bcHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==");
  CHECK(item("?1") == "a:y1");
  CHECK(item("1; a; b=?0") == "a:i1; a; b=?0");
  CHECK(item("5; foo=bar") == "a:i5; foo=bar");
  CHECK(item("abc;a=1;b=2; cde_456") == "a:tabc;a=1;b=2; cde_456");
  CHECK(item(R"((ghi;jk=4 l);q="9";r=w)") == R"(a:(ghi;jk=4 l;q="9";r=w)");
  CHECK(item(R"(("foo"; a=1;b=2);lvl=5)") == R"(a:("foo"; a=1;b=2;lvl=5)");
  CHECK(item("()") == "a:(");
  CHECK(item("( 1  2 )") == "a:( 1  2 ");
}

TEST_CASE("numbers keep to the sizes that the grammar has") {
  CHECK(item("0") == "a:i0");
  CHECK(item("-0") == "a:i0");
  CHECK(item("-42") == "a:i-42");
  CHECK(item("007") == "a:i7");
  CHECK(item("999999999999999") == "a:i999999999999999");
  CHECK(item("-999999999999999") == "a:i-999999999999999");
  CHECK(item("123456789012.345") == "a:d123456789012345");
  CHECK(item("-0.001") == "a:d-1");
  CHECK(item("1.20") == "a:d1200");
  for (const char* bad : {"1000000000000000", "1234567890123.0", "1.2345", "1.", ".5", "-", "--1",
                          "- 1", "+1", "1e3", "1.2.3", "-a", "0x10"}) {
    CAPTURE(bad);
    CHECK(item(bad) == "wrong");
  }
}

TEST_CASE("blanks stand around commas and after semicolons only") {
  CHECK(shape("") == "");
  CHECK(shape("   ") == "");
  CHECK(shape("  a=1 \t,\t b ") == "a:i1 b:y1");
  CHECK(shape("a=1,b=2") == "a:i1 b:i2");
  for (const char* bad : {"a = 1", "a =1", "a= 1", "a=1 ;b", "a=1;\tb", "\ta=1", "a=1 b=2"}) {
    CAPTURE(bad);
    CHECK(shape(bad) == "wrong");
  }
}

TEST_CASE("one mistake anywhere and there is no dictionary") {
  const std::vector<std::string> bad = {
      "a=1,",     ",a=1",    "a=1,,b=2", "A=1",      "1=a",        "a;",          "a=",
      "a=1;",     "a=1;B",   "a=1;b=",   "a=\"x",    "a=\"x\\",    "a=\"\\n\"",   "a=\"\t\"",
      "a=\x7f",   "a=\"é\"", "a=:b",     "a=:b!:",   "a=?",        "a=?2",        "a=?10",
      "a=(1",     "a=(1,2)", "a=(1 2",   "a=(1;)",   "a=(\"a\"b)", "a=((1))",     "a=@1",
      "a=x\"y\"", "=1",      "a==1",     "a=1;c=()", "a=b{}",      "a=\"x\"\"y\""};
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK(shape(text) == "wrong");
  }
  CHECK(shape(std::string("a\0b", 3)) == "wrong");
  CHECK(shape(std::string("a=\"\0\"", 5)) == "wrong");
}

TEST_CASE("a mistake is told with its place") {
  const auto dictionary = sf::parse_dictionary("a=1, b=?7");
  REQUIRE(!dictionary);
  CHECK(dictionary.error().code() == consort::Errc::invalid);
  CHECK(dictionary.error().text() == "a boolean is ?0 or ?1 at byte 8");
}

TEST_CASE("the last value of a key counts, at the place of the first") {
  CHECK(shape("a=1, b=2, a=x;y") == "a:tx;y b:i2");
}

TEST_CASE("32 keys fit, one more does not, and repeated ones count once") {
  std::string text = "k0";
  for (int i = 1; i < 32; ++i) text += ", k" + std::to_string(i);
  REQUIRE(sf::parse_dictionary(text));
  CHECK(sf::parse_dictionary(text)->size() == 32);
  CHECK(sf::parse_dictionary(text + ", k7=1, k31=2").has_value());
  const auto more = sf::parse_dictionary(text + ", k32");
  REQUIRE(!more);
  CHECK(more.error().code() == consort::Errc::limit);
}

TEST_CASE("values are asked for by the type that they should have") {
  const auto dictionary = sf::parse_dictionary(R"(i=3, d=2.5, s="a\"b\\c", t=*x, y)");
  REQUIRE(dictionary);
  const auto value = [&](std::string_view key) { return dictionary->find(key)->value; };
  CHECK(value("i").as_integer() == 3);
  CHECK(value("i").as_number() == 3.0);
  CHECK(value("d").as_number() == 2.5);
  CHECK_FALSE(value("d").as_integer());
  CHECK(value("s").as_text() == R"(a"b\c)");
  CHECK(value("t").as_text() == "*x");
  CHECK_FALSE(value("y").as_text());
  CHECK_FALSE(value("y").as_number());
  CHECK(dictionary->find("z") == nullptr);
}

TEST_CASE("decimals are rounded to three digits, halves to even") {
  CHECK(decimal(90) == "90.0");
  CHECK(decimal(0) == "0.0");
  CHECK(decimal(-0.0) == "0.0");
  CHECK(decimal(-0.0001) == "0.0");
  CHECK(decimal(100.0 * 2 / 3) == "66.667");
  CHECK(decimal(0.0625) == "0.062");
  CHECK(decimal(0.1875) == "0.188");
  CHECK(decimal(-0.0625) == "-0.062");
  CHECK(decimal(2.5) == "2.5");
  CHECK(decimal(1.25) == "1.25");
  CHECK(decimal(0.9996) == "1.0");
  CHECK(decimal(999999999999.5) == "999999999999.5");
  CHECK(decimal(-999999999999.5) == "-999999999999.5");
}

TEST_CASE("what the grammar cannot say is not written") {
  CHECK(decimal(999999999999.9999) == "refused");
  CHECK(decimal(1e15) == "refused");
  CHECK(decimal(std::numeric_limits<double>::quiet_NaN()) == "refused");
  CHECK(decimal(-std::numeric_limits<double>::infinity()) == "refused");
  std::string out = "x";
  CHECK_FALSE(sf::append_integer(out, sf::kMaxInteger + 1));
  CHECK_FALSE(sf::append_integer(out, -sf::kMaxInteger - 1));
  CHECK_FALSE(sf::append_string(out, "caf\xc3\xa9"));
  CHECK_FALSE(sf::append_string(out, "a\nb"));
  CHECK_FALSE(sf::append_token(out, ""));
  CHECK_FALSE(sf::append_token(out, "7up"));
  CHECK_FALSE(sf::append_token(out, "a b"));
  CHECK(out == "x");
}

TEST_CASE("strings are quoted and escaped, and lossily so when a person reads them") {
  std::string out;
  CHECK(sf::append_string(out, R"(say "hi" \o/)"));
  CHECK(out == R"("say \"hi\" \\o/")");
  out.clear();
  sf::append_lossy_string(out, "caf\xc3\xa9\r\n\"x\"");
  CHECK(out == R"("caf????\"x\"")");
  out.clear();
  CHECK(sf::append_token(out, "*foo123/4:5"));
  CHECK(sf::append_integer(out, -sf::kMaxInteger));
  CHECK(out == "*foo123/4:5-999999999999999");
}

TEST_CASE("keys and tokens differ in their first character and their letters") {
  CHECK(sf::is_key("*a-1.b_c"));
  CHECK_FALSE(sf::is_key("aB"));
  CHECK_FALSE(sf::is_key("-a"));
  CHECK_FALSE(sf::is_key(""));
  CHECK(sf::is_token("aB:/~!"));
  CHECK_FALSE(sf::is_token("-a"));
  CHECK_FALSE(sf::is_token(""));
}
