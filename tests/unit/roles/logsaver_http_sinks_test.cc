#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/http_answers.hpp"
#include "roles/logsaver/sinks/http_sinks.hpp"
#include "roles/logsaver/sinks/http_verdict.hpp"

namespace consort::logsaver {
namespace {

using test::Reply;
using test::SinkBench;
using Verdict = Outcome::Verdict;

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::vector<std::string> numbered(int count) {
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) lines.push_back("line " + std::to_string(i) + ";");
  return lines;
}

TEST_CASE("what each status means") {
  using enum HttpVerdict;
  const std::vector<std::pair<int, HttpVerdict>> table = {
      {200, delivered}, {204, delivered}, {299, delivered}, {301, hold},      {304, hold},
      {400, refused},   {401, hold},      {403, hold},      {404, hold},      {405, hold},
      {408, overload},  {409, retry},     {410, hold},      {413, too_large}, {422, refused},
      {429, overload},  {431, hold},      {500, retry},     {501, retry},     {502, retry},
      {503, overload},  {504, overload},  {599, retry},     {600, hold}};
  for (const auto& [status, verdict] : table) {
    CAPTURE(status);
    CHECK(judge_status(status) == verdict);
  }
  for (const auto& [status, verdict] : {std::pair{200, delivered},
                                        {429, overload},
                                        {502, retry},
                                        {503, overload},
                                        {504, overload},
                                        {500, hold},
                                        {501, hold},
                                        {505, hold},
                                        {408, hold},
                                        {400, refused},
                                        {413, too_large}}) {
    CAPTURE(status);
    CHECK(judge_otlp_status(status) == verdict);
  }
  CHECK(judge_failure(Errc::timed_out) == overload);
  CHECK(judge_failure(Errc::refused) == retry);
  CHECK(judge_failure(Errc::closed) == retry);
  CHECK(judge_failure(Errc::denied) == hold);
  CHECK(judge_failure(Errc::invalid) == hold);
}

TEST_CASE("a batch goes out under its name, compressed, with the headers that were asked for") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in/?header=X-A:%20b&query=k%3Dv");
  const Batch batch = SinkBench::batch(*sink, {"one", "two"});
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::delivered);
  REQUIRE(bench.asked.size() == 1);
  CHECK(bench.asked[0].method == "POST");
  CHECK(bench.asked[0].target == "/in/?k=v");
  CHECK(bench.header(0, "idempotency-key") == "4f2a-2-1");
  CHECK(bench.header(0, "content-encoding") == "gzip");
  CHECK(bench.header(0, "content-type") == "application/x-ndjson");
  CHECK(bench.header(0, "x-a") == "b");
  CHECK(bench.header(0, "authorization").empty());
  CHECK(bench.body(0) ==
        R"({"consort.id":"4f2a-17-0","file":"/var/log/app.log","host":"web-1","message":"one"})"
        "\n"
        R"({"consort.id":"4f2a-17-4","file":"/var/log/app.log","host":"web-1","message":"two"})"
        "\n");
}

TEST_CASE("raw bodies by PUT") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in?method=put&encode=raw&compress=none");
  CHECK(bench.deliver(*sink, SinkBench::batch(*sink, {"one", "two"})).verdict ==
        Verdict::delivered);
  CHECK(bench.asked.at(0).method == "PUT");
  CHECK(bench.header(0, "content-type") == "text/plain");
  CHECK(bench.header(0, "content-encoding").empty());
  CHECK(bench.asked[0].body == "one\ntwo\n");
}

TEST_CASE("overload says how long to wait, and others do not") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  bench.answer = [](const auto&) { return Reply{503, "busy", {{"Retry-After", "7"}}}; };
  Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  CHECK(outcome.wait == Millis(7000));
  CHECK(outcome.why == "POST http://10.0.0.1/in: 503 Service Unavailable: \"busy\"");
  bench.answer = [](const auto&) { return Reply{503, "", {{"Retry-After", "99999"}}}; };
  CHECK(bench.deliver(*sink, batch).wait == HttpSender::kWaitMax);
  bench.answer = [](const auto&) { return Reply{500}; };
  outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK_FALSE(outcome.is_overload);
  CHECK(outcome.wait == Millis(0));
  bench.answer = [](const auto&) { return Reply{404}; };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::hold);
  bench.answer = [](const auto&) { return Reply{302, "", {{"Location", "http://b/"}}}; };
  outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::hold);
  CHECK(outcome.why.find("moved to \"http://b/\"") != outcome.why.npos);
  for (const auto& message : bench.asked) CHECK(message.body == bench.asked[0].body);
}

TEST_CASE("who is not there is asked again, who does not answer is overloaded") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in?timeout=2s");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  bench.server.refuse_next(1);
  Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK_FALSE(outcome.is_overload);
  bench.server.on_data = [](sim::SimPeer&) {};
  const std::uint64_t began_ms = bench.world.loop.now_ms();
  outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  CHECK(bench.world.loop.now_ms() - began_ms == 2000);
}

TEST_CASE("400 rejects each record of an http batch, with the server's words") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in?encode=raw");
  bench.answer = [](const auto&) { return Reply{422, "no such field"}; };
  const Outcome outcome = bench.deliver(*sink, SinkBench::batch(*sink, {"one", "two"}));
  CHECK(outcome.verdict == Verdict::delivered);
  REQUIRE(outcome.rejected.size() == 2);
  CHECK(outcome.rejected[0].record == "one");
  CHECK(outcome.rejected[1].record == "two");
  CHECK(outcome.rejected[1].reason.find("422") != std::string::npos);
  CHECK(outcome.rejected[1].reason.find("no such field") != std::string::npos);
  CHECK(bench.asked.size() == 1);
}

TEST_CASE("413 sends in parts until they fit, and rejects what never does") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in?encode=raw");
  std::string taken;
  bench.answer = [&](const http1::Message& message) {
    const std::string body = *gunzip(message.body, 1'000'000);
    if (body.size() > 30) return Reply{413, "too large"};
    taken += body;
    return Reply{};
  };
  std::vector<std::string> lines = numbered(20);
  const std::string huge(40, 'h');
  lines[7] = huge;
  const Outcome outcome = bench.deliver(*sink, SinkBench::batch(*sink, lines));
  CHECK(outcome.verdict == Verdict::delivered);
  REQUIRE(outcome.rejected.size() == 1);
  CHECK(outcome.rejected[0].record == huge);
  std::string expected;
  for (const std::string& line : lines) expected += line == huge ? "" : line + "\n";
  CHECK(taken == expected);
  // Each part has a name of its own, which stays the same.
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < bench.asked.size(); ++i)
    keys.push_back(bench.header(i, "idempotency-key"));
  CHECK(keys[1] == "4f2a-2-1-0-10");
  std::sort(keys.begin(), keys.end());
  CHECK(std::unique(keys.begin(), keys.end()) == keys.end());
}

TEST_CASE("parts that have arrived are not sent again when one of them must wait") {
  SinkBench bench;
  const auto sink = bench.make("http://10.0.0.1/in?encode=raw");
  const Batch batch = SinkBench::batch(*sink, numbered(16));
  std::string taken;
  int busy = 0;
  bench.answer = [&](const http1::Message& message) {
    const std::string body = *gunzip(message.body, 1'000'000);
    if (body.size() > 40) return Reply{413};
    if (!taken.empty() && busy++ == 0) return Reply{503};
    taken += body;
    return Reply{};
  };
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  CHECK(outcome.is_progress);
  CHECK_FALSE(taken.empty());
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  for (const std::string& line : numbered(16)) CHECK(count_of(taken, line) == 1);
}

TEST_CASE("a token is read again when it changes, and after 401") {
  SinkBench bench;
  bench.world.files.set("/token", "one\n");
  const auto sink = bench.make("http://10.0.0.1/in?token_file=/token");
  CHECK(bench.open(*sink));
  const Batch batch = SinkBench::batch(*sink, {"x"});
  std::string valid = "Bearer one";
  bench.answer = [&](const http1::Message& message) {
    const bool fits = http1::find_header(message.headers, "authorization") == valid;
    return Reply{fits ? 200 : 401};
  };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  valid = "Bearer two";
  Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::hold);
  CHECK(bench.asked.size() == 2);
  CHECK(outcome.why.find("one") == outcome.why.npos);
  // The file changes and the watch has not told yet: the 401 makes us look.
  bench.world.files.set("/token", "two");
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.asked.size() == 4);
  bench.world.files.set("/token", "three");
  valid = "Bearer three";
  bench.world.loop.run_for(10'000);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.asked.size() == 5);
}

TEST_CASE("user and password, and files that are no secrets") {
  SinkBench bench;
  bench.world.files.set("/p", "open sesame\r\n");
  auto sink = bench.make("http://10.0.0.1/in?user=Aladdin&password_file=/p");
  const Batch batch = SinkBench::batch(*sink, {"x"});
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.header(0, "authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  sink = bench.make("http://10.0.0.1/in?token_file=/none");
  const Result<> opened = bench.open(*sink);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().text().find("/none") != std::string::npos);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::hold);
  bench.world.files.set("/two", "a\nb");
  sink = bench.make("http://10.0.0.1/in?token_file=/two");
  CHECK(bench.open(*sink).error().text() == "/two must hold one line of text");
  CHECK(bench.asked.size() == 1);
}

std::string item(int status, std::string_view error = "") {
  std::string text = R"({"create":{"status":)" + std::to_string(status);
  if (!error.empty()) text.append(R"(,"error":{"type":"t","reason":")").append(error).append("\"}");
  return text + "}}";
}

TEST_CASE("the items of a _bulk answer are read one by one") {
  const auto answer = [](const std::vector<std::string>& items, std::size_t records) {
    std::string body = R"({"took":3,"errors":true,"items":[)";
    for (std::size_t i = 0; i < items.size(); ++i) body += (i > 0 ? "," : "") + items[i];
    return read_bulk_answer(body + "]}", records);
  };
  HttpReading reading = answer({item(201), item(409, "there"), item(400, "bad")}, 3);
  CHECK_FALSE(reading.is_unfinished);
  REQUIRE(reading.rejected.size() == 1);
  CHECK(reading.rejected[0] == std::pair<std::size_t, std::string>{2, "400 t: bad"});
  reading = answer({item(201), item(429, "busy"), item(400, "bad")}, 3);
  CHECK(reading.is_unfinished);
  CHECK(reading.is_overload);
  CHECK(reading.why == "429 t: busy");
  CHECK(reading.waiting == std::vector<std::size_t>{1});
  reading = answer({item(500)}, 1);
  CHECK(reading.is_unfinished);
  CHECK_FALSE(reading.is_overload);
  CHECK(answer({item(429), item(201)}, 3).is_unfinished);
  CHECK(answer({item(429), item(201)}, 3).waiting.empty());
  CHECK(answer({item(201)}, 2).is_unfinished);
  CHECK(answer({item(201), item(201)}, 1).is_unfinished);
  CHECK(answer({"{}"}, 1).is_unfinished);
  CHECK(read_bulk_answer("", 1).is_unfinished);
  CHECK(read_bulk_answer(R"({"errors":true})", 1).is_unfinished);
  CHECK(read_bulk_answer(R"({"errors":true,"items":7})", 1).is_unfinished);
  CHECK_FALSE(read_bulk_answer(R"({"took":1,"errors":false,"items":[]})", 9).is_unfinished);
}

std::string answer_of(const std::vector<std::string>& items) {
  std::string body = R"({"took":3,"errors":true,"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) body += (i > 0 ? "," : "") + items[i];
  return body + "]}";
}

TEST_CASE("Elasticsearch: rejections by name, busy items again, 409 is success") {
  SinkBench bench;
  const auto sink = bench.make("es+http://10.0.0.1/logs");
  const Batch batch = SinkBench::batch(*sink, {"one", "two", "three"});
  bench.answer = [&](const auto&) {
    if (bench.asked.size() > 1) return Reply{200, answer_of({item(409)})};
    return Reply{200, answer_of({item(201), item(400, "no"), item(429)})};
  };
  Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  CHECK(outcome.is_progress);
  CHECK(outcome.rejected.empty());
  outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::delivered);
  REQUIRE(outcome.rejected.size() == 1);
  CHECK(outcome.rejected[0].reason == "400 t: no");
  CHECK(outcome.rejected[0].record.find(R"("message":"two")") != std::string::npos);
  CHECK(bench.asked[0].target == "/logs/_bulk?filter_path=errors,items.*.status,items.*.error");
  // Only what had to wait, and byte for byte as it was.
  CHECK(bench.body(0).ends_with(bench.body(1)));
  CHECK(count_of(bench.body(1), "\n") == 2);
  CHECK(bench.body(1).find(R"("message":"three")") != std::string::npos);
}

/// Stores what it takes, by its two lines; each item has a share of being told to wait.
struct BusyStore {
  explicit BusyStore(SinkBench& bench, double busy) : bench(bench), busy(busy) {
    bench.answer = [this](const auto&) { return take(this->bench.body(++asked - 1)); };
  }
  Reply take(const std::string& body) {
    if (body.size() > body_bytes_max) return Reply{413};
    std::vector<std::string> items;
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t end = body.find('\n', body.find('\n', at) + 1) + 1;
      const std::string record = body.substr(at, end - at);
      at = end;
      if (bench.world.random.unit() < busy) {
        items.push_back(item(429, "busy"));
      } else if (record.find("bad") != record.npos) {
        items.push_back(item(400, "bad"));
      } else {
        items.push_back(item(stored[record]++ == 0 ? 201 : 409));
      }
    }
    return Reply{200, answer_of(items)};
  }
  /// Until it is all there; how often it was sent.
  int deliver(Sink& sink, const Batch& batch, Outcome& outcome) {
    for (int tries = 1;; ++tries) {
      outcome = bench.deliver(sink, batch);
      if (outcome.verdict == Verdict::delivered) return tries;
      REQUIRE(outcome.verdict == Verdict::retry);
      REQUIRE(tries < 1000);
    }
  }

  SinkBench& bench;
  double busy;
  std::size_t body_bytes_max = 1'000'000;
  std::size_t asked = 0;
  std::map<std::string, int> stored;
};

TEST_CASE("Elasticsearch: a large batch arrives though a tenth of its items must always wait") {
  for (const std::size_t body_bytes_max : {std::size_t{1'000'000}, std::size_t{20'000}}) {
    CAPTURE(body_bytes_max);
    SinkBench bench;
    BusyStore store(bench, 0.1);
    store.body_bytes_max = body_bytes_max;
    const auto sink = bench.make("es+http://10.0.0.1/logs");
    std::vector<std::string> lines = numbered(1000);
    lines[500] = lines[501] = "bad";
    Batch batch = SinkBench::batch(*sink, lines);
    Outcome outcome;
    const int tries = store.deliver(*sink, batch, outcome);
    CHECK(tries < (body_bytes_max < 100'000 ? 100 : 10));
    CHECK(outcome.rejected.size() == 2);
    CHECK(store.stored.size() == 998);
    for (const auto& [record, count] : store.stored) CHECK(count == 1);
    // After a crash nobody knows what has arrived: it knows.
    const auto again = bench.make("es+http://10.0.0.1/logs");
    batch.is_replay = true;
    store.deliver(*again, batch, outcome);
    CHECK(outcome.rejected.size() == 2);
    CHECK(store.stored.size() == 998);
  }
}

TEST_CASE("Elasticsearch: what fails as a whole while some must wait loses nothing of that") {
  SinkBench bench;
  const auto sink = bench.make("es+http://10.0.0.1/logs");
  const Batch batch = SinkBench::batch(*sink, {"one", "two", "three"});
  std::vector<Reply> replies = {{200, answer_of({item(429, "busy"), item(201), item(503, "busy")})},
                                {503, "", {{"Retry-After", "9"}}},
                                {200, R"({"took":1})"},
                                {200, answer_of({item(201), item(500, "shard")})},
                                {200, R"({"errors":false})"}};
  bench.answer = [&](const auto&) { return replies.at(bench.asked.size() - 1); };
  const std::vector<bool> progress = {true, false, false, true};
  for (std::size_t i = 0; i < progress.size(); ++i) {
    CAPTURE(i);
    const Outcome outcome = bench.deliver(*sink, batch);
    CHECK(outcome.verdict == Verdict::retry);
    CHECK(outcome.is_progress == progress[i]);
    CHECK(outcome.wait == Millis(i == 1 ? 9000 : 0));
    CHECK(outcome.is_overload == (i < 2));
  }
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.body(1) == bench.body(2));
  CHECK(bench.body(2) == bench.body(3));
  CHECK(count_of(bench.body(3), "message") == 2);
  CHECK(count_of(bench.body(4), R"("message":"three")") == 1);
  CHECK(count_of(bench.body(4), "message") == 1);
}

TEST_CASE(
    "Elasticsearch: halves at record boundaries, and the one line that makes a 400 is found") {
  SinkBench bench;
  const auto sink = bench.make("es+http://10.0.0.1/?index=logs");
  std::string taken;
  bench.answer = [&](const http1::Message& message) {
    const std::string body = *gunzip(message.body, 1'000'000);
    CHECK(body.starts_with(R"({"create":{"_id":)"));
    if (body.size() > 1500) return Reply{413};
    if (body.find("line 11;") != body.npos) return Reply{400, "malformed"};
    taken += body;
    return Reply{200, R"({"errors":false})"};
  };
  const Outcome outcome = bench.deliver(*sink, SinkBench::batch(*sink, numbered(30)));
  CHECK(outcome.verdict == Verdict::delivered);
  REQUIRE(outcome.rejected.size() == 1);
  CHECK(outcome.rejected[0].record.find("line 11;") != std::string::npos);
  for (const std::string& line : numbered(30))
    CHECK(count_of(taken, line) == (line == "line 11;" ? 0 : 1));
  CHECK(bench.asked[0].target.starts_with("/logs/_bulk?"));
}

TEST_CASE("Loki: tenant, labels, and what is too old gets the batch's time") {
  SinkBench bench;
  const auto sink = bench.make("loki+http://10.0.0.1?tenant=t&label=team=shop&compress=none");
  std::string taken;
  bench.answer = [&](const http1::Message& message) {
    if (message.body.find("line 5;") != std::string::npos &&
        message.body.find(R"(["1714565045123000005","line 5;"])") == std::string::npos) {
      return Reply{400, "entry too far behind"};
    }
    taken += message.body;
    return Reply{204};
  };
  Batch batch = SinkBench::batch(*sink, numbered(12));
  // As if line 5 had a time of its own.
  const std::size_t at = batch.body.find("1714565045123000005");
  batch.body.replace(at, 19, "1014565045123000000");
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(outcome.rejected.empty());
  for (const std::string& line : numbered(12)) CHECK(count_of(taken, "\"" + line + "\"") == 1);
  CHECK(bench.asked[0].target == "/loki/api/v1/push");
  CHECK(bench.header(0, "x-scope-orgid") == "t");
  CHECK(bench.header(0, "content-type") == "application/json");
  CHECK(taken.find(R"("team":"shop")") != taken.npos);
}

TEST_CASE("Loki: late entries may be rejected or dropped instead, other refusals are rejected") {
  for (const std::string late : {"dlq", "drop"}) {
    SinkBench bench;
    const auto sink = bench.make("loki+http://10.0.0.1?late=" + late);
    bench.answer = [](const auto&) {
      return Reply{400, "entry too far behind, total ignored: 3 out of 3"};
    };
    const Outcome outcome = bench.deliver(*sink, SinkBench::batch(*sink, numbered(3)));
    CHECK(outcome.verdict == Verdict::delivered);
    CHECK(outcome.rejected.size() == (late == "dlq" ? 3 : 0));
    CHECK(bench.asked.size() == 1);
    CHECK(bench.logged("sink.dropped") == (late == "drop"));
  }
  SinkBench bench;
  const auto sink = bench.make("loki+http://10.0.0.1");
  bench.answer = [](const auto&) { return Reply{400, "max entry size"}; };
  const Outcome outcome = bench.deliver(*sink, SinkBench::batch(*sink, {"a", "b"}));
  REQUIRE(outcome.rejected.size() == 2);
  CHECK(outcome.rejected[1].record == "b");
}

TEST_CASE("OTLP: partial success is final") {
  SinkBench bench;
  const auto sink = bench.make("otlp+http://10.0.0.1");
  const Batch batch = SinkBench::batch(*sink, {"a", "b"});
  bench.answer = [](const auto&) {
    return Reply{200, R"({"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"why"}})"};
  };
  Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(outcome.rejected.empty());
  CHECK(bench.logged("sink.rejected_unnamed"));
  CHECK(bench.asked[0].target == "/v1/logs");
  bench.answer = [](const auto&) {
    return Reply{200, R"({"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"why"}})"};
  };
  outcome = bench.deliver(*sink, batch);
  REQUIRE(outcome.rejected.size() == 2);
  CHECK(outcome.rejected[0].record == "a");
  CHECK(outcome.rejected[0].reason == "why");
  bench.answer = [](const auto&) { return Reply{400, "bad"}; };
  CHECK(bench.deliver(*sink, batch).rejected.size() == 2);
  bench.answer = [](const auto&) { return Reply{500}; };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::hold);
  bench.answer = [](const auto&) { return Reply{429, "", {{"Retry-After", "3"}}}; };
  outcome = bench.deliver(*sink, batch);
  CHECK(outcome.is_overload);
  CHECK(outcome.wait == Millis(3000));
}

TEST_CASE("Loki's words") {
  CHECK(says_all_ignored("...\ntotal ignored: 2 out of 2", 2));
  CHECK(says_all_ignored("total ignored: 2 out of 2\n", 2));
  CHECK_FALSE(says_all_ignored("total ignored: 2 out of 20", 2));
  CHECK_FALSE(says_all_ignored("total ignored: 1 out of 2", 2));
  CHECK_FALSE(says_all_ignored("total ignored: 2 out of 2", 5));
  CHECK_FALSE(says_too_old("rate limited"));
}

}  // namespace
}  // namespace consort::logsaver
