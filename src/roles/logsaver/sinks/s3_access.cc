#include "roles/logsaver/sinks/s3_access.hpp"

#include <optional>
#include <utility>

#include "roles/logsaver/sinks/sink_url.hpp"

namespace consort::logsaver {
namespace {

aws::CredentialWorld credential_world(const SinkWorld& world, io::TlsClient* tls) {
  aws::Environment environment = world.environment;
  if (!environment) environment = [](const std::string&) { return std::optional<std::string>(); };
  return {.loop = world.loop,
          .network = world.network,
          .dns = world.dns,
          .files = world.files,
          .tls = tls,
          .environment = std::move(environment),
          .wall_ms = world.wall_ms};
}

/// The store's URL, or where keys may come from.
bool needs_tls(const http::Url& url, const aws::Environment& environment) {
  if (url.scheme == http::Url::Scheme::https) return true;
  if (environment("AWS_WEB_IDENTITY_TOKEN_FILE").value_or("").size() > 0) return true;
  return environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").value_or("").starts_with("https:");
}

http::PoolOptions pool_options(io::TlsClient* tls) {
  http::PoolOptions options;
  options.connect_timeout = S3Access::kConnectTimeout;
  options.tls = tls;
  return options;
}

}  // namespace

S3Place s3_place(const SinkUrl& url) {
  const SinkSettings& set = url.settings();
  S3Place place;
  place.bucket = url.bucket();
  place.endpoint = set.endpoint;
  place.style = set.path_style ? s3::Style::path : s3::Style::automatic;
  place.credentials.access_key_id_file = set.access_key_file;
  place.credentials.secret_access_key_file = set.secret_key_file;
  place.credentials.session_token_file = set.session_token_file;
  place.credentials.profile = set.profile;
  place.credentials.region = set.region;
  return place;
}

Result<std::unique_ptr<S3Access>> S3Access::create(const SinkWorld& world, S3Place place) {
  const aws::CredentialWorld without_tls = credential_world(world, nullptr);
  place.credentials.region = aws::find_region(place.credentials, without_tls);
  Result<s3::Place> found =
      s3::find_place(place.endpoint, place.bucket, place.credentials.region, place.style);
  if (!found) return fail(std::move(found.error()));
  const bool is_tls = needs_tls(found->url, without_tls.environment);
  Result<io::TlsClient*> tls = is_tls ? world.tls() : Result<io::TlsClient*>(nullptr);
  if (!tls) return fail(std::move(tls.error()));
  return std::unique_ptr<S3Access>(  // tidy:allow private constructor
      new S3Access(world, std::move(place), std::move(*found), *tls));
}

S3Access::S3Access(const SinkWorld& world, S3Place place, s3::Place found, io::TlsClient* tls)
    : place_(std::move(place)),
      credentials_(place_.credentials, credential_world(world, tls)),
      pool_(world.loop, world.network, world.dns, std::move(found.url), pool_options(tls)),
      client_(pool_, credentials_, world.wall_ms,
              {.bucket = place_.bucket,
               .region = place_.credentials.region,
               .path_style = found.path_style}) {}

}  // namespace consort::logsaver
