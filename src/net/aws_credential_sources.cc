#include "net/aws_credential_sources.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include "async/try.hpp"
#include "base/address.hpp"
#include "base/document.hpp"
#include "net/http_fetch.hpp"
#include "net/http_pool.hpp"
#include "net/url.hpp"
#include "net/xml_walk.hpp"
#include "wire/http1_text.hpp"

namespace consort::aws::detail {
namespace {

constexpr std::size_t kMaxSecretBytes = 64 * 1024;
constexpr std::size_t kMaxAnswerBytes = 256 * 1024;
/// For the instance metadata service: nothing answers at its address where there is none.
constexpr std::chrono::milliseconds kInstanceTime{2000};
constexpr std::string_view kRelativeHost = "http://169.254.170.2";
constexpr std::string_view kInstanceUrl = "http://169.254.169.254";

/// A URL's origin, and the path and query behind it.
std::pair<std::string, std::string> split_url(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t slash = url.find('/', scheme == url.npos ? 0 : scheme + 3);
  if (slash == url.npos) return {url, "/"};
  return {url.substr(0, slash), url.substr(slash)};
}

/// On a connection of its own: it happens once in an hour.
Task<Result<http::Response>> ask(const CredentialWorld& world, http::Url url,
                                 http::ClientRequest request, Deadline deadline) {
  if (url.scheme == http::Url::Scheme::https && world.tls == nullptr) {
    co_return fail(Errc::invalid, url.to_string() + ": https is not set up here");
  }
  http::PoolOptions options;
  options.connect_timeout = std::chrono::seconds(1);
  options.body_bytes_max = kMaxAnswerBytes;
  options.tls = world.tls;
  request.response_body_bytes_max = kMaxAnswerBytes;
  http::Pool pool(world.loop, world.network, world.dns, std::move(url), options);
  co_return co_await http::fetch(pool, std::move(request), deadline, http::Repeat::allowed);
}

tl::unexpected<Error> refused(const std::string& source, int status, std::string_view why = {}) {
  std::string text = source + " answered with status " + std::to_string(status);
  if (!why.empty()) text.append(" (").append(why.substr(0, 100)).append(")");
  return fail(status >= 500 || status == 429 ? Errc::unavailable : Errc::denied, std::move(text));
}

std::string member(const Node& node, std::string_view key) {
  const Node* found = node.find(key);
  return found != nullptr && found->kind == Node::Kind::scalar ? found->scalar : std::string();
}

/// {"AccessKeyId": .., "SecretAccessKey": .., "Token": .., "Expiration": ..}, of containers and
/// instances.
Found parse_json_keys(const std::string& body, const std::string& source) {
  const Result<Node> node = read_json(body);
  // The reader's error may quote the text.
  if (!node) return fail(Errc::protocol, source + " answered with something that is not JSON");
  Keys keys;
  keys.access_key_id = member(*node, "AccessKeyId");
  keys.secret_access_key = member(*node, "SecretAccessKey");
  keys.session_token = member(*node, "Token");
  keys.expires_at_ms = parse_expiration(member(*node, "Expiration"));
  keys.source = source;
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return fail(Errc::protocol, source + " answered without keys");
  }
  return keys;
}

Found parse_sts_keys(const std::string& body, const std::string& source) {
  constexpr std::string_view kPath =
      "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
  Keys keys;
  keys.source = source;
  const Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (!path.starts_with(kPath)) return;
    path.remove_prefix(kPath.size());
    if (path == "AccessKeyId") keys.access_key_id = text;
    if (path == "SecretAccessKey") keys.secret_access_key = text;
    if (path == "SessionToken") keys.session_token = text;
    if (path == "Expiration") keys.expires_at_ms = parse_expiration(text);
  });
  if (!walked || keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return fail(Errc::protocol, source + " answered without keys");
  }
  return keys;
}

/// "ExpiredTokenException", from <ErrorResponse><Error><Code>.
std::string sts_code(const std::string& body) {
  std::string code;
  const Result<> walked = walk_xml(body, [&](std::string_view path, std::string_view text) {
    if (path == "ErrorResponse/Error/Code" && http1::is_token(text)) code = text;
  });
  return walked ? code : std::string();
}

/// Plain http carries keys: only to this machine and the addresses that AWS keeps for it.
bool is_trusted(const http::Url& url) {
  if (url.scheme != http::Url::Scheme::http) return true;
  constexpr std::array<std::string_view, 5> kHosts = {"localhost", "::1", "169.254.170.2",
                                                      "169.254.170.23", "fd00:ec2::23"};
  const std::string& host = url.address.host;
  return host.starts_with("127.") || std::find(kHosts.begin(), kHosts.end(), host) != kHosts.end();
}

Result<http::Url> service_url(const std::string& text, std::string_view variable_name) {
  Result<http::Url> url = http::Url::parse(text);
  if (!url) return fail(std::move(url.error()).in(variable_name));
  return url;
}

std::string_view strip(std::string_view line) {
  // Only whole lines are comments here: secrets may hold both characters.
  if (line.starts_with('#') || line.starts_with(';')) return {};
  return http1::trim(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
}

/// Calls with each "key", "value" of the section; true when there is one.
template <class Use>
bool read_section(std::string_view text, std::string_view section, const Use& use) {
  bool is_inside = false;
  bool is_there = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = strip(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.starts_with('[') && line.ends_with(']')) {
      is_inside = http1::trim(line.substr(1, line.size() - 2)) == section;
      is_there = is_there || is_inside;
    } else if (const std::size_t equals = line.find('='); is_inside && equals != line.npos) {
      use(http1::trim(line.substr(0, equals)), http1::trim(line.substr(equals + 1)));
    }
  }
  return is_there;
}

/// With the token of version 2, which a request that was forwarded by mistake cannot have got.
Task<Result<std::string>> ask_instance(const CredentialWorld& world, http::Url url,
                                       std::string target, std::string token, Deadline deadline) {
  http::ClientRequest request;
  request.target = std::move(target);
  if (token.empty()) {
    request.method = "PUT";
    request.headers.emplace_back("X-aws-ec2-metadata-token-ttl-seconds", "21600");
  } else {
    request.headers.emplace_back("X-aws-ec2-metadata-token", std::move(token));
  }
  http::Response response = co_await try_(ask(world, std::move(url), std::move(request), deadline));
  if (response.status == 200 && !response.body.empty()) co_return std::move(response.body);
  const std::string source = "the instance metadata service";
  if (response.status == 404) {
    co_return fail(Errc::not_found, source + " knows no role of this instance: attach one");
  }
  co_return refused(source, response.status);
}

Task<Found> ask_instance_keys(const CredentialWorld& world, http::Url url, Deadline deadline) {
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  const std::string none;
  const std::string token =
      co_await try_(ask_instance(world, url, "/latest/api/token", none, deadline));
  std::string role = co_await try_(ask_instance(world, url, path, token, deadline));
  role.resize(std::min(role.find('\n'), role.size()));
  std::string target = path + uri_encode(role, Slash::escape);
  const std::string body =
      co_await try_(ask_instance(world, url, std::move(target), token, deadline));
  co_return parse_json_keys(body, "the instance metadata service");
}

}  // namespace

std::optional<std::string> variable(const CredentialWorld& world, const std::string& name) {
  std::optional<std::string> value = world.environment(name);
  if (value && value->empty()) value.reset();
  return value;
}

Result<std::string> read_secret(const CredentialWorld& world, const std::string& path) {
  Result<std::string> text = world.files.read(path, kMaxSecretBytes);
  if (!text) return text;
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  return text;
}

std::string ini_value(std::string_view text, std::string_view section, std::string_view key) {
  std::string value;
  read_section(text, section, [&](std::string_view name, std::string_view found) {
    if (name == key) value = found;
  });
  return value;
}

bool has_ini_section(std::string_view text, std::string_view section) {
  return read_section(text, section, [](std::string_view, std::string_view) {});
}

Found from_settings(const CredentialSettings& settings, const CredentialWorld& world) {
  Keys keys{.access_key_id = settings.access_key_id,
            .secret_access_key = settings.secret_access_key,
            .session_token = settings.session_token,
            .source = "the options"};
  const std::pair<const std::string&, std::string&> files[] = {
      {settings.access_key_id_file, keys.access_key_id},
      {settings.secret_access_key_file, keys.secret_access_key},
      {settings.session_token_file, keys.session_token}};
  for (const auto& [path, into] : files) {
    if (path.empty()) continue;
    Result<std::string> text = read_secret(world, path);
    if (!text) return fail(std::move(text.error()).in("AWS credentials"));
    into = std::move(*text);
    keys.source = "the files of the options";
  }
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::nullopt;
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) {
    return fail(Errc::invalid,
                "AWS credentials: access key id and secret access key are given together or not "
                "at all");
  }
  return keys;
}

Found from_environment(const CredentialWorld& world) {
  const auto id = variable(world, "AWS_ACCESS_KEY_ID");
  const auto secret = variable(world, "AWS_SECRET_ACCESS_KEY");
  if (!id && !secret) return std::nullopt;
  if (!id || !secret) {
    return fail(Errc::invalid,
                "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set: set both or none");
  }
  return Keys{.access_key_id = *id,
              .secret_access_key = *secret,
              .session_token = variable(world, "AWS_SESSION_TOKEN").value_or(""),
              .source = "AWS_ACCESS_KEY_ID"};
}

Found from_profile(const CredentialSettings& settings, const CredentialWorld& world) {
  const std::optional<std::string> named = variable(world, "AWS_PROFILE");
  const bool is_asked_for = !settings.profile.empty() || named;
  const std::string profile =
      settings.profile.empty() ? named.value_or("default") : settings.profile;
  const std::optional<std::string> given = variable(world, "AWS_SHARED_CREDENTIALS_FILE");
  const std::string path =
      given ? *given : variable(world, "HOME").value_or("") + "/.aws/credentials";
  const Result<std::string> text = read_secret(world, path);
  if (!text) {
    if (!given && !is_asked_for && text.error().code() == Errc::not_found) return std::nullopt;
    return fail(text.error().clone().in("AWS credentials"));
  }
  Keys keys{.access_key_id = ini_value(*text, profile, "aws_access_key_id"),
            .secret_access_key = ini_value(*text, profile, "aws_secret_access_key"),
            .session_token = ini_value(*text, profile, "aws_session_token"),
            .source = path + ", profile " + profile};
  if (!keys.access_key_id.empty() && !keys.secret_access_key.empty()) return keys;
  if (!is_asked_for && !has_ini_section(*text, profile)) return std::nullopt;
  return fail(Errc::invalid, path + ": the profile " + profile +
                                 " has no aws_access_key_id and aws_secret_access_key");
}

Task<Found> from_web_identity(const CredentialWorld& world, const std::string& region,
                              Deadline deadline) {
  const std::optional<std::string> path = variable(world, "AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::optional<std::string> role = variable(world, "AWS_ROLE_ARN");
  if (!path) co_return std::nullopt;
  if (!role) {
    co_return fail(Errc::invalid,
                   "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not: set both");
  }
  const std::string token = co_await try_(read_secret(world, *path));
  const std::string domain = region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com";
  const std::string endpoint =
      variable(world, "AWS_ENDPOINT_URL_STS").value_or("https://sts." + region + domain);
  http::Url url = co_await try_(service_url(endpoint, "AWS_ENDPOINT_URL_STS"));
  const Parameters form{
      {"Action", "AssumeRoleWithWebIdentity"},
      {"Version", "2011-06-15"},
      {"RoleArn", *role},
      {"RoleSessionName", variable(world, "AWS_ROLE_SESSION_NAME").value_or("consort")},
      {"WebIdentityToken", token}};
  http::ClientRequest request;
  // In the body: a URL ends up in logs.
  request.method = "POST";
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  request.body = encode_query(form);
  const std::string source = "STS at " + url.to_string();
  const http::Response response =
      co_await try_(ask(world, std::move(url), std::move(request), deadline));
  if (response.status != 200) co_return refused(source, response.status, sts_code(response.body));
  co_return parse_sts_keys(response.body, source);
}

Task<Found> from_container(const CredentialWorld& world, Deadline deadline) {
  const std::optional<std::string> relative =
      variable(world, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::optional<std::string> full = variable(world, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative && !full) co_return std::nullopt;
  const std::string text = relative ? std::string(kRelativeHost) + *relative : *full;
  const auto parts = split_url(text);
  http::Url url = co_await try_(service_url(parts.first, "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
  if (!is_trusted(url)) {
    co_return fail(Errc::invalid,
                   "AWS_CONTAINER_CREDENTIALS_FULL_URI: http is for this machine "
                   "only; use https for " +
                       url.to_string());
  }
  http::ClientRequest request;
  request.target = parts.second;
  std::string token = variable(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
  if (auto path = variable(world, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    token = co_await try_(read_secret(world, *path));
  }
  if (!http1::is_field_value(token)) {
    co_return fail(Errc::invalid, "the container's authorization token holds a control byte");
  }
  if (!token.empty()) request.headers.emplace_back("Authorization", std::move(token));
  const std::string source = "the container's credentials service at " + url.to_string();
  const http::Response response =
      co_await try_(ask(world, std::move(url), std::move(request), deadline));
  if (response.status != 200) co_return refused(source, response.status);
  co_return parse_json_keys(response.body, source);
}

Task<Found> from_instance(const CredentialWorld& world, Deadline deadline) {
  const std::string disabled = variable(world, "AWS_EC2_METADATA_DISABLED").value_or("");
  if (http1::equals_ignoring_case(disabled, "true")) co_return std::nullopt;
  const std::string text =
      variable(world, "AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or(std::string(kInstanceUrl));
  http::Url url = co_await try_(service_url(text, "AWS_EC2_METADATA_SERVICE_ENDPOINT"));
  const Deadline soon = earlier(deadline, Deadline::after(world.loop.now_ms(), kInstanceTime));
  co_return co_await ask_instance_keys(world, std::move(url), soon);
}

}  // namespace consort::aws::detail
