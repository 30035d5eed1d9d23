// Lists of servers as answers and files hold them, made comparable: sorted, without duplicates.
//
// Distributions that count servers (jump, modula) depend on the order, so it must come from the
// names alone. Numbers in names count as numbers: cache-10 follows cache-9, so that a StatefulSet
// that grows by one moves as few keys as its distribution can.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/dns.hpp"
#include "roles/shard_proxy/server_spec.hpp"

namespace consort::shard_proxy {

inline constexpr std::size_t kMaxServers = 1000;
inline constexpr std::size_t kMaxServerFileBytes = 1 << 20;

bool same_server(const ServerSpec& a, const ServerSpec& b);
bool same_servers(const std::vector<ServerSpec>& a, const std::vector<ServerSpec>& b);

/// Never empty on success, as the others. "IP:port" for each address.
Result<std::vector<ServerSpec>> servers_of(const std::vector<io::DnsAddress>& answer,
                                           std::uint16_t port, std::uint32_t weight);

/// "target:port" for each record of the lowest priority; higher ones are spares that a cache cannot
/// use, for they would be empty. Weights count when all are above 0, divided by what divides them
/// all: CoreDNS gives every pod 100/n, which must not change when another pod comes. Records
/// without a target or port say that the service is not there (RFC 2782).
Result<std::vector<ServerSpec>> servers_of(const std::vector<io::DnsService>& answer);

/// One server per line in the form of --server, in the file's order, which is somebody's decision.
/// Blank lines and what follows `#` (at the beginning or after a blank) do not count. One bad line
/// refuses the whole file: "PATH:LINE: why".
Result<std::vector<ServerSpec>> servers_of(std::string_view text, const std::string& path);

}  // namespace consort::shard_proxy
