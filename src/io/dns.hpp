// Names to addresses without ever blocking the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace consort::io {

struct DnsAddress {
  std::string ip;  ///< an IP literal for Address::host
  std::uint32_t ttl_s = 0;
};
struct DnsService {
  std::string target;
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint32_t ttl_s = 0;
};

template <class T>
class DnsHandler {
 public:
  /// Never empty on success; not_found when the name exists without such records or not at all.
  virtual void on_resolved(Result<std::vector<T>> answer) = 0;

 protected:
  ~DnsHandler() = default;
};

/// One question under way. Destroying it forgets the question; the handler is not called.
class DnsQuery {
 public:
  virtual ~DnsQuery() = default;
};

/// IP literals and localhost (RFC 6761) are answered without a server, the rest by resolv.conf,
/// hosts and nsswitch.conf. The handler is called later, never during the call.
class Dns {
 public:
  virtual ~Dns() = default;
  /// A and AAAA, IPv4 first, otherwise in the server's order.
  virtual std::unique_ptr<DnsQuery> resolve(const std::string& name,
                                            std::chrono::milliseconds timeout,
                                            DnsHandler<DnsAddress>& handler) = 0;
  /// SRV, sorted by priority. A target is a name to resolve, or rarely an IP literal.
  virtual std::unique_ptr<DnsQuery> resolve_service(const std::string& name,
                                                    std::chrono::milliseconds timeout,
                                                    DnsHandler<DnsService>& handler) = 0;
};

}  // namespace consort::io
