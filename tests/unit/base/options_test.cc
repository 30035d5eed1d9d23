#include "base/options.hpp"

#include <doctest/doctest.h>

#include <array>

#include "base/random.hpp"

namespace consort {
namespace {

enum class Color : std::uint8_t { red, dark_green, blue };

}  // namespace
template <>
struct Choices<Color> {
  static constexpr std::string_view names[] = {"red", "dark-green", "blue"};
};
namespace {

template <class T>
std::string problem(std::string_view text) {
  auto value = Text<T>::parse(text);
  REQUIRE_FALSE(value.has_value());
  CHECK_EQ(value.error().code(), Errc::invalid);
  return value.error().message();
}

template <class T>
T good(std::string_view text) {
  auto value = Text<T>::parse(text);
  REQUIRE_MESSAGE(value.has_value(), std::string(text));
  return *value;
}

/// Numbers of every magnitude, each about as often.
std::uint64_t any_magnitude(Random& random) {
  return random.next() >> random.below(64);
}

TEST_CASE("a duration reads in the units people write") {
  CHECK_EQ(good<Millis>("0").count(), 0);
  CHECK_EQ(good<Millis>("0s").count(), 0);
  CHECK_EQ(good<Millis>("250ms").count(), 250);
  CHECK_EQ(good<Millis>("10s").count(), 10'000);
  CHECK_EQ(good<Millis>("5m").count(), 300'000);
  CHECK_EQ(good<Millis>("1h30m").count(), 5'400'000);
  CHECK_EQ(good<Millis>("1h2m3s4ms").count(), 3'723'004);
  CHECK_EQ(good<Millis>("90m").count(), 5'400'000);
}

TEST_CASE("what is not a duration is named, with what would be one") {
  CHECK_EQ(problem<Millis>("5x"), R"("5x" is not a duration (try 250ms, 10s or 5m))");
  CHECK_EQ(problem<Millis>("5"), R"("5" is not a duration without a unit (try 5ms, 5s or 5m))");
  for (std::string_view text : {"", " ", "s", "ms", "-5s", "+5s", "5 s", " 5s", "5s ", "5S", "1.5s",
                                "5s5s", "5m1h", "1ms1s", "1h1", "00", "5d", "0x5s", "5s\n"}) {
    CAPTURE(text);
    CHECK(problem<Millis>(text).find("is not a duration") != std::string::npos);
  }
}

TEST_CASE("a duration stops at a hundred years, however it is written") {
  CHECK_EQ(good<Millis>("876000h"), kMaxDuration);
  CHECK_EQ(problem<Millis>("876001h"), R"("876001h" is too large (at most 876000h))");
  CHECK(problem<Millis>("876000h1ms").find("too large") != std::string::npos);
  CHECK(problem<Millis>("18446744073709551615h").find("too large") != std::string::npos);
  CHECK(problem<Millis>("99999999999999999999999999s").find("too large") != std::string::npos);
}

TEST_CASE("a duration prints as a person would write it") {
  CHECK_EQ(Text<Millis>::print(Millis{0}), "0");
  CHECK_EQ(Text<Millis>::print(Millis{250}), "250ms");
  CHECK_EQ(Text<Millis>::print(Millis{1'000}), "1s");
  CHECK_EQ(Text<Millis>::print(Millis{1'500}), "1500ms");
  CHECK_EQ(Text<Millis>::print(Millis{30'000}), "30s");
  CHECK_EQ(Text<Millis>::print(Millis{90'000}), "1m30s");
  CHECK_EQ(Text<Millis>::print(Millis{5'400'000}), "1h30m");
  CHECK_EQ(Text<Millis>::print(Millis{86'400'000}), "24h");
  CHECK_EQ(Text<Millis>::print(Millis{3'600'001}), "1h1ms");
  CHECK_EQ(Text<Millis>::print(Millis{-250}), "-250ms");
  CHECK_EQ(Text<Millis>::print(Millis::min()).substr(0, 1), "-");
}

TEST_CASE("every printed duration reads back to itself") {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    Millis value{static_cast<std::int64_t>(any_magnitude(random) %
                                           (static_cast<std::uint64_t>(kMaxDuration.count()) + 1))};
    CHECK_EQ(good<Millis>(Text<Millis>::print(value)), value);
  }
}

TEST_CASE("a size reads in powers of two and of ten") {
  CHECK_EQ(good<ByteSize>("0").bytes, 0);
  CHECK_EQ(good<ByteSize>("512").bytes, 512);
  CHECK_EQ(good<ByteSize>("512B").bytes, 512);
  CHECK_EQ(good<ByteSize>("64KiB").bytes, 65'536);
  CHECK_EQ(good<ByteSize>("8MiB").bytes, 8U << 20);
  CHECK_EQ(good<ByteSize>("1GiB").bytes, 1U << 30);
  CHECK_EQ(good<ByteSize>("2TiB").bytes, 2ULL << 40);
  CHECK_EQ(good<ByteSize>("1kB").bytes, 1'000);
  CHECK_EQ(good<ByteSize>("1KB").bytes, 1'000);
  CHECK_EQ(good<ByteSize>("3MB").bytes, 3'000'000);
  CHECK_EQ(good<ByteSize>("18446744073709551615").bytes, UINT64_MAX);
}

TEST_CASE("what is not a size is named, with what would be one") {
  CHECK_EQ(problem<ByteSize>("64K"), R"("64K" is not a size (try 512, 64KiB or 8MiB))");
  for (std::string_view text :
       {"", "B", "KiB", "-1", "+1", "1.5GiB", "64 KiB", "64kib", "1GiB1MiB", "1KiB ", "0x10"}) {
    CAPTURE(text);
    CHECK(problem<ByteSize>(text).find("is not a size") != std::string::npos);
  }
  CHECK(problem<ByteSize>("18446744073709551616").find("too large") != std::string::npos);
  CHECK(problem<ByteSize>("16777216TiB").find("too large") != std::string::npos);
  CHECK_EQ(good<ByteSize>("16777215TiB").bytes, 16777215ULL << 40);
}

TEST_CASE("a size prints in its shortest exact form") {
  CHECK_EQ(Text<ByteSize>::print({0}), "0");
  CHECK_EQ(Text<ByteSize>::print({512}), "512");
  CHECK_EQ(Text<ByteSize>::print({1'000}), "1kB");
  CHECK_EQ(Text<ByteSize>::print({1'024}), "1KiB");
  CHECK_EQ(Text<ByteSize>::print({1'536}), "1536");
  CHECK_EQ(Text<ByteSize>::print({10'240}), "10KiB");
  CHECK_EQ(Text<ByteSize>::print({16U << 20}), "16MiB");
  CHECK_EQ(Text<ByteSize>::print({5'000'000'000}), "5GB");
}

TEST_CASE("every printed size reads back to itself") {
  Random random(2);
  constexpr std::array<std::uint64_t, 5> kFactors = {1, 1'000, 1'024, 1'000'000, 1U << 20};
  for (int i = 0; i < 20'000; ++i) {
    ByteSize value{any_magnitude(random)};
    std::uint64_t factor = kFactors[random.below(kFactors.size())];
    if (value.bytes <= UINT64_MAX / factor) value.bytes *= factor;
    CHECK_EQ(good<ByteSize>(Text<ByteSize>::print(value)), value);
  }
}

TEST_CASE("a flag knows the usual words and no others") {
  for (std::string_view text : {"true", "True", "yes", "YES", "on", "1"}) CHECK(good<bool>(text));
  for (std::string_view text : {"false", "no", "No", "off", "0"}) CHECK_FALSE(good<bool>(text));
  CHECK_EQ(problem<bool>("maybe"),
           R"("maybe" is not true or false (yes, no, on, off, 1 and 0 will do))");
  for (std::string_view text : {"", "tru", "truee", "2", "y", " true"}) problem<bool>(text);
  CHECK(good<bool>(Text<bool>::print(true)));
  CHECK_FALSE(good<bool>(Text<bool>::print(false)));
}

TEST_CASE("a number is whole, not negative and has an end") {
  CHECK_EQ(good<std::uint32_t>("0"), 0);
  CHECK_EQ(good<std::uint32_t>("007"), 7);
  CHECK_EQ(good<std::uint32_t>("4294967295"), UINT32_MAX);
  CHECK_EQ(problem<std::uint32_t>("4294967296"),
           R"("4294967296" is too large (at most 4294967295))");
  CHECK_EQ(problem<std::uint32_t>("ten"), R"("ten" is not a number (try 8))");
  for (std::string_view text : {"", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "99999999999x"}) {
    CAPTURE(text);
    CHECK(problem<std::uint32_t>(text).find("is not a number") != std::string::npos);
  }
}

TEST_CASE("a ratio is finite and not negative, and reads back as printed") {
  CHECK_EQ(good<double>("0.5"), 0.5);
  CHECK_EQ(good<double>("2"), 2.0);
  CHECK_EQ(Text<double>::print(1.25), "1.25");
  for (std::string_view text : {"", "x", "-0.5", "-0", "nan", "inf", "0.5x", "1e999", "50%"}) {
    CAPTURE(text);
    CHECK_EQ(problem<double>(text).find("is not a ratio"), text.size() + 3);
  }
  Random random(3);
  for (int i = 0; i < 5'000; ++i) {
    double value = random.unit() * static_cast<double>(any_magnitude(random));
    CHECK_EQ(good<double>(Text<double>::print(value)), value);
  }
}

TEST_CASE("a choice reads its names, whatever the case, and lists them when it cannot") {
  CHECK_EQ(good<Color>("red"), Color::red);
  CHECK_EQ(good<Color>("Dark_Green"), Color::dark_green);
  CHECK_EQ(Text<Color>::print(Color::blue), "blue");
  CHECK_EQ(problem<Color>("bleu"),
           R"("bleu" is not one of red, dark-green or blue (did you mean "blue"?))");
  CHECK_EQ(problem<Color>("mauve"), R"("mauve" is not one of red, dark-green or blue)");
  CHECK_EQ(problem<Color>(""), R"("" is not one of red, dark-green or blue)");
}

TEST_CASE("the nearest name is found within a distance that grows with the word") {
  constexpr std::array<std::string_view, 5> kNames = {"timeout", "connect-timeout", "server", "ttl",
                                                      "hash"};
  CHECK_EQ(nearest("timeuot", kNames), "timeout");   // swapped
  CHECK_EQ(nearest("timeot", kNames), "timeout");    // dropped
  CHECK_EQ(nearest("tiimeout", kNames), "timeout");  // added
  CHECK_EQ(nearest("Servers", kNames), "server");    // case
  CHECK_EQ(nearest("connect_timeout", kNames), "connect-timeout");
  CHECK_EQ(nearest("conect_tiemuot", kNames), "connect-timeout");  // three edits, long word
  CHECK_EQ(nearest("tt", kNames), "ttl");
  CHECK_EQ(nearest("tl", kNames), "ttl");
  CHECK_EQ(nearest("hsah", kNames), "hash");
  CHECK_EQ(nearest("haaah", kNames), "hash");
  CHECK_EQ(nearest("hxxh", kNames), "");  // two edits, short word
  CHECK_EQ(nearest("serxxxer", kNames), "");
  CHECK_EQ(nearest("x", kNames), "");
  CHECK_EQ(nearest("", kNames), "");
  CHECK_EQ(nearest("timeout", {}), "");
  CHECK_EQ(nearest(std::string(10'000, 't'), kNames), "");
}

TEST_CASE("a name that another tool uses is answered with ours, however it is written") {
  constexpr std::array<ForeignName, 1> kForeign = {{{"read-from-head", "use --from start"}}};
  const std::array<BoundTable, 2> tables = {BoundTable{}, BoundTable{{}, nullptr, kForeign}};
  CHECK_EQ(instead_of(tables, "Read_from_Head"), "use --from start");
  CHECK_EQ(instead_of(tables, "read-from-head"), "use --from start");
  CHECK_EQ(instead_of(tables, "read-from-tail"), "");
  CHECK_EQ(instead_of({}, "read-from-head"), "");
}

TEST_CASE("the nearest name is the first of equally near ones") {
  constexpr std::array<std::string_view, 3> kNames = {"bat", "cat", "rat"};
  CHECK_EQ(nearest("hat", kNames), "bat");
  CHECK_EQ(nearest("rat", kNames), "rat");
}

TEST_CASE("a person's text in a message is escaped and cut between characters") {
  CHECK_EQ(in_quotes("a\nb\x1b[1m"), R"("a\nb\u001b[1m")");
  CHECK_EQ(in_quotes(std::string(80, 'a')), '"' + std::string(80, 'a') + '"');
  CHECK_EQ(in_quotes(std::string(1'000, 'a')), '"' + std::string(80, 'a') + "...\"");
  std::string cut = in_quotes(std::string(79, 'a') + "\u00e4\u00e4");
  CHECK_EQ(cut, '"' + std::string(79, 'a') + "...\"");
}

struct Pool {
  std::string name;
  std::uint32_t weight = 1;
};
struct Config {
  Millis timeout{1'000};
  std::vector<std::string> servers;
  std::vector<Pool> pools;
};
constexpr Option kPoolOptions[] = {option<&Pool::weight>("weight", "share of the keys")};
constexpr Option kOptions[] = {
    option<&Config::timeout>("timeout", "how long a request may take", kReload),
    option<&Config::servers>("server", "where to send requests"),
    option_map<&Config::pools>("pools", kPoolOptions, "named pools"),
};

TEST_CASE("an option sets, appends, clears and gets its member") {
  Config config;
  const Option& timeout = kOptions[0];
  CHECK_EQ(timeout.kind, "duration");
  CHECK(timeout.set(&config, "5m").has_value());
  CHECK_EQ(timeout.get(&config), std::vector<std::string>{"5m"});
  CHECK_FALSE(timeout.set(&config, "5x").has_value());
  CHECK_EQ(config.timeout, Millis{300'000});  // a refused value changes nothing

  const Option& server = kOptions[1];
  CHECK(server.repeats);
  CHECK(server.set(&config, "a:1").has_value());
  CHECK(server.set(&config, "b:2").has_value());
  CHECK_EQ(server.get(&config), std::vector<std::string>{"a:1", "b:2"});
  server.clear(&config);
  CHECK(server.get(&config).empty());
}

TEST_CASE("a map option adds named entries that have a table of their own") {
  Config config;
  const Option& pools = kOptions[2];
  void* alpha = pools.add_entry(&config, "alpha");
  CHECK(pools.nested[0].set(alpha, "7").has_value());
  REQUIRE_EQ(pools.entries(&config), 1);
  std::string name;
  const void* entry = pools.entry(&config, 0, name);
  CHECK_EQ(name, "alpha");
  CHECK_EQ(pools.nested[0].get(entry), std::vector<std::string>{"7"});
}

}  // namespace
}  // namespace consort
