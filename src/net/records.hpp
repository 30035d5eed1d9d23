// Answers about peers as DNS and files give them, and what makes them comparable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "io/dns.hpp"

namespace consort {

/// A raw answer: the member of the source's kind is filled.
struct Records {
  std::vector<io::DnsAddress> addresses;  ///< dns; not empty
  std::vector<io::DnsService> services;   ///< srv; not empty
  std::string text;                       ///< file
};

/// Runs of digits compare by value, the rest by bytes: cache-10 follows cache-9. For lists whose
/// order must come from the names alone, and grow at the end when a StatefulSet does.
bool natural_less(std::string_view a, std::string_view b);

/// The records that name somebody: targets in lower case, without the root's dot. A record without
/// a target or port says that the service is not there (RFC 2782); when all do, that is an error.
Result<std::vector<io::DnsService>> usable_services(const std::vector<io::DnsService>& answer);

/// What divides all weights, so that 33, 33, 33 and 25, 25, 25, 25 are both 1 (CoreDNS gives every
/// pod 100/n, which must not change when another pod comes). 0 when a weight is 0: then none count.
std::uint32_t weight_divisor(const std::vector<io::DnsService>& services);

}  // namespace consort
