#include "net/record_source.hpp"

#include <algorithm>

#include "base/address.hpp"

namespace consort {
namespace {

constexpr std::size_t kMaxNameBytes = 253;  // RFC 1035 section 2.3.4, without the root's dot

tl::unexpected<Error> refuse(std::string_view why) {
  return fail(Errc::invalid, std::string(why));
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

/// Moves what follows the first '?' out of the text.
std::string take_parameters(std::string_view& text) {
  const std::size_t question = text.find('?');
  if (question == text.npos) return {};
  std::string parameters(text.substr(question + 1));
  text = text.substr(0, question);
  return parameters;
}

Result<RecordSource> parse_dns(std::string_view rest) {
  RecordSource source;
  source.kind = RecordSource::Kind::dns;
  source.parameters = take_parameters(rest);
  const std::size_t colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == rest.npos;
  if (!has_port) return refuse("the port is missing");
  const Result<Address> address = Address::parse(rest);
  const bool is_usable = address && !address->is_unix() && address->port != 0 &&
                         (is_name(address->host) || is_ip_literal(address->host));
  if (!is_usable) return refuse("it needs a host name and a port from 1 to 65535");
  source.target = address->host;
  source.port = address->port;
  return source;
}

Result<RecordSource> parse_srv(std::string_view rest) {
  RecordSource source;
  source.kind = RecordSource::Kind::srv;
  source.parameters = take_parameters(rest);
  source.target = rest;
  const std::size_t protocol = rest.find("._tcp.");
  const bool has_form = is_name(rest) && rest.starts_with('_') && protocol != rest.npos &&
                        protocol > 1 && protocol + 6 < rest.size();
  if (!has_form) return refuse("the name of an SRV record is _SERVICE._tcp.NAME, no port");
  return source;
}

Result<RecordSource> parse_file(std::string_view rest) {
  RecordSource source;
  source.kind = RecordSource::Kind::file;
  if (const auto path = after(rest, "//"); path) {
    if (!path->starts_with('/')) return refuse("a file lies on this machine: no host");
    rest = *path;
  }
  source.target = rest;
  if (rest.empty() || rest.ends_with('/')) return refuse("the file is missing");
  if (rest.find('\0') != rest.npos) return refuse("a path has no NUL");
  return source;
}

}  // namespace

Result<RecordSource> RecordSource::parse(std::string_view text) {
  for (const std::string_view prefix : {"dns://", "dns:"}) {
    if (const auto rest = after(text, prefix); rest) return parse_dns(*rest);
  }
  for (const std::string_view prefix : {"srv://", "srv:"}) {
    if (const auto rest = after(text, prefix); rest) return parse_srv(*rest);
  }
  if (const auto rest = after(text, "file:"); rest) return parse_file(*rest);
  return refuse("it begins with none of dns://, srv:// and file:");
}

std::string RecordSource::to_string() const {
  std::string text;
  switch (kind) {
    case Kind::dns: {
      Address address;
      address.host = target;
      address.port = port;
      text = "dns://" + address.to_string();
      break;
    }
    case Kind::srv:
      text = "srv://" + target;
      break;
    case Kind::file:
      // A path of two slashes in front would lose them to the form with a host.
      return (target.starts_with("//") ? "file://" : "file:") + target;
  }
  return parameters.empty() ? text : text + "?" + parameters;
}

}  // namespace consort
