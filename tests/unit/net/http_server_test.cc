#include "net/http_server.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_site.hpp"

namespace consort::http::test {
namespace {

TEST_CASE("a request is answered and the connection stays for the next") {
  Site site;
  sim::SimPeer& client = site.connect();
  CHECK(site.ask(client, get("/a")) == answer("GET /a\n"));
  CHECK(site.ask(client, get("/b")) == answer("GET /b\n"));
  CHECK_FALSE(client.ended());
  CHECK(site.server->connections() == 1);
  CHECK(site.server->counters().requests == 2);
}

TEST_CASE("an answer is one write") {
  Site site;
  sim::SimPeer& client = site.connect();
  int deliveries = 0;
  client.on_data = [&](sim::SimPeer&) { ++deliveries; };
  site.ask(client, get("/a"));
  CHECK(deliveries == 1);
}

TEST_CASE("the port the kernel chose is told") {
  Site site;
  const auto bound = site.server->listen(Address{.host = "127.0.0.1", .port = 0});
  REQUIRE(bound);
  CHECK(bound->port != 0);
  CHECK(site.world.network.listening(bound->to_string()));
  CHECK_FALSE(site.server->listen(*bound));
}

TEST_CASE("pipelined requests are answered in order, one at a time") {
  Site site;
  sim::SimPeer& client = site.connect();
  CHECK(site.ask(client, get("/wait") + get("/b") + get("/c")).empty());
  CHECK(site.echo.seen.size() == 1);
  site.echo.go.set();
  site.world.loop.settle();
  CHECK(client.take() == answer("GET /wait\n") + answer("GET /b\n") + answer("GET /c\n"));
}

TEST_CASE("connections do not wait for each other") {
  Site site;
  sim::SimPeer& slow = site.connect();
  CHECK(site.ask(slow, get("/wait")).empty());
  CHECK(site.ask(get("/b")) == answer("GET /b\n"));
  site.echo.go.set();
  site.world.loop.settle();
  CHECK(slow.take() == answer("GET /wait\n"));
}

TEST_CASE("HTTP/1.0 closes unless keep-alive is asked for, and then it is stated") {
  Site site;
  sim::SimPeer& plain = site.connect();
  CHECK(site.ask(plain, "GET /a HTTP/1.0\r\n\r\n") == answer("GET /a\n", "Connection: close\r\n"));
  CHECK(plain.ended());
  sim::SimPeer& kept = site.connect();
  const std::string_view request = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  CHECK(site.ask(kept, request) == answer("GET /a\n", "Connection: keep-alive\r\n"));
  CHECK(site.ask(kept, request) == answer("GET /a\n", "Connection: keep-alive\r\n"));
  CHECK_FALSE(kept.ended());
}

TEST_CASE("after Connection: close nothing more is read as a request") {
  Site site;
  sim::SimPeer& client = site.connect();
  CHECK(site.ask(client, get("/a", "Connection: close\r\n") + get("/b")) ==
        answer("GET /a\n", "Connection: close\r\n"));
  CHECK(client.ended());
  CHECK(site.echo.seen.size() == 1);
}

TEST_CASE("HEAD is answered with the length and without the body") {
  Site site;
  std::string expected = answer("HEAD /a\n");
  expected.resize(expected.size() - 8);
  sim::SimPeer& client = site.connect();
  CHECK(site.ask(client, "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n") == expected);
  CHECK(site.ask(client, get("/b")) == answer("GET /b\n"));
}

TEST_CASE("a status without body is answered without body and length") {
  Site site;
  site.echo.reply = {.status = 204, .content_type = "", .body = "lost", .headers = {}};
  CHECK(site.ask(get("/a")) == "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST_CASE("Expect: 100-continue is answered before the body comes, once") {
  Site site;
  sim::SimPeer& client = site.connect();
  const std::string head =
      "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  CHECK(site.ask(client, head) == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(site.ask(client, "ab").empty());
  CHECK(site.ask(client, "cd") == answer("POST /a\nabcd"));
  CHECK(site.ask(client, head + "abcd") == answer("POST /a\nabcd"));
}

TEST_CASE("a body that nobody wants is refused instead of 100 Continue") {
  Site site({.body_bytes = 3});
  const std::string out =
      site.ask("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  CHECK(status_of(out) == 413);
}

TEST_CASE("a chunked body arrives whole") {
  Site site;
  CHECK(site.ask("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n") == answer("PUT /a\nabcde"));
}

TEST_CASE("any split of the bytes gives the same answers") {
  const std::string bytes = get("/a") +
                            "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz" +
                            get("/c", "Connection: close\r\n");
  const std::string expected =
      answer("GET /a\n") + answer("POST /b\nxyz") + answer("GET /c\n", "Connection: close\r\n");
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Site site({}, seed, {.latency_ms = 2, .jitter_ms = 9, .window_bytes = 40, .split = true});
    sim::SimPeer& client = site.connect();
    client.send(bytes);
    CHECK(site.world.loop.run_until([&] { return client.ended(); }));
    CHECK(client.take() == expected);
  }
}

TEST_CASE("path and query reach the handler decoded") {
  Site site;
  CHECK(status_of(site.ask(get("/a%20b%2Fc?x=%41+b&flag&x=2&%79=z&e="))) == 200);
  const Request& request = site.echo.seen.at(0);
  CHECK(request.target == "/a%20b%2Fc?x=%41+b&flag&x=2&%79=z&e=");
  CHECK(request.path == "/a b/c");
  CHECK(request.query_value("x") == "A b");
  CHECK(request.query_value("y") == "z");
  CHECK(request.query_value("flag").empty());
  CHECK(request.has_query("flag"));
  CHECK(request.has_query("e"));
  CHECK_FALSE(request.has_query("absent"));
  CHECK_FALSE(request.has_query(""));
  CHECK(request.header("host") == "a");
  CHECK(request.peer.is_loopback);
}

TEST_CASE("the host of an absolute target replaces the Host header") {
  Site site;
  CHECK(status_of(site.ask(get("http://real:1/p?q"))) == 200);
  CHECK(site.echo.seen.at(0).path == "/p");
  CHECK(site.echo.seen.at(0).header("host") == "real:1");
}

TEST_CASE("NUL and malformed escapes in a target are 400, and the handler sees nothing") {
  Site site;
  for (std::string_view target : {"/%00", "/%", "/%4", "/%zz", "/?a=%00", "/?%", "*", "x"}) {
    CAPTURE(target);
    sim::SimPeer& client = site.connect();
    CHECK(status_of(site.ask(client, get(target))) == 400);
    CHECK(client.ended());
  }
  CHECK(site.echo.seen.empty());
  CHECK(site.server->counters().refused == 8);
}

TEST_CASE("a request whose client leaves has its handler's task dropped") {
  Site site;
  for (bool orderly : {true, false}) {
    sim::SimPeer& client = site.connect();
    site.ask(client, get("/wait"));
    CHECK(site.echo.running == 1);
    if (orderly) client.close();
    if (!orderly) client.reset();
    site.world.loop.settle();
    CHECK(site.echo.running == 0);
    CHECK(site.server->connections() == 0);
  }
  CHECK(site.server->counters().abandoned == 2);
}

TEST_CASE("an answer that is ready at once reaches a client that shut down its sending half") {
  Site site;
  sim::SimPeer& client = site.connect();
  client.send(get("/a") + get("/b"));
  client.shutdown_write();
  site.world.loop.settle();
  CHECK(client.take() == answer("GET /a\n") + answer("GET /b\n"));
  CHECK(client.ended());
}

TEST_CASE("a client that leaves in mid-request is forgotten") {
  Site site;
  sim::SimPeer& client = site.connect();
  site.ask(client, "GET / HTTP/1.1\r\nHos");
  client.close();
  site.world.loop.settle();
  CHECK(client.received().empty());
  CHECK(site.server->connections() == 0);
}

TEST_CASE("stopping ends idle connections at once and busy ones after their answer") {
  Site site;
  sim::SimPeer& fresh = site.connect();
  sim::SimPeer& idle = site.connect();
  site.ask(idle, get("/a"));
  sim::SimPeer& busy = site.connect();
  site.ask(busy, get("/wait"));
  sim::SimPeer& sending = site.connect();
  site.ask(sending, "GET /late HTTP/1.1\r\n");
  site.server->stop_accepting();
  site.world.loop.settle();
  // It has been told that it is connected: its first request may be on the way.
  CHECK_FALSE(fresh.ended());
  CHECK(idle.ended());
  CHECK_FALSE(busy.ended());
  CHECK_FALSE(sending.ended());
  CHECK(site.server->connections() == 3);
  site.world.loop.run_for(100);
  CHECK_FALSE(site.world.network.listening(site.address));
  CHECK(fresh.ended());
  CHECK_FALSE(sending.ended());
  CHECK(site.server->connections() == 2);
  site.echo.go.set();
  CHECK(site.ask(sending, "Host: a\r\n\r\n") == answer("GET /late\n", "Connection: close\r\n"));
  CHECK(busy.take() == answer("GET /wait\n", "Connection: close\r\n"));
  CHECK(busy.ended());
  CHECK(site.server->connections() == 0);
  site.server->stop_accepting();
}

TEST_CASE("a connection that stands when the server stops still gets its first request answered") {
  Site site;
  sim::SimPeer& fresh = site.connect();
  site.server->stop_accepting();
  site.world.loop.run_for(50);
  CHECK(site.ask(fresh, get("/a")) == answer("GET /a\n", "Connection: close\r\n"));
  CHECK(fresh.ended());
  CHECK(site.server->connections() == 0);
}

TEST_CASE("a stopping server waits for the end of handshakes before it is drained") {
  Site site;
  site.server->stop_accepting();
  CHECK(site.server->connections() == 0);
  CHECK_FALSE(site.server->is_drained());
  sim::SimPeer& late = site.connect();
  CHECK(site.ask(late, get("/a")) == answer("GET /a\n", "Connection: close\r\n"));
  site.world.loop.run_for(20);
  CHECK_FALSE(site.world.network.listening(site.address));
  CHECK(site.server->is_drained());
}

TEST_CASE("destroying the server drops every task and closes every connection") {
  Site site;
  sim::SimPeer& busy = site.connect();
  site.ask(busy, get("/wait"));
  sim::SimPeer& idle = site.connect();
  site.server.reset();
  CHECK(site.echo.running == 0);
  site.world.loop.settle();
  CHECK(busy.ended());
  CHECK(idle.ended());
}

TEST_CASE("a header that a handler must not write is answered for with 500") {
  for (std::pair<std::string, std::string> header :
       {std::pair<std::string, std::string>("X", "a\r\nSet-Cookie: b"),
        {"Content-Length", "3"},
        {"X\r\nY", "z"}}) {
    Site site;
    site.echo.reply.headers = {header};
    sim::SimPeer& client = site.connect();
    const std::string out = site.ask(client, get("/a"));
    CHECK(status_of(out) == 500);
    CHECK(out.find("Set-Cookie") == std::string::npos);
    CHECK_FALSE(client.ended());
  }
}

TEST_CASE("a status that a handler must not send is answered for with 500") {
  Site site;
  site.echo.reply.status = 100;
  CHECK(status_of(site.ask(get("/a"))) == 500);
}

TEST_CASE("a pause in accepting is counted") {
  Site site;
  site.world.network.pause_accepting(site.address);
  CHECK(site.server->counters().accept_pauses == 1);
  CHECK(site.ask(get("/a")) == answer("GET /a\n"));
}

}  // namespace
}  // namespace consort::http::test
