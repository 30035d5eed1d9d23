// What the tests of http::Pool share: a pool on the simulated network, askers, answers.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/http_pool.hpp"
#include "sim/world.hpp"

namespace consort::http::pool_test {

inline const std::string kServer = "10.0.0.1:80";

/// One call and what came of it.
class Asker final : public Call::Owner {
 public:
  Asker() { call.emplace(*this); }

  void on_response(Call& answered) override {
    ++responses;
    status = answered.status();
    kind = answered.header("content-TYPE");
    headers = answered.head().size();
    body = answered.take_body();
    times = answered.times();
    if (then) then();
  }
  void on_call_failed(Call&, CallFailure why) override {
    ++failures;
    failure = std::move(why);
    if (then) then();
  }
  bool on_body_bytes(Call&, std::size_t more) override {
    body_bytes += more;
    return body_bytes <= body_bytes_max;
  }

  std::optional<Call> call;
  int responses = 0;
  int failures = 0;
  int status = 0;
  std::string kind;
  std::size_t headers = 0;
  std::string body;
  CallTimes times;
  CallFailure failure;
  std::size_t body_bytes = 0;
  std::size_t body_bytes_max = ~std::size_t{0};
  std::function<void()> then;  ///< at the end of either callback
};

inline std::string answer(std::string_view body, std::string_view lines = "") {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(lines) + "\r\n" + std::string(body);
}

inline constexpr std::string_view kHead = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
inline constexpr CallRequest kGet{.method = "GET", .head = kHead, .may_repeat = true};
inline constexpr std::string_view kPostHead =
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
inline constexpr CallRequest kPost{.method = "POST", .head = kPostHead, .body = "xy"};

/// A server at 10.0.0.1:80 and a pool for it.
struct Site {
  explicit Site(PoolOptions options = {}, sim::Conditions conditions = {}, std::uint64_t seed = 1,
                std::string_view url = "http://10.0.0.1")
      : world(seed, conditions), server(world.network.serve(kServer)) {
    pool = std::make_unique<Pool>(world.loop, world.network, world.dns, *Url::parse(url), options);
  }

  void start(Asker& asker, const CallRequest& request = kGet) {
    pool->start(*asker.call, request);
    world.loop.settle();
  }
  /// Answers on the last connection, whatever was asked there.
  void reply(std::string_view bytes) {
    server.last().take();
    server.last().send(bytes);
    world.loop.settle();
  }
  /// A whole call that leaves an idle connection.
  void warm() {
    Asker asker;
    start(asker);
    reply(answer("warm"));
    REQUIRE(asker.responses == 1);
  }

  sim::World world;
  sim::SimServer& server;
  std::unique_ptr<Pool> pool;
};

}  // namespace consort::http::pool_test
