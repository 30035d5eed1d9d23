#include "net/http_fetch.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "async/scope.hpp"
#include "http_pool_site.hpp"

namespace consort::http {
namespace {

using pool_test::answer;
using pool_test::Site;

/// One fetch under way.
struct Fetching {
  explicit Fetching(Site& s) : site(s) {}

  void start(ClientRequest request, std::uint64_t budget_ms = 1000,
             Repeat repeat = Repeat::by_method) {
    const Deadline deadline =
        Deadline::after(site.world.loop.now_ms(), std::chrono::milliseconds(budget_ms));
    scope.spawn(run(*this, std::move(request), deadline, repeat));
    site.world.loop.settle();
  }
  static Task<> run(Fetching& self, ClientRequest request, Deadline deadline, Repeat repeat) {
    Pool& pool = *self.site.pool;
    Result<Response> got = co_await fetch(pool, std::move(request), deadline, repeat);
    self.result.emplace(std::move(got));
  }
  Errc code() const { return (*result).error().code(); }
  std::string text() const { return (*result).error().text(); }

  Site& site;
  std::optional<Result<Response>> result;
  TaskScope scope;
};

TEST_CASE("a fetch goes behind the URL's prefix and brings the whole answer") {
  Site site({}, {}, 1, "http://10.0.0.1/api/");
  Fetching fetching(site);
  fetching.start({.method = "POST", .target = "/x?y=z", .headers = {{"A", "b"}}, .body = "hi"});
  CHECK(site.server.last().take() ==
        "POST /api/x?y=z HTTP/1.1\r\nHost: 10.0.0.1\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
  site.reply("HTTP/1.1 404 No\r\nContent-Type: a/b\r\nX-Y: z\r\nContent-Length: 4\r\n\r\nbody");
  REQUIRE(fetching.result);
  REQUIRE(*fetching.result);
  const Response& response = **fetching.result;
  CHECK(response.status == 404);
  CHECK(response.content_type == "a/b");
  CHECK(http1::find_header(response.headers, "x-y") == "z");
  CHECK(response.body == "body");
  CHECK(site.pool->stats().idle == 1);
}

TEST_CASE("fetches in a row share a connection") {
  Site site;
  for (int i = 0; i < 5; ++i) {
    Fetching fetching(site);
    fetching.start({});
    site.reply(answer("x"));
    REQUIRE(fetching.result);
    CHECK(*fetching.result);
  }
  CHECK(site.server.attempts() == 1);
}

TEST_CASE("the deadline covers everything, and the connection is closed") {
  Site site;
  Fetching fetching(site);
  fetching.start({.target = "/slow"}, 500);
  site.world.loop.run_for(499);
  CHECK_FALSE(fetching.result);
  site.world.loop.run_for(1);
  REQUIRE(fetching.result);
  CHECK(fetching.code() == Errc::timed_out);
  CHECK(fetching.text() == "GET /slow: http://10.0.0.1: no answer in time");
  CHECK_FALSE(site.server.last().connected());
}

TEST_CASE("dropping the task cancels the call") {
  Site site;
  Fetching fetching(site);
  fetching.start({});
  fetching.scope.cancel();
  CHECK_FALSE(site.server.last().connected());
  site.world.loop.run_for(5000);
  CHECK_FALSE(fetching.result);
}

TEST_CASE("failures keep their kind") {
  Site refused;
  refused.server.refuse_next(1);
  Fetching fetching(refused);
  fetching.start({});
  CHECK(fetching.code() == Errc::refused);

  for (const auto& [bytes, code] :
       {std::pair<std::string, Errc>{"", Errc::closed},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Errc::closed},
        {"nonsense\r\n", Errc::protocol},
        {"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n012345678901234", Errc::limit}}) {
    Site site;
    Fetching broken(site);
    broken.start({.response_body_bytes_max = 10});
    site.server.last().send(bytes);
    site.server.last().close();
    site.world.loop.settle();
    REQUIRE(broken.result);
    CHECK(broken.code() == code);
  }
  Site site;
  Fetching invalid(site);
  invalid.start({.target = "/ x"});
  CHECK(invalid.code() == Errc::invalid);
  CHECK(site.server.attempts() == 0);
}

TEST_CASE("a lost POST is repeated only when the caller allows it") {
  for (const auto repeat : {Repeat::by_method, Repeat::allowed}) {
    Site site({}, {.latency_ms = 1});
    Fetching warm(site);
    warm.start({});
    site.world.loop.run_for(10);
    site.reply(answer("x"));
    site.world.loop.run_for(10);
    site.server.last().close();
    Fetching fetching(site);
    fetching.start({.method = "POST"}, 1000, repeat);
    site.world.loop.run_for(10);
    CHECK(site.server.connections() == (repeat == Repeat::allowed ? 2 : 1));
    CHECK(fetching.result.has_value() == (repeat == Repeat::by_method));
  }
}

}  // namespace
}  // namespace consort::http
