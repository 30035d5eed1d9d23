#include "base/address.hpp"

#include <doctest/doctest.h>

#include <array>

#include "base/random.hpp"

namespace consort {
namespace {

Address good(std::string_view text) {
  auto address = Address::parse(text);
  REQUIRE_MESSAGE(address.has_value(), std::string(text));
  return *address;
}

std::string problem(std::string_view text) {
  auto address = Address::parse(text);
  REQUIRE_MESSAGE(!address.has_value(), std::string(text));
  CHECK_EQ(address.error().code(), Errc::invalid);
  return address.error().message();
}

bool complains(std::string_view text, std::string_view about) {
  return problem(text).find(about) != std::string::npos;
}

TEST_CASE("a tcp address has a host and a port, or a port only") {
  CHECK_EQ(good("localhost:8080"), Address{.host = "localhost", .port = 8080});
  CHECK_EQ(good(":80"), Address{.port = 80});
  CHECK_EQ(good("10.0.0.1:0"), Address{.host = "10.0.0.1", .port = 0});
  CHECK_EQ(good("my_db.example.com.:65535"), Address{.host = "my_db.example.com.", .port = 65535});
  CHECK_EQ(good("[::1]:8080"), Address{.host = "::1", .port = 8080});
  CHECK_EQ(good("[fe80::1%eth0]:1"), Address{.host = "fe80::1%eth0", .port = 1});
  CHECK_FALSE(good(":80").is_unix());
}

TEST_CASE("a unix address is a path, with a mode when wanted, or an abstract name") {
  Address path{.kind = Address::Kind::unix_path, .path = "/run/a.sock"};
  CHECK_EQ(good("unix:/run/a.sock"), path);
  CHECK_EQ(good("/run/a.sock"), path);
  path.mode = 0660;
  CHECK_EQ(good("/run/a.sock 0660"), path);
  CHECK_EQ(good("unix:/run/a.sock \t 660"), path);
  CHECK_EQ(good("unix:@consort/x"),
           Address{.kind = Address::Kind::unix_abstract, .path = "consort/x"});
  CHECK(good("unix:@x").is_unix());
}

TEST_CASE("a bare port gets the hint that it wants its colon") {
  CHECK_EQ(problem("8080"),
           R"("8080" is not an address (for that port on every interface, write ":8080"))");
}

TEST_CASE("each mistake in an address is named") {
  CHECK_EQ(problem("localhost"), R"("localhost" has no port (try localhost:8080))");
  CHECK(complains("10.0.0.1", "has no port"));
  CHECK(complains("", "is not an address"));
  CHECK(complains("::1", "has no port"));
  CHECK(complains("a:b:1", "need brackets"));
  CHECK(complains("::1:x", "need brackets"));
  CHECK(complains("[::1]", "has no port"));
  CHECK(complains("[::1", "closing bracket"));
  CHECK(complains("[localhost]:1", "no IPv6 address"));
  CHECK(complains("[::1%]:1", "no IPv6 address"));
  CHECK(complains("[]:1", "no IPv6 address"));
  CHECK(complains("10.0.0.256:1", "IPv4"));
  CHECK(complains("1.2.3:1", "IPv4"));
  CHECK(complains("http://a:1", "is a URL"));
  CHECK(complains("@name", "unix:@name"));
  CHECK(complains("a b:1", "host name"));
  CHECK(complains("-a:1", "host name"));
  CHECK(complains("*:1", "host name"));
  CHECK(complains(std::string(254, 'a') + ":1", "host name"));
  for (std::string_view text :
       {"a:", "a:-1", "a:+1", "a:65536", "a:99999999999", "a:8o", "a: 1", "[::1]:", "a:1 ", ":"}) {
    CAPTURE(text);
    CHECK(complains(text, "has no port between 0 and 65535"));
  }
}

TEST_CASE("each mistake in a unix address is named") {
  CHECK(complains("unix:", "try unix:/path"));
  CHECK(complains("unix:relative", "try unix:/path"));
  CHECK(complains("unix:@", "no name"));
  CHECK(complains("unix:@a 0660", "paths only"));
  CHECK(complains("/", "directory"));
  CHECK(complains("/run/", "directory"));
  CHECK(complains("/run/ 0660", "directory"));
  for (std::string_view text : {"/a 0", "/a 0888", "/a 01000", "/a b", "/a 0660 x", "/a 0660 "}) {
    CAPTURE(text);
    CHECK(complains(text, "no octal mode"));
  }
  using namespace std::string_view_literals;
  CHECK(complains("/a\0b"sv, "NUL"));
  CHECK(complains("unix:@a\0b"sv, "blanks"));
  CHECK(complains("a\0b:1"sv, "host name"));
}

TEST_CASE("a unix path ends where the system's limit is") {
  std::string longest = "/" + std::string(106, 'a');
  CHECK_EQ(good(longest).path, longest);
  CHECK_EQ(good("unix:@" + std::string(107, 'a')).path.size(), 107);
  CHECK(complains(longest + "a", "up to 107 bytes"));
  CHECK(complains("unix:@" + std::string(108, 'a'), "up to 107 bytes"));
}

TEST_CASE("every printed address reads back to itself") {
  constexpr std::array<std::string_view, 9> kTexts = {"a:1",
                                                      ":0",
                                                      "[::1]:8080",
                                                      "[fe80::1%eth0]:1",
                                                      "10.0.0.1:65535",
                                                      "unix:/run/a",
                                                      "unix:/run/a 0660",
                                                      "unix:/run/a 07",
                                                      "unix:@x"};
  for (std::string_view text : kTexts) CHECK_EQ(good(text).to_string(), text);

  Random random(4);
  constexpr std::string_view kLetters = "abz09-_.AZ";
  for (int i = 0; i < 5'000; ++i) {
    std::string name(1, 'h');
    for (std::uint64_t n = random.below(20); n > 0; --n) {
      name += kLetters[random.below(kLetters.size())];
    }
    name += 'z';
    Address address;
    switch (random.below(3)) {
      case 0:
        address = {.host = name, .port = static_cast<std::uint16_t>(random.next())};
        break;
      case 1:
        address = {.kind = Address::Kind::unix_abstract, .path = name};
        break;
      default:
        address = {.kind = Address::Kind::unix_path,
                   .path = "/" + name,
                   .mode = static_cast<std::uint32_t>(random.below(01000))};
    }
    CHECK_EQ(good(address.to_string()), address);
  }
}

TEST_CASE("random bytes never make an address that does not print and read back") {
  Random random(5);
  constexpr std::string_view kBytes = "unix:/@[]:%. 0689afAF-_\t\n";
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (std::uint64_t n = random.below(16); n > 0; --n) {
      text += kBytes[random.below(kBytes.size())];
    }
    auto address = Address::parse(text);
    if (address) CHECK_EQ(good(address->to_string()), *address);
  }
}

TEST_CASE("only IP literals are IP literals") {
  for (std::string_view text :
       {"127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1%lo", "::ffff:1.2.3.4"}) {
    CAPTURE(text);
    CHECK(is_ip_literal(text));
  }
  using namespace std::string_view_literals;
  for (std::string_view text :
       {""sv, "localhost"sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "[::1]"sv, "::1%"sv,
        "1.2.3.4%lo"sv, "::1\0"sv, " ::1"sv, ":::"sv}) {
    CAPTURE(text);
    CHECK_FALSE(is_ip_literal(text));
  }
}

}  // namespace
}  // namespace consort
