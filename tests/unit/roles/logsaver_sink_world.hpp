// What the tests of sinks share: a simulated world, an HTTP server by script, batches.
//
//   SinkBench bench;
//   bench.answer = [](const http1::Message& asked) { return Reply{503}; };
//   auto sink = bench.make("http://10.0.0.1:80/in");
//   Batch batch = bench.batch(*sink, {"one", "two"});
//   Outcome outcome = bench.deliver(*sink, batch);
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "base/log.hpp"
#include "roles/logsaver/sinks/make_sink.hpp"
#include "roles/logsaver/sinks/sink.hpp"
#include "roles/logsaver/sinks/sink_url.hpp"
#include "roles/logsaver/sinks/sink_world.hpp"
#include "sim/file_system.hpp"
#include "sim/world.hpp"
#include "wire/compressor.hpp"
#include "wire/gzip_reader.hpp"
#include "wire/http1.hpp"

namespace consort::logsaver::test {

inline constexpr std::int64_t kCreatedMs = 1'714'565'045'123;  // 2024-05-01T12:04:05.123Z

inline TailFacts facts_of(std::string file) {
  TailFacts facts;
  facts.id = "4f2a-17";
  facts.file = std::move(file);
  facts.labels = {{"host", "web-1"}};
  facts.json_members = R"("file":")" + facts.file + R"(","host":"web-1")";
  return facts;
}

inline Record record_of(std::string_view text, std::uint64_t offset = 0) {
  Record record;
  record.text = text;
  record.place.offset = offset;
  if (text.starts_with('{')) record.object = text;
  return record;
}

/// A body of these records, as the encoder makes it.
inline std::string encode(Encoding& encoding, const std::vector<Record>& records,
                          const TailFacts& facts) {
  std::string body;
  encoding.begin({.number = 1, .created_ms = kCreatedMs}, body);
  encoding.begin_extent(facts, body);
  for (const Record& record : records) encoding.record(record, facts, body);
  encoding.end_extent(body);
  encoding.end(body);
  return body;
}

struct Reply {
  int status = 200;
  std::string body{};
  http1::Headers headers{};
};

struct SinkBench {
  explicit SinkBench(std::uint64_t seed = 1)
      : world(seed), server(world.network.serve("10.0.0.1:80")) {
    server.on_data = [this](sim::SimPeer& peer) { take(peer); };
  }

  SinkWorld sink_world() {
    return SinkWorld{.loop = world.loop,
                     .network = world.network,
                     .dns = world.dns,
                     .disk = disk,
                     .files = world.files,
                     .random = world.random,
                     .log = log,
                     .tls = [] { return fail(Errc::invalid, "no TLS in this test"); },
                     .wall_ms = [] { return kCreatedMs; },
                     .write_stdout = [this](std::string_view bytes) { return write(bytes); },
                     .host = "web-1"};
  }
  std::unique_ptr<Sink> make(std::string_view url) {
    const Result<SinkUrl> parsed = SinkUrl::parse(url);
    if (!parsed) FAIL(parsed.error().text());
    Result<std::unique_ptr<Sink>> made = make_sink(*parsed, sink_world());
    if (!made) FAIL(made.error().text());
    return std::move(*made);
  }
  /// Text records, each at the offset that it has in a file of these lines.
  static Batch batch(const Sink& sink, const std::vector<std::string>& lines,
                     BatchNumber number = 1) {
    std::vector<Record> records;
    std::uint64_t offset = 0;
    for (const std::string& line : lines) {
      records.push_back(record_of(line, offset));
      offset += line.size() + 1;
    }
    const TailFacts facts = facts_of("/var/log/app.log");
    Batch made;
    made.number = number;
    made.created_ms = kCreatedMs;
    made.id = "4f2a-2-" + std::to_string(number);
    made.file = facts.file;
    made.records = records.size();
    made.coding = sink.traits().coding;
    const std::string plain = encode(*sink.make_encoding(), records, facts);
    made.body_plain_bytes = plain.size();
    make_compressor(made.coding)->add(plain, made.body);
    return made;
  }

  static Task<> run(Sink& sink, const Batch& batch, std::optional<Outcome>& outcome) {
    Outcome got = co_await sink.deliver(batch);
    outcome.emplace(std::move(got));
  }
  /// Until it has an outcome; within ten virtual minutes.
  Outcome deliver(Sink& sink, const Batch& batch) {
    std::optional<Outcome> outcome;
    TaskScope scope;
    scope.spawn(run(sink, batch, outcome));
    world.loop.run_until([&] { return outcome.has_value(); }, 600'000);
    if (!outcome) FAIL("the sink came to no end");
    return std::move(*outcome);
  }
  static Task<> run_open(Sink& sink, std::optional<Result<>>& result) {
    Result<> got = co_await sink.open();
    result.emplace(std::move(got));
  }
  Result<> open(Sink& sink) {
    std::optional<Result<>> result;
    TaskScope scope;
    scope.spawn(run_open(sink, result));
    world.loop.run_until([&] { return result.has_value(); }, 60'000);
    if (!result) FAIL("open() came to no end");
    return std::move(*result);
  }
  /// Of the n-th request, unpacked.
  std::string body(std::size_t n) const {
    const http1::Message& message = asked.at(n);
    if (http1::find_header(message.headers, "content-encoding").empty()) return message.body;
    return gunzip(message.body, 100'000'000).value_or("no gzip");
  }
  std::string header(std::size_t n, std::string_view name) const {
    return std::string(http1::find_header(asked.at(n).headers, name));
  }
  bool logged(std::string_view words) const {
    for (const std::string& line : log.tail(1000)) {
      if (line.find(words) != line.npos) return true;
    }
    return false;
  }

  sim::World world;
  sim::SimFileSystem disk{world.loop};
  Logger log{{.write = [](void*, std::string_view) {},
              .wall_ms = [](void*) { return kCreatedMs; },
              .context = nullptr},
             {}};
  sim::SimServer& server;
  std::vector<http1::Message> asked;
  std::function<Reply(const http1::Message&)> answer = [](const http1::Message&) {
    return Reply{};
  };
  std::string written;  ///< to standard output
  std::size_t stdout_room = ~std::size_t{0};
  bool is_stdout_closed = false;

 private:
  void take(sim::SimPeer& peer) {
    auto& parser = parsers_[&peer];
    if (!parser)
      parser = std::make_unique<http1::RequestParser>(http1::Limits{.body_bytes = 1U << 28});
    const std::string all = peer.take();
    std::string_view bytes = all;
    while (!bytes.empty()) {
      const http1::Step step = parser->parse(bytes);
      if (step.progress == http1::Progress::error) FAIL(parser->error().text());
      if (step.progress == http1::Progress::more) return;
      bytes.remove_prefix(step.used);
      asked.push_back(parser->take());
      const Reply reply = answer(asked.back());
      std::string text;
      const Result<> rendered = http1::append_response(
          text, {.status = reply.status, .headers = &reply.headers, .body = reply.body});
      REQUIRE(rendered);
      peer.send(text);
    }
  }
  Result<std::size_t> write(std::string_view bytes) {
    if (is_stdout_closed) return fail(Errc::closed, "write", EPIPE);
    const std::size_t taken = std::min(stdout_room, bytes.size());
    written += bytes.substr(0, taken);
    stdout_room -= taken;
    return taken;
  }

  std::map<sim::SimPeer*, std::unique_ptr<http1::RequestParser>> parsers_;
};

}  // namespace consort::logsaver::test
