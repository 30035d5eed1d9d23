// Objects with manifests, from the sink that puts them there to the one who verifies them.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/scope.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/manifest.hpp"
#include "roles/logsaver/sinks/s3_manifest.hpp"
#include "roles/logsaver/verify/destination.hpp"
#include "unit/net/http_fake.hpp"

namespace consort::logsaver {
namespace {

using consort::test::FakeHttp;
using consort::test::head_response;
using consort::test::response;
using test::SinkBench;
using Verdict = Outcome::Verdict;

const std::string kUrl = "s3://logs/web?endpoint=http://10.0.0.2:80";
constexpr std::string_view kMeta = "x-amz-meta-";

/// A bucket that keeps metadata and knows ranges; lists give two keys at a time.
struct BucketBench : SinkBench {
  struct Stored {
    std::string body;
    std::string headers;  ///< the metadata's lines
  };

  BucketBench() {
    world.files.set("/id", "one");
    world.files.set("/secret", "hush");
    store.reply = [this](const http1::Message& request) {
      if (trouble) {
        if (std::optional<std::string> answer = trouble(request)) return *answer;
      }
      return answer_to(request);
    };
  }

  std::unique_ptr<Sink> make_s3(const std::string& more = "") {
    return SinkBench::make(kUrl + "&access_key_file=/id&secret_key_file=/secret" + more);
  }
  /// A batch of that number as a saver gives it to the sink; it becomes the one before the next.
  Batch chained(const Sink& sink, BatchNumber number, std::string body) {
    Batch batch;
    batch.number = number;
    batch.id = "4f2a9c01d3b7e655-0-" + std::to_string(number);
    batch.created_ms = test::kCreatedMs;
    batch.file = "/var/log/a.log";
    batch.first_offset = 10 * number;
    batch.first_tail = 7;
    batch.records = static_cast<std::uint64_t>(std::ranges::count(body, '\n'));
    batch.body = std::move(body);
    Manifest manifest{.batch = batch.id,
                      .prev = prev,
                      .records = batch.records,
                      .bytes = batch.body.size(),
                      .has_line_each = true,
                      .stored = batch.body.size(),
                      .sha256 = hash_of_manifest(batch.body)};
    manifest.sources.push_back({"4f2a9c01d3b7e655-7", batch.file, 10 * number, 10 * number + 10});
    batch.sha256 = to_text(manifest.sha256);
    batch.manifest = write_manifest(manifest, sink.traits().manifest_bytes_max);
    prev = hash_of_manifest(batch.manifest);
    return batch;
  }

  static Task<> run_verify(Destination& destination, Checker& checker, Result<>& opened,
                           bool& is_done) {
    opened = co_await destination.open();
    if (opened) co_await destination.verify(checker);
    is_done = true;
  }
  Report verify(bool reads_bodies = true) {
    auto made = make_destination(kUrl + "&access_key_file=/id&secret_key_file=/secret",
                                 sink_world(), {.reads_bodies = reads_bodies});
    if (!made) FAIL(made.error().text());
    Checker checker({});
    Result<> opened;
    bool is_done = false;
    TaskScope scope;
    scope.spawn(run_verify(**made, checker, opened, is_done));
    world.loop.run_until([&] { return is_done; }, 600'000);
    CHECK(is_done);
    open_error = opened ? "" : opened.error().message();
    return checker.finish();
  }
  std::string lines(bool reads_bodies = true) {
    const Report report = verify(reads_bodies);
    std::string text;
    for (const Problem& problem : report.problems) {
      text += problem.where.substr(problem.where.rfind('-') + 1) + ": " + problem.text + "\n";
    }
    return text + (report.is_complete() ? "complete" : "incomplete");
  }

  FakeHttp store{world.network, "10.0.0.2:80"};
  std::map<std::string, Stored> objects;  ///< by target
  std::function<std::optional<std::string>(const http1::Message&)> trouble;
  ManifestHash prev{};
  std::string open_error;

 private:
  std::string answer_to(const http1::Message& request) {
    const std::size_t question = std::min(request.target.find('?'), request.target.size());
    const std::string key = request.target.substr(0, question);
    if (request.method == "GET" && question < request.target.size()) {
      return list(request.target.substr(question));
    }
    if (request.method == "PUT") {
      Stored stored{.body = request.body, .headers = ""};
      for (const auto& [name, value] : request.headers) {
        if (name.starts_with(kMeta)) stored.headers += name + ": " + value + "\r\n";
      }
      objects[key] = std::move(stored);
      return response(200, "", "ETag: \"e\"\r\n");
    }
    const auto found = objects.find(key);
    if (found == objects.end()) return response(404, "");
    const std::string headers = found->second.headers + "ETag: \"e\"\r\n";
    const std::string& body = found->second.body;
    if (request.method == "HEAD") return head_response(200, body.size(), headers);
    const std::string_view range = http1::find_header(request.headers, "range");
    CHECK(range.starts_with("bytes="));
    const std::size_t first = std::stoul(std::string(range.substr(6)));
    const std::size_t last = std::stoul(std::string(range.substr(range.find('-') + 1)));
    CHECK(first < body.size());
    return response(206, body.substr(first, last - first + 1), headers);
  }
  std::string list(const std::string& query) {
    CHECK(query.find("prefix=web%2F") != query.npos);
    const std::size_t token = query.find("continuation-token=");
    std::size_t at = token == query.npos ? 0 : std::stoul(query.substr(token + 19));
    std::string xml = "<ListBucketResult><EncodingType>url</EncodingType>";
    std::size_t index = 0;
    for (const auto& [key, stored] : objects) {
      if (index++ < at || index > at + 2) continue;
      xml += "<Contents><Key>" + key.substr(6) + "</Key><Size>" +
             std::to_string(stored.body.size()) + "</Size></Contents>";
    }
    const bool has_more = at + 2 < objects.size();
    xml += has_more ? "<IsTruncated>true</IsTruncated><NextContinuationToken>" +
                          std::to_string(at + 2) + "</NextContinuationToken>"
                    : "<IsTruncated>false</IsTruncated>";
    return response(200, xml + "</ListBucketResult>");
  }
};

std::string body_of(int lines) {
  std::string body;
  for (int i = 0; i < lines; ++i) body += "{\"n\":" + std::to_string(i) + "}\n";
  return body;
}

/// Five objects, one of them of several parts, one of them empty.
struct Filled : BucketBench {
  Filled() {
    const auto sink = make_s3("&compress=none");
    for (BatchNumber number = 1; number <= 5; ++number) {
      const int lines = number == 3 ? 0 : number == 4 ? 600'000 : 20;
      const Batch batch = chained(*sink, number, body_of(lines));
      CHECK(deliver(*sink, batch).verdict == Verdict::delivered);
    }
    REQUIRE(objects.size() == 5);
  }
  Stored& object(std::ptrdiff_t n) { return std::next(objects.begin(), n - 1)->second; }
};

TEST_CASE("objects carry their manifests, and who lists and reads them finds all in order") {
  Filled bench;
  CHECK(bench.object(4).body.size() > (4U << 20));
  CHECK(bench.lines() == "complete");
  CHECK(bench.lines(false) == "complete");
}

TEST_CASE("what became of an object is named") {
  Filled bench;
  bench.object(4).body.back() = 'x';
  CHECK(bench.lines().ends_with("its bytes were changed (another SHA-256)\nincomplete"));
  bench.object(4).body.back() = '\n';
  bench.object(2).body.pop_back();
  CHECK(bench.lines().find("bytes instead of") != std::string::npos);
  CHECK(bench.lines(false).find("bytes instead of") != std::string::npos);
  bench.objects.erase(std::next(bench.objects.begin()));
  CHECK(bench.lines().find("batch 2 is missing") != std::string::npos);
}

TEST_CASE("a manifest that cannot be read is a problem, and none at all is somebody else's") {
  Filled bench;
  Filled::Stored& object = bench.object(5);
  const std::string headers = std::exchange(object.headers, "");
  CHECK(bench.verify().foreign == 1);
  CHECK(bench.verify().is_complete());  // nothing says that there was a fifth
  object.headers = headers;
  object.headers.replace(object.headers.find("\"v\":1"), 5, "\"v\":x");
  CHECK(bench.lines().find("a manifest that cannot be read") != std::string::npos);
}

TEST_CASE("a server that is busy is asked again, and one that refuses is told of") {
  Filled bench;
  int busy = 3;
  bench.trouble = [&busy](const http1::Message&) -> std::optional<std::string> {
    if (busy-- > 0) return response(503, "<Error><Code>SlowDown</Code></Error>");
    return std::nullopt;
  };
  CHECK(bench.lines() == "complete");
  bench.trouble = [](const http1::Message& request) -> std::optional<std::string> {
    if (request.target.find('?') != request.target.npos) return std::nullopt;
    return response(403, "<Error><Code>AccessDenied</Code></Error>");
  };
  CHECK(bench.lines().find("the server answers 403 AccessDenied") != std::string::npos);
  bench.trouble = [](const http1::Message&) {
    return response(404, "<Error><Code>NoSuchBucket</Code></Error>");
  };
  const Report report = bench.verify();
  CHECK_FALSE(report.is_complete());
  CHECK(bench.open_error.find("404 NoSuchBucket") != std::string::npos);
}

TEST_CASE("a batch that was saved before its settings changed keeps the manifest that is there") {
  BucketBench bench;
  const auto sink = bench.make_s3("&compress=none");
  const Batch first = bench.chained(*sink, 1, body_of(3));
  CHECK(bench.deliver(*sink, first).verdict == Verdict::delivered);
  CHECK_FALSE(bench.deliver(*sink, first).manifest_there);
  Batch again = bench.chained(*sink, 1, body_of(4));
  again.is_replay = true;
  again.has_same_settings = false;
  const Outcome outcome = bench.deliver(*sink, again);
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(outcome.manifest_there == first.manifest);
  // Of a consort that kept none.
  bench.objects.begin()->second.headers.clear();
  CHECK(bench.deliver(*sink, again).manifest_there == "");
}

TEST_CASE("manifest=off leaves objects without one") {
  BucketBench bench;
  const auto sink = bench.make_s3("&manifest=off");
  CHECK(sink->traits().manifest_bytes_max == 0);
  CHECK(bench.make_s3()->traits().manifest_bytes_max == kObjectManifestBytesMax);
}

TEST_CASE("only what keeps manifests can be verified") {
  CHECK(check_target("s3://logs/web"));
  CHECK(check_target("file:///logs/{file}"));
  CHECK(check_target("/logs"));
  CHECK_FALSE(check_target("loki+http://x"));
  CHECK_FALSE(check_target("s3://"));
  CHECK_FALSE(check_target(""));
}

}  // namespace
}  // namespace consort::logsaver
