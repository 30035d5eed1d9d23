#include "net/url.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/options.hpp"
#include "wire/http1_text.hpp"

namespace consort::http {
namespace {

/// What servers take at least, as a request line's target (RFC 9112, 3).
constexpr std::size_t kMaxBytes = 8000;

tl::unexpected<Error> wrong(std::string_view text, std::string_view reason) {
  return fail(Errc::invalid, in_quotes(text.substr(0, 200)).append(" ").append(reason));
}

std::uint16_t usual_port(Url::Scheme scheme) {
  return scheme == Url::Scheme::https ? 443 : 80;
}

/// Takes "scheme://" off the front of `rest`.
std::optional<Url::Scheme> take_scheme(std::string_view& rest) {
  const std::size_t end = rest.find("://");
  if (end == rest.npos) return std::nullopt;
  const std::string_view name = rest.substr(0, end);
  std::optional<Url::Scheme> scheme;
  if (http1::equals_ignoring_case(name, "http")) scheme = Url::Scheme::http;
  if (http1::equals_ignoring_case(name, "https")) scheme = Url::Scheme::https;
  if (scheme) rest.remove_prefix(end + 3);
  return scheme;
}

Result<Address> parse_host(std::string_view text, std::string_view authority,
                           std::uint16_t default_port) {
  if (authority.empty() || (authority.starts_with(':') && !authority.starts_with("::")))
    return wrong(text, "has no host");
  const std::size_t host_end = authority.starts_with('[') ? authority.find(']') : 0;
  const bool has_port =
      host_end != authority.npos && authority.find(':', host_end) != authority.npos;
  std::string address(authority);
  if (!has_port) address.append(":").append(std::to_string(default_port));
  Result<Address> parsed = Address::parse(address);
  if (!parsed) return fail(std::move(parsed.error()).in(in_quotes(text)));
  if (parsed->is_unix() || parsed->port == 0) return wrong(text, "has no port between 1 and 65535");
  return parsed;
}

Result<std::string> parse_prefix(std::string_view text, std::string_view path) {
  if (path.empty() || path == "/") return std::string();
  if (!http1::is_target(path) || !http1::percent_decode(path, http1::Plus::keep)) {
    return wrong(text, "has a path that must be written with %XX escapes");
  }
  return std::string(path);
}

std::string shown_host(const Url& url) {
  Address shown = url.address;
  std::string out = shown.to_string();
  if (shown.port == usual_port(url.scheme)) out.resize(out.rfind(':'));
  return out;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  if (text.size() > kMaxBytes) return wrong(text, "is too long");
  Url url;
  if (text.starts_with("unix:")) {
    Result<Address> address = Address::parse(text);
    if (!address) return fail(std::move(address.error()));
    url.scheme = Scheme::unix_socket;
    url.address = std::move(*address);
    url.host_header = "localhost";
    return url;
  }
  std::string_view rest = text;
  const std::optional<Scheme> scheme = take_scheme(rest);
  if (!scheme)
    return wrong(text, "is not a URL (try http://host:8080, https://host or unix:/path)");
  url.scheme = *scheme;
  const std::size_t path_at = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, path_at);
  if (authority.find('@') != authority.npos || rest.find_first_of("?#") != rest.npos) {
    return wrong(text, "may hold host, port and path only: no user information, query or fragment");
  }
  Result<Address> address = parse_host(text, authority, usual_port(*scheme));
  if (!address) return fail(std::move(address.error()));
  url.address = std::move(*address);
  Result<std::string> prefix = parse_prefix(text, rest.substr(path_at));
  if (!prefix) return fail(std::move(prefix.error()));
  url.path_prefix = std::move(*prefix);
  url.host_header = shown_host(url);
  return url;
}

std::string Url::to_string() const {
  if (scheme == Scheme::unix_socket) return address.to_string();
  const char* start = scheme == Scheme::https ? "https://" : "http://";
  return start + shown_host(*this) + path_prefix;
}

std::string Url::server_name() const {
  if (host_header.starts_with('[')) return host_header.substr(1, host_header.find(']') - 1);
  return host_header.substr(0, host_header.find(':'));
}

std::string Url::target(std::string_view path) const {
  if (path_prefix.empty() && path.empty()) return "/";
  std::string_view prefix = path_prefix;
  if (prefix.ends_with('/') && path.starts_with('/')) prefix.remove_suffix(1);
  return std::string(prefix).append(path);
}

}  // namespace consort::http
