// Our Address and the kernel's sockaddr, translated both ways.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/address.hpp"
#include "base/error.hpp"
#include "io/stream.hpp"

namespace consort::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  /// The host must be an IP literal, "localhost" (127.0.0.1) or empty (`empty_host`).
  static Result<SocketAddress> of(const Address& address, const char* empty_host);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;
  /// Who that is, for access decisions and logs; v4-mapped IPv6 shows as IPv4.
  Peer describe() const;
};

}  // namespace consort::io
