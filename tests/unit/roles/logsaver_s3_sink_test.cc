#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/digest.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/s3_sink.hpp"
#include "unit/net/http_fake.hpp"
#include "wire/zstd.hpp"

namespace consort::logsaver {
namespace {

using consort::test::FakeHttp;
using consort::test::head_response;
using consort::test::response;
using test::SinkBench;
using Verdict = Outcome::Verdict;

constexpr std::string_view kCredentials = "/run/credentials";
constexpr std::string_view kUrl = "s3://logs/web?endpoint=http://10.0.0.2:80";
constexpr std::string_view kStart = "/logs/web/dt%3D2024-05-01/hr%3D12/web-1-var_log_app.log-";

std::string header_of(const http1::Message& request, std::string_view name) {
  return std::string(http1::find_header(request.headers, name));
}

std::string fault(int status, std::string_view code, std::string_view lines = "") {
  return response(status,
                  "<Error><Code>" + std::string(code) + "</Code><Message>said so</Message></Error>",
                  lines);
}

/// A bucket that knows If-None-Match and uploads, and a sink's world with keys in a file.
struct S3Bench : SinkBench {
  struct Stored {
    std::string body;
    std::string sha256;
  };

  S3Bench() {
    set_keys("one", "hush");
    store.reply = [this](const http1::Message& request) {
      if (trouble) {
        if (std::optional<std::string> answer = trouble(request)) return *answer;
      }
      return answer_to(request);
    };
  }

  void set_keys(const std::string& id, const std::string& secret) {
    world.files.set(std::string(kCredentials), "[default]\naws_access_key_id = " + id +
                                                   "\naws_secret_access_key = " + secret + "\n");
  }
  std::unique_ptr<Sink> make(std::string_view url = kUrl) {
    const Result<SinkUrl> parsed = SinkUrl::parse(url);
    if (!parsed) FAIL(parsed.error().text());
    Result<std::unique_ptr<Sink>> made = make_sink(*parsed, s3_world());
    if (!made) FAIL(made.error().text());
    return std::move(*made);
  }
  SinkWorld s3_world() {
    SinkWorld made = sink_world();
    made.environment = [this](const std::string& name) {
      auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    };
    return made;
  }
  static Batch batch(const Sink& sink, const std::vector<std::string>& lines = {"one", "two"}) {
    Batch made = SinkBench::batch(sink, lines);
    made.first_tail = 17;
    return made;
  }
  static Batch replay(Batch batch, bool has_same_settings = true) {
    batch.is_replay = true;
    batch.has_same_settings = has_same_settings;
    return batch;
  }
  std::size_t count(std::string_view method) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        store.seen, [&](const http1::Message& each) { return each.method == method; }));
  }

  FakeHttp store{world.network, "10.0.0.2:80"};
  std::map<std::string, std::string> environment{
      {"AWS_SHARED_CREDENTIALS_FILE", std::string(kCredentials)}};
  std::map<std::string, Stored> objects;
  std::set<std::string> uploads;  ///< ids
  /// Instead of the store's own answer; an empty text ends the connection.
  std::function<std::optional<std::string>(const http1::Message&)> trouble;

 private:
  std::string answer_to(const http1::Message& request) {
    const std::size_t question = std::min(request.target.find('?'), request.target.size());
    const std::string key = request.target.substr(0, question);
    const std::string query = request.target.substr(question);
    if (request.method == "HEAD") return head(key);
    if (query.starts_with("?uploads")) return begin_upload();
    if (query.find("uploads=") != query.npos) return list_uploads();
    if (request.method == "DELETE") {
      uploads.erase(query.substr(query.find("uploadId=") + 9));
      return response(204);
    }
    if (query.starts_with("?partNumber")) {
      parts_ += request.body;
      return response(200, "", "ETag: \"p\"\r\n");
    }
    if (request.method == "GET") {
      return response(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    }
    if (header_of(request, "if-none-match") == "*" && objects.contains(key)) {
      return fault(412, "PreconditionFailed");
    }
    if (request.method == "POST") {
      uploads.erase(query.substr(query.find("uploadId=") + 9));
      objects[key] = {std::exchange(parts_, ""), sum_};
      return response(200,
                      "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
                      "</CompleteMultipartUploadResult>");
    }
    objects[key] = {request.body, header_of(request, "x-amz-meta-sha256")};
    return response(200, "", "ETag: \"e\"\r\n");
  }
  std::string head(const std::string& key) const {
    const auto found = objects.find(key);
    if (found == objects.end()) return head_response(404, 0);
    return head_response(200, found->second.body.size(),
                         "x-amz-meta-sha256: " + found->second.sha256 + "\r\n");
  }
  std::string begin_upload() {
    sum_ = header_of(store.last(), "x-amz-meta-sha256");
    uploads.insert("new");
    return response(200,
                    "<InitiateMultipartUploadResult><UploadId>new</UploadId>"
                    "</InitiateMultipartUploadResult>");
  }
  std::string list_uploads() const {
    std::string text = "<ListMultipartUploadsResult>";
    for (const std::string& id : uploads) {
      text += "<Upload><Key>" + upload_key + "</Key><UploadId>" + id + "</UploadId></Upload>";
    }
    return response(200, text + "</ListMultipartUploadsResult>");
  }

  std::string parts_;
  std::string sum_;

 public:
  std::string upload_key;  ///< that all uploads are said to have
};

TEST_CASE("a batch becomes one object that tells what it is") {
  S3Bench bench;
  const auto sink = bench.make();
  const Batch batch = S3Bench::batch(*sink);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  REQUIRE(bench.store.seen.size() == 1);
  const http1::Message& seen = bench.store.last();
  CHECK(seen.method == "PUT");
  CHECK(seen.target.starts_with(std::string(kStart) + "00000000000000000000-"));
  CHECK(seen.target.ends_with(".ndjson.zst"));
  CHECK(seen.body == batch.body);
  CHECK(header_of(seen, "content-type") == "application/zstd");
  CHECK(header_of(seen, "content-encoding").empty());
  CHECK(header_of(seen, "x-amz-meta-sha256") == io::to_hex(io::sha256(batch.body)));
  CHECK(header_of(seen, "x-amz-meta-consort-batch") == batch.id);
  CHECK(header_of(seen, "x-amz-meta-consort-records") == "2");
  CHECK(header_of(seen, "x-amz-meta-consort-first-tail") == "17");
  CHECK(header_of(seen, "x-amz-meta-consort-first-offset") == "0");
  CHECK(header_of(seen, "x-amz-meta-consort-plain-bytes") ==
        std::to_string(batch.body_plain_bytes));
  CHECK(
      unzstd(seen.body, 1000).value_or("").starts_with(R"({"offset":0,"file":"/var/log/app.log")"));
}

TEST_CASE("form and coding show in name and type") {
  S3Bench bench;
  const auto raw = bench.make(std::string(kUrl) + "&encode=raw&compress=gzip&key={batch}/x");
  CHECK(bench.deliver(*raw, S3Bench::batch(*raw)).verdict == Verdict::delivered);
  CHECK(bench.store.last().target == "/logs/4f2a-2-1/x.log.gz");
  CHECK(header_of(bench.store.last(), "content-type") == "application/gzip");
  const auto plain = bench.make(std::string(kUrl) + "&compress=none&key={batch}.ndjson");
  CHECK(bench.deliver(*plain, S3Bench::batch(*plain)).verdict == Verdict::delivered);
  CHECK(bench.store.last().target == "/logs/4f2a-2-1.ndjson");
  CHECK(header_of(bench.store.last(), "content-type") == "application/x-ndjson");
}

TEST_CASE("a batch whose answer was lost is there once, by the same name") {
  S3Bench bench;
  const auto sink = bench.make();
  const Batch batch = S3Bench::batch(*sink);
  bool is_lost = true;
  bench.trouble = [&](const http1::Message& request) -> std::optional<std::string> {
    if (!is_lost || request.method != "PUT") return std::nullopt;
    bench.objects[request.target] = {request.body, header_of(request, "x-amz-meta-sha256")};
    return "";
  };
  const Outcome first = bench.deliver(*sink, batch);
  CHECK(first.verdict == Verdict::retry);
  CHECK_FALSE(first.is_overload);
  is_lost = false;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.objects.size() == 1);
  CHECK(bench.objects.begin()->second.body == batch.body);
  // After a crash too.
  const auto next = bench.make();
  CHECK(bench.deliver(*next, S3Bench::replay(batch)).verdict == Verdict::delivered);
  CHECK(bench.objects.size() == 1);
}

TEST_CASE("after a change of settings what is there already stays as it is") {
  S3Bench bench;
  const auto before = bench.make();
  const Batch first = S3Bench::batch(*before);
  CHECK(bench.deliver(*before, first).verdict == Verdict::delivered);
  const auto after = bench.make(std::string(kUrl) + "&encode=raw&compress=gzip");
  const Batch again = S3Bench::replay(S3Bench::batch(*after), false);
  CHECK(bench.deliver(*after, again).verdict == Verdict::delivered);
  CHECK(bench.count("PUT") == 1);
  REQUIRE(bench.objects.size() == 1);
  CHECK(bench.objects.begin()->second.body == first.body);
}

TEST_CASE("after a change of settings what is not there is sent, and its upload is given up") {
  S3Bench bench;
  const auto sink = bench.make(std::string(kUrl) + "&encode=raw&compress=gzip&key={batch}");
  bench.uploads = {"old"};
  bench.upload_key = "4f2a-2-1.ndjson.zst";
  const Batch batch = S3Bench::replay(S3Bench::batch(*sink), false);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.count("HEAD") == 6);
  CHECK(bench.uploads.empty());
  CHECK(bench.objects.begin()->first == "/logs/4f2a-2-1.log.gz");
  // Of another batch.
  bench.uploads = {"other"};
  bench.upload_key = "4f2a-2-2.ndjson.zst";
  bench.objects.clear();
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.uploads == std::set<std::string>{"other"});
}

TEST_CASE("a store that cannot tell what is there is asked again later") {
  S3Bench bench;
  const auto sink = bench.make();
  const Batch batch = S3Bench::replay(S3Bench::batch(*sink), false);
  bench.trouble = [](const http1::Message&) { return head_response(503, 0, "Retry-After: 7\r\n"); };
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.wait == Millis(7000));
  CHECK(outcome.is_overload);
  CHECK(outcome.why.starts_with("HEAD s3://logs/web/"));
  CHECK(bench.count("PUT") == 0);
}

TEST_CASE("what does not fit into one request goes in parts, and after a lost end once") {
  S3Bench bench;
  const auto sink = bench.make(std::string(kUrl) + "&compress=none&encode=raw&key={batch}");
  const Batch batch = S3Bench::batch(*sink, std::vector<std::string>(90, std::string(99'999, 'x')));
  REQUIRE(batch.body.size() > s3::ObjectWriter::kPartBytes);
  bool is_dead = true;
  bench.trouble = [&](const http1::Message& request) -> std::optional<std::string> {
    if (is_dead && request.target.find("partNumber=2") != request.target.npos) return "";
    return std::nullopt;
  };
  bench.upload_key = "4f2a-2-1.log";
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
  CHECK(bench.objects.empty());
  CHECK(bench.uploads.size() == 1);
  is_dead = false;
  bench.uploads = {"orphan"};
  const Outcome outcome = bench.deliver(*sink, S3Bench::replay(batch));
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(bench.uploads.empty());
  CHECK(std::ranges::any_of(bench.store.seen, [](const http1::Message& each) {
    return each.method == "DELETE" && each.target.ends_with("uploadId=orphan");
  }));
}

TEST_CASE("answers become outcomes") {
  struct Row {
    std::string answer;
    Verdict verdict;
    bool is_overload;
    Millis wait;
    std::string says;
  };
  const Row rows[] = {
      {fault(503, "SlowDown", "Retry-After: 3\r\n"), Verdict::retry, true, Millis(3000),
       "503 SlowDown (said so)"},
      {fault(503, "SlowDown", "Retry-After: 99999\r\n"), Verdict::retry, true, Millis(600'000), ""},
      {fault(429, "TooManyRequests"), Verdict::retry, true, Millis(0), "429"},
      {fault(500, "InternalError"), Verdict::retry, false, Millis(0), "500 InternalError"},
      {fault(409, "OperationAborted"), Verdict::retry, false, Millis(0), ""},
      {"", Verdict::retry, false, Millis(0), "10.0.0.2"},
      {fault(404, "NoSuchBucket"), Verdict::hold, false, Millis(0), "does the bucket exist"},
      {fault(403, "AccessDenied"), Verdict::hold, false, Millis(0),
       "403 AccessDenied (said so) (the keys are from /run/credentials, profile default"},
      {fault(400, "InvalidArgument"), Verdict::hold, false, Millis(0), "400 InvalidArgument"},
      {fault(413, "EntityTooLarge"), Verdict::hold, false, Millis(0), "a smaller batch_bytes"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.answer);
    S3Bench bench;
    const auto sink = bench.make();
    bench.trouble = [&](const http1::Message&) { return std::optional(row.answer); };
    const Outcome outcome = bench.deliver(*sink, S3Bench::batch(*sink));
    CHECK((outcome.verdict == row.verdict));
    CHECK(outcome.is_overload == row.is_overload);
    CHECK(outcome.wait == row.wait);
    CHECK_MESSAGE(outcome.why.find(row.says) != std::string::npos, outcome.why);
    CHECK(outcome.why.find("hush") == std::string::npos);
  }
}

TEST_CASE("another object under the name is not written over, and somebody is told") {
  S3Bench bench;
  const auto sink = bench.make();
  const Batch batch = S3Bench::batch(*sink);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  bench.objects.begin()->second = {"not ours", "0"};
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::hold);
  CHECK(outcome.why.find("another object has this key") != std::string::npos);
  CHECK(outcome.why.find("until somebody moves that object away") != std::string::npos);
  CHECK(bench.objects.begin()->second.body == "not ours");
}

TEST_CASE("an object that may not be looked at counts as delivered, with one warning") {
  S3Bench bench;
  const auto sink = bench.make();
  bench.trouble = [](const http1::Message& request) {
    return std::optional(request.method == "HEAD" ? head_response(403, 0)
                                                  : fault(412, "PreconditionFailed"));
  };
  for (int i = 0; i < 2; ++i) {
    CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::delivered);
    bench.log.info("between");  // equal lines in a row are one
  }
  const std::vector<std::string> lines = bench.log.tail(100);
  CHECK(std::ranges::count_if(lines, [](const std::string& line) {
          return line.find("s3.unverified") != line.npos;
        }) == 1);
}

TEST_CASE("keys that were replaced are used at once, and others are waited for") {
  S3Bench bench;
  const auto sink = bench.make();
  bench.trouble = [&](const http1::Message& request) -> std::optional<std::string> {
    if (header_of(request, "authorization").find("Credential=two/") != std::string::npos) {
      return std::nullopt;
    }
    return fault(403, "InvalidAccessKeyId");
  };
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::hold);
  CHECK(bench.store.seen.size() == 1);
  bench.set_keys("two", "whisper");
  bench.world.loop.run_for(30'000);
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::delivered);

  // Good so far, then replaced on both sides: within one try.
  bench.set_keys("three", "shout");
  bench.trouble = [&](const http1::Message& request) -> std::optional<std::string> {
    if (header_of(request, "authorization").find("Credential=three/") != std::string::npos) {
      return std::nullopt;
    }
    return fault(403, "InvalidAccessKeyId");
  };
  bench.world.loop.run_for(5'000);
  bench.objects.clear();
  const std::size_t before = bench.store.seen.size();
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::delivered);
  CHECK(bench.store.seen.size() == before + 2);
}

TEST_CASE("keys from the files that the parameters name, read again after a refusal") {
  S3Bench bench;
  bench.world.files.set("/run/id", "file\n");
  bench.world.files.set("/run/secret", "quiet\n");
  bench.world.files.set("/run/session", "s1\n");
  const auto sink = bench.make(std::string(kUrl) +
                               "&access_key_file=/run/id&secret_key_file=/run/secret"
                               "&session_token_file=/run/session");
  bench.trouble = [&](const http1::Message& request) -> std::optional<std::string> {
    const bool is_known =
        header_of(request, "x-amz-security-token") == "s2" &&
        header_of(request, "authorization").find("Credential=file/") != std::string::npos;
    return is_known ? std::nullopt : std::optional(fault(403, "ExpiredToken"));
  };
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::hold);
  bench.world.files.set("/run/session", "s2\n");
  bench.world.files.set("/run/secret", "quieter\n");
  bench.world.loop.run_for(30'000);
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::delivered);
}

TEST_CASE("without keys a batch is held, and sent when there are some") {
  S3Bench bench;
  bench.world.files.set(std::string(kCredentials), "[default]\n");
  const auto sink = bench.make();
  const Batch batch = S3Bench::batch(*sink);
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::hold);
  CHECK(outcome.why.find("has no aws_access_key_id") != std::string::npos);
  CHECK(bench.store.seen.empty());
  bench.set_keys("one", "hush");
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);

  bench.environment = {{"AWS_EC2_METADATA_DISABLED", "true"}};
  const auto none = bench.make();
  const Outcome missing = bench.deliver(*none, batch);
  CHECK(missing.verdict == Verdict::hold);
  CHECK(missing.why.starts_with("there are no AWS credentials"));
}

TEST_CASE("a store that does not answer in time is asked for less") {
  S3Bench bench;
  const auto sink = bench.make(std::string(kUrl) + "&timeout=2s");
  const Batch batch = S3Bench::batch(*sink);
  bench.world.network.set_conditions({.latency_ms = 60'000});
  const std::uint64_t began_ms = bench.world.loop.now_ms();
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  CHECK(bench.world.loop.now_ms() - began_ms <= 2'100);
}

TEST_CASE("the start waits for nothing and tells what is wrong") {
  S3Bench bench;
  const auto fine = bench.make();
  REQUIRE(bench.open(*fine));
  CHECK(bench.store.seen.empty());
  bench.world.loop.run_for(1000);
  CHECK(bench.store.last().target.find("prefix=web%2Fconsort-probe%2F") != std::string::npos);
  CHECK(bench.logged("s3.ready"));
  CHECK_FALSE(bench.logged("s3.unready"));

  bench.trouble = [](const http1::Message&) { return fault(403, "AccessDenied"); };
  const auto blind = bench.make();
  REQUIRE(bench.open(*blind));
  bench.world.loop.run_for(1000);
  CHECK_FALSE(bench.logged("s3.unready"));

  bench.trouble = [](const http1::Message&) { return fault(404, "NoSuchBucket"); };
  const auto wrong = bench.make();
  REQUIRE(bench.open(*wrong));
  bench.world.loop.run_for(1000);
  CHECK(bench.logged("404 NoSuchBucket (said so) (does the bucket exist"));
}

TEST_CASE("a store that is away does not keep the start") {
  S3Bench bench;
  const auto away = bench.make("s3://logs?endpoint=http://10.0.0.9:80");
  REQUIRE(bench.open(*away));
  bench.world.loop.run_for(20'000);
  CHECK(bench.logged("s3.unready"));
  // One that ends while it asks.
  auto leaving = bench.make();
  REQUIRE(bench.open(*leaving));
  leaving.reset();
  bench.world.loop.run_for(1000);
}

TEST_CASE("what can never be is told when the sink is made") {
  S3Bench bench;
  const auto error_of = [&](std::string_view url) {
    const Result<SinkUrl> parsed = SinkUrl::parse(url);
    if (!parsed) return parsed.error().text();
    const auto made = make_sink(*parsed, bench.s3_world());
    return made ? std::string("it is fine") : made.error().text();
  };
  CHECK(error_of("s3://b!d/x").find("\"b!d\" is not a bucket's name") != std::string::npos);
  CHECK(error_of("s3://b?region=a/b").find("is not a region's name") != std::string::npos);
  CHECK(error_of("s3://b?endpoint=ftp://x").find("the S3 endpoint") != std::string::npos);
  CHECK(error_of("s3://b?endpoint=http://x&key={file}").starts_with("s3://b: key: "));
  // https, and STS, which is always behind it.
  CHECK(error_of("s3://b").find("no TLS in this test") != std::string::npos);
  CHECK(error_of("s3://b?endpoint=http://x") == "it is fine");
  bench.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/t";
  CHECK(error_of("s3://b?endpoint=http://x").find("no TLS in this test") != std::string::npos);
}

TEST_CASE("the region is the parameter's, or the environment's") {
  S3Bench bench;
  bench.environment["AWS_REGION"] = "eu-west-1";
  const auto sink = bench.make();
  CHECK(bench.deliver(*sink, S3Bench::batch(*sink)).verdict == Verdict::delivered);
  CHECK(header_of(bench.store.last(), "authorization").find("/eu-west-1/s3/") != std::string::npos);
  const auto other = bench.make(std::string(kUrl) + "&region=eu-north-1");
  CHECK(bench.deliver(*other, S3Bench::batch(*other)).verdict == Verdict::delivered);
  CHECK(header_of(bench.store.seen.back(), "authorization").find("/eu-north-1/s3/") !=
        std::string::npos);
}

}  // namespace
}  // namespace consort::logsaver
