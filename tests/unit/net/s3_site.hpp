// What the tests of the S3 client share: a client on the simulated network and a scripted server.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/scope.hpp"
#include "http_fake.hpp"
#include "net/s3_client.hpp"
#include "net/s3_writer.hpp"
#include "sim/world.hpp"

namespace consort::s3::test {

using consort::test::FakeHttp;
using consort::test::head_response;
using consort::test::response;

inline std::string error_body(std::string_view code) {
  return "<Error><Code>" + std::string(code) + "</Code><Message>said so</Message></Error>";
}

inline constexpr std::string_view kNewUpload =
    "<InitiateMultipartUploadResult><UploadId>new</UploadId></InitiateMultipartUploadResult>";
inline constexpr std::string_view kNoUploads = "<ListMultipartUploadsResult/>";
inline constexpr std::string_view kCompleted =
    "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>";

struct Site {
  explicit Site(Settings settings = {.bucket = "logs"}, std::string_view url = "http://10.0.0.1")
      : fake(world.network, "10.0.0.1:80") {
    pool = std::make_unique<http::Pool>(world.loop, world.network, world.dns,
                                        *http::Url::parse(url), http::PoolOptions{});
    const aws::CredentialWorld effects{
        .loop = world.loop,
        .network = world.network,
        .dns = world.dns,
        .files = world.files,
        .tls = nullptr,
        .environment = [](const std::string&) { return std::optional<std::string>(); },
        .wall_ms = clock()};
    world.files.set("/secret", "hush");
    const aws::CredentialSettings keys{
        .access_key_id = "id", .session_token = "tok", .secret_access_key_file = "/secret"};
    credentials = std::make_unique<aws::Credentials>(keys, effects);
    client = std::make_unique<Client>(*pool, *credentials, clock(), std::move(settings));
    writer = std::make_unique<ObjectWriter>(*client, clock());
  }

  aws::WallClock clock() {
    return [this] { return wall_ms; };
  }
  Deadline deadline() { return Deadline::after(world.loop.now_ms(), std::chrono::seconds(5)); }

  template <class T>
  static Task<> wait(std::optional<Result<T>>& into, Task<Result<T>> task) {
    Result<T> result = co_await std::move(task);
    into.emplace(std::move(result));
  }
  template <class T>
  Result<T> run(Task<Result<T>> task) {
    std::optional<Result<T>> result;
    TaskScope scope;
    scope.spawn(wait(result, std::move(task)));
    world.loop.run_for(6000);
    REQUIRE(result);
    return std::move(*result);
  }
  PutOutcome save(Object object) {
    Result<PutOutcome> outcome = run(writer->put_object_once(std::move(object), deadline()));
    REQUIRE(outcome);
    return std::move(*outcome);
  }

  sim::World world;
  std::int64_t wall_ms = 1'440'938'160'000;  // Sun, 30 Aug 2015 12:36:00 GMT
  FakeHttp fake;
  std::unique_ptr<http::Pool> pool;
  std::unique_ptr<aws::Credentials> credentials;
  std::unique_ptr<Client> client;
  std::unique_ptr<ObjectWriter> writer;
};

inline std::string header_of(const http1::Message& request, std::string_view name) {
  return std::string(http1::find_header(request.headers, name));
}

}  // namespace consort::s3::test
