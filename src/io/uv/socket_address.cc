#include "io/uv/socket_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace consort::io {

namespace {

Result<SocketAddress> of_unix(const Address& address) {
  SocketAddress made;
  auto* to = reinterpret_cast<sockaddr_un*>(&made.storage);
  // A path needs its NUL; an abstract name has one in front and ends with its length.
  if (address.path.empty() || address.path.size() >= sizeof to->sun_path) {
    return fail(Errc::invalid, address.to_string() + ": a unix socket's name has 1 to " +
                                   std::to_string(sizeof to->sun_path - 1) + " bytes");
  }
  bool abstract = address.kind == Address::Kind::unix_abstract;
  to->sun_family = AF_UNIX;
  std::memcpy(to->sun_path + (abstract ? 1 : 0), address.path.data(), address.path.size());
  made.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
  return made;
}

Peer describe_v4(const in_addr& ip, std::uint16_t port) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &ip, text.data(), text.size());
  Peer peer;
  peer.is_loopback = (ntohl(ip.s_addr) >> 24) == 127;
  peer.text = std::string(text.data()) + ":" + std::to_string(port);
  return peer;
}

Peer describe_v6(const in6_addr& ip, std::uint16_t port) {
  if (IN6_IS_ADDR_V4MAPPED(&ip)) {
    in_addr v4{};
    std::memcpy(&v4, ip.s6_addr + 12, sizeof v4);
    return describe_v4(v4, port);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &ip, text.data(), text.size());
  Peer peer;
  peer.is_loopback = IN6_IS_ADDR_LOOPBACK(&ip);
  peer.text = "[" + std::string(text.data()) + "]:" + std::to_string(port);
  return peer;
}

}  // namespace

Result<SocketAddress> SocketAddress::of(const Address& address, const char* empty_host) {
  if (address.is_unix()) return of_unix(address);
  std::string host = address.host;
  if (host.empty()) host = empty_host;
  if (host == "localhost") host = "127.0.0.1";
  SocketAddress made;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&made.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&made.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    made.length = sizeof *v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    made.length = sizeof *v6;
  } else {
    return fail(Errc::invalid, "\"" + host + "\" is not an IP address");
  }
  return made;
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  return 0;
}

Peer SocketAddress::describe() const {
  if (family() == AF_INET) {
    return describe_v4(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, port());
  }
  if (family() == AF_INET6) {
    return describe_v6(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, port());
  }
  Peer peer;
  peer.is_unix = family() == AF_UNIX;
  peer.text = peer.is_unix ? "unix" : "unknown";
  return peer;
}

}  // namespace consort::io
