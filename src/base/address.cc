#include "base/address.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/options.hpp"

namespace consort {
namespace {

// A path keeps its closing NUL within sun_path; an abstract name has its NUL in front.
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kMaxHost = 253;  // RFC 1035 2.3.4, as text without the root's dot
constexpr std::size_t kMaxZone = 15;   // IFNAMSIZ without its NUL
constexpr std::uint32_t kMaxMode = 0777;

constexpr std::string_view kBlanks = " \t";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '.';
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

tl::unexpected<Error> wrong(std::string_view text, std::string_view reason) {
  return fail(Errc::invalid, in_quotes(text).append(" ").append(reason));
}

/// inet_pton wants a NUL at the end; a text that does not fit is no literal either.
bool is_literal_of(int family, std::string_view host) {
  std::array<char, INET6_ADDRSTRLEN> copy{};
  if (host.size() >= copy.size() || host.find('\0') != host.npos) return false;
  std::copy(host.begin(), host.end(), copy.begin());
  in6_addr ignored{};
  return inet_pton(family, copy.data(), &ignored) == 1;
}

/// With an optional zone: fe80::1%eth0.
bool is_ipv6(std::string_view host) {
  std::size_t percent = host.find('%');
  if (percent == host.npos) return is_literal_of(AF_INET6, host);
  std::string_view zone = host.substr(percent + 1);
  return !zone.empty() && zone.size() <= kMaxZone &&
         std::all_of(zone.begin(), zone.end(), is_name_char) &&
         is_literal_of(AF_INET6, host.substr(0, percent));
}

/// No top level domain is a number (RFC 3696 2), so "10.0.0.256" is a mistyped IPv4 address, and
/// asking a name server about it would only hide that.
bool is_broken_ipv4(std::string_view host) {
  std::size_t dot = host.rfind('.');
  return dot != host.npos && all_digits(host.substr(dot + 1)) && !is_literal_of(AF_INET, host);
}

bool is_host_name(std::string_view host) {
  return host.size() <= kMaxHost && host.front() != '-' && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), is_name_char);
}

Result<std::uint32_t> parse_mode(std::string_view text, std::string_view mode) {
  std::uint32_t bits = 0;
  auto [stop, status] = std::from_chars(mode.data(), mode.data() + mode.size(), bits, 8);
  if (status != std::errc{} || stop != mode.data() + mode.size() || bits == 0 || bits > kMaxMode) {
    return wrong(text, "has no octal mode such as 0660 after its path (a path has no blanks)");
  }
  return bits;
}

/// "/path" or "/path MODE".
Result<Address> parse_path(std::string_view text, std::string_view rest) {
  Address made{.kind = Address::Kind::unix_path};
  std::size_t blank = std::min(rest.find_first_of(kBlanks), rest.size());
  made.path = rest.substr(0, blank);
  std::size_t mode_at = rest.find_first_not_of(kBlanks, blank);
  if (mode_at != rest.npos) {
    auto mode = parse_mode(text, rest.substr(mode_at));
    if (!mode) return fail(std::move(mode.error()));
    made.mode = *mode;
  }
  if (made.path == "/" || made.path.back() == '/') return wrong(text, "names a directory");
  if (made.path.find('\0') != std::string::npos) return wrong(text, "has a NUL in its path");
  if (made.path.size() > kMaxUnixPath) {
    return wrong(text, "is too long: the system takes unix paths of up to " +
                           std::to_string(kMaxUnixPath) + " bytes");
  }
  return made;
}

Result<Address> parse_unix(std::string_view text, std::string_view rest) {
  if (rest.starts_with('/')) return parse_path(text, rest);
  if (!rest.starts_with('@')) {
    return wrong(text, "is not a unix address (try unix:/path or unix:@name)");
  }
  Address made{.kind = Address::Kind::unix_abstract, .path = std::string(rest.substr(1))};
  if (made.path.empty()) return wrong(text, "has no name after its @");
  if (made.path.find_first_of(std::string_view(" \t\r\n\0", 5)) != std::string::npos) {
    return wrong(text, "is an abstract name with blanks (a mode is for paths only)");
  }
  if (made.path.size() > kMaxUnixPath) {
    return wrong(text, "is too long: the system takes abstract names of up to " +
                           std::to_string(kMaxUnixPath) + " bytes");
  }
  return made;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view port) {
  std::uint32_t number = 0;
  auto [stop, status] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (!all_digits(port) || status != std::errc{} || stop != port.data() + port.size() ||
      number > UINT16_MAX) {
    return wrong(text, "has no port between 0 and 65535 after its colon");
  }
  return static_cast<std::uint16_t>(number);
}

/// "[v6]:port".
Result<Address> parse_bracketed(std::string_view text) {
  std::size_t close = text.find(']');
  if (close == text.npos) return wrong(text, "lacks the closing bracket (try [::1]:8080)");
  std::string_view host = text.substr(1, close - 1);
  if (!is_ipv6(host)) return wrong(text, "has no IPv6 address in its brackets (try [::1]:8080)");
  std::string_view rest = text.substr(close + 1);
  if (!rest.starts_with(':')) return wrong(text, "has no port (try [::1]:8080)");
  auto port = parse_port(text, rest.substr(1));
  if (!port) return fail(std::move(port.error()));
  return Address{.host = std::string(host), .port = *port};
}

/// What is wrong with a text that has no colon.
tl::unexpected<Error> without_colon(std::string_view text) {
  if (all_digits(text)) {
    return wrong(text, "is not an address (for that port on every interface, write \":" +
                           std::string(text.substr(0, 5)) + "\")");
  }
  if (text.starts_with('@')) return wrong(text, "is not an address (try unix:@name)");
  if (!text.empty() && (is_literal_of(AF_INET, text) || is_host_name(text))) {
    return wrong(text, "has no port (try " + std::string(text.substr(0, kMaxHost)) + ":8080)");
  }
  return wrong(text, "is not an address (try host:8080, :8080 or unix:/path)");
}

}  // namespace

bool is_ip_literal(std::string_view host) {
  return is_literal_of(AF_INET, host) || is_ipv6(host);
}

Result<Address> Address::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return parse_unix(text, text.substr(kUnix.size()));
  if (text.starts_with('/')) return parse_path(text, text);
  if (text.starts_with('[')) return parse_bracketed(text);
  if (text.find("://") != text.npos) {
    return wrong(text, "is a URL, and this takes an address (try host:8080)");
  }
  std::size_t colon = text.find(':');
  if (colon == text.npos) return without_colon(text);
  if (text.find(':', colon + 1) != text.npos) {
    if (is_ipv6(text)) return wrong(text, "has no port (try [::1]:8080)");
    return wrong(text, "has several colons; IPv6 addresses need brackets (try [::1]:8080)");
  }
  std::string_view host = text.substr(0, colon);
  if (!host.empty() && is_broken_ipv4(host)) return wrong(text, "has no valid IPv4 address");
  if (!host.empty() && !is_host_name(host)) {
    return wrong(text, "has no valid host name (letters, digits, dashes and dots)");
  }
  auto port = parse_port(text, text.substr(colon + 1));
  if (!port) return fail(std::move(port.error()));
  return Address{.host = std::string(host), .port = *port};
}

std::string Address::to_string() const {
  switch (kind) {
    case Kind::tcp:
      break;
    case Kind::unix_abstract:
      return "unix:@" + path;
    case Kind::unix_path: {
      if (mode == 0) return "unix:" + path;
      std::array<char, 16> digits;
      auto end = std::to_chars(digits.data(), digits.data() + digits.size(), mode, 8).ptr;
      return "unix:" + path + " 0" + std::string(digits.data(), end);
    }
  }
  std::string shown = host.find(':') != std::string::npos ? "[" + host + "]" : host;
  return shown + ":" + std::to_string(port);
}

}  // namespace consort
