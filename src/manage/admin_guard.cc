#include "manage/admin_guard.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/address.hpp"
#include "base/json_writer.hpp"
#include "io/read_file.hpp"
#include "wire/http1_text.hpp"

namespace consort {

namespace {

/// "[::1]:9853" is "::1", "localhost:9853" is "localhost".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

/// A page of this very server: its Origin is http://HOST (or https behind a proxy).
bool is_own_origin(std::string_view origin, std::string_view host) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) &&
        http1::equals_ignoring_case(origin.substr(scheme.size()), host)) {
      return true;
    }
  }
  return false;
}

}  // namespace

http::Response admin_error(int status, std::string_view code, std::string_view message,
                           std::string_view hint) {
  JsonWriter json;
  json.begin_object().key("error").begin_object();
  json.key("code").value(code).key("message").value(message);
  if (!hint.empty()) json.key("hint").value(hint);
  json.end_object().end_object();
  http::Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = json.take() + "\n";
  return response;
}

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  // The loop runs over what the peer sent, so that its duration says nothing about the secret.
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0 && !secret.empty();
}

const std::string& TokenFile::token() {
  struct stat info{};
  // A pipe would block the admin thread.
  if (::stat(path_.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return forget();
  const Version seen{.device = static_cast<std::int64_t>(info.st_dev),
                     .inode = static_cast<std::int64_t>(info.st_ino),
                     .size = info.st_size,
                     .changed_s = info.st_mtim.tv_sec,
                     .changed_ns = info.st_mtim.tv_nsec};
  if (seen == version_) return token_;
  Result<std::string> text = io::read_file(path_, kMaxBytes);
  // Not remembered: without descriptors the next question may have more luck.
  if (!text) return forget();
  version_ = seen;
  token_ = std::move(*text);
  token_.erase(token_.find_last_not_of(" \t\r\n") + 1);
  return token_;
}

const std::string& TokenFile::forget() {
  version_ = {};
  token_.clear();
  return token_;
}

std::optional<http::Response> AdminGuard::refuse(const http::Request& request) {
  const std::string_view authorization = request.header("authorization");
  if (token_file_.configured() && !authorization.empty()) {
    constexpr std::string_view kBearer = "Bearer ";
    const bool is_bearer =
        authorization.size() > kBearer.size() &&
        http1::equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer);
    if (is_bearer &&
        equal_in_constant_time(authorization.substr(kBearer.size()), token_file_.token())) {
      return std::nullopt;
    }
    http::Response response =
        admin_error(401, "wrong_token", "the bearer token is not the one in --admin-token-file",
                    "send \"Authorization: Bearer TOKEN\" with the content of that file");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"consort\"");
    return response;
  }
  if (!request.peer.is_unix && !request.peer.is_loopback) {
    return admin_error(403, "not_local", "this path answers only to local peers",
                       "ask from inside the pod (consort ctl, loopback), or start with "
                       "--admin-token-file and send a bearer token");
  }
  const std::string_view host = request.header("host");
  // Browsers cannot reach unix sockets, and curl --unix-socket sends whatever name one types.
  if (!request.peer.is_unix && !is_known_host(host)) {
    return admin_error(403, "foreign_host", "the Host header is not a name of this server",
                       "use an IP address or localhost, or allow the name with --admin-host");
  }
  const std::string_view origin = request.header("origin");
  const bool is_cross_site =
      http1::equals_ignoring_case(request.header("sec-fetch-site"), "cross-site") ||
      (!origin.empty() && !is_own_origin(origin, host));
  if (is_cross_site) {
    return admin_error(403, "cross_site", "requests from foreign web pages are refused",
                       "use curl or consort ctl instead of a page in a browser");
  }
  return std::nullopt;
}

bool AdminGuard::is_known_host(std::string_view host_header) const {
  const std::string_view host = without_port(host_header);
  if (host.empty()) return false;
  if (is_ip_literal(host) || http1::equals_ignoring_case(host, "localhost")) return true;
  return std::any_of(hosts_.begin(), hosts_.end(), [host](const std::string& known) {
    return http1::equals_ignoring_case(host, known);
  });
}

}  // namespace consort
