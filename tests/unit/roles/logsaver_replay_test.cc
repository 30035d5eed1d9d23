#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "logsaver_sink_world.hpp"
#include "roles/logsaver/deliver/dead_letters.hpp"
#include "roles/logsaver/replay.hpp"

namespace consort::logsaver {
namespace {

using test::Reply;
using test::SinkBench;

const std::string kDead = "/state/dead";
const std::string kHttp = "http://10.0.0.1:80/in";

struct Bench : SinkBench {
  explicit Bench(const std::vector<std::string>& urls) { begin(urls); }

  void begin(const std::vector<std::string>& urls) {
    done.reset();
    scope.emplace();
    replay = std::make_unique<Replay>(
        Replay::World{.loop = world.loop,
                      .disk = disk,
                      .random = world.random,
                      .log = log,
                      .wall_ms = [] { return test::kCreatedMs; }},
        kDead,
        Replay::Settings{.retry_base_ms = 10, .retry_cap_ms = 100, .labels = {{"host", "web-1"}}});
    for (const std::string& text : urls) {
      const Result<SinkUrl> url = SinkUrl::parse(text);
      REQUIRE(url);
      replay->add(make(text), Replay::form_for(url->kind()));
    }
  }
  void refuse(SinkIndex index, const std::string& sink, const std::vector<std::string>& records) {
    DeadLetters letters(disk, kDead);
    for (const std::string& record : records) {
      const Rejection rejection{.record = record, .reason = "400: no"};
      REQUIRE(letters.add(index, sink, test::kCreatedMs, {&rejection, 1}));
    }
  }
  static Task<> into(Replay& replay, std::optional<Result<>>& done) {
    Result<> got = co_await replay.run();
    done.emplace(std::move(got));
  }
  /// "taken refused left", once it has come to its end.
  std::string run() {
    scope->spawn(into(*replay, done));
    world.loop.run_until([this] { return done.has_value(); }, 600'000);
    return counts();
  }
  std::string counts() const {
    if (!done) return "no end";
    if (!*done) return done->error().message();
    const ReplayCounts& counts = replay->counts();
    return std::to_string(counts.taken) + " " + std::to_string(counts.refused) + " " +
           std::to_string(counts.left);
  }
  std::string file(int index) const {
    return disk.read(kDead + "/" + std::to_string(index) + ".ndjson");
  }
  bool has_file(int index) const {
    return disk.exists(kDead + "/" + std::to_string(index) + ".ndjson");
  }

  std::unique_ptr<Replay> replay;
  std::optional<Result<>> done;
  std::optional<TaskScope> scope;
};

TEST_CASE("without dead letters there is nothing to do") {
  Bench bench({kHttp});
  CHECK(bench.run() == "0 0 0");
  CHECK(bench.asked.empty());
}

TEST_CASE("letters are sent as they were, and are gone when they are taken") {
  Bench bench({kHttp});
  bench.refuse(0, kHttp, {R"({"file":"/a","offset":0,"message":"one \" \\ ü"})", R"({"n":2})"});
  CHECK(bench.run() == "2 0 0");
  REQUIRE(bench.asked.size() == 1);
  CHECK(bench.body(0) ==
        "{\"file\":\"/a\",\"offset\":0,\"message\":\"one \\\" \\\\ ü\"}\n"
        "{\"n\":2}\n");
  CHECK_FALSE(bench.has_file(0));
  CHECK_FALSE(bench.disk.exists(kDead + "/0.ndjson.new"));
}

TEST_CASE("what is refused again stays, with the new reason, and the others go") {
  const std::string url = "es+http://10.0.0.1:80/logs";
  Bench bench({url});
  const std::string name = bench.make(url)->name();
  bench.refuse(0, name, {R"({"n":1})", R"({"n":2})", R"({"n":3})"});
  bench.answer = [](const http1::Message&) {
    return Reply{.body = R"({"errors":true,"items":[{"create":{"status":201}},)"
                         R"({"create":{"status":400,"error":{"type":"mapper","reason":"still"}}},)"
                         R"({"create":{"status":201}}]})"};
  };
  CHECK(bench.run() == "2 1 0");
  const std::string left = bench.file(0);
  CHECK(std::count(left.begin(), left.end(), '\n') == 1);
  CHECK(left.find("400 mapper: still") != std::string::npos);
  CHECK(left.find(R"(\"n\":2)") != std::string::npos);
  CHECK_FALSE(bench.disk.exists(kDead + "/0.ndjson.new"));
}

TEST_CASE("what was refused twice goes out under another key") {
  Bench bench({kHttp});
  bench.refuse(0, kHttp, {"one", "two"});
  bench.answer = [](const http1::Message&) { return Reply{.status = 400}; };
  CHECK(bench.run() == "0 2 0");
  bench.answer = [](const http1::Message&) { return Reply{}; };
  const std::size_t asked = bench.asked.size();
  bench.begin({kHttp});
  CHECK(bench.run() == "2 0 0");
  CHECK(bench.body(asked) == "one\ntwo\n");
  CHECK_FALSE(bench.has_file(0));
  // A server may answer a known key with what it has answered before.
  CHECK(bench.header(asked, "idempotency-key") != bench.header(0, "idempotency-key"));
}

TEST_CASE("a destination that is not named keeps its letters") {
  Bench bench({kHttp});
  bench.refuse(0, "http://elsewhere/", {"one"});
  bench.refuse(1, kHttp, {"two"});
  const std::string before = bench.file(0);
  CHECK(bench.run() == "1 0 1");
  CHECK(bench.file(0) == before);
  CHECK_FALSE(bench.has_file(1));
  CHECK(bench.logged("replay.no_such_sink"));
}

TEST_CASE("what is no letter stays as it is") {
  Bench bench({kHttp});
  bench.disk.append(kDead + "/0.ndjson", "{\"sink\":\"x\"}\n{\"torn");
  bench.refuse(1, kHttp, {"two"});
  bench.disk.append(kDead + "/notes.txt", "keep");
  CHECK(bench.run() == "1 0 2");
  CHECK(bench.file(0) == "{\"sink\":\"x\"}\n{\"torn\n");
  CHECK(bench.disk.read(kDead + "/notes.txt") == "keep");
  CHECK(bench.logged("replay.no_letter"));
}

TEST_CASE("a server that is busy is waited for") {
  Bench bench({kHttp});
  bench.refuse(0, kHttp, {"one"});
  int left = 3;
  bench.answer = [&](const http1::Message&) { return Reply{.status = left-- > 0 ? 503 : 200}; };
  CHECK(bench.run() == "1 0 0");
  CHECK(bench.asked.size() == 4);
}

TEST_CASE("a destination that needs a person keeps its letters, and the others get theirs") {
  Bench bench({kHttp, "http://10.0.0.1:80/other"});
  bench.refuse(0, kHttp, {"one", "two"});
  bench.refuse(1, "http://10.0.0.1:80/other", {"three"});
  const std::string before = bench.file(0);
  bench.answer = [](const http1::Message& asked) {
    return Reply{.status = asked.target == "/in" ? 401 : 200};
  };
  CHECK(bench.run() == "1 0 2");
  CHECK(bench.file(0) == before);
  CHECK_FALSE(bench.has_file(1));
}

TEST_CASE("told to stop, it keeps what was not taken") {
  Bench bench({kHttp});
  bench.refuse(0, kHttp, {"one", "two"});
  const std::string before = bench.file(0);
  bench.answer = [](const http1::Message&) { return Reply{.status = 503}; };
  bench.world.loop.after(2'000, [&] { bench.replay->stop(); });
  CHECK(bench.run() == "0 0 2");
  CHECK(bench.replay->is_over());
  CHECK(bench.file(0) == before);
}

TEST_CASE("killed before the end, everything is there and goes out under the same key") {
  Bench bench({kHttp});
  bench.refuse(0, kHttp, {"one", "two"});
  const std::string before = bench.file(0);
  // Taken, but we never hear of it.
  bench.answer = [](const http1::Message&) { return Reply{.status = 503}; };
  bench.scope->spawn(Bench::into(*bench.replay, bench.done));
  bench.world.loop.run_until([&] { return !bench.asked.empty(); });
  bench.scope.reset();
  CHECK(bench.file(0) == before);
  bench.answer = [](const http1::Message&) { return Reply{}; };
  bench.begin({kHttp});
  CHECK(bench.run() == "2 0 0");
  CHECK(bench.header(0, "idempotency-key") ==
        bench.header(bench.asked.size() - 1, "idempotency-key"));
  CHECK_FALSE(bench.has_file(0));
}

TEST_CASE("many letters go in several batches") {
  const std::string url = kHttp + "?batch_bytes=4KiB";
  Bench bench({url});
  std::vector<std::string> records;
  for (int i = 0; i < 100; ++i) records.push_back(std::to_string(i) + std::string(200, 'x'));
  bench.refuse(0, kHttp, records);
  CHECK(bench.run() == "100 0 0");
  CHECK(bench.asked.size() == 5);
  std::string all;
  for (std::size_t i = 0; i < bench.asked.size(); ++i) all += bench.body(i);
  std::string expected;
  for (const std::string& record : records) expected += record + "\n";
  CHECK(all == expected);
}

TEST_CASE("Elasticsearch gets the document as it was, under a name of the letter's own") {
  const std::string url = "es+http://10.0.0.1:80/logs";
  Bench bench({url});
  const std::string name = bench.make(url)->name();
  const std::string document =
      R"({"file":"/a","host":"old","offset":7,"@timestamp":"2024-05-01T12:04:05Z","n":1})";
  bench.refuse(0, name, {document});
  bench.answer = [](const http1::Message&) {
    return Reply{.status = 200, .body = R"({"errors":false,"items":[]})"};
  };
  CHECK(bench.run() == "1 0 0");
  const std::string body = bench.body(0);
  CHECK(body.starts_with(R"({"create":{"_id":"replay-)"));
  CHECK(body.ends_with("\n" + document + "\n"));
}

TEST_CASE("Loki gets the line, with the labels of now") {
  const std::string url = "loki+http://10.0.0.1:80";
  Bench bench({url});
  const std::string name = bench.make(url)->name();
  bench.refuse(0, name, {"one", R"({"two":2})"});
  bench.answer = [](const http1::Message&) { return Reply{.status = 204}; };
  CHECK(bench.run() == "2 0 0");
  const std::string body = bench.body(0);
  CHECK(body.find(R"({"file":"/state/dead/0.ndjson","host":"web-1"})") != std::string::npos);
  CHECK(body.find(R"("one"])") != std::string::npos);
  CHECK(body.find(R"("{\"two\":2}"])") != std::string::npos);
}

TEST_CASE("a disk that refuses leaves the file as it was") {
  Bench bench({kHttp});
  bench.refuse(0, "http://elsewhere/", {"one"});
  const std::string before = bench.file(0);
  bench.disk.set_free(3);
  const std::string end = bench.run();
  CHECK(end.find("/state/dead/0.ndjson.new") != std::string::npos);
  CHECK(bench.file(0) == before);
}

TEST_CASE("a letter is read by its members") {
  const auto letter = read_letter(R"({"time":"t","sink":"a\u00fc","reason":"r","record":"x\ny"})");
  REQUIRE(letter);
  CHECK(letter->sink == "aü");
  CHECK(letter->record == "x\ny");
  for (const std::string_view text : {"", "{}", "[]", R"({"sink":1,"record":"x"})",
                                      R"({"sink":"x","record":"y"} z)", R"("sink")"}) {
    CAPTURE(text);
    CHECK_FALSE(read_letter(text));
  }
}

}  // namespace
}  // namespace consort::logsaver
