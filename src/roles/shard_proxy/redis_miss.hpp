// What a Redis says of a key that does not exist: the answer for a server that is down, in pools
// with on_server_down: miss.
#pragma once

#include <cstdint>
#include <string_view>

namespace consort::shard_proxy {

/// A kind for redis_miss_reply(); 0 for commands that write, or that have no such answer.
std::uint8_t miss_kind_of(std::string_view command);
std::string_view redis_miss_reply(std::uint8_t kind, bool is_resp3);

}  // namespace consort::shard_proxy
