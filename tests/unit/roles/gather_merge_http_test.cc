// The merge that is an HTTP service, played by the test in virtual time.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gather_command_support.hpp"
#include "roles/gather/merge_http.hpp"
#include "wire/http1.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;
using Json = nlohmann::json;

namespace {

struct Played : PlayedWorld {
  explicit Played(std::string_view url = "http://10.0.0.5:8000/merge",
                  MergeFormat format = MergeFormat::json)
      : server(world.network.serve(std::string(url).starts_with("unix") ? std::string(url)
                                                                        : "10.0.0.5:8000")) {
    HttpMergeOptions options;
    options.url = *http::Url::parse(url);
    options.format = format;
    options.pool.body_bytes_max = 1000;
    merge.emplace(services, options);
  }
  void start(Merging& merging, std::int64_t ms = 1000) {
    merging.start(*merge, within(ms));
    world.loop.settle();
  }
  void reply(std::string_view bytes) {
    server.last().take();
    server.last().send(bytes);
    world.loop.settle();
  }
  /// What the merge has received, as a server reads it.
  http1::Message asked() {
    http1::RequestParser parser{http1::Limits()};
    REQUIRE(parser.parse(server.last().received()).progress == http1::Progress::done);
    return parser.take();
  }

  sim::SimServer& server;
  std::optional<HttpMerge> merge;
};

std::string header(const http1::Message& message, std::string_view name) {
  return std::string(http1::find_header(message.headers, name));
}

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("an http merge is one POST with the document, its id and the time that is left") {
  Played bench;
  Merging merging;
  bench.start(merging, 380);
  const http1::Message asked = bench.asked();
  CHECK(asked.method == "POST");
  CHECK(asked.target == "/merge");
  CHECK(header(asked, "host") == "10.0.0.5:8000");
  CHECK(header(asked, "content-type") == "application/json");
  CHECK(header(asked, "consort-request-id") == "r");
  CHECK(header(asked, "grpc-timeout") == "380m");
  const Json document = Json::parse(asked.body);
  CHECK(document.at("id") == "r");
  CHECK(document.at("parts").size() == 2);
  CHECK(document.at("parts")[0].at("body") == Json::array({1}));
  bench.reply(kAnswer);
  CHECK(merging.told() == "200 text/plain ok");
  CHECK(bench.merge->stats().runs == 1);
  CHECK(bench.merge->stats().active == 0);
}

TEST_CASE("lines and multipart go with their own types") {
  Played lines("http://10.0.0.5:8000", MergeFormat::ndjson);
  Merging first;
  lines.start(first);
  CHECK(lines.asked().target == "/");
  CHECK(header(lines.asked(), "content-type") == "application/x-ndjson");

  Played multipart("http://10.0.0.5:8000", MergeFormat::multipart);
  Merging second;
  multipart.start(second);
  const http1::Message asked = multipart.asked();
  const std::string type = header(asked, "content-type");
  CHECK(type.starts_with("multipart/mixed; boundary="));
  CHECK(asked.body.starts_with("--" + type.substr(type.find('=') + 1)));
}

TEST_CASE("a merge may listen on a unix socket") {
  Played bench("unix:/run/merge.sock");
  Merging merging;
  bench.start(merging);
  CHECK(header(bench.asked(), "host") == "localhost");
  bench.reply(kAnswer);
  CHECK(merging.told() == "200 text/plain ok");
}

TEST_CASE("status, end-to-end headers and body come back, whatever the status") {
  Played bench;
  Merging merging;
  bench.start(merging);
  bench.reply(
      "HTTP/1.1 418 Teapot\r\nContent-Type: a/b\r\nX-Mine: 1\r\nSet-Cookie: a\r\n"
      "Set-Cookie: b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 2\r\nKeep-Alive: timeout=5\r\n"
      "Content-Length: 3\r\n\r\nabc");
  CHECK(merging.told() == "418 a/b abc");
  const std::vector<std::pair<std::string, std::string>> kept = {
      {"x-mine", "1"}, {"set-cookie", "a"}, {"set-cookie", "b"}};
  CHECK((*merging.result)->headers == kept);
}

TEST_CASE("merges in a row share a connection, and a lost one is asked again") {
  Played bench;
  for (int i = 0; i < 3; ++i) {
    Merging merging;
    bench.start(merging);
    bench.reply(kAnswer);
    CHECK(merging.is_done());
  }
  CHECK(bench.server.attempts() == 1);
  bench.server.last().set_window(5);
  Merging merging;
  bench.start(merging);
  bench.server.last().close();
  bench.world.loop.settle();
  REQUIRE(bench.server.connections() == 2);
  bench.reply(kAnswer);
  CHECK(merging.told() == "200 text/plain ok");
}

TEST_CASE("a merge that does not answer in time has timed out, and sees us leave") {
  Played bench;
  Merging merging;
  bench.start(merging, 300);
  bench.world.loop.run_for(299);
  CHECK_FALSE(merging.is_done());
  CHECK(bench.merge->stats().active == 1);
  bench.world.loop.run_for(1);
  CHECK(merging.told() == "timed out: POST /merge: http://10.0.0.5:8000/merge: no answer in time");
  CHECK_FALSE(bench.server.last().connected());
  CHECK(bench.merge->stats().timed_out == 1);
  CHECK(bench.merge->stats().failed == 0);

  Merging late;
  bench.start(late, 0);
  CHECK(late.told() == "timed out: no time was left for it");
  CHECK(bench.server.connections() == 1);
}

TEST_CASE("a merge that is not there, hangs up or talks nonsense has failed") {
  Played refused;
  refused.server.refuse_next(1);
  Merging first;
  refused.start(first);
  CHECK(first.told().starts_with("failed: "));
  CHECK(first.told().find("refused") != std::string::npos);
  for (const std::string& bytes :
       {std::string(), std::string("nonsense\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")}) {
    CAPTURE(bytes);
    Played bench;
    Merging merging;
    bench.start(merging);
    bench.server.last().send(bytes);
    bench.server.last().close();
    bench.world.loop.settle();
    CHECK(merging.told().starts_with("failed: "));
    CHECK(bench.merge->stats().failed == 1);
  }
}

TEST_CASE("dropping an http merge closes its connection") {
  Played bench;
  Merging merging;
  bench.start(merging);
  merging.drop();
  CHECK_FALSE(bench.server.last().connected());
  CHECK(bench.merge->stats().active == 0);
}
