#include "manage/probe.hpp"

#include <doctest/doctest.h>

using namespace consort;

namespace {
constexpr const char* kProcNetUnix =
    "Num       RefCount Protocol Flags    Type St Inode Path\n"
    "ffff8c01: 00000002 00000000 00010000 0001 01 12345 @consort/box/shard-proxy\n"
    "ffff8c02: 00000003 00000000 00000000 0001 03 12346 @consort/box/shard-proxy\n"
    "ffff8c03: 00000002 00000000 00010000 0001 01 12347 @consort/box/elect two\n"
    "ffff8c04: 00000002 00000000 00010000 0001 01 12348 @consort/other/run\n"
    "ffff8c05: 00000003 00000000 00000000 0001 03 12349 @consort/box/gone\n"
    "ffff8c06: 00000002 00000000 00010000 0001 01 12350 /run/consort/box/x\n"
    "ffff8c07: 00000002 00000000 00010000 0001 01 12351\n";
}

TEST_CASE("listening sockets of this host are found, connections and other hosts are not") {
  CHECK(names_in_proc_net_unix(kProcNetUnix, "box") ==
        std::vector<std::string>{"elect two", "shard-proxy"});
  CHECK(names_in_proc_net_unix(kProcNetUnix, "bo").empty());
  CHECK(names_in_proc_net_unix("", "box").empty());
}

TEST_CASE("a list that is cut off anywhere is read as far as it goes") {
  const std::string text = kProcNetUnix;
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK(names_in_proc_net_unix(text.substr(0, size), "box").size() <= 2);
  }
}

TEST_CASE("a name is the abstract socket of that process") {
  auto target = parse_target("shard-proxy", "box");
  REQUIRE(target);
  CHECK(target->address.kind == Address::Kind::unix_abstract);
  CHECK(target->address.path == "consort/box/shard-proxy");
  CHECK(target->path.empty());
}

TEST_CASE("URLs name host, port and path") {
  auto target = parse_target("http://127.0.0.1:8080/up?x=1", "box");
  REQUIRE(target);
  CHECK(target->address.host == "127.0.0.1");
  CHECK(target->address.port == 8080);
  CHECK(target->path == "/up?x=1");
  CHECK(target->host == "127.0.0.1:8080");
  target = parse_target("http://localhost", "box");
  REQUIRE(target);
  CHECK(target->address.port == 80);
  CHECK(target->path.empty());  // a consort's admin interface
  target = parse_target("http://[::1]:9/", "box");
  REQUIRE(target);
  CHECK(target->address.host == "::1");
  CHECK(target->address.port == 9);
  CHECK(target->path == "/");
  target = parse_target("unix:/run/x.sock", "box");
  REQUIRE(target);
  CHECK(target->address.path == "/run/x.sock");
}

TEST_CASE("targets that health cannot ask are refused with a reason") {
  for (const char* text :
       {"", "a/b", "ftp://localhost/", "https://localhost/", "http://example.org/", "http://",
        "http:///x", "http://localhost:99999/", "http://localhost:x/"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_target(text, "box"));
  }
}

TEST_CASE("health fails for a process that is not there, and says so in one line") {
  std::string out;
  HealthRequest request;
  request.targets = {"no-such-process-of-the-tests"};
  CHECK(health_command(request, out) == 1);
  CHECK(out == "fail no-such-process-of-the-tests is not running (nobody listens)\n");
}

TEST_CASE("many failures stay within what Docker keeps of a health check") {
  std::string out;
  HealthRequest request;
  request.targets.assign(200, std::string(60, 'x'));
  CHECK(health_command(request, out) == 1);
  CHECK(out.size() <= 4096);
}

TEST_CASE("the status table fits a terminal") {
  const std::string health =
      R"({"role":"shard-proxy","state":"READY","since":"1970-01-01T00:00:10.000Z",)"
      R"("checks":{"a":{"status":"pass"},"b":{"status":"warn","text":"2 of 3 servers answer well"}}})";
  const std::string table = status_table(
      {{.name = "one", .health_json = health}, {.name = std::string(99, 'n'), .health_json = ""}},
      200'000);
  CHECK(table ==
        "NAME                 ROLE           STATE        SINCE  CHECKS\n"
        "one                  shard-proxy    READY        3m     warn b: 2 of 3 servers ~\n"
        "nnnnnnnnnnnnnnnnnnn~ -              NO ANSWER    -      does it hang?\n");
}

TEST_CASE("answers that are no JSON do not break the table") {
  for (const char* text : {"", "[]", "{", "ok", "{\"state\":{}}", "{\"since\":\"yesterday\"}"}) {
    CHECK(status_table({{.name = "x", .health_json = text}}, 0).size() < 200);
  }
}
