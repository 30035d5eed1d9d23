// Calls that are given up: what the server sees of it, and what becomes of the connection.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http_pool_site.hpp"

namespace consort::http {
namespace {

using pool_test::answer;
using pool_test::Asker;
using pool_test::Site;

std::string head_of(std::size_t length, std::string_view lines = "") {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         std::string(lines) + "\r\n";
}

TEST_CASE("a call without an answer yet closes its connection at once") {
  for (std::string_view bytes :
       {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    CAPTURE(bytes);
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(bytes);
    asker.call.reset();
    CHECK_FALSE(site.server.last().connected());
    site.world.loop.settle();
    CHECK(site.server.last().ended());
    CHECK(asker.responses + asker.failures == 0);
    CHECK(site.pool->stats().busy == 0);
    CHECK(site.pool->stats().cancelled_total == 1);
  }
}

TEST_CASE("a call may be given up while it resolves, connects or waits to be told of a failure") {
  for (std::string_view url : {"http://10.0.0.1", "http://slow.local", "https://10.0.0.1"}) {
    Site site({}, {.latency_ms = 10}, 1, url);
    site.world.dns.set_silent("slow.local");
    Asker asker;
    site.pool->start(*asker.call, pool_test::kGet);
    asker.call->cancel();
    CHECK_FALSE(asker.call->in_flight());
    asker.call->cancel();
    site.world.loop.run_for(10'000);
    CHECK(asker.responses + asker.failures == 0);
    CHECK(site.pool->stats().busy == 0);
    CHECK(site.server.connections() == 0);
  }
}

TEST_CASE("a little rest of a known length is read and the connection kept") {
  Site site;
  Asker asker;
  site.start(asker);
  site.reply(head_of(Pool::kDrainBytesMax + 1) + "x");
  asker.call.reset();
  CHECK(site.pool->stats().busy == 1);
  site.world.loop.run_for(999);
  site.reply(std::string(Pool::kDrainBytesMax, 'y'));
  CHECK(site.pool->stats().idle == 1);
  CHECK(site.pool->stats().drained_total == 1);
  CHECK(asker.responses + asker.failures == 0);
  Asker next;
  site.start(next);
  site.reply(answer("next"));
  CHECK(next.body == "next");
  CHECK(next.times.reused);
  CHECK(site.server.attempts() == 1);
  site.world.loop.run_for(2000);
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("the rest of an answer is waited for one second at most") {
  Site site;
  Asker asker;
  site.start(asker);
  site.reply(head_of(10) + "x");
  asker.call.reset();
  for (int i = 0; i < 7; ++i) {
    site.world.loop.run_for(125);
    site.reply("x");
  }
  CHECK(site.server.last().connected());
  site.world.loop.run_for(125);
  CHECK_FALSE(site.server.last().connected());
}

TEST_CASE("a rest that is long, unknown or of no use is not waited for") {
  for (const std::string& bytes :
       {head_of(Pool::kDrainBytesMax + 1), head_of(10, "Connection: close\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"),
        std::string("HTTP/1.1 200 OK\r\n\r\nabc")}) {
    CAPTURE(bytes);
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(bytes);
    asker.call.reset();
    CHECK_FALSE(site.server.last().connected());
  }
}

TEST_CASE("a rest is not waited for while the request has not left") {
  Site site({}, {.window_bytes = 100});
  const std::string body(1000, 'b');
  site.server.on_connect = [](sim::SimPeer& peer) { peer.stall(); };
  Asker asker;
  site.start(asker, {.method = "PUT", .head = pool_test::kHead, .body = body});
  site.server.last().send(head_of(10));
  site.world.loop.settle();
  CHECK(asker.call->status() == 200);
  asker.call.reset();
  CHECK_FALSE(site.server.last().connected());
}

TEST_CASE("a rest that goes wrong closes the connection") {
  for (int how = 0; how < 3; ++how) {
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(head_of(2));
    asker.call.reset();
    REQUIRE(site.pool->stats().busy == 1);
    if (how == 0) site.server.last().close();
    if (how == 1) site.server.last().reset();
    if (how == 2) site.server.last().send("xyz");
    site.world.loop.settle();
    CHECK(site.pool->stats().busy == 0);
    CHECK(site.pool->stats().idle == 0);
  }
}

TEST_CASE("a draining pool waits for no rest") {
  Site site;
  Asker asker;
  site.start(asker);
  site.reply(head_of(2));
  site.pool->drain();
  asker.call.reset();
  CHECK_FALSE(site.server.last().connected());
}

/// Servers that do anything, askers that give up at any time: each call that is not given up is
/// told once, and an answer is never another call's.
TEST_CASE("calls, cancels and moody servers never mix answers") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Site site({.idle_timeout = Millis(50), .idle_max = 3},
              {.latency_ms = seed % 3, .jitter_ms = 3, .split = true}, seed);
    Random random(seed);
    site.server.on_data = [&](sim::SimPeer& peer) {
      const std::size_t end = peer.received().find("\r\n\r\n");
      if (end == std::string::npos) return;
      const std::string line = peer.take().substr(4, 20);
      const std::string id = line.substr(0, line.find(' '));
      switch (random.below(12)) {
        case 0:
          return peer.close();
        case 1:
          return peer.reset();
        case 2:
          return;
        case 3:
          peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + id);
          return peer.close();
        case 4:
          peer.send(answer(id));
          return peer.close();
        case 5:
          return peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                           std::string("1\r\n/\r\n2\r\n") + id.substr(1) + "\r\n0\r\n\r\n");
        default:
          return peer.send(answer(id));
      }
    };
    struct Running {
      Asker asker;
      std::string id;
      std::string head;
    };
    std::vector<std::unique_ptr<Running>> running;
    int answered = 0;
    for (int i = 0; i < 300; ++i) {
      auto call = std::make_unique<Running>();
      call->id = "/" + std::to_string(10 + i % 90);
      call->head = "GET " + call->id + " HTTP/1.1\r\n\r\n";
      site.pool->start(*call->asker.call,
                       {.method = "GET", .head = call->head, .may_repeat = random.below(2) == 0});
      running.push_back(std::move(call));
      site.world.loop.run_for(random.below(6));
      for (const auto& each : running) {
        REQUIRE(each->asker.responses + each->asker.failures ==
                (each->asker.call->in_flight() ? 0 : 1));
        if (each->asker.responses == 0) continue;
        ++answered;
        REQUIRE(each->asker.body == each->id);
      }
      std::erase_if(running, [&](const auto& each) {
        return !each->asker.call->in_flight() || random.below(8) == 0;
      });
    }
    running.clear();
    site.world.loop.run_for(3000);
    CHECK(answered > 50);
    CHECK(site.pool->stats().idle + site.pool->stats().busy == 0);
    for (std::size_t i = 0; i < site.server.connections(); ++i) {
      CHECK_FALSE(site.server.peer(i).connected());
    }
  }
}

}  // namespace
}  // namespace consort::http
