// The SRV records of a DNS answer, with their TTLs (which c-ares 1.18's own reader leaves out).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "io/dns.hpp"

namespace consort::io {

inline constexpr std::size_t kDnsRecordsMax = 64;  ///< kept of one answer

/// Message format: RFC 1035 section 4, SRV: RFC 2782. Sorted by priority, then target
/// and port; at most kDnsRecordsMax.
/// Every SRV record of the answer section counts, whatever CNAME led there. A target of "." says
/// that the service does not exist.
Result<std::vector<DnsService>> parse_srv_reply(std::span<const unsigned char> reply);

}  // namespace consort::io
