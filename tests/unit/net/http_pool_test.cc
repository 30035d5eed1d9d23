// Calls and their answers: what is sent, what is read, what is refused, what is kept.
#include "net/http_pool.hpp"

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

TEST_CASE("a call is sent as it is and gets status, headers and body") {
  Site site;
  Asker asker;
  site.pool->start(*asker.call, kPost);
  CHECK(asker.call->in_flight());
  CHECK(site.server.attempts() == 1);
  site.world.loop.settle();
  CHECK(site.server.last().take() == std::string(pool_test::kPostHead) + "xy");
  const std::string head = "HTTP/1.1 503 No\r\nContent-type:  a/b \r\nContent-Length: 4\r\n\r\n";
  site.server.last().send(head + "bo");
  site.world.loop.settle();
  CHECK(asker.call->status() == 503);
  CHECK(asker.responses == 0);
  site.server.last().send("dy");
  site.world.loop.settle();
  CHECK(asker.responses == 1);
  CHECK(asker.failures == 0);
  CHECK(asker.status == 503);
  CHECK(asker.kind == "a/b");
  CHECK(asker.headers == 2);
  CHECK(asker.body == "body");
  CHECK_FALSE(asker.call->in_flight());
  CHECK(asker.call->bytes_out() == pool_test::kPostHead.size() + 2);
  CHECK(asker.call->bytes_in() == head.size() + 4);
}

TEST_CASE("a thousand calls need one connection") {
  Site site;
  for (int i = 0; i < 1000; ++i) {
    Asker asker;
    site.start(asker);
    site.reply(answer(std::to_string(i)));
    REQUIRE(asker.body == std::to_string(i));
    CHECK(asker.times.reused == (i > 0));
    CHECK((asker.times.connected_ns == 0) == (i > 0));
  }
  CHECK(site.server.attempts() == 1);
  const Pool::Stats stats = site.pool->stats();
  CHECK(stats.connects_total == 1);
  CHECK(stats.calls_total == 1000);
  CHECK(stats.reused_total == 999);
  CHECK(stats.idle == 1);
  CHECK(stats.busy == 0);
}

TEST_CASE("the connection that became idle last is used first") {
  Site site;
  Asker first;
  Asker second;
  site.start(first);
  site.start(second);
  CHECK(site.server.connections() == 2);
  site.server.peer(1).send(answer("2"));
  site.world.loop.settle();
  site.server.peer(0).send(answer("1"));
  site.world.loop.settle();
  Asker third;
  site.server.peer(0).take();
  site.start(third);
  CHECK(site.server.peer(0).take() == pool_test::kHead);
  CHECK(site.server.peer(1).take() == pool_test::kHead);  // of the second call; nothing new
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("a call started in on_response gets the connection that has just become idle") {
  Site site;
  Asker first;
  Asker second;
  first.then = [&] { site.pool->start(*second.call, kGet); };
  site.start(first);
  site.reply(answer("1"));
  CHECK(first.responses == 1);
  site.reply(answer("2"));
  CHECK(second.body == "2");
  CHECK(site.server.attempts() == 1);
}

TEST_CASE("a call may be started again from its own callback, and its head lasts until then") {
  Site site;
  Asker asker;
  std::string seen;
  asker.then = [&] {
    if (asker.responses == 3) return;
    site.pool->start(*asker.call, kGet);
    seen += asker.call->header("content-length");
  };
  site.start(asker);
  for (std::string_view body : {"1", "22", "333"}) site.reply(answer(body));
  CHECK(asker.responses == 3);
  CHECK(asker.body == "333");
  CHECK(seen == "12");
  CHECK(site.server.attempts() == 1);
}

TEST_CASE("an answer is read however it is split, and however its body ends") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (std::string_view bytes :
         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
          "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
          "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nX: y\r\n\r\n",
          "HTTP/1.0 200 OK\r\n\r\nhello"}) {
      Site site({}, {.latency_ms = 1, .jitter_ms = 2, .split = true}, seed);
      Asker asker;
      site.start(asker);
      site.world.loop.run_for(10);
      site.reply(bytes);
      site.server.last().close();
      site.world.loop.run_for(1000);
      CHECK(asker.status == 200);
      CHECK(asker.body == "hello");
      CHECK(site.pool->stats().idle == 0);
    }
  }
}

TEST_CASE("an answer to HEAD has no body, and the next answer is not mistaken for one") {
  Site site;
  Asker asker;
  CallRequest head{.method = "HEAD", .head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"};
  site.start(asker, head);
  site.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(asker.responses == 1);
  CHECK(asker.body.empty());
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("a connection is kept only when both sides can be sure where the next answer begins") {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: a, CLOSE\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n"}) {
    CAPTURE(bytes);
    Site site;
    Asker asker;
    site.start(asker);
    site.reply(bytes);
    CHECK(asker.body == "x");
    CHECK_FALSE(site.server.last().connected());
    CHECK(site.pool->stats().idle == 0);
  }
  Site site;
  Asker asker;
  site.start(asker);
  site.reply("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx");
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("what is no answer fails with the reason that RFC 9209 has for it") {
  const std::string long_header = "HTTP/1.1 200 OK\r\nX: " + std::string(400, 'x') + "\r\n\r\n";
  std::string many_headers = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 129; ++i) many_headers += "X:\r\n";
  const std::pair<ProxyError, std::string> cases[] = {
      {ProxyError::http_protocol_error, "SSH-2.0-OpenSSH\r\n"},
      {ProxyError::http_protocol_error, "HTTP/1.1 20 OK\r\n\r\n"},
      {ProxyError::http_protocol_error, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
      {ProxyError::http_protocol_error,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {ProxyError::http_protocol_error,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
      {ProxyError::http_protocol_error,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding:\r\n\r\n"},
      {ProxyError::http_protocol_error, "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"},
      {ProxyError::http_response_header_section_size, long_header},
      {ProxyError::http_response_header_section_size, many_headers},
      {ProxyError::http_response_body_size, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"},
      {ProxyError::http_response_body_size, "HTTP/1.1 200 OK\r\n\r\n01234567890"},
      {ProxyError::http_response_body_size,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n"},
  };
  for (const auto& [reason, bytes] : cases) {
    CAPTURE(bytes);
    Site site({.header_bytes_max = bytes == many_headers ? 4000U : 300U, .body_bytes_max = 10});
    Asker asker;
    site.start(asker);
    site.reply(bytes);
    CHECK(asker.failures == 1);
    CHECK(asker.failure.reason == reason);
    CHECK(asker.failure.was_sent);
    CHECK(asker.failure.saw_bytes);
    CHECK(asker.failure.text.starts_with("http://10.0.0.1: "));
    CHECK_FALSE(site.server.last().connected());
  }
}

TEST_CASE("the header limit holds to the byte") {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  for (std::size_t limit : {bytes.size() - 1, bytes.size()}) {
    Site site({.header_bytes_max = limit});
    Asker asker;
    site.start(asker);
    site.reply(bytes);
    CHECK(asker.responses == (limit == bytes.size() ? 1 : 0));
  }
}

TEST_CASE("an end before the last byte is a failure, not a short success") {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\nContent-Len",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    for (bool is_reset : {false, true}) {
      CAPTURE(bytes);
      Site site;
      Asker asker;
      site.start(asker);
      site.reply(bytes);
      is_reset ? site.server.last().reset() : site.server.last().close();
      site.world.loop.settle();
      CHECK(asker.failures == 1);
      CHECK(asker.failure.reason == ProxyError::http_response_incomplete);
      CHECK(asker.failure.saw_bytes);
    }
  }
  // A body that runs until the end may not end by a reset.
  Site site;
  Asker asker;
  site.start(asker);
  site.reply("HTTP/1.1 200 OK\r\n\r\nabc");
  site.server.last().reset();
  site.world.loop.settle();
  CHECK(asker.failure.reason == ProxyError::http_response_incomplete);
}

TEST_CASE("an end without an answer on a fresh connection is told at once") {
  for (bool is_reset : {false, true}) {
    Site site;
    Asker asker;
    site.start(asker);
    is_reset ? site.server.last().reset() : site.server.last().close();
    site.world.loop.settle();
    CHECK(asker.failures == 1);
    CHECK(asker.failure.reason == ProxyError::connection_terminated);
    CHECK(asker.failure.was_sent);
    CHECK_FALSE(asker.failure.saw_bytes);
    CHECK(site.server.attempts() == 1);
  }
}

TEST_CASE("the owner may refuse to keep more of a body") {
  Site site;
  Asker asker;
  asker.body_bytes_max = 4;
  site.start(asker);
  site.reply("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcd");
  CHECK(asker.failures == 0);
  site.reply("e");
  CHECK(asker.failure.reason == ProxyError::http_response_body_size);
  CHECK_FALSE(site.server.last().connected());
}

TEST_CASE("a length that nobody has seen yet reserves no more than a megabyte") {
  Site site({.body_bytes_max = 100'000'000});
  Asker asker;
  site.start(asker);
  site.reply("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n");
  CHECK(asker.call->body().capacity() <= Pool::kReserveBytesMax);
  Asker small;
  site.start(small);
  site.reply("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  CHECK(small.call->body().capacity() >= 5000);
}

TEST_CASE("a large request goes out as the server takes it") {
  Site site({}, {.window_bytes = 10'000});
  const std::string body(3'000'000, 'b');
  Asker asker;
  site.start(asker, {.method = "PUT", .head = pool_test::kHead, .body = body});
  site.world.loop.run_for(1);
  CHECK(site.server.last().take() == std::string(pool_test::kHead) + body);
  CHECK(asker.call->times().sent_ns != 0);
  site.reply(answer("thanks"));
  CHECK(asker.body == "thanks");
  CHECK(asker.call->bytes_out() == pool_test::kHead.size() + body.size());
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("an answer before the whole request was sent counts, and the connection is closed") {
  Site site({}, {.window_bytes = 1000});
  const std::string body(100'000, 'b');
  Asker asker;
  site.server.on_connect = [](sim::SimPeer& peer) { peer.stall(); };
  site.start(asker, {.method = "PUT", .head = pool_test::kHead, .body = body});
  site.server.last().send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  site.world.loop.settle();
  CHECK(asker.status == 413);
  CHECK(asker.times.sent_ns == 0);
  CHECK_FALSE(site.server.last().connected());
}

TEST_CASE("times tell what happened when") {
  Site site({}, {.latency_ms = 5});
  Asker asker;
  site.start(asker);
  site.world.loop.run_for(20);
  site.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
  site.world.loop.run_for(10);
  site.reply("b");
  site.world.loop.run_for(10);
  REQUIRE(asker.responses == 1);
  const auto after_ms = [&](std::uint64_t ns) { return (ns - asker.times.started_ns) / 1'000'000; };
  CHECK(after_ms(asker.times.connected_ns) == 10);
  CHECK(after_ms(asker.times.sent_ns) == 10);
  CHECK(after_ms(asker.times.first_byte_ns) == 25);
  CHECK(after_ms(asker.times.last_byte_ns) == 35);
}

TEST_CASE("callbacks may destroy their call, other calls and the pool") {
  for (bool fails : {false, true}) {
    for (bool keep : {false, true}) {
      Site site;
      Asker other;
      Asker asker;
      asker.then = [&] {
        asker.call.reset();
        other.call.reset();
        site.pool.reset();
      };
      site.start(other);
      site.start(asker);
      site.reply(fails ? "x\r\n" : answer("x", keep ? "" : "Connection: close\r\n"));
      CHECK(asker.responses + asker.failures == 1);
      site.world.loop.run_for(100'000);
      CHECK(other.responses + other.failures == 0);
      for (std::size_t i = 0; i < 2; ++i) CHECK_FALSE(site.server.peer(i).connected());
    }
  }
}

TEST_CASE("calls under way end silently with the pool") {
  Site site;
  Asker asker;
  site.start(asker);
  site.pool.reset();
  CHECK_FALSE(asker.call->in_flight());
  site.world.loop.run_for(1000);
  CHECK(asker.responses + asker.failures == 0);
  CHECK_FALSE(site.server.last().connected());
}

}  // namespace
}  // namespace consort::http
