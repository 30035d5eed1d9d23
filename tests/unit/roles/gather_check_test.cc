#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gather_check_support.hpp"
#include "gather_command_support.hpp"
#include "roles/gather/check_config.hpp"
#include "roles/gather/check_leaf.hpp"
#include "roles/gather/check_rules.hpp"

using namespace consort;
using namespace consort::gather;
using namespace consort::gather::test;

namespace {

constexpr const char* kLeaf = "10.0.0.1:80";

std::string answer_text(std::string_view body, std::string_view headers = {}, int status = 200) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
         std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

/// A leaf that the test plays, and one run of the checks.
struct LeafStage : PlayedWorld {
  struct Request {
    sim::SimPeer& peer;
    std::string head;
    std::size_t at_once;  ///< requests that wait for their answer, with this one

    std::string method() const { return head.substr(0, head.find(' ')); }
    bool is(std::string_view wanted) const { return method() == wanted; }
  };

  LeafStage() {
    sim::SimServer& server = world.network.serve(kLeaf);
    server.on_connect = [this](sim::SimPeer&) { ++connections; };
    server.on_data = [this](sim::SimPeer& peer) { read(peer); };
  }

  std::string run() {
    std::string out;
    bool is_done = false;
    LeafUnderTest leaf;
    leaf.url = *http::Url::parse(std::string("http://") + kLeaf);
    leaf.target = target;
    CheckReport report([&out](std::string_view lines) { out += lines; });
    scope.spawn(work(*this, std::move(leaf), report, is_done));
    CHECK(world.loop.run_until([&is_done] { return is_done; }, 200'000));
    report.finish();
    return out;
  }

  static Task<> work(LeafStage& self, LeafUnderTest leaf, CheckReport& report, bool& is_done) {
    self.sample = co_await check_leaf(self.services, std::move(leaf), report);
    is_done = true;
  }

  void good(Request& request) {
    request.peer.send(request.is("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
                                         : answer_text("[]"));
  }

  std::string target = "/search?q=x";
  std::string sample;
  std::string first_head;
  std::size_t connections = 0;
  std::function<void(Request&)> answer = [this](Request& request) { good(request); };
  TaskScope scope;

 private:
  void read(sim::SimPeer& peer) {
    std::string& bytes = pending[&peer];
    bytes += peer.take();
    for (std::size_t end = 0; (end = bytes.find("\r\n\r\n")) != std::string::npos;) {
      Request request{peer, bytes.substr(0, end + 4), ++waiting};
      bytes.erase(0, end + 4);
      if (first_head.empty()) first_head = request.head;
      // A moment later, so that those of a crowd are here together.
      world.loop.after(1, [this, request]() mutable {
        if (!request.peer.ended()) answer(request);
        --waiting;
      });
    }
  }

  std::map<sim::SimPeer*, std::string> pending;
  std::size_t waiting = 0;
};

}  // namespace

TEST_CASE("a good leaf passes every check, and gets what a root sends") {
  LeafStage stage;
  const std::string out = stage.run();
  INFO(out);
  CHECK(troubles(out).empty());
  CHECK(has(out, "12 passed, 0 failed, 0 warnings\n"));
  CHECK(has(out, "ok    leaf: keeps the connection\n"));
  CHECK(stage.sample == "[]");
  for (const char* line :
       {"GET /search?q=x HTTP/1.1\r\n", "\r\nHost: 10.0.0.1\r\n", "\r\nConsort-Shard: s0\r\n",
        "\r\nConsort-Shards: 20\r\n", "\r\nConsort-Attempt: 1\r\n", "\r\nConsort-Depth: 1\r\n",
        "\r\ngrpc-timeout: 5S\r\n", "\r\nx-envoy-expected-rq-timeout-ms: 5000\r\n",
        "\r\ntraceparent: 00-", "\r\nAccept-Encoding: identity\r\n"}) {
    CHECK(has(stage.first_head, line));
  }
}

TEST_CASE("of a leaf that is not there only the first check is made") {
  LeafStage stage;
  stage.world.network.forget(kLeaf);
  const std::string out = stage.run();
  check_only(out, "FAIL  leaf: answers a request of a root: cannot connect");
  CHECK(has(out, "0 passed, 1 failed, 0 warnings\n"));
}

TEST_CASE("a leaf that answers 404 is told so once") {
  LeafStage stage;
  stage.answer = [](auto& request) {
    request.peer.send(answer_text("{}", "", 404)
                          .substr(0, request.is("HEAD") ? answer_text("{}", "", 404).size() - 2
                                                        : std::string::npos));
  };
  check_only(stage.run(), "FAIL  leaf: answers a request of a root: it answers 404", "--path");
}

TEST_CASE("an answer that is cut off or no HTTP is no answer") {
  LeafStage stage;
  stage.answer = [](auto& request) {
    request.peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}");
    request.peer.close();
  };
  check_only(stage.run(), "FAIL  leaf: answers a request of a root");
  stage.answer = [](auto& request) { request.peer.send("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"); };
  check_only(stage.run(), "FAIL  leaf: answers a request of a root");
  stage.answer = [](auto&) {};
  check_only(stage.run(), "FAIL  leaf: answers a request of a root: no answer in time");
}

TEST_CASE("bytes behind an answer are seen") {
  LeafStage stage;
  stage.answer = [&stage](auto& request) {
    if (!request.is("GET")) return stage.good(request);
    request.peer.send(answer_text("{}") + "\n\n");
  };
  const std::vector<std::string> found = troubles(stage.run());
  REQUIRE(found.size() == 2);
  CHECK(found[0].starts_with("FAIL  leaf: frames its answers: 2 bytes follow the answer"));
  CHECK(found[1].starts_with("FAIL  leaf: keeps the connection: nobody could tell"));
}

TEST_CASE("an answer that only the connection's end ends is a warning") {
  LeafStage stage;
  stage.answer = [&stage](auto& request) {
    if (request.is("HEAD")) return stage.good(request);
    request.peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[]");
    request.peer.close();
  };
  const std::vector<std::string> found = troubles(stage.run());
  REQUIRE(found.size() == 2);
  CHECK(found[0].starts_with("warn  leaf: frames its answers"));
  CHECK(found[1].starts_with("warn  leaf: keeps the connection"));
}

TEST_CASE("chunks are a good framing") {
  LeafStage stage;
  stage.answer = [&stage](auto& request) {
    if (!request.is("GET")) return stage.good(request);
    request.peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n");
  };
  CHECK(troubles(stage.run()).empty());
}

TEST_CASE("what the headers of an answer promise must hold") {
  const auto run = [](const std::string& text) {
    LeafStage stage;
    stage.answer = [&stage, &text](auto& request) {
      request.is("GET") ? request.peer.send(text) : stage.good(request);
    };
    return stage.run();
  };
  check_only(run(answer_text("[1,]")),
             "FAIL  leaf: says what its answers are: Content-Type is "
             "application/json, and");
  check_only(run(answer_text("[]", "Content-Encoding: gzip\r\n")),
             "FAIL  leaf: sends them in identity coding: it sends Content-Encoding: gzip");
  check_only(run(answer_text("[]", "Consort-Weight: many\r\n")),
             "FAIL  leaf: sends well-formed headers: Consort-Weight: \"many\"");
  check_only(run(answer_text("[]", "Consort-Coverage: 9/10\r\n")),
             "FAIL  leaf: sends well-formed headers: Consort-Coverage");
  check_only(run(answer_text("[]", "Server-Timing: search;dur=fast\r\n")),
             "FAIL  leaf: sends well-formed headers: Server-Timing");
  CHECK(has(run(answer_text("[]",
                            "Consort-Weight: 12\r\nServer-Timing: a;dur=1.5, b\r\n"
                            "Consort-Coverage: total=2, ok=1, failed=1\r\n")),
            "well-formed headers (consort-weight, server-timing, consort-coverage)\n"));
}

TEST_CASE("a closed connection is a failure unless the leaf says that it closes") {
  LeafStage stage;
  stage.answer = [&stage](auto& request) {
    stage.good(request);
    request.peer.close();
  };
  check_only(stage.run(), "FAIL  leaf: keeps the connection", "Connection: close");
  stage.answer = [&stage](auto& request) {
    if (!request.is("GET")) return stage.good(request);
    request.peer.send(answer_text("[]", "Connection: close\r\n"));
    request.peer.close();
  };
  check_only(stage.run(), "warn  leaf: keeps the connection: it closes after each answer");
}

TEST_CASE("HEAD and unknown methods get some answer, without a body for HEAD") {
  LeafStage stage;
  const auto unless = [&stage](std::string method, std::function<void(sim::SimPeer&)> then) {
    stage.answer = [&stage, method = std::move(method), then = std::move(then)](auto& request) {
      request.is(method) ? then(request.peer) : stage.good(request);
    };
    return stage.run();
  };
  check_only(unless("HEAD", [](auto&) {}), "FAIL  leaf: answers HEAD: no answer in time");
  check_only(unless("HEAD", [](auto& peer) { peer.send(answer_text("[]")); }),
             "FAIL  leaf: answers HEAD: the answer has a body");
  check_only(unless("CONSORT-CHECK", [](auto&) {}),
             "FAIL  leaf: answers an unknown method: no answer in time");
  check_only(unless("CONSORT-CHECK", [](auto& peer) { peer.close(); }),
             "warn  leaf: answers an unknown method: it closed the connection without an answer");
  CHECK(troubles(unless("CONSORT-CHECK", [](auto& peer) {
          peer.send(answer_text("{}", "", 405));
        })).empty());
}

TEST_CASE("a leaf that works on after its deadline is warned about, one that gives up is not") {
  LeafStage stage;
  stage.answer = [&stage](LeafStage::Request& request) {
    stage.world.loop.after(200, [&stage, request]() mutable { stage.good(request); });
  };
  check_only(stage.run(),
             "warn  leaf: gives up at its deadline: 200 after 201 ms where "
             "grpc-timeout was 100 ms");
  stage.answer = [&stage](LeafStage::Request& request) {
    const bool is_short = has(request.head, "grpc-timeout: 100m");
    stage.world.loop.after(is_short ? 100 : 200, [&stage, request, is_short]() mutable {
      if (is_short) return request.peer.send(answer_text("{}", "", 504));
      stage.good(request);
    });
  };
  const std::string out = stage.run();
  INFO(out);
  CHECK(troubles(out).empty());
  CHECK(has(out, "ok    leaf: gives up at its deadline (504 after 101 ms"));
}

TEST_CASE("a long query may be refused, but not be lost") {
  LeafStage stage;
  const auto with = [&stage](std::function<void(sim::SimPeer&)> then) {
    stage.answer = [&stage, then = std::move(then)](auto& request) {
      request.head.size() > 8192 ? then(request.peer) : stage.good(request);
    };
    return stage.run();
  };
  check_only(with([](auto& peer) { peer.send(answer_text("{}", "", 414)); }),
             "warn  leaf: takes a query of 8 KiB: it answers 414");
  check_only(with([](auto& peer) { peer.send(answer_text("{}", "", 500)); }),
             "FAIL  leaf: takes a query of 8 KiB: it answers 500");
  check_only(with([](auto& peer) { peer.close(); }), "FAIL  leaf: takes a query of 8 KiB");
}

TEST_CASE("a crowd of requests may be turned away, but not be lost") {
  LeafStage stage;
  stage.answer = [&stage](auto& request) {
    request.at_once > 8 ? request.peer.send(answer_text("{}", "", 503)) : stage.good(request);
  };
  check_only(stage.run(), "warn  leaf: takes 20 requests at once: 8 of 20 get their answer");
  stage.answer = [&stage](auto& request) {
    if (request.at_once <= 8) stage.good(request);
  };
  check_only(stage.run(), "FAIL  leaf: takes 20 requests at once: only 8 of 20", "in time");
}

TEST_CASE("a leaf must survive clients that leave") {
  LeafStage stage;
  std::size_t left = 0;
  stage.answer = [&stage, &left](auto& request) {
    if (stage.connections > 35) ++left;
    if (left == 0) stage.good(request);
  };
  check_only(stage.run(), "FAIL  leaf: survives clients that leave: after that: no answer in time");
  stage.connections = 0;
  stage.answer = [&stage](auto& request) {
    stage.connections > 35 ? request.peer.send(answer_text("{}", "", 503)) : stage.good(request);
  };
  check_only(stage.run(), "warn  leaf: survives clients that leave: after that it answers 503");
}

TEST_CASE("text that is not UTF-8, or has no type, is a warning") {
  using Verdict = Finding::Verdict;
  CHECK(judge_content("text/plain", "caf\xe9").verdict == Verdict::warn);
  CHECK(judge_content("text/plain; charset=ISO-8859-1", "caf\xe9").verdict == Verdict::ok);
  CHECK(judge_content("image/png; charset=UTF-8", "\x89PNG").verdict == Verdict::warn);
  CHECK(judge_content("image/png", "\x89PNG").verdict == Verdict::ok);
  CHECK(judge_content("", "x").verdict == Verdict::warn);
  CHECK(judge_content("", "").verdict == Verdict::ok);
  CHECK(judge_content("Application/Problem+JSON; a=b", "{").verdict == Verdict::fail);
  CHECK(judge_content("application/json", "").verdict == Verdict::fail);
}

TEST_CASE("a report replaces what a terminal would obey, and cuts long texts") {
  std::string out;
  CheckReport report([&out](std::string_view lines) { out += lines; });
  report.add("leaf", "answers", Finding::fail("\x1b[2J \xff\r\n" + std::string(1000, 'x')));
  CHECK(out.starts_with("FAIL  leaf: answers: ?[2J ???xxx"));
  CHECK(out.ends_with("x...\n"));
  CHECK(out.size() < 700);
  report.add("leaf", "keeps", Finding::warn("w"));
  report.finish();
  CHECK(out.ends_with("warn  leaf: keeps: w\n0 passed, 1 failed, 1 warning\n"));
  CHECK(report.has_failed());
}

// --- configuration ---------------------------------------------------------------------------

TEST_CASE("what cannot be checked together is refused") {
  const auto problems_of = [](std::function<void(CheckConfig&)> set) {
    CheckConfig config;
    set(config);
    Problems problems;
    config.validate(problems);
    return problems.errors().empty() ? std::string() : problems.errors().front();
  };
  CHECK(has(problems_of([](auto&) {}), "nothing to check"));
  CHECK(problems_of([](auto& c) { c.leaf = "http://a"; }).empty());
  CHECK(problems_of([](auto& c) { c.merge = "jq -s ."; }).empty());
  CHECK(has(problems_of([](auto& c) { c.leaf = "ftp://a"; }), "leaf: "));
  CHECK(has(problems_of([](auto& c) { c.merge = " "; }), "merge: empty"));
  CHECK(has(problems_of([](auto& c) {
              c.merge = "http://a";
              c.coprocess = true;
            }),
            "for commands"));
  CHECK(has(problems_of([](auto& c) { c.replay = "-"; }), "--root"));
  CHECK(has(problems_of([](auto& c) {
              c.replay = "-";
              c.root = "http://a";
              c.leaf = "http://b";
            }),
            "a run of its own"));
  CHECK(has(problems_of([](auto& c) {
              c.leaf = "http://a";
              c.path = "q=x y";
            }),
            "path: "));
}

TEST_CASE("a merge is a route's merge of the carrier that was asked for") {
  CheckConfig config;
  config.merge = "unix:/run/merge.sock";
  CHECK(config.merge_route().merge_url == config.merge);
  config.merge = "./merge.py";
  CHECK(config.merge_route().merge_exec == config.merge);
  config.coprocess = true;
  CHECK(config.merge_route().merge_coprocess == config.merge);
}
