#include "net/http_exchange.hpp"

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

/// One exchange under way.
struct Exchanging {
  explicit Exchanging(Site& s) : site(s) {}

  void start(const RequestHead& head, std::string_view body, Repeat repeat = Repeat::by_method) {
    const Deadline deadline =
        Deadline::after(site.world.loop.now_ms(), std::chrono::milliseconds(1000));
    scope.spawn(run(*this, exchange(*site.pool, head, body, deadline, repeat)));
    site.world.loop.settle();
  }
  static Task<> run(Exchanging& self, Task<Result<Response>> task) {
    Result<Response> got = co_await std::move(task);
    self.result.emplace(std::move(got));
  }

  Site& site;
  std::optional<Result<Response>> result;
  TaskScope scope;
};

TEST_CASE("an exchange sends head and body, and brings the whole answer") {
  Site site;
  Exchanging exchanging(site);
  {
    // The head may go as soon as the call returns.
    const http1::Headers headers{{"A", "b"}, {"Host", "other"}};
    const std::string target = "/x?y=";
    exchanging.start({.method = "PUT", .target = target, .host = "h:1", .headers = &headers}, "hi");
  }
  CHECK(site.server.last().take() ==
        "PUT /x?y= HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
  site.reply(answer("yes", "X-Y: z\r\n"));
  REQUIRE(exchanging.result);
  REQUIRE(*exchanging.result);
  CHECK((**exchanging.result).body == "yes");
  CHECK(http1::find_header((**exchanging.result).headers, "x-y") == "z");
}

TEST_CASE("an empty body has a length where servers want one") {
  const http1::Headers none;
  for (const auto& [method, text] :
       {std::pair<std::string, std::string>{"PUT", "Content-Length: 0"},
        {"POST", "Content-Length: 0"},
        {"GET", ""},
        {"DELETE", ""}}) {
    Site site;
    Exchanging exchanging(site);
    exchanging.start({.method = method, .target = "/", .host = "h", .headers = &none}, "");
    const std::string sent = site.server.last().take();
    CHECK(sent ==
          method + " / HTTP/1.1\r\nHost: h\r\n" + (text.empty() ? "" : text + "\r\n") + "\r\n");
  }
}

TEST_CASE("what would break the framing is refused before it is sent") {
  Site site;
  const http1::Headers good;
  const http1::Headers bad_value{{"A", "b\nC: d"}};
  const http1::Headers bad_name{{"A b", "c"}};
  for (const RequestHead& head :
       {RequestHead{.method = "G T", .target = "/", .host = "h", .headers = &good},
        RequestHead{.method = "GET", .target = "/ x", .host = "h", .headers = &good},
        RequestHead{.method = "GET", .target = "/", .host = "h/", .headers = &good},
        RequestHead{.method = "GET", .target = "/", .host = "h", .headers = &bad_value},
        RequestHead{.method = "GET", .target = "/", .host = "h", .headers = &bad_name}}) {
    Exchanging exchanging(site);
    exchanging.start(head, "");
    REQUIRE(exchanging.result);
    REQUIRE_FALSE(*exchanging.result);
    CHECK((*exchanging.result).error().code() == Errc::invalid);
  }
  CHECK(site.server.attempts() == 0);
}

TEST_CASE("deadline, limit and a lost connection are errors of their kind") {
  const http1::Headers none;
  const RequestHead head{
      .method = "GET", .target = "/", .host = "h", .headers = &none, .answer_bytes_max = 3};
  Site slow;
  Exchanging waiting(slow);
  waiting.start(head, "");
  slow.world.loop.run_for(1000);
  REQUIRE(waiting.result);
  CHECK((*waiting.result).error().code() == Errc::timed_out);
  CHECK_FALSE(slow.server.last().connected());

  Site chatty;
  Exchanging limited(chatty);
  limited.start(head, "");
  chatty.reply(answer("four"));
  REQUIRE(limited.result);
  CHECK((*limited.result).error().code() == Errc::limit);

  Site gone;
  Exchanging lost(gone);
  lost.start(head, "");
  gone.server.last().close();
  gone.world.loop.settle();
  REQUIRE(lost.result);
  CHECK((*lost.result).error().code() == Errc::closed);

  Site dropped;
  Exchanging cancelled(dropped);
  cancelled.start(head, "");
  cancelled.scope.cancel();
  CHECK_FALSE(dropped.server.last().connected());
}

}  // namespace
}  // namespace consort::http
