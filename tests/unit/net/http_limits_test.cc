// What http::Server does to clients that are too slow, too large, too many or wrong.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_site.hpp"

namespace consort::http::test {
namespace {

TEST_CASE("a request that cannot be served is refused with its status, and the connection closed") {
  const std::pair<int, std::string> cases[] = {
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
      {400,
       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"},
      {414, "GET /" + std::string(400, 'x')},
      {417, get("/", "Expect: x\r\n")},
      {431, get("/", "X: " + std::string(400, 'x') + "\r\n")},
      {501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {501, get("/", "Transfer-Encoding: gzip\r\n")},
      {505, "GET / HTTP/3.0\r\n\r\n"},
  };
  for (const auto& [status, bytes] : cases) {
    CAPTURE(bytes);
    Site site({.header_bytes = 300, .body_bytes = 100});
    sim::SimPeer& client = site.connect();
    const std::string out = site.ask(client, bytes + get("/smuggled"));
    CHECK(status_of(out) == status);
    CHECK(out.find("Connection: close\r\n") != std::string::npos);
    CHECK(out.find("\r\n\r\n" + std::to_string(status) + " ") != std::string::npos);
    CHECK(client.ended());
    CHECK(site.echo.seen.empty());
  }
}

TEST_CASE("requests before a broken one are still answered") {
  Site site;
  const std::string out = site.ask(get("/a") + "nonsense\r\n");
  CHECK(out.starts_with(answer("GET /a\n") + "HTTP/1.1 400 "));
}

TEST_CASE("a refused client has a second to read its answer, whatever it sends meanwhile") {
  Site site({.body_bytes = 10});
  sim::SimPeer& client = site.connect();
  CHECK(status_of(site.ask(client,
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n")) == 413);
  client.send(std::string(50'000, 'x'));
  site.world.loop.run_for(900);
  CHECK(site.server->connections() == 1);
  CHECK(client.unread_bytes() == 0);
  site.world.loop.run_for(200);
  CHECK(site.server->connections() == 0);
}

TEST_CASE("a refused client that never stops sending is cut off") {
  Site site({.body_bytes = 10});
  sim::SimPeer& client = site.connect();
  site.ask(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
  site.ask(client, std::string(300'000, 'x'));
  CHECK(site.server->connections() == 0);
}

TEST_CASE("a request that is not whole in time is 408, however the bytes trickle") {
  Site site({.header_timeout = std::chrono::milliseconds(1000)});
  sim::SimPeer& client = site.connect();
  site.world.loop.run_for(5000);
  for (char c : std::string_view("GET / HTT")) {
    CHECK(site.ask(client, std::string_view(&c, 1)).empty());
    site.world.loop.run_for(100);
  }
  site.world.loop.run_for(99);
  CHECK(client.received().empty());
  site.world.loop.run_for(1);
  CHECK(status_of(client.take()) == 408);
  CHECK(client.ended());
}

TEST_CASE("a body that is not whole in time is 408") {
  Site site({.header_timeout = std::chrono::milliseconds(1000)});
  sim::SimPeer& client = site.connect();
  site.ask(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
  site.world.loop.run_for(1000);
  CHECK(status_of(client.take()) == 408);
}

TEST_CASE("an idle connection is closed without a word, and blank lines do not keep it") {
  Site site({.idle_timeout = std::chrono::milliseconds(1000)});
  sim::SimPeer& client = site.connect();
  CHECK(site.ask(client, get("/a")) == answer("GET /a\n"));
  site.world.loop.run_for(600);
  client.send("\r\n");
  site.world.loop.run_for(399);
  CHECK_FALSE(client.ended());
  site.world.loop.run_for(1);
  CHECK(client.ended());
  CHECK(client.received().empty());
  CHECK(site.server->connections() == 0);
}

TEST_CASE("a handler may take longer than every timeout of the client's") {
  Site site({.header_timeout = std::chrono::milliseconds(10),
             .idle_timeout = std::chrono::milliseconds(10),
             .write_timeout = std::chrono::milliseconds(10)});
  sim::SimPeer& client = site.connect();
  site.ask(client, get("/wait"));
  site.world.loop.run_for(1000);
  site.echo.go.set();
  site.world.loop.settle();
  CHECK(client.take() == answer("GET /wait\n"));
}

TEST_CASE("a client that does not read its answer is cut off") {
  Site site({.write_timeout = std::chrono::milliseconds(500)}, 1, {.window_bytes = 1000});
  site.echo.reply.body = std::string(5000, 'x');
  sim::SimPeer& client = site.connect();
  client.stall();
  site.ask(client, get("/a"));
  site.world.loop.run_for(499);
  CHECK(site.server->connections() == 1);
  site.world.loop.run_for(1);
  CHECK(site.server->connections() == 0);
  CHECK(site.server->counters().abandoned == 1);
}

TEST_CASE("a client that reads slowly gets all of a long answer") {
  Site site({}, 1, {.latency_ms = 1, .window_bytes = 100});
  site.echo.reply.body = std::string(5000, 'x');
  sim::SimPeer& client = site.connect();
  client.send(get("/a"));
  site.world.loop.run_for(1000);
  CHECK(client.take() == answer(site.echo.reply.body));
}

TEST_CASE("while a request is handled, only a bounded amount of what follows is read") {
  Site site;
  sim::SimPeer& client = site.connect();
  site.ask(client, get("/wait"));
  const std::string next = get("/next");
  for (int i = 0; i < 10'000; ++i) client.send(next);
  site.world.loop.settle();
  const std::size_t sent = next.size() * 10'000;
  CHECK(sent - client.unread_bytes() < kReadAheadBytes + next.size());
  site.echo.go.set();
  CHECK(site.world.loop.run_until([&] { return site.echo.seen.size() == 10'001; }));
  CHECK(client.unread_bytes() == 0);
}

TEST_CASE("connections over the limit get 503, and there is room again when one leaves") {
  Site site({.connections = 2});
  sim::SimPeer& first = site.connect();
  sim::SimPeer& second = site.connect();
  site.ask(first, get("/wait"));
  site.ask(second, "GET / HT");
  sim::SimPeer& third = site.connect();
  CHECK(status_of(third.take()) == 503);
  CHECK(third.ended());
  CHECK(site.server->connections() == 2);
  CHECK(site.server->counters().over_limit == 1);
  first.close();
  site.world.loop.settle();
  CHECK(site.ask(get("/a")) == answer("GET /a\n"));
  CHECK(site.ask(second, "TP/1.1\r\nHost: a\r\n\r\n") == answer("GET /\n"));
  CHECK(site.server->counters().displaced == 0);
}

TEST_CASE("when all connections are taken, the one that has been idle longest makes room") {
  Site site({.connections = 3});
  sim::SimPeer& busy = site.connect();
  site.ask(busy, get("/wait"));
  sim::SimPeer& first = site.connect();
  site.world.loop.run_for(10);
  sim::SimPeer& second = site.connect();
  site.world.loop.run_for(10);
  CHECK(site.ask(first, get("/a")) == answer("GET /a\n"));
  CHECK(site.ask(get("/probe")) == answer("GET /probe\n"));
  CHECK(second.ended());
  CHECK(second.take().empty());
  CHECK_FALSE(first.ended());
  CHECK_FALSE(busy.ended());
  CHECK(site.server->connections() == 3);
  CHECK(site.server->counters().displaced == 1);
  CHECK(site.server->counters().over_limit == 0);
}

TEST_CASE("a client that only sends blank lines is idle") {
  Site site({.connections = 2});
  sim::SimPeer& blank = site.connect();
  site.world.loop.run_for(10);
  sim::SimPeer& silent = site.connect();
  site.world.loop.run_for(10);
  site.ask(blank, "\r\n");
  site.connect();
  CHECK(blank.ended());
  CHECK_FALSE(silent.ended());
}

TEST_CASE("a crowd over the limit costs a bounded number of connections") {
  Site site({.connections = 1});
  site.ask(get("/wait"));
  std::vector<sim::SimPeer*> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(&site.connect());
  int told = 0;
  int held = 0;
  for (sim::SimPeer* client : crowd) {
    if (status_of(client->received()) == 503) ++told;
    if (client->connected()) ++held;
    CHECK(client->ended());
  }
  CHECK(told == 16);
  CHECK(held == 16);
  site.world.loop.run_for(1000);
  CHECK(status_of(site.connect().take()) == 503);
}

}  // namespace
}  // namespace consort::http::test
