#include "roles/shard_proxy/server_source.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/address.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kForms =
    "write dns://NAME:PORT[?weight=N], srv://_SERVICE._tcp.NAME or file:PATH";
constexpr std::string_view kLater[] = {"cluster", "sentinel", "elasticache", "http", "https"};
constexpr std::uint32_t kMaxWeight = 10'000;
constexpr std::size_t kMaxNameBytes = 253;  // RFC 1035 section 2.3.4, without the root's dot

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  std::string message = in_quotes(text) + " is not a source of servers: ";
  message.append(why).append(" (").append(kForms);
  return fail(Errc::invalid, message + ")");
}

/// What follows the prefix, if the text has it.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

bool is_name(std::string_view name) {
  auto is_ours = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), is_ours);
}

Result<ServerSource> parse_dns(std::string_view text, std::string_view rest) {
  ServerSource source;
  source.kind = ServerSource::Kind::dns;
  const std::size_t question = rest.find('?');
  if (question != std::string_view::npos) {
    const auto weight = after(rest.substr(question + 1), "weight=");
    if (!weight) return refuse(text, "after \"?\" only weight=N may stand");
    const char* end = weight->data() + weight->size();
    const auto [stop, error] = std::from_chars(weight->data(), end, source.weight);
    const bool is_number = error == std::errc{} && stop == end;
    if (!is_number || source.weight == 0 || source.weight > kMaxWeight) {
      return refuse(text, "the weight must be a number from 1 to 10000");
    }
    rest = rest.substr(0, question);
  }
  const std::size_t colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == rest.npos;
  if (!has_port) return refuse(text, "the port is missing");
  const Result<Address> address = Address::parse(rest);
  const bool is_usable = address && !address->is_unix() && address->port != 0 &&
                         (is_name(address->host) || is_ip_literal(address->host));
  if (!is_usable) return refuse(text, "it needs a host name and a port from 1 to 65535");
  source.target = address->host;
  source.port = address->port;
  return source;
}

Result<ServerSource> parse_srv(std::string_view text, std::string_view rest) {
  ServerSource source;
  source.kind = ServerSource::Kind::srv;
  source.target = rest;
  const std::size_t protocol = rest.find("._tcp.");
  const bool has_form = is_name(rest) && rest.starts_with('_') && protocol != rest.npos &&
                        protocol > 1 && protocol + 6 < rest.size();
  if (!has_form) return refuse(text, "the name of an SRV record is _SERVICE._tcp.NAME, no port");
  return source;
}

Result<ServerSource> parse_file(std::string_view text, std::string_view rest) {
  ServerSource source;
  source.kind = ServerSource::Kind::file;
  if (const auto path = after(rest, "//"); path) {
    if (!path->starts_with('/')) return refuse(text, "a file lies on this machine: no host");
    rest = *path;
  }
  source.target = rest;
  if (rest.empty() || rest.ends_with('/')) return refuse(text, "the file is missing");
  if (rest.find('\0') != rest.npos) return refuse(text, "a path has no NUL");
  return source;
}

}  // namespace

Result<ServerSource> ServerSource::parse(std::string_view text) {
  if (const auto rest = after(text, "dns://"); rest) return parse_dns(text, *rest);
  if (const auto rest = after(text, "srv://"); rest) return parse_srv(text, *rest);
  if (const auto rest = after(text, "file:"); rest) return parse_file(text, *rest);
  const std::string_view scheme = text.substr(0, std::min(text.find("://"), text.size()));
  if (std::find(std::begin(kLater), std::end(kLater), scheme) != std::end(kLater)) {
    return refuse(text, std::string(scheme) + ":// is not supported yet");
  }
  return refuse(text, "it begins with none of dns://, srv:// and file:");
}

std::string ServerSource::to_string() const {
  switch (kind) {
    case Kind::dns: {
      Address address;
      address.host = target;
      address.port = port;
      std::string text = "dns://" + address.to_string();
      return weight == 1 ? text : text + "?weight=" + std::to_string(weight);
    }
    case Kind::srv:
      return "srv://" + target;
    case Kind::file:
      return "file:" + target;
  }
  return {};
}

}  // namespace consort::shard_proxy
