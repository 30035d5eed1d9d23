// Servers that are named, not numbered: the proxy asks DNS without ever waiting for it.
#include <doctest/doctest.h>

#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

void name_the_server(RedisWorld& proxy) {
  proxy.config.servers[0] = *ServerSpec::parse("cache.local:6379:1 a");
}

}  // namespace

TEST_CASE("a name that cannot be resolved is tried again until it can") {
  RedisWorld proxy(1);
  name_the_server(proxy);
  proxy.start();
  TestClient& client = proxy.connect();
  std::string reply = client.command({"GET", "a"});
  CHECK(reply.starts_with("-ERR a cannot resolve \"cache.local\""));
  CHECK(proxy.logged("cannot resolve") == 1);
  proxy.world.dns.set("cache.local", {{.ip = "10.0.0.1", .ttl_s = 5}});
  proxy.run_for(1300);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
}

TEST_CASE("a silent DNS server holds requests no longer than the connect timeout") {
  RedisWorld proxy(2);
  name_the_server(proxy);
  proxy.world.dns.set_silent("cache.local");
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"GET", proxy.key_on(1)}) == "$-1\r\n");
  client.post({"GET", proxy.key_on(0)});
  proxy.run_for(499);
  CHECK(client.take().empty());
  proxy.run_for(1);
  CHECK(client.take().starts_with("-ERR a "));
}

TEST_CASE("of several addresses the next one is tried after one that does not answer") {
  RedisWorld proxy(1);
  name_the_server(proxy);
  proxy.world.dns.set("cache.local", {{.ip = "10.9.9.9"}, {.ip = "10.0.0.1"}});
  proxy.start();
  TestClient& client = proxy.connect();
  CHECK(client.command({"GET", "a"}) == "-ERR a Connection refused\r\n");
  proxy.run_for(1300);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.world.dns.questions("cache.local") == 2);
}

TEST_CASE("a server that moved to another address is found when it is connected to again") {
  RedisWorld proxy(1);
  name_the_server(proxy);
  proxy.world.dns.set("cache.local", {{.ip = "10.0.0.1"}});
  proxy.start();
  RedisServer moved(proxy.world.network, "10.0.0.7:6379");
  moved.store.data["a"] = "new";
  TestClient& client = proxy.connect();
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  proxy.run_for(2000);
  proxy.world.dns.set("cache.local", {{.ip = "10.0.0.7"}});
  proxy.server(0).peer().close();
  proxy.settle();
  CHECK(client.command({"GET", "a"}) == bulk("new"));
}

namespace {

/// Answers when the test says so, as a real resolver may: after the connect timeout, too.
class LateDns final : public io::Dns {
 public:
  std::unique_ptr<io::DnsQuery> resolve(const std::string&, std::chrono::milliseconds,
                                        io::DnsHandler<io::DnsAddress>& handler) override {
    ++questions;
    auto query = std::make_unique<Query>(*this);
    asking_ = query.get();
    handler_ = &handler;
    return query;
  }
  std::unique_ptr<io::DnsQuery> resolve_service(const std::string&, std::chrono::milliseconds,
                                                io::DnsHandler<io::DnsService>&) override {
    return nullptr;
  }
  void answer(Result<std::vector<io::DnsAddress>> found) {
    if (asking_ != nullptr) handler_->on_resolved(std::move(found));
  }
  int questions = 0;

 private:
  struct Query final : io::DnsQuery {
    explicit Query(LateDns& to) : dns(to) {}
    ~Query() override {
      if (dns.asking_ == this) dns.asking_ = nullptr;
    }
    LateDns& dns;
  };
  Query* asking_ = nullptr;
  io::DnsHandler<io::DnsAddress>* handler_ = nullptr;
};

constexpr std::string_view kUnresolved = "-ERR a cannot resolve \"cache.local\" in time\r\n";

}  // namespace

TEST_CASE("an answer of DNS that comes after the connect timeout changes nothing") {
  LateDns dns;
  RedisWorld proxy(1);
  name_the_server(proxy);
  proxy.use_dns(dns);
  proxy.start();
  TestClient& client = proxy.connect();
  client.post({"GET", "a"});
  proxy.run_for(500);
  CHECK(client.take() == kUnresolved);
  dns.answer(fail(Errc::timed_out, "resolve cache.local"));
  proxy.settle();
  CHECK(client.command({"GET", "a"}) == kUnresolved);
  CHECK(dns.questions == 1);
  proxy.run_for(1200);
  CHECK(dns.questions == 2);
  proxy.run_for(500);
  dns.answer(std::vector<io::DnsAddress>{{.ip = "10.0.0.1", .ttl_s = 1}});
  proxy.settle();
  CHECK(proxy.server(0).at().attempts() == 0);
  REQUIRE(proxy.world.loop.run_until([&dns] { return dns.questions == 3; }, 2000));
  dns.answer(std::vector<io::DnsAddress>{{.ip = "10.0.0.1", .ttl_s = 1}});
  proxy.settle();
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
  CHECK(proxy.server(0).at().attempts() == 1);
}

TEST_CASE("a resolver that is silent costs no connection that stands") {
  RedisWorld proxy(1);
  name_the_server(proxy);
  proxy.config.server_connections = 2;
  proxy.config.preconnect = true;
  proxy.world.dns.set("cache.local", {{.ip = "10.0.0.1"}});
  proxy.start();
  TestClient& client = proxy.connect();
  proxy.world.dns.set_silent("cache.local");
  proxy.server(0).at().peer(0).reset();
  proxy.run_for(60'000);
  CHECK(proxy.server(0).at().peer(1).connected());
  CHECK(proxy.logged("server.down") == 0);
  CHECK(client.command({"GET", "a"}) == "$-1\r\n");
}
