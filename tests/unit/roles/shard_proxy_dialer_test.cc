// From a server's name to a connection that is ready for requests: every stage, in pieces, in time,
// and given up.
#include <doctest/doctest.h>

#include "roles/shard_proxy/dialer.hpp"
#include "shard_proxy_world.hpp"

using namespace consort;
using namespace consort::shard_proxy;
using namespace consort::shard_proxy::test;

namespace {

struct Caller final : Dialer::Owner {
  std::unique_ptr<io::Stream> stream;
  Lines failures;
  int dialed = 0;
  void on_dialed(std::unique_ptr<io::Stream> ready) override {
    ++dialed;
    stream = std::move(ready);
  }
  void on_dial_failed(std::string reason) override { failures.push_back(std::move(reason)); }
  int calls() const { return dialed + static_cast<int>(failures.size()); }
};

/// One dialer beside a pool whose own connection is up already.
struct Dial {
  explicit Dial(std::uint64_t seed = 1, const sim::Conditions& conditions = {})
      : proxy(1, seed, conditions) {}
  Dialer& start(Lane lane) {
    if (!is_started) {
      proxy.start();
      proxy.run_for(100);
      proxy.server(0).greetings.clear();
    }
    is_started = true;
    dialer = std::make_unique<Dialer>(proxy.pool().upstream(0), lane, caller);
    dialer->dial();
    CHECK(caller.calls() == 0);
    CHECK(dialer->dialing());
    return *dialer;
  }
  Dialer& run(Lane lane) {
    start(lane);
    proxy.run_for(2000);
    CHECK_FALSE(dialer->dialing());
    CHECK(caller.calls() == 1);
    return *dialer;
  }
  void answer(std::function<std::optional<std::string>(const Words&)> special) {
    if (!is_started) {
      proxy.start();
      proxy.run_for(100);
      proxy.server(0).greetings.clear();
    }
    is_started = true;
    proxy.server(0).special = std::move(special);
  }

  RedisWorld proxy;
  Caller caller;
  std::unique_ptr<Dialer> dialer;
  bool is_started = false;
};

constexpr Lane kResp2{Dialect::resp2, 0};
constexpr Lane kResp3{Dialect::resp3, 0};

}  // namespace

// twemproxy's order was the other one, and data went to database 0.
TEST_CASE("the password comes first, then the dialect, then the database") {
  Dial dial;
  dial.proxy.config.redis_auth = "secret";
  dial.run({Dialect::resp3, 7});
  CHECK(dial.caller.dialed == 1);
  CHECK(dial.proxy.server(0).greetings == Lines{"AUTH secret", "HELLO 3", "SELECT 7"});
}

TEST_CASE("an error of the greeting is the reason, in the server's words") {
  struct Case {
    std::string step;
    Lane lane;
    std::string reply;
    std::string reason;  // empty: it does not matter
  };
  const std::vector<Case> cases{
      {"AUTH", kResp2, "-WRONGPASS invalid\r\n", "AUTH refused: WRONGPASS invalid"},
      {"SELECT",
       {Dialect::resp2, 99},
       "-ERR DB index is out of range\r\n",
       "SELECT refused: ERR DB index is out of range"},
      {"HELLO", kResp3, "-ERR unknown command\r\n", "HELLO 3 refused: ERR unknown command"},
      {"HELLO", kResp2, "-ERR unknown command\r\n", ""},
      {"HELLO", kResp2, "-NOAUTH needed\r\n", ""},
      {"HELLO", kResp2, "-DENIED protected mode\r\n", "turned us away: -DENIED protected mode"},
      {"HELLO", kResp2, "what?\r\n", "broke the protocol"},
      {"HELLO", kResp2, "+OK\r\n+OK\r\n", "sent a reply that nobody asked for"},
      {"AUTH", kResp2, "", "timed out"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.reply);
    Dial dial;
    if (each.step == "AUTH") dial.proxy.config.redis_auth = "secret";
    dial.answer([&each](const Words& words) -> std::optional<std::string> {
      return words[0] == each.step ? std::optional(each.reply) : std::nullopt;
    });
    dial.run(each.lane);
    if (each.reason.empty()) {
      CHECK(dial.caller.dialed == 1);
    } else {
      CHECK(dial.caller.failures == Lines{each.reason});
    }
  }
}

TEST_CASE("replies that come in pieces, or are long, are understood") {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    Dial dial(seed, {.latency_ms = 1, .split = true});
    dial.answer([](const Words& words) -> std::optional<std::string> {
      if (words[0] != "HELLO") return std::nullopt;
      return "*6\r\n" + bulk("version") + bulk("9.8.7") + bulk("id") + ":1234\r\n" +
             bulk("modules") + bulk(std::string(20'000, 'm'));
    });
    Dialer& dialer = dial.run(kResp2);
    CHECK(dial.caller.dialed == 1);
    CHECK(dialer.server_side_id() == 1234);
    CHECK(dial.proxy.pool().upstream(0).version() == "9.8.7");
  }
}

TEST_CASE("a server that does not say what it calls a connection leaves the number 0") {
  for (std::string hello : {std::string("+OK\r\n"), "*2\r\n" + bulk("id") + bulk("text"),
                            "*1\r\n" + bulk("id"), std::string("-ERR no\r\n")}) {
    CAPTURE(hello);
    Dial dial;
    dial.answer([&hello](const Words&) { return hello; });
    CHECK(dial.run(kResp2).server_side_id() == 0);
    CHECK(dial.caller.dialed == 1);
  }
}

TEST_CASE("a memcached is asked for its version, and any answer is a sign of life") {
  MemcacheWorld proxy(1);
  proxy.start();
  CHECK(proxy.pool().upstream(0).version() == "1.6.18");
  Caller caller;
  Dialer dialer(proxy.pool().upstream(0), {Dialect::memcache, 0}, caller);
  for (std::string_view reply : {"ERROR\r\n", "SERVER_ERROR out of memory\r\n", "VERSION 2\r\n"}) {
    proxy.server(0).special = [reply](const Words&) { return std::string(reply); };
    dialer.dial();
    proxy.settle();
  }
  CHECK(caller.dialed == 3);
  CHECK(proxy.pool().upstream(0).version() == "2");
  proxy.server(0).special = [](const Words&) { return "ERROR Too many open connections\r\n"; };
  dialer.dial();
  proxy.settle();
  CHECK(caller.failures == Lines{"turned us away: ERROR Too many open connections"});
}

TEST_CASE("connecting has its own limit, and the greeting ends with the whole") {
  Dial connecting;
  connecting.proxy.config.connect_timeout = Millis(300);
  connecting.answer(nullptr);
  connecting.proxy.server(0).at().hang_next(1);
  connecting.start(kResp2);
  connecting.proxy.run_for(299);
  CHECK(connecting.caller.calls() == 0);
  connecting.proxy.run_for(1);
  CHECK(connecting.caller.failures == Lines{"connecting timed out"});

  Dial greeting(1, {.latency_ms = 100});
  greeting.proxy.config.timeout = Millis(700);
  greeting.answer([](const Words&) { return ""; });
  greeting.proxy.run_for(1000);
  greeting.start(kResp2);
  greeting.proxy.run_for(699);
  CHECK(greeting.caller.calls() == 0);
  greeting.proxy.run_for(1);
  CHECK(greeting.caller.failures == Lines{"timed out"});
}

TEST_CASE("a dialer that is cancelled or destroyed tells nobody, at any moment") {
  for (std::uint64_t ms = 0; ms < 60; ms += 3) {
    for (bool destroys : {false, true}) {
      Dial dial(1, {.latency_ms = 5});
      dial.proxy.world.dns.delay_ms = 10;
      dial.proxy.world.dns.set("cache.local", {{.ip = "10.0.0.1"}});
      dial.proxy.config.servers[0] = *ServerSpec::parse("cache.local:6379:1 a");
      Dialer& dialer = dial.start(kResp2);
      dial.proxy.run_for(ms);
      if (dial.caller.dialed == 1) continue;  // it was too late
      if (destroys) dial.dialer.reset();
      if (!destroys) dialer.cancel();
      dial.proxy.run_for(2000);
      CHECK(dial.caller.calls() == 0);
      if (destroys) continue;
      CHECK_FALSE(dialer.dialing());
      dialer.dial();
      dial.proxy.run_for(100);
      CHECK(dial.caller.dialed == 1);
    }
  }
}

TEST_CASE("a dialer is good for many connections, after failures too") {
  Dial dial;
  Dialer& dialer = dial.start(kResp2);
  dial.proxy.settle();
  for (std::size_t i = 1; i < 5; ++i) {
    dial.proxy.run_for(10);
    dial.proxy.server(0).at().refuse_next(1);
    dialer.dial();
    dial.proxy.settle();
    CHECK(dial.caller.failures.size() == i);
    CHECK(dial.caller.failures.back() == "Connection refused");
    dialer.dial();
    CHECK(dialer.started_ms() == dial.proxy.now_ms());
    dial.proxy.settle();
    CHECK(dial.caller.dialed == static_cast<int>(i) + 1);
  }
}

TEST_CASE("while a server waits to be emptied only the connection that does it may stand") {
  Dial dial;
  dial.proxy.config.on_server_down = OnServerDown::rehash;
  dial.proxy.config.flush_on_return = true;
  dial.answer(nullptr);
  Upstream& upstream = dial.proxy.pool().upstream(0);
  upstream.set_ejected(true);
  REQUIRE(upstream.must_flush());
  dial.run(kResp2);
  CHECK(dial.caller.failures == Lines{"has not been emptied yet"});
  CHECK(dial.proxy.server(0).log.empty());
  dial.dialer->may_flush();
  dial.dialer->dial();
  dial.proxy.settle();
  CHECK(dial.caller.dialed == 1);
  CHECK(dial.proxy.server(0).log == Lines{"FLUSHALL ASYNC"});
}
