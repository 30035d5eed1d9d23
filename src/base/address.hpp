// Where a server listens or is reached: host:port, :port, [v6]:port, unix:/path, unix:@abstract.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace consort {

/// As a person wrote it; a host name is not resolved yet.
struct Address {
  enum class Kind : std::uint8_t { tcp, unix_path, unix_abstract };

  Kind kind = Kind::tcp;
  std::string host{};      ///< name or IP literal without brackets; empty means every interface
  std::uint16_t port = 0;  ///< tcp only; 0 asks the kernel for a free one
  std::string path{};      ///< the path, or the abstract name without its leading NUL or '@'
  std::uint32_t mode = 0;  ///< permissions of a listening unix path; 0 keeps the umask's

  /// Accepts the forms above, a bare absolute path, and "PATH MODE" with MODE in octal
  /// (nutcracker's form). Errors name the text and show what is right.
  static Result<Address> parse(std::string_view text);
  /// The inverse of parse: parse(to_string()) gives an equal address.
  std::string to_string() const;
  bool is_unix() const { return kind != Kind::tcp; }

  friend bool operator==(const Address&, const Address&) = default;
};

/// True for dotted IPv4 and for IPv6 literals (no brackets; a zone as in fe80::1%eth0 is allowed).
bool is_ip_literal(std::string_view host);

}  // namespace consort
