// The stream's contract over TLS, against OpenSSL's own server side in virtual time.
#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "tls_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

TEST_CASE("a stream opens after the handshake, with the name, the protocol and bytes both ways") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsFixture tls;
    tls.server.set({.identity = tls.ca.issue({}), .version = version});
    TlsHandler& client = tls.connect();
    CHECK(*client.stream->try_write("early") == 0);
    client.stream->shutdown_write();  // too early to mean anything, as on a plain stream
    CHECK(client.log.empty());
    tls.settle();
    REQUIRE(client.log == "open;");
    CHECK(tls.server.last().sni() == "api.local");
    CHECK(tls.server.last().alpn() == "http/1.1");
    CHECK(*client.stream->try_write("ping") == 4);
    CHECK(tls.server.last().received.empty());
    tls.settle();
    CHECK(tls.server.last().received == "ping");
    tls.server.send("pong");
    CHECK(client.data.empty());
    tls.settle();
    CHECK(client.data == "pong");
    CHECK(client.stream->peer().text == tls.server.peer().identity.text);
  }
}

TEST_CASE("a mebibyte comes back whole, however the network cuts and delays it") {
  const std::string text = tls_pattern(1 << 20);
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    const int version = seed % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    TlsFixture tls(
        seed, {.latency_ms = 1, .jitter_ms = 3, .window_bytes = 1000 + seed * 9000, .split = true});
    tls.server.set({.identity = tls.ca.issue({}), .version = version});
    tls.server.echo = true;
    TlsHandler& client = tls.connect();
    tls.world.loop.run_until([&] { return !client.log.empty(); });
    REQUIRE(client.log == "open;");
    client.rest = text;
    client.go();
    CHECK(tls.world.loop.run_until([&] { return client.data.size() >= text.size(); }, 600'000));
    CHECK(client.data == text);
    CHECK(client.log == "open;");
  }
}

TEST_CASE("a peer that does not read leaves one record with us, and takes the rest later") {
  TlsFixture tls(1, {.window_bytes = 20'000});
  TlsHandler& client = tls.opened();
  REQUIRE(client.log == "open;");
  tls.server.peer().stall();
  const std::string text = tls_pattern(200'000);
  client.rest = text;
  client.go();
  const std::size_t taken = text.size() - client.rest.size();
  CHECK(taken >= 20'000 - 100);
  CHECK(taken <= 20'000 + OpenSslClient::kRecordBytes);
  CHECK(*client.stream->try_write("more") == 0);
  tls.settle();
  CHECK(client.writables == 0);
  tls.server.peer().resume();
  tls.settle();
  CHECK(tls.server.last().received == text);
  client.stream->want_writable();
  tls.settle();
  CHECK(client.log == "open;writable;");
}

TEST_CASE("paused reading holds bytes and the end back, and leaves the rest with the network") {
  TlsFixture tls;
  TlsHandler& client = tls.opened();
  client.pause_after = 1;
  const std::string text = tls_pattern(300'000);
  tls.server.send(text);
  tls.server.send("second");
  tls.server.close_notify();
  tls.settle();
  CHECK(client.data.size() == OpenSslClient::kRecordBytes);  // one record crosses the wish
  CHECK(client.log == "open;");
  CHECK(client.deliveries == 1);
  client.pause_after = 0;
  client.stream->resume_reading();
  CHECK(client.deliveries == 1);
  client.stream->pause_reading();  // taken back before the loop turned
  tls.settle();
  CHECK(client.deliveries == 1);
  client.stream->resume_reading();
  tls.settle();
  CHECK(client.data == text + "second");
  CHECK(client.log == "open;end:closed;");
}

TEST_CASE("a pause during the handshake does not stop it, only what comes after") {
  TlsFixture tls;
  TlsHandler& client = tls.connect();
  client.stream->pause_reading();
  tls.settle();
  REQUIRE(client.log == "open;");
  tls.server.send("hello");
  tls.settle();
  CHECK(client.data.empty());
  CHECK(tls.server.peer().unread_bytes() > 0);
  client.stream->resume_reading();
  tls.settle();
  CHECK(client.data == "hello");
}

TEST_CASE("close_notify is an orderly end, after which the owner may still write") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    TlsFixture tls;
    tls.server.set({.identity = tls.ca.issue({}), .version = version});
    TlsHandler& client = tls.opened();
    tls.server.send("bye");
    tls.server.close_notify();
    tls.settle();
    CHECK(client.data == "bye");
    CHECK(client.log == "open;end:closed;");
    CHECK(*client.stream->try_write("answer") == 6);
    client.stream->want_writable();
    tls.settle();
    CHECK(tls.server.last().received == "answer");
    CHECK(client.log == "open;end:closed;writable;");
    tls.server.peer().close();
    tls.settle();
    CHECK(client.log == "open;end:closed;writable;");
  }
}

TEST_CASE("a FIN without close_notify is an error: bytes may be missing") {
  TlsFixture tls;
  TlsHandler& client = tls.opened();
  tls.server.send("half an ans");
  tls.server.peer().close();
  tls.settle();
  CHECK(client.data == "half an ans");
  CHECK(client.log == "open;end:protocol;");
  CHECK(client.text == "the peer ended TLS without close_notify");
  auto late = client.stream->try_write("x");
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().sys() == EPIPE);
}

TEST_CASE("failures of the connection below come through as they are") {
  TlsFixture tls;
  TlsHandler& client = tls.opened();
  tls.server.peer().reset();
  tls.settle();
  CHECK(client.log == "open;end:closed;");
  CHECK(client.text == "read");
  tls.server.raw().refuse_next(1);
  TlsHandler& refused = tls.opened();
  CHECK(refused.log == "end:refused;");
}

TEST_CASE("a write that the connection below refuses is an error, and on_end follows once") {
  TlsFixture tls(1, {.latency_ms = 10});
  TlsHandler& client = tls.opened();
  client.stream->pause_reading();
  tls.server.peer().reset();
  tls.world.loop.run_for(10);
  auto sent = client.stream->try_write("x");
  REQUIRE_FALSE(sent.has_value());
  CHECK(sent.error().code() == Errc::closed);
  CHECK_FALSE(client.stream->try_write("x").has_value());
  CHECK(client.log == "open;");
  client.stream->resume_reading();
  tls.settle();
  CHECK(client.log == "open;end:closed;");
}

TEST_CASE("shutdown_write says close_notify after what was written, then FIN; reading goes on") {
  TlsFixture tls(1, {.window_bytes = 5000});
  TlsHandler& client = tls.opened();
  tls.server.peer().stall();
  const std::string text = tls_pattern(9000);
  CHECK(*client.stream->try_write(text) == text.size());
  client.stream->shutdown_write();
  client.stream->shutdown_write();
  CHECK_FALSE(client.stream->try_write("late").has_value());
  tls.settle();
  CHECK_FALSE(tls.server.peer().ended());
  tls.server.peer().resume();
  tls.settle();
  CHECK(tls.server.last().received == text);
  CHECK(tls.server.last().saw_close_notify);
  CHECK(tls.server.peer().ended());
  tls.server.send("answer");
  tls.settle();
  CHECK(client.data == "answer");
  CHECK(client.log == "open;");
}

TEST_CASE("destroying a stream ends it politely, and may happen in any of its calls") {
  for (char call : {'o', 'd', 'w', 'e'}) {
    CAPTURE(call);
    TlsFixture tls;
    TlsHandler& client = tls.connect();
    client.drop_on = call;
    client.stream->want_writable();
    tls.settle();
    CHECK(client.log.starts_with("open;"));
    CHECK((client.stream == nullptr) == (call == 'o' || call == 'w'));
    if (client.stream) {
      tls.server.send("some");
      tls.server.send("more");
      tls.server.close_notify();
    }
    tls.settle();
    CHECK(client.stream == nullptr);
    CHECK(tls.server.last().saw_close_notify);
    CHECK(tls.server.peer().ended());
    if (call == 'd') CHECK(client.data == "some");
  }
}

TEST_CASE("a stream may go in the middle of its handshake") {
  for (std::uint64_t ms = 0; ms < 40; ++ms) {
    TlsFixture tls(ms, {.latency_ms = 5});
    TlsHandler& client = tls.connect();
    tls.world.loop.run_for(ms);
    client.stream.reset();
    tls.settle();
  }
}

TEST_CASE("new keys during the connection change nothing for the owner") {
  TlsFixture tls;
  tls.server.echo = true;
  TlsHandler& client = tls.opened();
  for (int i = 0; i < 20; ++i) {
    tls.server.last().update_keys();
    tls.server.flush(tls.server.peer());
    tls.settle();
    CHECK(*client.stream->try_write("x") == 1);
    tls.settle();
  }
  CHECK(client.data == std::string(20, 'x'));
  CHECK(client.log == "open;");
}

TEST_CASE("bytes that are not TLS end an open stream with a protocol error") {
  TlsFixture tls;
  TlsHandler& client = tls.opened();
  tls.server.send("good");
  tls.server.peer().send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  tls.settle();
  CHECK(client.data == "good");
  CHECK(client.log == "open;end:protocol;");
  CHECK(client.text == "TLS with api.local broke (decryption failed or bad record mac)");
}

TEST_CASE("connecting again resumes the session, however the last connection ended") {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (char end : {'c', 'f', 'r', 'd'}) {
      CAPTURE(version);
      CAPTURE(end);
      TlsFixture tls;
      tls.server.set({.identity = tls.ca.issue({}), .version = version});
      TlsHandler& first = tls.opened();
      tls.server.send("data");
      if (end == 'c') tls.server.close_notify();
      if (end == 'f') tls.server.peer().close();
      if (end == 'r') tls.server.peer().reset();
      tls.settle();
      CHECK_FALSE(tls.server.last().is_resumed());
      CHECK(first.data == "data");
      first.stream.reset();
      TlsHandler& second = tls.opened();
      REQUIRE(second.log == "open;");
      CHECK(tls.server.last().is_resumed());
      tls.server.send("again");
      tls.settle();
      CHECK(second.data == "again");
    }
  }
}

TEST_CASE("a session is for its own server name, and a server that forgot it is no failure") {
  TlsFixture tls;
  const Identity both = tls.ca.issue({.alt_names = "DNS:api.local,DNS:b.local"});
  tls.server.set({.identity = both});
  tls.opened();
  tls.opened("b.local");
  CHECK_FALSE(tls.server.last().is_resumed());
  tls.server.set({.identity = both});  // other ticket keys
  TlsHandler& third = tls.opened();
  CHECK(third.log == "open;");
  CHECK_FALSE(tls.server.last().is_resumed());
}
