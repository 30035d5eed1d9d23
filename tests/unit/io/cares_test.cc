#include "io/dns/cares.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "dns_server.hpp"
#include "io/dns/srv_reply.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kPatience{3000};

/// A resolver that asks only our server, and knows no search list.
struct Names {
  Names() : dns(loop, CaresOptions{.servers = server.address(), .resolv_conf = "/dev/null"}) {}
  Answer<DnsAddress> addresses(const std::string& name, milliseconds timeout = kPatience) {
    Answer<DnsAddress> answer;
    auto query = dns.resolve(name, timeout, answer);
    CHECK(answer.answers == 0);
    CHECK(run_until(loop, [&] { return answer.answers > 0; }));
    return answer;
  }
  Answer<DnsService> services(const std::string& name, milliseconds timeout = kPatience) {
    Answer<DnsService> answer;
    auto query = dns.resolve_service(name, timeout, answer);
    CHECK(answer.answers == 0);
    CHECK(run_until(loop, [&] { return answer.answers > 0; }));
    return answer;
  }
  UvLoop loop;
  DnsServer server{loop};
  CaresDns dns;
};

std::vector<std::string> ips(const Answer<DnsAddress>& answer) {
  std::vector<std::string> all;
  for (const auto& address : answer.records) all.push_back(address.ip);
  return all;
}

}  // namespace

TEST_CASE("literals and localhost need no server, and are still answered later") {
  Names names;
  CHECK(ips(names.addresses("10.1.2.3")) == std::vector<std::string>{"10.1.2.3"});
  CHECK(ips(names.addresses("fe80::1")) == std::vector<std::string>{"fe80::1"});
  std::vector<std::string> loopback{"127.0.0.1", "::1"};
  CHECK(ips(names.addresses("localhost")) == loopback);
  CHECK(ips(names.addresses("LocalHost.")) == loopback);
  CHECK(ips(names.addresses("db.localhost")) == loopback);
  CHECK(names.addresses("notlocalhost").error == Errc::not_found);
  CHECK(names.server.questions > 0);
}

TEST_CASE("addresses come with their TTLs, IPv4 first") {
  Names names;
  names.server.add("cache.test", kTypeA, {record_a("10.0.0.2", 7), record_a("10.0.0.1", 9)});
  names.server.add("cache.test", kTypeAaaa, {record_aaaa("fd00::1", 11)});
  auto answer = names.addresses("cache.test");
  CHECK(ips(answer) == std::vector<std::string>{"10.0.0.2", "10.0.0.1", "fd00::1"});
  REQUIRE(answer.records.size() == 3);
  CHECK(answer.records[0].ttl_s == 7);
  CHECK(answer.records[1].ttl_s == 9);
  CHECK(answer.records[2].ttl_s == 11);
  CHECK(ips(names.addresses("cache.test.")).size() == 3);
}

TEST_CASE("one family is enough") {
  Names names;
  names.server.add("four.test", kTypeA, {record_a("10.0.0.4", 5)});
  names.server.set_habit("four.test", DnsServer::Habit::no_data);
  names.server.add("six.test", kTypeAaaa, {record_aaaa("fd00::6", 5)});
  names.server.set_habit("six.test", DnsServer::Habit::no_data);
  CHECK(ips(names.addresses("four.test")) == std::vector<std::string>{"10.0.0.4"});
  CHECK(ips(names.addresses("six.test")) == std::vector<std::string>{"fd00::6"});
}

TEST_CASE("services come sorted by priority, with ports, weights and TTLs") {
  Names names;
  names.server.add("_cache._tcp.test", kTypeSrv,
                   {record_srv(20, 1, 11213, "c.test", 30), record_srv(10, 5, 11212, "b.test", 30),
                    record_srv(10, 7, 11211, "a.test", 31)});
  auto answer = names.services("_cache._tcp.test");
  REQUIRE(answer.records.size() == 3);
  CHECK(answer.records[0].target == "a.test");
  CHECK(answer.records[0].port == 11211);
  CHECK(answer.records[0].weight == 7);
  CHECK(answer.records[0].ttl_s == 31);
  CHECK(answer.records[1].target == "b.test");
  CHECK(answer.records[2].priority == 20);
  // RFC 2782: a target of "." says there is no such service.
  names.server.add("_none._tcp.test", kTypeSrv, {record_srv(0, 0, 0, "", 30)});
  CHECK(names.services("_none._tcp.test").error == Errc::not_found);
}

TEST_CASE("each way a server can fail has its code") {
  Names names;
  names.server.set_habit("garbage.test", DnsServer::Habit::garbage);
  names.server.set_habit("empty.test", DnsServer::Habit::no_data);
  names.server.set_habit("broken.test", DnsServer::Habit::servfail);
  CHECK(names.addresses("missing.test").error == Errc::not_found);
  CHECK(names.addresses("empty.test").error == Errc::not_found);
  CHECK(names.addresses("broken.test").error == Errc::unavailable);
  CHECK(names.addresses("garbage.test").error == Errc::protocol);
  CHECK(names.services("missing.test").error == Errc::not_found);
  CHECK(names.services("empty.test").error == Errc::not_found);
  CHECK(names.services("garbage.test").error == Errc::protocol);
}

TEST_CASE("names that are none are refused without a question") {
  Names names;
  CHECK(names.addresses("").error == Errc::invalid);
  CHECK(names.addresses(std::string("a\0b", 3)).error == Errc::invalid);
  CHECK(names.addresses(std::string(300, 'a')).error == Errc::invalid);
  CHECK(names.services("").error == Errc::invalid);
  CHECK(names.server.questions == 0);
}

TEST_CASE("silence ends at the caller's timeout, not at the resolver's") {
  Names names;
  names.server.set_habit("silent.test", DnsServer::Habit::silent);
  std::uint64_t start = names.loop.now_ms();
  CHECK(names.addresses("silent.test", milliseconds(20)).error == Errc::timed_out);
  CHECK(names.loop.now_ms() - start < CaresChannel::kTryTimeoutMs);
}

TEST_CASE("a forgotten question stays unanswered, and the resolver may go first") {
  UvLoop loop;
  DnsServer server(loop);
  server.add("a.test", kTypeA, {record_a("10.0.0.1", 5)});
  server.set_habit("silent.test", DnsServer::Habit::silent);
  auto dns = std::make_unique<CaresDns>(
      loop, CaresOptions{.servers = server.address(), .resolv_conf = "/dev/null"});
  Answer<DnsAddress> forgotten;
  dns->resolve("a.test", kPatience, forgotten).reset();
  Answer<DnsAddress> cancelled;
  auto query = dns->resolve("silent.test", kPatience, cancelled);
  CHECK(run_until(loop, [&] { return server.questions >= 4; }));
  dns.reset();
  CHECK(cancelled.answers == 0);
  CHECK(run_until(loop, [&] { return cancelled.answers > 0; }));
  CHECK(cancelled.error == Errc::cancelled);
  CHECK(forgotten.answers == 0);
}

TEST_CASE("a handler may destroy its query and the resolver") {
  struct Dropper final : DnsHandler<DnsAddress> {
    void on_resolved(Result<std::vector<DnsAddress>> answer) override {
      ok = answer.has_value();
      query.reset();
      dns.reset();
    }
    std::unique_ptr<CaresDns> dns;
    std::unique_ptr<DnsQuery> query;
    bool ok = false;
  };
  UvLoop loop;
  DnsServer server(loop);
  server.add("a.test", kTypeA, {record_a("10.0.0.1", 5)});
  server.set_habit("a.test", DnsServer::Habit::no_data);
  Dropper dropper;
  dropper.dns = std::make_unique<CaresDns>(
      loop, CaresOptions{.servers = server.address(), .resolv_conf = "/dev/null"});
  dropper.query = dropper.dns->resolve("a.test", kPatience, dropper);
  CHECK(run_until(loop, [&] { return dropper.dns == nullptr; }));
  CHECK(dropper.ok);
}

TEST_CASE("a wrong server list is reported, not ignored") {
  UvLoop loop;
  CaresDns dns(loop, CaresOptions{.servers = "not a server", .resolv_conf = "/dev/null"});
  Answer<DnsAddress> answer;
  auto query = dns.resolve("a.test", kPatience, answer);
  CHECK(run_until(loop, [&] { return answer.answers > 0; }));
  CHECK(answer.error == Errc::invalid);
}

TEST_CASE("a changed resolv.conf counts for the next question") {
  UvLoop loop;
  DnsServer first(loop, "127.0.0.1");
  DnsServer second(loop, "127.0.0.2", first.port());
  REQUIRE(second.ready);
  first.add("a.test", kTypeA, {record_a("10.0.0.1", 5)});
  first.set_habit("a.test", DnsServer::Habit::no_data);
  second.add("a.test", kTypeA, {record_a("10.0.0.2", 5)});
  second.set_habit("a.test", DnsServer::Habit::no_data);
  std::string path = "/tmp/consort-unit-" + std::to_string(::getpid()) + "-resolv";
  auto write = [&](const char* text) {
    std::string fresh = path + ".new";
    std::FILE* file = std::fopen(fresh.c_str(), "w");
    REQUIRE(file != nullptr);
    std::fputs(text, file);
    std::fclose(file);
    REQUIRE(std::rename(fresh.c_str(), path.c_str()) == 0);
  };
  CaresDns dns(loop, CaresOptions{.servers = "", .resolv_conf = path, .port = first.port()});
  std::vector<std::string> seen;
  for (const char* text : {"nameserver 127.0.0.1\n", "nameserver 127.0.0.2\n"}) {
    write(text);
    Answer<DnsAddress> answer;
    auto query = dns.resolve("a.test", kPatience, answer);
    CHECK(run_until(loop, [&] { return answer.answers > 0; }));
    for (const auto& ip : ips(answer)) seen.push_back(ip);
  }
  ::unlink(path.c_str());
  CHECK(seen == std::vector<std::string>{"10.0.0.1", "10.0.0.2"});
}

TEST_CASE("a service answer cut anywhere is malformed or empty, never more than it was") {
  std::string question = dns_name("_c._tcp.test") + u16(kTypeSrv) + u16(1);
  std::string reply = u16(7) + u16(0x8180) + u16(1) + u16(2) + u16(0) + u16(0) + question +
                      record_srv(1, 2, 3, "a.test", 4) + record_srv(1, 2, 3, "b.test", 4);
  auto parse = [](const std::string& bytes) {
    return parse_srv_reply({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
  };
  REQUIRE(parse(reply).has_value());
  CHECK(parse(reply)->size() == 2);
  for (std::size_t size = 0; size < reply.size(); ++size) {
    CAPTURE(size);
    std::string cut(reply, 0, size);
    CHECK_FALSE(parse(cut).has_value());
  }
  for (std::size_t i = 0; i < reply.size(); ++i) {
    for (char value : {'\0', '\x01', '\x7F', '\xC0', '\xFF'}) {
      std::string changed = reply;
      changed[i] = value;
      auto services = parse(changed);
      if (services) CHECK(services->size() <= 2);
    }
  }
}

TEST_CASE("an answer with very many services is cut to the limit") {
  std::string question = dns_name("_c._tcp.test") + u16(kTypeSrv) + u16(1);
  std::string reply = u16(7) + u16(0x8180) + u16(1) + u16(200) + u16(0) + u16(0) + question;
  for (int i = 0; i < 200; ++i) {
    reply += record_srv(1, 2, static_cast<std::uint16_t>(i), "a.test", 4);
  }
  auto services =
      parse_srv_reply({reinterpret_cast<const unsigned char*>(reply.data()), reply.size()});
  REQUIRE(services.has_value());
  CHECK(services->size() == kDnsRecordsMax);
}
