#include "net/s3_client.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/aws_sigv4.hpp"
#include "s3_site.hpp"

namespace consort::s3 {
namespace {

using test::error_body;
using test::head_response;
using test::header_of;
using test::response;
using test::Site;

constexpr std::string_view kHelloHash =
    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

TEST_CASE("a put is one signed request, with its key encoded once") {
  Site site;
  site.fake.reply = [](const http1::Message&) { return response(200, "", "ETag: \"e\"\r\n"); };
  const PutOptions options{.if_absent = true,
                           .content_type = "application/zstd",
                           .content_encoding = "zstd",
                           .metadata = {{"count", "7"}}};
  const auto answer =
      site.run(site.client->put("a b//./\xC3\xBC%2F", "hello", options, site.deadline()));
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->etag == "e");
  const http1::Message& seen = site.fake.last();
  CHECK(site.fake.log() == "PUT /logs/a%20b//./%C3%BC%252F\n");
  CHECK(seen.body == "hello");
  CHECK(header_of(seen, "host") == "10.0.0.1");
  CHECK(header_of(seen, "if-none-match") == "*");
  CHECK(header_of(seen, "content-type") == "application/zstd");
  CHECK(header_of(seen, "content-encoding") == "zstd");
  CHECK(header_of(seen, "x-amz-meta-count") == "7");
  CHECK(header_of(seen, "x-amz-content-sha256") == kHelloHash);
  CHECK(header_of(seen, "x-amz-date") == "20150830T123600Z");
  CHECK(header_of(seen, "x-amz-security-token") == "tok");
  CHECK(header_of(seen, "authorization")
            .starts_with("AWS4-HMAC-SHA256 Credential=id/20150830/us-east-1/s3/aws4_request, "
                         "SignedHeaders=content-encoding;content-type;host;if-none-match;"
                         "x-amz-content-sha256;x-amz-date;x-amz-meta-count;x-amz-security-token, "
                         "Signature="));
}

TEST_CASE("what a server recomputes from the request is the signature") {
  Site site({.bucket = "logs", .region = "eu-central-1"}, "http://10.0.0.1/s3/");
  site.fake.reply = [](const http1::Message&) {
    return response(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
  };
  REQUIRE(site.run(site.client->list("a/b c", "t+/", site.deadline())));
  const http1::Message& seen = site.fake.last();
  CHECK(seen.target ==
        "/s3/logs?continuation-token=t%2B%2F&encoding-type=url&list-type=2&max-keys=1000&"
        "prefix=a%2Fb%20c");
  http1::Headers headers;
  for (const auto& [name, value] : seen.headers) {
    if (name == "host" || name.starts_with("x-amz-")) headers.emplace_back(name, value);
  }
  const std::size_t question = seen.target.find('?');
  const std::string path = seen.target.substr(0, question);
  const std::string query = seen.target.substr(question + 1);
  const aws::Signable signable{.method = "GET",
                               .path = path,
                               .query = query,
                               .headers = &headers,
                               .payload_hash = aws::kEmptyHash};
  const aws::Scope scope{.time = "20150830T123600Z", .region = "eu-central-1", .service = "s3"};
  const aws::Keys keys{.access_key_id = "id", .secret_access_key = "hush"};
  CHECK(header_of(seen, "authorization") == aws::authorization(keys, scope, signable));
}

TEST_CASE("a bucket stands in the path or before the host") {
  const auto own = find_place("http://10.0.0.1:9000", "b", "r", Style::automatic);
  REQUIRE(own);
  CHECK(own->path_style);
  CHECK(own->url.to_string() == "http://10.0.0.1:9000");
  const auto aws = find_place("", "b", "eu-west-1", Style::automatic);
  REQUIRE(aws);
  CHECK_FALSE(aws->path_style);
  CHECK(aws->url.to_string() == "https://b.s3.eu-west-1.amazonaws.com");
  CHECK(aws->url.host_header == "b.s3.eu-west-1.amazonaws.com");
  CHECK(aws->url.server_name() == "b.s3.eu-west-1.amazonaws.com");
  const auto dotted = find_place("", "b.c", "cn-north-1", Style::automatic);
  REQUIRE(dotted);
  CHECK(dotted->path_style);
  CHECK(dotted->url.to_string() == "https://s3.cn-north-1.amazonaws.com.cn");
  const auto forced = find_place("http://s3.local:80/x", "b", "r", Style::virtual_host);
  REQUIRE(forced);
  CHECK(forced->url.to_string() == "http://b.s3.local/x");
  CHECK_FALSE(find_place("http://10.0.0.1", "b", "r", Style::virtual_host));
  CHECK_FALSE(find_place("ftp://x", "b", "r", Style::automatic));
  CHECK_FALSE(find_place("", "a/b", "r", Style::automatic));
  CHECK_FALSE(find_place("", "b", "evil.example/", Style::automatic));

  Site site({.bucket = "b", .path_style = false}, "http://10.0.0.1");
  site.fake.reply = [](const http1::Message&) { return response(404, error_body("NoSuchKey")); };
  REQUIRE(site.run(site.client->get("/k", site.deadline())));
  CHECK(site.fake.log() == "GET //k\n");
}

TEST_CASE("a refusal has its code and text, and the keys are looked for again") {
  Site site;
  site.fake.reply = [](const http1::Message&) {
    return response(403, error_body("SignatureDoesNotMatch"));
  };
  const auto answer = site.run(site.client->get("k", site.deadline()));
  REQUIRE(answer);
  CHECK(answer->code == "SignatureDoesNotMatch");
  CHECK(answer->message == "said so");
  CHECK(site.world.files.reads("/secret") == 1);
  REQUIRE(site.run(site.client->get("k", site.deadline())));
  CHECK(site.world.files.reads("/secret") == 2);
  CHECK(site.fake.seen.size() == 2);
}

TEST_CASE("a clock that is wrong is put right by the server's, once") {
  for (const bool is_head : {false, true}) {
    CAPTURE(is_head);
    Site site;
    site.fake.reply = [](const http1::Message& request) {
      if (header_of(request, "x-amz-date") == "20150830T143600Z") return head_response(200, 0);
      const std::string_view date = "Date: Sun, 30 Aug 2015 14:36:00 GMT\r\n";
      return request.method == "HEAD" ? head_response(403, 0, date)
                                      : response(403, error_body("RequestTimeTooSkewed"), date);
    };
    const auto answer = site.run(is_head ? site.client->head("k", site.deadline())
                                         : site.client->put("k", "x", {}, site.deadline()));
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(site.fake.seen.size() == 2);
    CHECK(site.client->clock_offset_ms() == 7'200'000);
    // Kept: the next one is right at once.
    REQUIRE(site.run(site.client->put("k", "x", {}, site.deadline())));
    CHECK(site.fake.seen.size() == 3);
  }
}

TEST_CASE("a server that keeps complaining of the time is asked twice and not more") {
  Site site;
  site.fake.reply = [](const http1::Message&) {
    return response(403, error_body("RequestTimeTooSkewed"),
                    "Date: Sun, 30 Aug 2015 14:36:00 GMT\r\n");
  };
  const auto answer = site.run(site.client->get("k", site.deadline()));
  REQUIRE(answer);
  CHECK(judge(answer->status, answer->code) == Verdict::hold_credentials);
  CHECK(site.fake.seen.size() == 2);

  // A plain 403 with a clock that is right is no matter of time.
  Site plain;
  plain.fake.reply = [](const http1::Message&) {
    return head_response(403, 0, "Date: Sun, 30 Aug 2015 12:36:20 GMT\r\n");
  };
  REQUIRE(plain.run(plain.client->head("k", plain.deadline())));
  CHECK(plain.fake.seen.size() == 1);
}

TEST_CASE("an MD5 goes along where it is wanted") {
  Site site({.bucket = "logs", .content_md5 = true});
  site.fake.reply = [](const http1::Message&) { return response(200); };
  REQUIRE(site.run(site.client->put("k", "hello", {}, site.deadline())));
  CHECK(header_of(site.fake.last(), "content-md5") == "XUFAKrxLKna5cZ2REBfFkg==");
  REQUIRE(site.run(site.client->get("k", site.deadline())));
  CHECK(header_of(site.fake.last(), "content-md5").empty());
}

TEST_CASE("completing may fail under status 200") {
  Site site;
  site.fake.reply = [](const http1::Message&) {
    return response(200, " \n  " + error_body("InternalError"));
  };
  const std::vector<std::string> etags{"a"};
  auto answer = site.run(site.client->complete_upload("k", "id", etags, false, site.deadline()));
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->code == "InternalError");
  CHECK(judge(answer->status, answer->code) == Verdict::retry);
  CHECK(site.fake.last().body.find("<PartNumber>1</PartNumber><ETag>a</ETag>") !=
        std::string::npos);
  site.fake.reply = [](const http1::Message&) { return response(200, "<Error/>"); };
  answer = site.run(site.client->complete_upload("k", "id", etags, false, site.deadline()));
  REQUIRE(answer);
  CHECK(judge(answer->status, answer->code) == Verdict::retry);
  // Neither the one nor the other: not to be taken for success.
  site.fake.reply = [](const http1::Message&) { return response(200, "   "); };
  CHECK_FALSE(site.run(site.client->complete_upload("k", "id", etags, false, site.deadline())));
}

TEST_CASE("a part of an object is asked for by its bytes, and only of the same object") {
  Site site;
  site.fake.reply = [](const http1::Message&) {
    return response(206, "llo", "ETag: \"e\"\r\nx-amz-meta-count: 7\r\n");
  };
  const Range range{.first = 2, .last = 4};
  auto answer = site.run(site.client->get_part("a", range, "", site.deadline()));
  REQUIRE(answer);
  CHECK(answer->status == 206);
  CHECK(answer->body == "llo");
  CHECK(answer->etag == "e");
  CHECK(http1::find_header(answer->headers, "x-amz-meta-count") == "7");
  CHECK(header_of(site.fake.last(), "range") == "bytes=2-4");
  CHECK(header_of(site.fake.last(), "if-match").empty());
  answer = site.run(site.client->get_part("a", range, "e", site.deadline()));
  REQUIRE(answer);
  CHECK(header_of(site.fake.last(), "if-match") == "\"e\"");
}

TEST_CASE("a connection that ends without an answer is an error that names the request") {
  Site site;
  site.fake.reply = [](const http1::Message&) { return std::string(); };
  const auto answer = site.run(site.client->put("k", "x", {}, site.deadline()));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code() == Errc::closed);
  CHECK(answer.error().text().starts_with("PUT /logs/k: http://10.0.0.1: "));
}

TEST_CASE("metadata that would write headers of its own is refused") {
  Site site;
  const PutOptions options{.metadata = {{"a", "b\r\nX: y"}}};
  const auto answer = site.run(site.client->put("k", "x", options, site.deadline()));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code() == Errc::invalid);
  CHECK(site.fake.seen.empty());
}

TEST_CASE("a large body is sent as it stands, however the network takes it") {
  Site site;
  site.world.network.set_conditions({.split = true});
  site.fake.reply = [](const http1::Message&) { return response(200); };
  std::string body;
  for (int i = 0; i < 300'000; ++i) body += static_cast<char>(i * 7);
  REQUIRE(site.run(site.client->put("k", body, {}, site.deadline())));
  CHECK(site.fake.last().body == body);
}

TEST_CASE("answers mean what the specification says") {
  const std::pair<std::pair<int, std::string_view>, Verdict> cases[] = {
      {{200, ""}, Verdict::delivered},
      {{204, ""}, Verdict::delivered},
      {{200, "InternalError"}, Verdict::retry},
      {{200, "Unheard"}, Verdict::retry},
      {{200, "AccessDenied"}, Verdict::retry},
      {{412, ""}, Verdict::exists},
      {{412, "PreconditionFailed"}, Verdict::exists},
      {{409, "ConditionalRequestConflict"}, Verdict::retry},
      {{404, "NoSuchBucket"}, Verdict::hold_bucket},
      {{404, "NoSuchKey"}, Verdict::absent},
      {{404, ""}, Verdict::absent},
      {{403, "AccessDenied"}, Verdict::hold_credentials},
      {{403, ""}, Verdict::hold_credentials},
      {{403, "QuotaExceeded"}, Verdict::hold_bucket},
      {{400, "ExpiredToken"}, Verdict::hold_credentials},
      {{400, "AuthorizationHeaderMalformed"}, Verdict::hold_bucket},
      {{400, "RequestTimeout"}, Verdict::retry},
      {{400, "BadDigest"}, Verdict::retry},
      {{400, "EntityTooLarge"}, Verdict::too_large},
      {{400, "InvalidArgument"}, Verdict::hold_request},
      {{413, ""}, Verdict::too_large},
      {{301, "PermanentRedirect"}, Verdict::hold_bucket},
      {{408, ""}, Verdict::retry},
      {{429, ""}, Verdict::retry},
      {{500, ""}, Verdict::retry},
      {{501, "NotImplemented"}, Verdict::unsupported},
      {{501, ""}, Verdict::unsupported},
      {{503, "SlowDown"}, Verdict::retry},
      {{507, ""}, Verdict::retry},
  };
  for (const auto& [answer, verdict] : cases) {
    CAPTURE(answer.first);
    CAPTURE(answer.second);
    CHECK(to_string(judge(answer.first, answer.second)) == to_string(verdict));
  }
}

}  // namespace
}  // namespace consort::s3
