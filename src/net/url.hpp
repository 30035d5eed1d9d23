// Where an HTTP server is reached: http://host[:port][/prefix], https://..., unix:/path,
// unix:@name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/error.hpp"

namespace consort::http {

/// An origin with an optional path before every target. A value; a host name is not resolved yet.
struct Url {
  enum class Scheme : std::uint8_t { http, https, unix_socket };

  Scheme scheme = Scheme::http;
  Address address;
  /// "/api" or "/api/": goes before every target, as it was written; empty for none and for "/".
  std::string path_prefix;
  /// What belongs into Host: without the scheme's own port; "localhost" for unix sockets.
  std::string host_header;

  /// The ports are 80 and 443 when none is given; IPv6 literals stand in brackets. A unix address
  /// has no prefix. User information, queries and fragments are refused: they would be dropped, or
  /// sent to places where their writer does not expect them. Errors name the text and the remedy.
  static Result<Url> parse(std::string_view text);
  /// parse(to_string()) gives an equal value; the scheme's own port is left out.
  std::string to_string() const;
  /// Whose certificate an https server must show: Host without its port. An address that came from
  /// DNS is not what the server is called.
  std::string server_name() const;
  /// The prefix and a target that begins with '/', with one '/' between them; "/" for nothing.
  std::string target(std::string_view path) const;

  friend bool operator==(const Url&, const Url&) = default;
};

}  // namespace consort::http
