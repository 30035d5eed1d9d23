#include "net/aws_credentials.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/scope.hpp"
#include "http_fake.hpp"
#include "net/aws_credential_sources.hpp"
#include "sim/world.hpp"

namespace consort::aws {
namespace {

using test::FakeHttp;
using test::response;

constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kStart = 1'440'938'160'000;  // 2015-08-30T12:36:00Z

std::string json_keys(std::string_view id, std::string_view until = "2015-08-30T13:36:00Z") {
  return R"({"Code":"Success","AccessKeyId":")" + std::string(id) +
         R"(","SecretAccessKey":"hush","Token":"tok","Expiration":")" + std::string(until) + "\"}";
}

struct Site {
  CredentialWorld effects() {
    return {.loop = world.loop,
            .network = world.network,
            .dns = world.dns,
            .files = world.files,
            .tls = nullptr,
            .environment = [this](const std::string& name) -> std::optional<std::string> {
              auto found = environment.find(name);
              if (found == environment.end()) return std::nullopt;
              return found->second;
            },
            .wall_ms = [this] { return wall_ms; }};
  }
  void make(CredentialSettings settings = {}) {
    credentials = std::make_unique<Credentials>(std::move(settings), effects());
  }
  static Task<> fetch(Site& site, Deadline deadline) {
    Result<std::shared_ptr<const Keys>> keys = co_await site.credentials->get(deadline);
    ++site.answers;
    site.keys = keys ? *keys : nullptr;
    site.error = keys ? "" : keys.error().message();
  }
  /// The id of the keys, or why there are none.
  std::string get() {
    answers = 0;
    scope.spawn(fetch(*this, Deadline::after(world.loop.now_ms(), std::chrono::seconds(5))));
    world.loop.run_for(6000);
    REQUIRE(answers == 1);
    return keys ? keys->access_key_id : error;
  }

  sim::World world;
  std::map<std::string, std::string> environment{{"AWS_EC2_METADATA_DISABLED", "true"}};
  std::int64_t wall_ms = kStart;
  std::unique_ptr<Credentials> credentials;
  std::shared_ptr<const Keys> keys;
  std::string error;
  int answers = 0;
  TaskScope scope;
};

TEST_CASE("the options go before everything else, and files before values") {
  Site site;
  site.environment["AWS_ACCESS_KEY_ID"] = "env";
  site.environment["AWS_SECRET_ACCESS_KEY"] = "x";
  site.make({.access_key_id = "opt", .secret_access_key = "hush", .session_token = "t"});
  CHECK(site.get() == "opt");
  CHECK(site.keys->session_token == "t");
  site.world.files.set("/id", "filed\n");
  site.make({.access_key_id = "opt", .secret_access_key = "hush", .access_key_id_file = "/id"});
  CHECK(site.get() == "filed");
  site.make({.access_key_id = "opt"});
  CHECK(site.get().find("together or not at all") != std::string::npos);
  site.make({.access_key_id = "opt", .secret_access_key_file = "/gone"});
  CHECK(site.get().find("/gone") != std::string::npos);
}

TEST_CASE("keys in files are read again after a server has refused them") {
  Site site;
  site.world.files.set("/id", "one");
  site.world.files.set("/secret", "s1\n");
  site.make({.access_key_id_file = "/id", .secret_access_key_file = "/secret"});
  CHECK(site.get() == "one");
  site.world.files.set("/id", "two");
  CHECK(site.get() == "one");
  site.credentials->refresh();
  CHECK(site.get() == "two");
  // A file that is away for a moment costs nothing: the old keys may still do.
  site.world.files.remove("/id");
  site.credentials->refresh();
  CHECK(site.get() == "two");
  CHECK(site.credentials->last_error().find("/id") != std::string::npos);
  const int reads = site.world.files.reads("/id");
  CHECK(site.get() == "two");
  CHECK(site.world.files.reads("/id") == reads);
  site.world.files.set("/id", "three");
  site.world.loop.run_for(30'000);
  CHECK(site.get() == "three");
  CHECK(site.credentials->last_error().empty());
}

TEST_CASE("the environment's keys need each other") {
  Site site;
  site.environment["AWS_ACCESS_KEY_ID"] = "env";
  site.make();
  CHECK(site.get().find("set both or none") != std::string::npos);
  site.environment["AWS_SECRET_ACCESS_KEY"] = "hush";
  site.environment["AWS_SESSION_TOKEN"] = "t";
  CHECK(site.get() == "env");
  CHECK(site.keys->session_token == "t");
  CHECK(site.keys->expires_at_ms == kNever);
}

TEST_CASE("a pod's identity is changed for keys at STS, and the token is in no URL") {
  Site site;
  FakeHttp sts(site.world.network, "10.0.0.9:80");
  sts.reply = [](const http1::Message&) {
    return response(
        200,
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
        "<AccessKeyId>sts</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>"
        "<SessionToken>tok</SessionToken><Expiration>2015-08-30T13:36:00Z</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
  };
  site.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
  site.environment["AWS_ENDPOINT_URL_STS"] = "http://10.0.0.9";
  site.world.files.set("/token", "jwt.with+signs\n");
  site.make();
  CHECK(site.get().find("AWS_ROLE_ARN is not") != std::string::npos);
  site.environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  CHECK(site.get() == "sts");
  CHECK(site.keys->session_token == "tok");
  CHECK(site.keys->expires_at_ms == kStart + kHour);
  CHECK(sts.log() == "POST /\n");
  CHECK(sts.last().body ==
        "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
        "RoleSessionName=consort&Version=2011-06-15&WebIdentityToken=jwt.with%2Bsigns");
}

TEST_CASE("a refusal of STS names its code and no secret") {
  Site site;
  FakeHttp sts(site.world.network, "10.0.0.9:80");
  sts.reply = [](const http1::Message&) {
    return response(400,
                    "<ErrorResponse><Error><Code>ExpiredTokenException</Code>"
                    "<Message>hush-token is old</Message></Error></ErrorResponse>");
  };
  site.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
  site.environment["AWS_ROLE_ARN"] = "arn";
  site.environment["AWS_ENDPOINT_URL_STS"] = "http://10.0.0.9";
  site.world.files.set("/token", "hush-token");
  site.make();
  const std::string text = site.get();
  CHECK(text.find("status 400 (ExpiredTokenException)") != std::string::npos);
  CHECK(text.find("hush") == std::string::npos);
  // STS itself is behind https.
  site.environment.erase("AWS_ENDPOINT_URL_STS");
  CHECK(site.get().find("https://sts.us-east-1.amazonaws.com: https is not set up") !=
        std::string::npos);
}

TEST_CASE("containers get theirs with the token of a file that may change") {
  Site site;
  FakeHttp agent(site.world.network, "169.254.170.23:80");
  agent.reply = [](const http1::Message& request) {
    if (http1::find_header(request.headers, "authorization") != "secret1") return response(401);
    return response(200, json_keys("pod"));
  };
  site.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials?x";
  site.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/auth";
  site.world.files.set("/auth", "secret0");
  site.make();
  CHECK(site.get().find("status 401") != std::string::npos);
  site.world.files.set("/auth", "secret1\n");
  CHECK(site.get() == "pod");
  CHECK(agent.last().target == "/v1/credentials?x");
  CHECK(site.keys->secret_access_key == "hush");
}

TEST_CASE("keys do not travel in plain http but to this machine") {
  Site site;
  site.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://10.0.0.1/x";
  site.make();
  CHECK(site.get().find("use https") != std::string::npos);
  FakeHttp ecs(site.world.network, "169.254.170.2:80");
  ecs.reply = [](const http1::Message&) { return response(200, json_keys("ecs")); };
  site.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/uuid";
  CHECK(site.get() == "ecs");
  CHECK(ecs.log() == "GET /v2/credentials/uuid\n");
}

TEST_CASE("answers without keys are told without their text") {
  Site site;
  FakeHttp agent(site.world.network, "127.0.0.1:99");
  site.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:99/";
  for (const char* body : {"hush", "[]", "{}", R"({"AccessKeyId":"hush"})",
                           R"({"AccessKeyId":{},"SecretAccessKey":"hush"})"}) {
    agent.reply = [body](const http1::Message&) { return response(200, body); };
    site.make();
    const std::string text = site.get();
    CHECK(text.find("http://127.0.0.1:99") != std::string::npos);
    CHECK(text.find("hush") == std::string::npos);
  }
}

TEST_CASE("the shared file has profiles") {
  Site site;
  site.world.files.set(
      "/home/u/.aws/credentials",
      "# mine\r\n[default]\r\naws_access_key_id = d\r\naws_secret_access_key=s#=;\r\n"
      "[other]\naws_access_key_id=o\naws_secret_access_key = t\n"
      "aws_session_token = u\n[half]\naws_access_key_id = h\n");
  site.environment["HOME"] = "/home/u";
  site.make();
  CHECK(site.get() == "d");
  CHECK(site.keys->secret_access_key == "s#=;");
  site.environment["AWS_PROFILE"] = "other";
  site.make();
  CHECK(site.get() == "o");
  CHECK(site.keys->session_token == "u");
  site.make({.profile = "half"});
  CHECK(site.get().find("the profile half has no") != std::string::npos);
  site.environment["AWS_SHARED_CREDENTIALS_FILE"] = "/gone";
  site.make();
  CHECK(site.get().find("/gone") != std::string::npos);
}

TEST_CASE("an instance's keys come with a token of version 2") {
  Site site;
  FakeHttp imds(site.world.network, "10.0.0.5:1338");
  imds.reply = [](const http1::Message& request) {
    if (request.method == "PUT") {
      const bool has_ttl =
          !http1::find_header(request.headers, "x-aws-ec2-metadata-token-ttl-seconds").empty();
      return response(has_ttl ? 200 : 400, "token==");
    }
    if (http1::find_header(request.headers, "x-aws-ec2-metadata-token") != "token==") {
      return response(401);
    }
    if (request.target.ends_with("/")) return response(200, "my role\n");
    return response(200, json_keys("imds"));
  };
  site.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://10.0.0.5:1338";
  site.environment.erase("AWS_EC2_METADATA_DISABLED");
  site.make();
  CHECK(site.get() == "imds");
  CHECK(imds.log() ==
        "PUT /latest/api/token\nGET /latest/meta-data/iam/security-credentials/\n"
        "GET /latest/meta-data/iam/security-credentials/my%20role\n");
}

TEST_CASE("without any source the error names them all, soon") {
  Site site;
  site.make();
  CHECK(site.get().find("AWS_EC2_METADATA_DISABLED is set") != std::string::npos);
  site.environment.erase("AWS_EC2_METADATA_DISABLED");
  site.world.network.serve("169.254.169.254:80").hang_next(1);
  site.make();
  const std::uint64_t before_ms = site.world.loop.now_ms();
  site.answers = 0;
  site.scope.spawn(Site::fetch(site, Deadline::after(before_ms, std::chrono::seconds(60))));
  site.world.loop.run_for(2000);
  CHECK(site.answers == 1);
  CHECK(site.error.find("AWS_WEB_IDENTITY_TOKEN_FILE") != std::string::npos);
}

TEST_CASE("keys are renewed five minutes before their end, and kept while that fails") {
  Site site;
  FakeHttp agent(site.world.network, "127.0.0.1:99");
  std::string id = "first";
  std::string until = "2015-08-30T13:36:00Z";
  bool is_up = true;
  agent.reply = [&](const http1::Message&) {
    return is_up ? response(200, json_keys(id, until)) : response(500);
  };
  site.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:99/";
  site.make();
  CHECK(site.get() == "first");
  id = "second";
  site.wall_ms = kStart + kHour - Credentials::kEarly.count() - 1;
  CHECK(site.get() == "first");
  CHECK(agent.seen.size() == 1);
  is_up = false;
  ++site.wall_ms;
  CHECK(site.get() == "first");
  CHECK(agent.seen.size() == 2);
  CHECK(site.get() == "first");  // not again within 30 s
  CHECK(agent.seen.size() == 2);
  site.wall_ms = kStart + kHour;
  CHECK(site.get().find("status 500") != std::string::npos);
  is_up = true;
  until = "2015-08-30T14:36:00Z";
  CHECK(site.get() == "second");
}

TEST_CASE("one looks, the others wait for it, also when it is dropped") {
  Site site;
  FakeHttp agent(site.world.network, "127.0.0.1:99");
  agent.reply = [](const http1::Message&) { return response(200, json_keys("shared")); };
  site.world.network.set_conditions({.latency_ms = 10});
  site.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:99/";
  site.make();
  const Deadline deadline = Deadline::after(site.world.loop.now_ms(), std::chrono::seconds(5));
  for (int i = 0; i < 5; ++i) site.scope.spawn(Site::fetch(site, deadline));
  site.world.loop.run_for(200);
  CHECK(site.answers == 5);
  CHECK(agent.seen.size() == 1);

  site.make();
  site.answers = 0;
  TaskScope first;
  first.spawn(Site::fetch(site, deadline));
  site.scope.spawn(Site::fetch(site, deadline));
  site.world.loop.run_for(5);
  first.cancel();
  site.world.loop.run_for(200);
  CHECK(site.answers == 1);
  CHECK(site.keys != nullptr);
}

TEST_CASE("the region is the option's, the environment's, the profile's or us-east-1") {
  Site site;
  CHECK(find_region({}, site.effects()) == "us-east-1");
  site.environment["HOME"] = "/h";
  site.world.files.set("/h/.aws/credentials", "[default]\nregion = r1\n[p]\nregion=r2\n");
  CHECK(find_region({}, site.effects()) == "r1");
  CHECK(find_region({.profile = "p"}, site.effects()) == "r2");
  site.world.files.set("/h/.aws/config", "[default]\nregion = r3\n[profile p]\nregion=r4\n");
  CHECK(find_region({}, site.effects()) == "r3");
  CHECK(find_region({.profile = "p"}, site.effects()) == "r4");
  site.environment["AWS_DEFAULT_REGION"] = "r5";
  CHECK(find_region({}, site.effects()) == "r5");
  site.environment["AWS_REGION"] = "r6";
  CHECK(find_region({}, site.effects()) == "r6");
  CHECK(find_region({.region = "r7"}, site.effects()) == "r7");
}

}  // namespace
}  // namespace consort::aws
