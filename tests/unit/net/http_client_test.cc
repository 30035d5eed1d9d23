#include "net/http_client.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "async/scope.hpp"
#include "net/http_server.hpp"
#include "sim/world.hpp"

namespace consort::http {
namespace {

const std::string kAddress = "10.0.0.1:80";

/// One fetch under way on a simulated network.
struct Call {
  explicit Call(sim::World& w) : world(w) {}

  void start(ClientRequest request, std::uint64_t budget_ms = 1000) {
    const Deadline deadline =
        Deadline::after(world.loop.now_ms(), std::chrono::milliseconds(budget_ms));
    scope.spawn(run(*this, std::move(request), deadline));
    world.loop.settle();
  }
  static Task<> run(Call& self, ClientRequest request, Deadline deadline) {
    Address address{.host = "10.0.0.1", .port = 80};
    Result<Response> got = co_await fetch(self.world.loop, self.world.network, std::move(address),
                                          std::move(request), deadline);
    self.result.emplace(std::move(got));
  }
  /// What came of it; the error's code and text must be looked at by the caller.
  Errc code() const { return (*result).error().code(); }
  std::string text() const { return (*result).error().text(); }

  sim::World& world;
  std::optional<Result<Response>> result;
  TaskScope scope;
};

TEST_CASE("a request is sent whole and its answer returned") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({.target = "/livez?a=b", .headers = {{"Accept", "text/plain"}}});
  CHECK(server.last().take() ==
        "GET /livez?a=b HTTP/1.1\r\nHost: 10.0.0.1:80\r\nAccept: text/plain\r\n"
        "Connection: close\r\n\r\n");
  server.last().send(
      "HTTP/1.1 503 No\r\nContent-Type: a/b\r\nX-Y: z\r\nContent-Length: 4\r\n\r\nbody");
  world.loop.settle();
  REQUIRE(call.result);
  REQUIRE(*call.result);
  const Response& response = **call.result;
  CHECK(response.status == 503);
  CHECK(response.content_type == "a/b");
  CHECK(response.body == "body");
  CHECK(http1::find_header(response.headers, "x-y") == "z");
  CHECK_FALSE(server.last().connected());
}

TEST_CASE("a body goes with its length, and a host of one's own is used") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({.method = "POST", .target = "/reload", .host = "node", .body = "xy"});
  CHECK(server.last().take() ==
        "POST /reload HTTP/1.1\r\nHost: node\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxy");
}

TEST_CASE("client and server understand each other, however the bytes are split") {
  class Hello final : public Handler {
   public:
    Task<Response> handle(Request request) override {
      Response response;
      response.body = request.method + " " + request.body;
      co_return response;
    }
  };
  // The simulator connects tests, not two pieces of code: carry the bytes from one to the other.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::World world(seed, {.latency_ms = 1, .jitter_ms = 3, .window_bytes = 64, .split = true});
    Hello hello;
    Server server(world.loop, world.network, hello, Limits());
    REQUIRE(server.listen(Address{.host = "127.0.0.1", .port = 81}));
    sim::SimPeer& inner = world.network.connect_client("127.0.0.1:81");
    sim::SimServer& outer = world.network.serve(kAddress);
    outer.on_data = [&](sim::SimPeer& peer) { inner.send(peer.take()); };
    inner.on_data = [&](sim::SimPeer& peer) { outer.last().send(peer.take()); };
    Call call(world);
    call.start({.method = "PUT", .body = std::string(3000, 'x')}, 60'000);
    REQUIRE(world.loop.run_until([&] { return call.result.has_value(); }));
    REQUIRE(*call.result);
    CHECK((*call.result)->body == "PUT " + std::string(3000, 'x'));
  }
}

TEST_CASE("a body that runs until the end is whole when the peer closes") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({});
  server.last().send("HTTP/1.0 200 OK\r\n\r\nabc");
  world.loop.settle();
  CHECK_FALSE(call.result);
  server.last().close();
  world.loop.settle();
  REQUIRE(call.result);
  REQUIRE(*call.result);
  CHECK((*call.result)->body == "abc");
}

TEST_CASE("a reset does not make a body whole") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({});
  server.last().send("HTTP/1.0 200 OK\r\n\r\nabc");
  server.last().reset();
  world.loop.settle();
  REQUIRE(call.result);
  CHECK_FALSE(*call.result);
  CHECK(call.code() == Errc::closed);
}

TEST_CASE("nobody listening is Errc::refused and says what was asked of whom") {
  sim::World world;
  Call call(world);
  call.start({.target = "/readyz"});
  REQUIRE(call.result);
  CHECK(call.code() == Errc::refused);
  CHECK(call.text().starts_with("GET /readyz at 10.0.0.1:80: "));
}

TEST_CASE("the deadline covers connecting, sending and waiting") {
  for (int stage = 0; stage < 3; ++stage) {
    CAPTURE(stage);
    sim::World world(1, {.window_bytes = 100});
    sim::SimServer& server = world.network.serve(kAddress);
    if (stage == 0) server.hang_next(1);
    if (stage == 1) server.on_connect = [](sim::SimPeer& peer) { peer.stall(); };
    Call call(world);
    call.start({.method = "PUT", .body = std::string(500, 'x')}, 700);
    if (stage == 2) server.last().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    world.loop.run_for(699);
    CHECK_FALSE(call.result);
    world.loop.run_for(1);
    REQUIRE(call.result);
    CHECK(call.code() == Errc::timed_out);
  }
}

TEST_CASE("answers that end early, are malformed or too long are errors") {
  const std::pair<Errc, std::string> cases[] = {
      {Errc::closed, ""},
      {Errc::closed, "HTTP/1.1 200 OK\r\n"},
      {Errc::closed, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"},
      {Errc::protocol, "SSH-2.0-OpenSSH\r\n"},
      {Errc::protocol,
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {Errc::limit, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"},
      {Errc::limit, "HTTP/1.1 200 OK\r\n\r\n01234567890"},
      {Errc::limit, "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x')},
  };
  for (const auto& [code, bytes] : cases) {
    CAPTURE(bytes);
    sim::World world;
    sim::SimServer& server = world.network.serve(kAddress);
    Call call(world);
    call.start({.response_body_bytes_max = 10});
    server.last().send(bytes);
    server.last().close();
    world.loop.settle();
    REQUIRE(call.result);
    CHECK_FALSE(*call.result);
    CHECK(call.code() == code);
  }
}

TEST_CASE("an answer that comes before all was sent counts") {
  sim::World world(1, {.window_bytes = 100});
  sim::SimServer& server = world.network.serve(kAddress);
  server.on_connect = [](sim::SimPeer& peer) {
    peer.stall();
    peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    peer.close();
  };
  Call call(world);
  call.start({.method = "PUT", .body = std::string(500, 'x')});
  REQUIRE(call.result);
  REQUIRE(*call.result);
  CHECK((*call.result)->status == 413);
}

TEST_CASE("a request that cannot be written is not sent") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({.target = "/ HTTP/1.1\r\nX: y"});
  REQUIRE(call.result);
  CHECK(call.code() == Errc::invalid);
  CHECK(server.attempts() == 0);
}

TEST_CASE("dropping the task closes the connection") {
  sim::World world;
  sim::SimServer& server = world.network.serve(kAddress);
  Call call(world);
  call.start({});
  CHECK(server.last().connected());
  call.scope.cancel();
  world.loop.settle();
  CHECK_FALSE(server.last().connected());
  world.loop.run_for(5000);
  CHECK_FALSE(call.result);
}

}  // namespace
}  // namespace consort::http
