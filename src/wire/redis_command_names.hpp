// What no server's reply to COMMAND says, by name, and the words in which it says the rest.
//
// The one place of these lists: learned tables use them, and scripts/redis-commands reads them from
// this file, as text, when it writes the built-in table. Keep one shape per list.
#pragma once

#include <string_view>

#include "wire/redis_commands.hpp"

namespace consort::redis {

/// Commands that change or need the state of their connection. A container hands its mark down to
/// its subcommands. WAIT and WAITAOF are about what their own connection wrote, and may hold it for
/// ever.
inline constexpr std::string_view kStatefulCommands[] = {
    "asking",     "auth",      "client",       "discard", "exec",         "hello",
    "monitor",    "multi",     "psubscribe",   "psync",   "punsubscribe", "quit",
    "readonly",   "readwrite", "replconf",     "reset",   "script|debug", "select",
    "ssubscribe", "subscribe", "sunsubscribe", "sync",    "unsubscribe",  "unwatch",
    "wait",       "waitaof",   "watch",
};

/// The key specifications of these are unknown or looser than what the server does with the
/// arguments.
struct SpecialKeys {
  std::string_view name;
  KeyRule::Special rule;
};
inline constexpr SpecialKeys kSpecialKeys[] = {
    {"georadius", KeyRule::Special::georadius}, {"georadiusbymember", KeyRule::Special::georadius},
    {"migrate", KeyRule::Special::migrate},     {"sort", KeyRule::Special::sort},
    {"sort_ro", KeyRule::Special::sort},        {"xread", KeyRule::Special::xread},
    {"xreadgroup", KeyRule::Special::xread},
};

/// The server's words for the flags that we keep, in the order in which the table names them.
struct FlagName {
  std::string_view name;
  Flag flag;
};
inline constexpr FlagName kFlagNames[] = {
    {"write", kWrite},       {"readonly", kReadonly},    {"blocking", kBlocking},
    {"pubsub", kPubSub},     {"admin", kAdmin},          {"movablekeys", kMovableKeys},
    {"fast", kFast},         {"denyoom", kDenyOom},      {"no_multi", kNoMulti},
    {"noscript", kNoScript}, {"loading", kLoading},      {"stale", kStale},
    {"no_auth", kNoAuth},    {"allow_busy", kAllowBusy},
};

/// Flags that servers before 7.0 do not know: of a known command, the built-in table's are added.
inline constexpr std::uint32_t kFlagsSinceSeven = kBlocking | kNoMulti | kNoAuth | kAllowBusy;

/// The values of the command tips, in the order of their enumerations.
inline constexpr std::string_view kRequestPolicies[] = {
    "none", "all_nodes", "all_shards", "multi_shard", "special",
};
inline constexpr std::string_view kResponsePolicies[] = {
    "none", "one_succeeded", "all_succeeded", "agg_logical_and", "agg_min", "agg_sum", "special",
};

}  // namespace consort::redis
