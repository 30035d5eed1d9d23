// Getting a connection: names, addresses that fail, timeouts, unix sockets, TLS.
#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http_pool_site.hpp"
#include "io/tls.hpp"

namespace consort::http {
namespace {

using pool_test::answer;
using pool_test::Asker;
using pool_test::Site;

/// Connects without TLS and says what it was asked for, or fails as told.
class FakeTls final : public io::TlsClient {
 public:
  std::unique_ptr<io::Stream> connect(io::Network& network, io::Loop&, const Address& address,
                                      const std::string& server_name, io::StreamHandler& handler,
                                      io::ConnectOptions options) override {
    names += server_name + ";";
    return network.connect(address, handler, options);
  }
  std::string ca_source() const override { return "none"; }
  bool is_embedded() const override { return false; }

  std::string names;
};

/// Its connections fail with one error.
class FailingTls final : public io::TlsClient {
 public:
  FailingTls(sim::SimLoop& loop, Errc code) : loop_(loop), code_(code) {}
  std::unique_ptr<io::Stream> connect(io::Network& network, io::Loop&, const Address& address,
                                      const std::string&, io::StreamHandler& handler,
                                      io::ConnectOptions options) override {
    loop_.after(1, [&handler, code = code_] { handler.on_end(Error(code, "the reason")); });
    return network.connect(address, handler, options);
  }
  std::string ca_source() const override { return "none"; }
  bool is_embedded() const override { return false; }

 private:
  sim::SimLoop& loop_;
  Errc code_;
};

TEST_CASE("a server that refuses or hangs fails the call, with nothing sent") {
  Site refused;
  refused.server.refuse_next(1);
  Asker asker;
  refused.start(asker);
  CHECK(asker.failures == 1);
  CHECK(asker.failure.reason == ProxyError::connection_refused);
  CHECK_FALSE(asker.failure.was_sent);
  CHECK_FALSE(asker.failure.saw_bytes);
  CHECK(asker.failure.text.find("refused") != std::string::npos);

  Site hanging({.connect_timeout = Millis(250)});
  hanging.server.hang_next(1);
  Asker waiting;
  hanging.start(waiting);
  hanging.world.loop.run_for(249);
  CHECK(waiting.call->in_flight());
  hanging.world.loop.run_for(1);
  CHECK(waiting.failure.reason == ProxyError::connection_timeout);
  CHECK(hanging.pool->stats().connect_failures_total == 1);
  CHECK(hanging.pool->stats().busy == 0);
}

TEST_CASE("the connect timeout does not cut the answer short") {
  Site site({.connect_timeout = Millis(100)});
  Asker asker;
  site.start(asker);
  site.world.loop.run_for(5000);
  site.reply(answer("slow"));
  CHECK(asker.body == "slow");
}

TEST_CASE("a name is asked about once in its TTL, however many connections are made") {
  Site site({.idle_max = 0, .dns_ttl_min = Millis(2000), .dns_ttl_max = Millis(5000)}, {}, 1,
            "http://leaf.local");
  const auto call = [&] {
    Asker asker;
    site.start(asker);
    site.reply(answer("x"));
    return asker.responses == 1;
  };
  for (const auto [ttl_s, kept_ms] :
       {std::pair(3U, 3000U), {1U, 2000U}, {0U, 2000U}, {90U, 5000U}}) {
    site.world.dns.set("leaf.local", {{.ip = "10.0.0.1", .ttl_s = ttl_s}});
    site.world.loop.run_for(6000);
    const int before = site.world.dns.questions("leaf.local");
    CHECK(call());
    site.world.loop.run_for(kept_ms - 1);
    CHECK(call());
    CHECK(site.world.dns.questions("leaf.local") == before + 1);
    site.world.loop.run_for(1);
    CHECK(call());
    CHECK(site.world.dns.questions("leaf.local") == before + 2);
  }
}

TEST_CASE("calls that wait for the same name share one question") {
  Site site({}, {}, 1, "http://leaf.local");
  site.world.dns.delay_ms = 20;
  site.world.dns.set("leaf.local", {{.ip = "10.0.0.1", .ttl_s = 0}});
  Asker askers[3];
  for (Asker& asker : askers) site.start(asker);
  site.world.loop.run_for(20);
  CHECK(site.world.dns.questions("leaf.local") == 1);
  REQUIRE(site.server.connections() == 3);
  for (std::size_t i = 0; i < 3; ++i) site.server.peer(i).send(answer("x"));
  site.world.loop.settle();
  for (Asker& asker : askers) CHECK(asker.responses == 1);
}

TEST_CASE("a name that cannot be resolved fails the calls that wait for it") {
  for (const auto [code, reason] : {std::pair(Errc::not_found, ProxyError::dns_error),
                                    {Errc::unavailable, ProxyError::dns_error},
                                    {Errc::timed_out, ProxyError::dns_timeout}}) {
    Site site({}, {}, 1, "http://leaf.local");
    site.world.dns.set_error("leaf.local", code);
    Asker first;
    Asker second;
    first.then = [&] { site.pool.reset(); };
    site.pool->start(*first.call, pool_test::kGet);
    site.pool->start(*second.call, pool_test::kGet);
    site.world.loop.settle();
    CHECK(first.failures == 1);
    CHECK(first.failure.reason == reason);
    CHECK(second.failures == 0);  // the pool is gone
    CHECK_FALSE(second.call->in_flight());
  }
  Site silent({.connect_timeout = Millis(100)}, {}, 1, "http://leaf.local");
  silent.world.dns.set_silent("leaf.local");
  Asker asker;
  silent.start(asker);
  silent.world.loop.run_for(99);
  CHECK(asker.failures == 0);
  silent.world.loop.run_for(1);
  CHECK(asker.failure.reason == ProxyError::dns_timeout);
}

TEST_CASE("an answer that comes too late for a call serves the next one") {
  Site site({.connect_timeout = Millis(100)}, {}, 1, "http://leaf.local");
  site.world.dns.delay_ms = 300;
  site.world.dns.set("leaf.local", {{.ip = "10.0.0.1", .ttl_s = 60}});
  Asker early;
  site.start(early);
  site.world.loop.run_for(300);
  CHECK(early.failures == 1);
  Asker late;
  site.start(late);
  site.reply(answer("x"));
  CHECK(late.responses == 1);
  CHECK(site.world.dns.questions("leaf.local") == 1);
}

TEST_CASE("when the name server fails, the old addresses go on") {
  Site site({.idle_max = 0}, {}, 1, "http://leaf.local");
  site.world.dns.set("leaf.local", {{.ip = "10.0.0.1", .ttl_s = 1}});
  Asker first;
  site.start(first);
  site.reply(answer("x"));
  site.world.dns.set_error("leaf.local", Errc::unavailable);
  site.world.loop.run_for(1000);
  Asker second;
  site.start(second);
  site.reply(answer("y"));
  CHECK(second.body == "y");
  CHECK(site.world.dns.questions("leaf.local") == 2);
}

TEST_CASE("a refused address is followed by the next one within the call") {
  Site site({.connect_timeout = Millis(100)}, {}, 1, "http://leaf.local");
  site.world.dns.set("leaf.local",
                     {{.ip = "10.0.0.3", .ttl_s = 60}, {.ip = "10.0.0.1", .ttl_s = 60}});
  Asker first;
  site.start(first);
  site.reply(answer("x"));
  CHECK(first.body == "x");
  CHECK(site.pool->stats().connect_failures_total == 1);
  Asker second;
  Asker third;
  site.start(second);
  site.start(third);  // a connect that works stays where it is
  CHECK(site.server.connections() == 2);
  CHECK(site.pool->stats().connect_failures_total == 1);
}

TEST_CASE("when all addresses refuse the call fails, and so does one whose address hangs") {
  Site site({.connect_timeout = Millis(100)}, {}, 1, "http://leaf.local");
  site.world.network.serve("10.0.0.2:80").hang_next(1);
  site.world.dns.set("leaf.local",
                     {{.ip = "10.0.0.3", .ttl_s = 60}, {.ip = "10.0.0.4", .ttl_s = 60}});
  Asker nobody;
  site.start(nobody);
  CHECK(nobody.failure.reason == ProxyError::connection_refused);
  CHECK(site.pool->stats().connect_failures_total == 2);

  Site slow({.connect_timeout = Millis(100)}, {}, 1, "http://leaf.local");
  slow.world.network.serve("10.0.0.2:80").hang_next(1);
  slow.world.dns.set("leaf.local",
                     {{.ip = "10.0.0.2", .ttl_s = 60}, {.ip = "10.0.0.1", .ttl_s = 60}});
  Asker late;
  slow.start(late);
  slow.world.loop.run_for(100);
  CHECK(late.failure.reason == ProxyError::connection_timeout);
  Asker next;
  slow.start(next);  // the next connect begins with the next address
  slow.reply(answer("x"));
  CHECK(next.body == "x");
}

TEST_CASE("unix sockets and addresses need no name server") {
  for (std::string_view url : {"unix:/run/leaf.sock", "unix:@leaf", "http://[fd00::1]:8080"}) {
    Site site({}, {}, 1, url);
    sim::SimServer& server =
        site.world.network.serve(url.starts_with("http") ? "[fd00::1]:8080" : std::string(url));
    Asker asker;
    site.start(asker);
    REQUIRE(server.connections() == 1);
    server.last().send(answer("x"));
    site.world.loop.settle();
    CHECK(asker.body == "x");
  }
}

TEST_CASE("https goes through the TLS client, with the host's name and the usual port") {
  FakeTls tls;
  Site site({.tls = &tls}, {}, 1, "https://api.local");
  site.world.dns.set("api.local", {{.ip = "10.0.0.9", .ttl_s = 60}});
  sim::SimServer& server = site.world.network.serve("10.0.0.9:443");
  Asker asker;
  site.start(asker);
  server.last().send(answer("x"));
  site.world.loop.settle();
  CHECK(asker.body == "x");
  CHECK(tls.names == "api.local;");
}

TEST_CASE("what TLS refuses is told apart") {
  for (const auto [code, reason] : {std::pair(Errc::denied, ProxyError::tls_certificate_error),
                                    {Errc::protocol, ProxyError::tls_protocol_error},
                                    {Errc::refused, ProxyError::connection_refused}}) {
    sim::World world;
    FailingTls tls(world.loop, code);
    Pool pool(world.loop, world.network, world.dns, *Url::parse("https://10.0.0.1"), {.tls = &tls});
    world.network.serve("10.0.0.1:443").hang_next(1);
    Asker asker;
    pool.start(*asker.call, pool_test::kGet);
    world.loop.run_for(10);
    CHECK(asker.failures == 1);
    CHECK(asker.failure.reason == reason);
    CHECK(asker.failure.text == "https://10.0.0.1: the reason");
  }
}

TEST_CASE("https without a TLS client fails later, never within start") {
  Site site({}, {}, 1, "https://10.0.0.1");
  Asker asker;
  site.pool->start(*asker.call, pool_test::kGet);
  CHECK(asker.failures == 0);
  site.world.loop.settle();
  CHECK(asker.failures == 1);
  CHECK(asker.failure.reason == ProxyError::proxy_internal_error);
}

}  // namespace
}  // namespace consort::http
