// What a connection to a server is set up for: its protocol and its database.
#pragma once

#include <cstdint>

namespace consort::shard_proxy {

/// What is spoken on a connection. RESP2 and RESP3 clients use different ones, so that no reply is
/// ever translated.
enum class Dialect : std::uint8_t { memcache, resp2, resp3 };

/// Clients of one dialect and database share connections.
struct Lane {
  Dialect dialect = Dialect::memcache;
  std::uint32_t database = 0;  ///< Redis' SELECT
  bool operator==(const Lane&) const = default;
};

}  // namespace consort::shard_proxy
