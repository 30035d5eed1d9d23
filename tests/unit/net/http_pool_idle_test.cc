// Connections that nobody uses: how long they are kept, and the race with a server's close.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "http_pool_site.hpp"

namespace consort::http {
namespace {

using pool_test::answer;
using pool_test::Asker;
using pool_test::kGet;
using pool_test::kPost;
using pool_test::Site;

TEST_CASE("an idle connection is closed after idle_timeout, each in its own time") {
  Site site({.idle_timeout = Millis(10'000)});
  Asker first;
  Asker second;
  site.start(first);
  site.start(second);
  site.server.peer(0).send(answer("x"));
  site.world.loop.run_for(4000);
  site.server.peer(1).send(answer("x"));
  site.world.loop.run_for(5999);
  CHECK(site.pool->stats().idle == 2);
  site.world.loop.run_for(1);
  CHECK(site.pool->stats().idle == 1);
  CHECK_FALSE(site.server.peer(0).connected());
  site.world.loop.run_for(3999);
  CHECK(site.pool->stats().idle == 1);
  site.world.loop.run_for(1);
  CHECK(site.pool->stats().idle == 0);
  CHECK(site.world.loop.timers().size() == 0);
}

TEST_CASE("what the server says about its idle time is believed, with a second to spare") {
  for (std::string_view line : {"Keep-Alive: timeout=5\r\n", "keep-alive: max=9, Timeout=5\r\n",
                                "Keep-Alive: timeout=7\r\nKeep-Alive: timeout=5\r\n"}) {
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(answer("x", line));
    site.world.loop.run_for(3999);
    CHECK(site.pool->stats().idle == 1);
    site.world.loop.run_for(1);
    CHECK(site.pool->stats().idle == 0);
  }
  for (std::string_view line : {"Keep-Alive: timeout=1\r\n", "Keep-Alive: timeout=0\r\n"}) {
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(answer("x", line));
    CHECK(asker.responses == 1);
    CHECK(site.pool->stats().idle == 0);
  }
  for (std::string_view line : {"Keep-Alive: timeout=-5\r\n", "Keep-Alive: timeout=5x\r\n",
                                "Keep-Alive: xtimeout=5\r\n", "Keep-Alive: timeout\r\n"}) {
    Site site({.idle_timeout = Millis(8000)});
    Asker asker;
    site.start(asker);
    site.reply(answer("x", line));
    site.world.loop.run_for(7999);
    CHECK(site.pool->stats().idle == 1);
  }
}

TEST_CASE("a connection with less time than the others is closed in its own time") {
  Site site;
  Asker first;
  Asker second;
  site.start(first);
  site.start(second);
  site.server.peer(0).send(answer("x"));
  site.server.peer(1).send(answer("x", "Keep-Alive: timeout=3\r\n"));
  site.world.loop.run_for(2000);
  CHECK(site.server.peer(0).connected());
  CHECK_FALSE(site.server.peer(1).connected());
}

TEST_CASE("no more than idle_max connections are kept") {
  Site site({.idle_max = 2});
  Asker askers[4];
  for (Asker& asker : askers) site.start(asker);
  CHECK(site.pool->stats().busy == 4);
  for (std::size_t i = 0; i < 4; ++i) site.server.peer(i).send(answer("x"));
  site.world.loop.settle();
  CHECK(site.pool->stats().idle == 2);
  CHECK(site.pool->stats().busy == 0);
  CHECK(site.server.peer(0).connected());
  CHECK_FALSE(site.server.peer(3).connected());
}

TEST_CASE("bytes or an end on an idle connection close it") {
  for (int how = 0; how < 3; ++how) {
    Site site;
    site.warm();
    sim::SimPeer& peer = site.server.last();
    if (how == 0) peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
    if (how == 1) peer.close();
    if (how == 2) peer.reset();
    site.world.loop.settle();
    CHECK(site.pool->stats().idle == 0);
    CHECK_FALSE(peer.connected());
    Asker asker;
    site.start(asker);
    site.reply(answer("fresh"));
    CHECK(asker.body == "fresh");
    CHECK(site.pool->stats().repeated_total == 0);
  }
}

TEST_CASE("the idle race is retried once, silently, on a fresh connection") {
  for (bool is_reset : {false, true}) {
    Site site({}, {.latency_ms = 1});
    Asker first;
    Asker second;
    site.start(first);
    site.start(second);
    site.world.loop.run_for(10);
    for (std::size_t i = 0; i < 2; ++i) site.server.peer(i).send(answer("warm"));
    site.world.loop.run_for(10);
    REQUIRE(site.pool->stats().idle == 2);

    Asker asker;
    is_reset ? site.server.peer(1).reset() : site.server.peer(1).close();
    site.pool->start(*asker.call, kGet);
    CHECK(asker.call->times().reused);
    site.world.loop.run_for(10);
    REQUIRE(site.server.connections() == 3);  // not the other idle one: it may be dead too
    CHECK(site.server.last().take() == pool_test::kHead);
    site.reply(answer("again"));
    site.world.loop.run_for(10);
    CHECK(asker.body == "again");
    CHECK_FALSE(asker.times.reused);
    CHECK(asker.times.connected_ns > asker.times.started_ns);
    CHECK(site.pool->stats().repeated_total == 1);
  }
}

TEST_CASE("the idle race is not retried twice") {
  Site site({}, {.latency_ms = 1});
  Asker warm;
  site.start(warm);
  site.world.loop.run_for(10);
  site.reply(answer("warm"));
  site.world.loop.run_for(10);
  Asker asker;
  site.server.last().close();
  site.server.on_connect = [](sim::SimPeer& peer) { peer.close(); };
  site.start(asker);
  site.world.loop.run_for(100);
  CHECK(asker.failures == 1);
  CHECK(asker.failure.reason == ProxyError::connection_terminated);
  CHECK(asker.failure.was_sent);
  CHECK(site.server.connections() == 2);
}

TEST_CASE("what may not be repeated is not, once a byte of it may have left") {
  Site site({}, {.latency_ms = 1});
  Asker warm;
  site.start(warm);
  site.world.loop.run_for(10);
  site.reply(answer("warm"));
  site.world.loop.run_for(10);
  Asker asker;
  site.server.last().close();
  site.start(asker, kPost);
  site.world.loop.run_for(100);
  CHECK(asker.failures == 1);
  CHECK(asker.failure.was_sent);
  CHECK(site.server.connections() == 1);
}

TEST_CASE("what may not be repeated goes out again when the kernel has taken nothing of it") {
  Site site;
  site.warm();
  sim::SimPeer& peer = site.server.last();
  peer.set_window(0);
  Asker asker;
  peer.close();
  site.pool->start(*asker.call, kPost);
  site.world.loop.settle();
  REQUIRE(site.server.connections() == 2);
  site.reply(answer("new"));
  CHECK(asker.body == "new");
}

TEST_CASE("an answer that has begun is never retried") {
  Site site;
  site.warm();
  Asker asker;
  site.start(asker);
  site.reply("H");
  site.server.last().close();
  site.world.loop.settle();
  CHECK(asker.failures == 1);
  CHECK(asker.failure.reason == ProxyError::http_response_incomplete);
  CHECK(site.server.connections() == 1);
}

TEST_CASE("a draining pool keeps nothing but still answers") {
  Site site;
  site.warm();
  Asker asker;
  Asker busy;
  site.start(busy);
  site.server.last().take();
  site.start(asker);
  CHECK(site.server.connections() == 2);
  site.pool->drain();
  CHECK(site.pool->stats().busy == 2);
  site.reply(answer("late"));
  CHECK(asker.body == "late");
  CHECK_FALSE(site.server.last().connected());
  CHECK(site.pool->stats().idle == 0);
  Asker one_more;
  site.start(one_more);
  site.reply(answer("more"));
  CHECK(one_more.body == "more");
  CHECK(site.pool->stats().idle == 0);
}

TEST_CASE("close_idle leaves calls alone") {
  Site site;
  Asker busy;
  site.start(busy);
  Asker asker;
  site.start(asker);
  site.reply(answer("x"));
  CHECK(site.pool->stats().idle == 1);
  site.pool->close_idle();
  CHECK(site.pool->stats().idle == 0);
  CHECK(busy.call->in_flight());
  site.world.loop.settle();
  CHECK(site.server.peer(0).connected());
  CHECK_FALSE(site.server.peer(1).connected());
}

}  // namespace
}  // namespace consort::http
