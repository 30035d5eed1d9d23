// Reads the reply to COMMAND: what a Redis server says about each of its commands.
//
//   reply   = list of entries                                RESP2: arrays; RESP3: sets and maps
//   too entry   = [name, arity, flags, first key, last key, step,      of every version
//              categories,                                         since 6.0
//              tips, key specifications, subcommands: entries]     since 7.0
//   key specification = {flags, begin_search: {type, spec: {..}}, find_keys: {type, spec: {..}}}
//
// A map is an array of keys and values in RESP2. What comes after the tenth element, and keys that
// we do not know, are passed over. Source: Redis' documentation of COMMAND, and redis 7.0's
// replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "wire/redis_commands.hpp"

namespace consort::redis {

inline constexpr std::size_t kMaxCommandReply = 16 << 20;  ///< bytes; redis 7.0.15 sends 90 181
inline constexpr std::size_t kMaxCommands = 4096;          ///< with subcommands; 7.0.15 has 366
inline constexpr std::size_t kMaxCommandName = 128;        ///< bytes; of a keyword as well

/// One entry. The words are views into the reply.
struct CommandReply {
  std::string_view name;  ///< in the server's case; of a subcommand its own word ("stream")
  std::int16_t arity = 0;
  std::int16_t first_key = 0;
  std::int16_t last_key = 0;
  std::int16_t key_step = 0;
  std::uint32_t flags = 0;         ///< those that we keep
  bool has_details = false;        ///< ten elements: since 7.0
  bool has_unusable_keys = false;  ///< a key specification that we cannot evaluate, or that the
                                   ///< server calls incomplete
  RequestPolicy request_policy = RequestPolicy::none;
  ResponsePolicy response_policy = ResponsePolicy::none;
  std::vector<KeySpec> key_specs;  ///< the others; keywords in the server's case
  std::vector<CommandReply> subcommands;
};

/// The entries of one complete reply, in the server's order. Linear in the bytes. Errors: denied
/// when the reply is itself an error, protocol for one that is broken or no list of commands (where
/// and what is wrong), limit for too much of anything.
Result<std::vector<CommandReply>> read_command_reply(std::string_view reply);

}  // namespace consort::redis
