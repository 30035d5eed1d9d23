// What the tests of http::Server share: a server on the simulated network, its handler, its
// clients.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/event.hpp"
#include "net/http_server.hpp"
#include "sim/world.hpp"

namespace consort::http::test {
/// Answers "METHOD PATH" at once, or when the test lets it for paths that begin with /wait.
class Echo final : public Handler {
 public:
  Task<Response> handle(Request request) override {
    ++running;
    const Leaving leaving{running};
    seen.push_back(request);
    if (request.path.starts_with("/wait")) co_await go.wait();
    Response response = reply;
    if (response.body.empty()) response.body = request.method + " " + request.path + "\n";
    response.body += request.body;
    co_return response;
  }

  struct Leaving {
    int& count;
    ~Leaving() { --count; }
  };

  int running = 0;
  Event go;
  Response reply;
  std::vector<Request> seen;
};

/// A server on the simulated network and its clients.
struct Site {
  explicit Site(Limits limits = {}, std::uint64_t seed = 1, sim::Conditions conditions = {})
      : world(seed, conditions) {
    server = std::make_unique<Server>(world.loop, world.network, echo, limits);
    const auto bound = server->listen(Address{.host = "127.0.0.1", .port = 80});
    REQUIRE(bound);
    address = bound->to_string();
  }
  sim::SimPeer& connect() {
    sim::SimPeer& client = world.network.connect_client(address);
    world.loop.settle();
    return client;
  }
  /// What the bytes are answered with, as far as it comes without waiting.
  std::string ask(sim::SimPeer& client, std::string_view bytes) {
    client.send(bytes);
    world.loop.settle();
    return client.take();
  }
  std::string ask(std::string_view bytes) { return ask(connect(), bytes); }

  sim::World world;
  Echo echo;
  std::unique_ptr<Server> server;
  std::string address;
};

inline std::string get(std::string_view target, std::string_view lines = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
}

inline std::string answer(std::string_view body, std::string_view lines = "") {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(lines) + "\r\n" + std::string(body);
}

inline int status_of(std::string_view response) {
  return response.size() < 12 ? 0 : std::stoi(std::string(response.substr(9, 3)));
}

}  // namespace consort::http::test
