// SCAN over several servers: one cursor that says which server is being walked and how far.
//
//   cursor = server_cursor * servers + server
//
// Servers are walked one after the other, each with its own cursor from 0 back to 0, so that the
// guarantees of SCAN hold for the whole: the end of one server's walk is the cursor `server + 1`,
// the beginning of the next one's; after the last it is 0. A server's cursor is never 0 in between,
// so both meanings stay apart. With 4 servers: 17 on server 2 is 70; the end of server 2 is 3.
//
// The number of servers is part of the meaning: a cursor must not outlive a change of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace consort::shard_proxy {

struct ScanPlace {
  std::uint32_t server;
  std::uint64_t cursor;  ///< of that server
};

/// Nothing when it is no cursor; the server's words for it are "ERR invalid cursor".
std::optional<ScanPlace> decode_cursor(std::string_view cursor, std::uint32_t servers);

/// The reply of `server` with its cursor made ours. An error stays as it is; what is neither an
/// error nor [cursor, keys] gives kUnlikeReplies. An error, too, when the server's cursor has no
/// room for the server's number, which takes a table of 2^64 / servers places.
std::string encode_cursor(std::string_view reply, std::uint32_t server, std::uint32_t servers);

}  // namespace consort::shard_proxy
