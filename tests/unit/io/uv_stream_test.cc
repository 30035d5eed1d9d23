#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "io/fd.hpp"
#include "io/uv/socket_address.hpp"
#include "io/uv/stream.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

namespace {

std::string unix_path(const char* name) {
  return "/tmp/consort-unit-" + std::to_string(::getpid()) + "-" + name;
}

std::string pattern(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('!' + i * 7 % 90);
  return text;
}

/// Writes all of a text as the stream takes it.
struct Writer final : StreamHandler {
  void on_open() override { go(); }
  void on_data(std::string_view) override {}
  void on_writable() override {
    ++writables;
    go();
  }
  void on_end(const Error&) override { ended = true; }
  void go() {
    auto n = stream->try_write(rest);
    if (n) rest.remove_prefix(*n);
    if (n && !rest.empty()) stream->want_writable();
  }
  std::unique_ptr<Stream> stream;
  std::string_view rest;
  int writables = 0;
  bool ended = false;
};

/// Fills the kernel's buffers until it takes no more.
std::size_t fill(Stream& stream) {
  std::string block(1 << 16, 'f');
  std::size_t sum = 0;
  for (;;) {
    auto n = stream.try_write(block);
    if (!n || *n == 0) return sum;
    sum += *n;
  }
}

}  // namespace

TEST_CASE("bytes go both ways over TCP, IPv6, a unix path and an abstract socket") {
  std::string path = unix_path("echo");
  for (std::string address :
       {std::string("127.0.0.1:0"), std::string("[::1]:0"), "unix:" + path,
        "unix:@" + path.substr(1), std::string(":0"), std::string("localhost:0")}) {
    CAPTURE(address);
    Pair pair(address);
    REQUIRE(pair.server().stream != nullptr);
    CHECK(*pair.client.stream->try_write("ping") == 4);
    CHECK(pair.until([&] { return pair.server().data == "ping"; }));
    CHECK(*pair.server().stream->try_write("pong") == 4);
    CHECK(pair.until([&] { return pair.client.data == "pong"; }));
    CHECK(pair.server().log.empty());  // on_open is for outgoing connections
  }
}

TEST_CASE("the peer is told apart: loopback, unix, others") {
  Pair tcp("127.0.0.1:0");
  CHECK(tcp.server().stream->peer().is_loopback);
  CHECK(tcp.server().stream->peer().text.starts_with("127.0.0.1:"));
  CHECK(tcp.client.stream->peer().text == tcp.listener->address().to_string());
  Pair dual(":0");  // IPv4 reaches a dual-stack socket as a mapped address
  CHECK(dual.server().stream->peer().is_loopback);
  CHECK(dual.server().stream->peer().text.starts_with("127.0.0.1:"));
  Pair v6("[::1]:0");
  CHECK(v6.server().stream->peer().is_loopback);
  CHECK(v6.server().stream->peer().text.starts_with("[::1]:"));
  Pair local("unix:" + unix_path("peer"));
  CHECK(local.server().stream->peer().is_unix);
  CHECK(local.server().stream->peer().text == "unix");
  auto far = SocketAddress::of(at("10.1.2.3:80"), "");
  CHECK_FALSE(far->describe().is_loopback);
  CHECK(far->describe().text == "10.1.2.3:80");
}

TEST_CASE("a failed connect is told later, with its reason") {
  UvLoop loop;
  UvNetwork network(loop);
  struct Case {
    std::string address;
    Errc code;
  };
  Acceptor acceptor;
  auto closed = std::move(*network.listen(at("127.0.0.1:0"), {}, acceptor));
  std::string nobody = closed->address().to_string();
  closed.reset();
  for (const Case& c :
       {Case{nobody, Errc::refused}, Case{"unix:" + unix_path("missing"), Errc::not_found},
        Case{"some.name:80", Errc::invalid}}) {
    CAPTURE(c.address);
    Recorder code;
    code.stream = network.connect(at(c.address), code);
    CHECK(code.log.empty());
    CHECK(*code.stream->try_write("x") == 0);
    CHECK(run_until(loop, [&] { return !code.log.empty(); }));
    CHECK(code.log == "end:" + std::string(to_string(c.code)) + ";");
    CHECK_FALSE(code.stream->try_write("x").has_value());
  }
}

TEST_CASE("a connect that is given up stays silent") {
  UvLoop loop;
  UvNetwork network(loop);
  Recorder code;
  code.stream = network.connect(at("127.0.0.1:1"), code);
  code.stream.reset();
  code.stream = network.connect(at("not.an.ip:1"), code);
  code.stream.reset();
  run_for(loop, 2);
  CHECK(code.log.empty());
}

TEST_CASE("megabytes arrive whole through buffers that fill up") {
  UvLoop loop;
  UvNetwork network(loop);
  for (std::string address : {std::string("127.0.0.1:0"), "unix:" + unix_path("bulk")}) {
    Acceptor acceptor;
    auto listener = std::move(*network.listen(at(address), {}, acceptor));
    std::string text = pattern(8 << 20);
    Writer writer;
    writer.rest = text;
    writer.stream = network.connect(listener->address(), writer);
    CHECK(run_until(loop, [&] { return acceptor.handler.data.size() == text.size(); }));
    CHECK(acceptor.handler.data == text);
    CHECK(writer.writables > 0);
  }
}

TEST_CASE("want_writable asks once, and only when the peer takes bytes again") {
  Pair pair;
  pair.server().stream->pause_reading();
  std::size_t sent = fill(*pair.client.stream);
  CHECK(sent > 0);
  pair.client.stream->want_writable();
  pair.client.stream->want_writable();
  run_for(pair.loop, 2);
  CHECK(pair.client.log == "open;");
  pair.server().stream->resume_reading();
  CHECK(pair.until([&] { return pair.client.log == "open;writable;"; }));
  CHECK(pair.until([&] { return pair.server().data.size() == sent; }));
  CHECK(pair.client.log == "open;writable;");
}

TEST_CASE("what the peer has not confirmed is counted") {
  // TCP confirms what lies in the peer's buffer; a unix socket counts until it is read.
  for (const std::string& address : {std::string("127.0.0.1:0"), "unix:" + unix_path("queue")}) {
    CAPTURE(address);
    Pair pair(address);
    CHECK(pair.client.stream->unconfirmed_bytes() == 0);
    pair.server().stream->pause_reading();
    const std::size_t sent = fill(*pair.client.stream);
    CHECK(pair.client.stream->unconfirmed_bytes() > 0);
    pair.server().stream->resume_reading();
    CHECK(pair.until([&] { return pair.server().data.size() == sent; }));
    CHECK(pair.until([&] { return pair.client.stream->unconfirmed_bytes() == 0; }));
  }
}

TEST_CASE("paused reading costs nothing, even when the peer sends and leaves") {
  Pair pair;
  pair.server().stream->pause_reading();
  CHECK(*pair.client.stream->try_write("last words") == 10);
  pair.client.stream.reset();
  std::uint64_t turns = pair.loop.turns();
  run_for(pair.loop, 5);
  CHECK(pair.loop.turns() - turns <= 4);
  CHECK(pair.server().data.empty());
  CHECK(pair.server().log.empty());
  pair.server().stream->resume_reading();
  CHECK(pair.until([&] { return !pair.server().log.empty(); }));
  CHECK(pair.server().data == "last words");
  CHECK(pair.server().log == "end:closed;");
  CHECK(pair.server().sys == 0);
}

TEST_CASE("after the end an idle connection does not wake the loop") {
  Pair pair;
  pair.client.stream.reset();
  CHECK(pair.until([&] { return pair.server().log == "end:closed;"; }));
  std::uint64_t turns = pair.loop.turns();
  run_for(pair.loop, 5);
  CHECK(pair.loop.turns() - turns <= 4);
  CHECK(pair.server().log == "end:closed;");
}

TEST_CASE("a client that only finished sending still gets its answer") {
  Pair pair;
  CHECK(*pair.client.stream->try_write("get a") == 5);
  pair.client.stream->shutdown_write();
  CHECK(pair.until([&] { return pair.server().log == "end:closed;"; }));
  CHECK(pair.server().data == "get a");
  CHECK(*pair.server().stream->try_write("answer") == 6);
  pair.server().stream->want_writable();
  CHECK(pair.until([&] { return pair.server().log == "end:closed;writable;"; }));
  pair.server().stream.reset();
  CHECK(pair.until([&] { return pair.client.log == "open;end:closed;"; }));
  CHECK(pair.client.data == "answer");
}

TEST_CASE("a reset is told as closed, with its errno") {
  Pair pair;
  // Closing with unread bytes makes the kernel send a reset.
  CHECK(*pair.server().stream->try_write("unread") == 6);
  pair.client.stream->pause_reading();
  run_for(pair.loop, 2);
  pair.client.stream.reset();
  CHECK(pair.until([&] { return pair.server().log == "end:closed;"; }));
  CHECK(pair.server().sys == ECONNRESET);
}

TEST_CASE("a failed write is told once more, later, after the peer's last words") {
  Pair pair("unix:" + unix_path("words"));
  CHECK(*pair.server().stream->try_write("ERR too many clients") == 20);
  pair.server().stream.reset();
  auto first = pair.client.stream->try_write("x");
  REQUIRE_FALSE(first.has_value());
  CHECK(first.error().sys() == EPIPE);
  CHECK(pair.client.log == "open;");
  CHECK_FALSE(pair.client.stream->try_write("y").has_value());
  CHECK(pair.until([&] { return pair.client.log != "open;"; }));
  CHECK(pair.client.data == "ERR too many clients");
  CHECK(pair.client.log == "open;end:closed;");
  run_for(pair.loop, 2);
  CHECK(pair.client.log == "open;end:closed;");
}

TEST_CASE("a stream may be destroyed inside each of its calls") {
  SUBCASE("on_open") {
    UvLoop loop;
    UvNetwork network(loop);
    Acceptor acceptor;
    auto listener = std::move(*network.listen(at("127.0.0.1:0"), {}, acceptor));
    Recorder code;
    code.drop_on_open = true;
    code.stream = network.connect(listener->address(), code);
    CHECK(run_until(loop, [&] { return acceptor.handler.log == "end:closed;"; }));
    CHECK(code.log == "open;");
  }
  SUBCASE("on_data") {
    Pair pair;
    pair.server().drop_on_data = true;
    CHECK(*pair.client.stream->try_write("x") == 1);
    CHECK(pair.until([&] { return pair.client.log == "open;end:closed;"; }));
  }
  SUBCASE("on_writable") {
    Pair pair;
    pair.client.drop_on_writable = true;
    pair.client.stream->want_writable();
    CHECK(pair.until([&] { return pair.server().log == "end:closed;"; }));
    CHECK(pair.client.log == "open;writable;");
  }
  SUBCASE("on_end") {
    Pair pair;
    pair.client.drop_on_end = true;
    pair.server().stream.reset();
    CHECK(pair.until([&] { return pair.client.stream == nullptr; }));
  }
  SUBCASE("on_end of a failed write") {
    Pair pair("unix:" + unix_path("drop"));
    pair.client.drop_on_end = true;
    pair.client.stream->pause_reading();
    pair.server().stream.reset();
    CHECK_FALSE(pair.client.stream->try_write("x").has_value());
    CHECK(pair.until([&] { return pair.client.stream == nullptr; }));
  }
}

TEST_CASE("an accepted stream reads nothing before it has a handler") {
  struct Keeper final : AcceptHandler {
    void on_accept(std::unique_ptr<Stream> stream) override { kept = std::move(stream); }
    void on_accept_paused(const Error&) override {}
    std::unique_ptr<Stream> kept;
  };
  UvLoop loop;
  UvNetwork network(loop);
  Keeper keeper;
  auto listener = std::move(*network.listen(at("127.0.0.1:0"), {}, keeper));
  Recorder client;
  client.stream = network.connect(listener->address(), client);
  CHECK(run_until(loop, [&] { return client.log == "open;" && keeper.kept != nullptr; }));
  CHECK(*client.stream->try_write("early") == 5);
  run_for(loop, 2);
  Recorder late;
  keeper.kept->set_handler(late);
  CHECK(run_until(loop, [&] { return late.data == "early"; }));
}
