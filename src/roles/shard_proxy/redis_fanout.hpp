// What a command without keys means for a pool of several servers: which of them it goes to, and
// how their replies become one. The model is what one server with all the keys would answer.
#pragma once

#include <cstdint>
#include <string_view>

#include "roles/shard_proxy/redis_merge.hpp"
#include "wire/redis_commands.hpp"

namespace consort::shard_proxy {

enum class Target : std::uint8_t {
  any_server,    ///< all have the same answer: TIME, COMMAND, every HELP
  first_server,  ///< always the same one gives it a meaning: a script without keys, CONFIG GET
  every_server,
  refused,  ///< is about one server, which only the client can choose
};

/// Which replies the merge function expects. A server that failed gave no reply: that fails the
/// command, unless `partial_ok`.
struct FanoutRule {
  std::string_view command;     ///< lower case
  std::string_view subcommand;  ///< empty: none, or every one that has no rule of its own
  Target target = Target::any_server;
  MergeFunction merge = nullptr;   ///< of every_server only
  bool partial_ok = false;         ///< may be answered by those servers that did
  bool sees_errors = false;        ///< merge chooses; else the first error is the answer
  std::string_view why_refused{};  ///< follows the command's name: "'debug' concerns one server.."
};

/// Lower-case names; `subcommand` for containers only, else empty. nullptr: no rule, so the command
/// has keys, or needs or changes its connection. Linear in some hundred rules, about 300 ns.
const FanoutRule* find_fanout(std::string_view command, std::string_view subcommand);

/// For commands that are not in the table (of modules): what the server's tips say. nullptr when
/// they say "special": refuse it. Without tips: first_server, which gives writes without keys a
/// place. Valid for ever.
const FanoutRule* find_fanout_by_tips(redis::RequestPolicy request, redis::ResponsePolicy response);

}  // namespace consort::shard_proxy
