#include "net/s3_writer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

#include "io/digest.hpp"
#include "s3_site.hpp"

namespace consort::s3 {
namespace {

using test::error_body;
using test::head_response;
using test::header_of;
using test::kCompleted;
using test::kNewUpload;
using test::kNoUploads;
using test::response;
using test::Site;

using Condition = ObjectWriter::Condition;

constexpr std::string_view kHelloHash =
    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

std::string sum_line(std::string_view sum) {
  return "x-amz-meta-sha256: " + std::string(sum) + "\r\n";
}

TEST_CASE("a small object is one conditional put that carries its sum") {
  Site site;
  site.fake.reply = [](const http1::Message&) { return response(200); };
  const PutOutcome outcome = site.save({.key = "k", .body = "hello", .metadata = {{"n", "1"}}});
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK_FALSE(outcome.existed);
  CHECK(site.fake.log() == "PUT /logs/k\n");
  CHECK(header_of(site.fake.last(), "if-none-match") == "*");
  CHECK(header_of(site.fake.last(), "x-amz-meta-sha256") == kHelloHash);
  CHECK(header_of(site.fake.last(), "x-amz-meta-n") == "1");
}

TEST_CASE("what is there already is delivered when it is the same") {
  Site site;
  site.fake.reply = [](const http1::Message& request) {
    if (request.method == "HEAD") return head_response(200, 5, sum_line(kHelloHash));
    return response(412, error_body("PreconditionFailed"));
  };
  const PutOutcome outcome = site.save({.key = "k", .body = "hello"});
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(outcome.existed);
  CHECK(outcome.verified);
  CHECK(site.writer->condition() == Condition::supported);
  CHECK(site.fake.log() == "PUT /logs/k\nHEAD /logs/k\n");
}

TEST_CASE("another object under the key is a conflict that tells what may have happened") {
  for (const auto& [size, sum] :
       {std::pair<std::size_t, std::string>{6, std::string(kHelloHash)}, {5, "other"}}) {
    Site site;
    site.fake.reply = [&, length = size, line = sum_line(sum)](const http1::Message& request) {
      return request.method == "HEAD" ? head_response(200, length, line) : response(412);
    };
    const PutOutcome outcome = site.save({.key = "k", .body = "hello"});
    CHECK(outcome.verdict == Verdict::conflict);
    CHECK(outcome.text.starts_with("s3://logs/k: another object has this key"));
  }
}

TEST_CASE("what exists and cannot be compared is trusted, and said to be unverified") {
  for (const std::string& head : {head_response(403, 0), head_response(200, 5)}) {
    Site site;
    site.fake.reply = [&](const http1::Message& request) {
      return request.method == "HEAD" ? head : response(412);
    };
    const PutOutcome outcome = site.save({.key = "k", .body = "hello"});
    CHECK(outcome.verdict == Verdict::delivered);
    CHECK(outcome.existed);
    CHECK_FALSE(outcome.verified);
  }
}

TEST_CASE("an object that has gone between two looks is tried again") {
  Site site;
  site.fake.reply = [](const http1::Message& request) {
    return request.method == "HEAD" ? head_response(404, 0) : response(412);
  };
  CHECK(site.save({.key = "k", .body = "hello"}).verdict == Verdict::retry);
}

TEST_CASE("a server that knows no condition is asked for it once") {
  Site site;
  site.fake.reply = [](const http1::Message& request) {
    return header_of(request, "if-none-match").empty()
               ? response(200)
               : response(501, error_body("NotImplemented"));
  };
  CHECK(site.save({.key = "k", .body = "hello"}).verdict == Verdict::delivered);
  CHECK(site.writer->condition() == Condition::unsupported);
  CHECK(site.fake.seen.size() == 2);
  CHECK(site.save({.key = "l", .body = "hello"}).verdict == Verdict::delivered);
  CHECK(site.fake.seen.size() == 3);
}

TEST_CASE("refusals are told with their request, code and text") {
  Site site;
  site.fake.reply = [](const http1::Message&) {
    return response(503, error_body("SlowDown"), "Retry-After: 7\r\n");
  };
  PutOutcome outcome = site.save({.key = "k", .body = "hello"});
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.status == 503);
  CHECK(outcome.text == "PUT s3://logs/k: 503 SlowDown (said so)");
  CHECK(outcome.retry_after.value_or(std::chrono::seconds(0)) == std::chrono::seconds(7));
  site.fake.reply = [](const http1::Message&) {
    return response(409, error_body("ConditionalRequestConflict"));
  };
  CHECK(site.save({.key = "k", .body = "hello"}).verdict == Verdict::retry);
  site.fake.reply = [](const http1::Message&) { return response(404, error_body("NoSuchBucket")); };
  CHECK(site.save({.key = "k", .body = "hello"}).verdict == Verdict::hold_bucket);
  site.fake.reply = [](const http1::Message&) { return std::string(); };
  const auto lost =
      site.run(site.writer->put_object_once(Object{.key = "k", .body = "hello"}, site.deadline()));
  CHECK_FALSE(lost);
}

/// A server that keeps one upload at a time, for objects of several parts.
struct Parts {
  explicit Parts(Site& site) {
    site.fake.reply = [this](const http1::Message& request) { return answer(request); };
  }
  std::string answer(const http1::Message& request) {
    const std::string_view target = request.target;
    if (request.method == "HEAD") return stored.empty() ? head_response(404, 0) : stored;
    if (request.method == "DELETE") return response(204);
    if (request.method == "GET") return response(200, uploads);
    if (target.ends_with("?uploads=")) return response(200, kNewUpload);
    if (request.method == "PUT") {
      bytes += request.body;
      return response(part_status, part_status == 200 ? "" : error_body("SlowDown"),
                      "ETag: \"p" + std::to_string(++parts) + "\"\r\n");
    }
    const bool is_conditional = !header_of(request, "if-none-match").empty();
    return response(is_conditional ? complete_status : 200,
                    is_conditional ? complete_body : std::string(kCompleted));
  }

  std::string stored;
  std::string uploads = std::string(kNoUploads);
  std::string bytes;
  int parts = 0;
  int part_status = 200;
  int complete_status = 200;
  std::string complete_body = std::string(kCompleted);
};

std::string large() {
  std::string body(ObjectWriter::kPartBytes + 3, 'a');
  body.back() = 'z';
  return body;
}

TEST_CASE("a large object goes in parts, and is completed under the condition") {
  Site site;
  Parts server(site);
  const std::string body = large();
  const PutOutcome outcome = site.save({.key = "k", .body = body, .content_type = "a/b"});
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK_FALSE(outcome.existed);
  CHECK(server.bytes == body);
  CHECK(site.fake.log() ==
        "HEAD /logs/k\n"
        "GET /logs?encoding-type=url&max-uploads=1000&prefix=k&uploads=\n"
        "POST /logs/k?uploads=\n"
        "PUT /logs/k?partNumber=1&uploadId=new\n"
        "PUT /logs/k?partNumber=2&uploadId=new\n"
        "POST /logs/k?uploadId=new\n");
  CHECK(header_of(site.fake.seen[2], "content-type") == "a/b");
  CHECK(header_of(site.fake.seen[2], "x-amz-meta-sha256") == io::to_hex(io::sha256(body)));
  CHECK(site.fake.last().body.find("<PartNumber>2</PartNumber><ETag>p2</ETag>") !=
        std::string::npos);
}

TEST_CASE("a large object that is there already costs one look") {
  Site site;
  Parts server(site);
  const std::string body = large();
  server.stored = head_response(200, body.size(), sum_line(io::to_hex(io::sha256(body))));
  const PutOutcome outcome = site.save({.key = "k", .body = body});
  CHECK(outcome.verdict == Verdict::delivered);
  CHECK(outcome.existed);
  CHECK(outcome.verified);
  CHECK(site.fake.log() == "HEAD /logs/k\n");
}

TEST_CASE("uploads of exactly this key that others left are aborted first") {
  Site site;
  Parts server(site);
  server.uploads =
      "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>o1</UploadId></Upload>"
      "<Upload><Key>k</Key><UploadId>o2</UploadId></Upload>"
      "<Upload><Key>k2</Key><UploadId>o3</UploadId></Upload></ListMultipartUploadsResult>";
  const std::string body = large();
  CHECK(site.save({.key = "k", .body = body}).verdict == Verdict::delivered);
  CHECK(site.fake.log().find("DELETE /logs/k?uploadId=o1\nDELETE /logs/k?uploadId=o2\nPOST") !=
        std::string::npos);
  CHECK(site.fake.log().find("o3") == std::string::npos);
}

TEST_CASE("a part that is refused ends the upload") {
  Site site;
  Parts server(site);
  server.part_status = 503;
  const std::string body = large();
  const PutOutcome outcome = site.save({.key = "k", .body = body});
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.text == "PUT s3://logs/k: 503 SlowDown (said so)");
  CHECK(site.fake.log().ends_with("DELETE /logs/k?uploadId=new\n"));
}

TEST_CASE("completing without the condition where it is not known") {
  Site site;
  Parts server(site);
  server.complete_status = 501;
  server.complete_body = error_body("NotImplemented");
  const std::string body = large();
  CHECK(site.save({.key = "k", .body = body}).verdict == Verdict::delivered);
  CHECK(site.writer->condition() == Condition::unsupported);
}

TEST_CASE("a completed upload that is not known any more is decided by what is stored") {
  const std::string body = large();
  const std::string there = head_response(200, body.size(), sum_line(io::to_hex(io::sha256(body))));
  for (const bool is_there : {true, false}) {
    Site site;
    Parts server(site);
    server.complete_status = 404;
    server.complete_body = error_body("NoSuchUpload");
    int heads = 0;
    site.fake.reply = [&](const http1::Message& request) {
      if (request.method == "HEAD" && ++heads == 2 && is_there) return there;
      return server.answer(request);
    };
    const PutOutcome outcome = site.save({.key = "k", .body = body});
    CHECK((outcome.verdict == Verdict::delivered) == is_there);
    CHECK((outcome.verdict == Verdict::retry) == !is_there);
  }
}

TEST_CASE("an error under status 200 is no success") {
  Site site;
  Parts server(site);
  server.complete_body = "\n\n" + error_body("InternalError");
  const std::string body = large();
  const PutOutcome outcome = site.save({.key = "k", .body = body});
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.text == "POST s3://logs/k: 200 InternalError (said so)");
}

}  // namespace
}  // namespace consort::s3
