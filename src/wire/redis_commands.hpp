// What a sharding proxy must know of each Redis command: where its keys are, whether it writes,
// blocks or changes the connection, and how to spread it over servers and merge the replies.
//
// A table is the server's own reply to COMMAND (key specifications and command tips included): the
// built-in one is that of redis 7.0.15, turned into source by scripts/redis-commands; learn() reads
// one from a server that is there, with its modules and the commands of its version. What no server
// says is added by name: see redis_command_names.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "wire/redis_keys.hpp"

namespace consort::redis {

/// Properties of a command, or-ed. All but kStateful, kNoKeys and kUnknownKeys are the server's
/// flags.
enum Flag : std::uint32_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kBlocking = 1 << 2,  ///< may hold its connection: BLPOP, XREAD.. (see may_block)
  kStateful = 1 << 3,  ///< changes or needs the state of its connection: MULTI, AUTH, WAIT..
  kPubSub = 1 << 4,    ///< the SUBSCRIBE family and PUBLISH
  kAdmin = 1 << 5,
  kMovableKeys = 1 << 6,  ///< key positions depend on the arguments
  kNoKeys = 1 << 7,  ///< has no key arguments (for a container: none of its subcommands either)
  kFast = 1 << 8,
  kDenyOom = 1 << 9,       ///< may be refused for want of memory
  kUnknownKeys = 1 << 10,  ///< only the server can tell which arguments are keys: safe only where
                           ///< all keys are on one server. Learned tables only.
  kNoMulti = 1 << 11,      ///< refused within MULTI
  kNoScript = 1 << 12,     ///< refused within scripts
  kLoading = 1 << 13,      ///< allowed while the server loads its data
  kStale = 1 << 14,        ///< allowed on a replica that lost its master
  kNoAuth = 1 << 15,       ///< allowed before the password: AUTH, HELLO, QUIT, RESET
  kAllowBusy = 1 << 16,    ///< allowed while a script runs too long
};

/// The server's command tips: where a proxy should send the request, and what makes the reply.
enum class RequestPolicy : std::uint8_t { none, all_nodes, all_shards, multi_shard, special };
enum class ResponsePolicy : std::uint8_t {
  none,
  one_succeeded,
  all_succeeded,
  agg_logical_and,
  agg_min,
  agg_sum,
  special,
};

/// One command or subcommand of a table: constant, and there as long as its table.
struct Command {
  std::string_view name;   ///< lower case; a subcommand's is its own word ("stream")
  std::int16_t arity;      ///< arguments with the name(s); negative: at least so many
  std::int16_t first_key;  ///< 0: none, or not at a fixed place (see find_keys)
  std::int16_t last_key;   ///< negative counts from the end, -1 is the last argument
  std::int16_t key_step;
  std::uint32_t flags;
  std::uint16_t key_rule;  ///< number of the table's rule, for find_keys()
  RequestPolicy request_policy;
  ResponsePolicy response_policy;
  std::uint16_t first_subcommand;
  std::uint16_t subcommand_count;

  bool is(Flag flag) const { return (flags & flag) != 0; }
  bool is_container() const { return subcommand_count > 0; }
  /// Whether the server takes so many arguments (the name included).
  bool accepts(std::size_t argc) const {
    const auto count = static_cast<std::int64_t>(argc);
    return arity >= 0 ? count == arity : count >= -arity;
  }
};

/// Commands and their subcommands, with how to find the keys of their requests. Immutable, so that
/// any thread may read it.
class CommandTable {
 public:
  /// What a table looks into; it must outlive the table.
  struct Parts {
    std::span<const Command> entries;  ///< the commands, then the subcommands by container
    std::size_t commands;
    std::span<const KeyRule> rules;
    std::span<const std::uint16_t> slots;  ///< of the commands' names: see redis_words.hpp
  };
  constexpr explicit CommandTable(const Parts& parts) : parts_(parts) {
    for (const Command& command : all()) {
      longest_name_ = std::max(longest_name_, command.name.size());
    }
  }

  /// That of redis 7.0.15; a constant.
  static const CommandTable& built_in();

  /// From one complete reply to COMMAND, RESP2 or RESP3, at most kMaxCommandReply bytes. The server
  /// wins for arity, flags, key specifications and tips. From a server before 7.0, which names
  /// neither of the last two nor subcommands, known commands get the built-in table's. 0.3 ms for
  /// redis 7.0.15's reply.
  ///
  /// Errors: denied when the server refuses COMMAND, protocol for a broken reply, limit for one
  /// beyond the limits of redis_command_reply.hpp.
  static Result<std::shared_ptr<const CommandTable>> learn(std::string_view command_reply);

  /// Case-insensitive, without allocation, about 10 ns. nullptr when the server does not know it.
  const Command* find(std::string_view name) const;
  /// The entry of a container's subcommand (of "xinfo": "stream"), or nullptr. Linear in the
  /// container's subcommands, in redis 7.0 at most 27.
  const Command* find_subcommand(const Command& command, std::string_view name) const;
  std::span<const Command> subcommands(const Command& command) const;
  /// The commands by name, without the subcommands.
  constexpr std::span<const Command> all() const { return parts_.entries.first(parts_.commands); }

  /// Commands and subcommands.
  std::size_t size() const { return parts_.entries.size(); }
  /// A number below size(), for counters per command; of commands of this very table only.
  std::size_t index_of(const Command& command) const;
  /// The entry with that number.
  const Command& at(std::size_t index) const { return parts_.entries[index]; }
  /// "get"; of a subcommand "xinfo|stream". Linear in the table.
  std::string full_name(const Command& command) const;
  const KeyRule& key_rule(const Command& command) const { return parts_.rules[command.key_rule]; }

  /// Replaces `positions` by the argument numbers of the request's keys, in ascending order. For a
  /// container pass its subcommand's entry. False when the arguments are too few, or too malformed,
  /// for the keys to be found: the server would refuse the request as well, so any server may be
  /// asked for the text. False also for every request of a kUnknownKeys command: ask for that flag
  /// first. True with no positions: the request has no keys. Keys that SORT's BY and GET patterns
  /// reach are not arguments and are not found: see reads_by_pattern().
  bool find_keys(const Command& command, const Arguments& arguments,
                 std::vector<std::uint32_t>& positions) const;

  /// Whether this request may hold its connection until something happens: BLPOP always, XREAD only
  /// with BLOCK.
  bool may_block(const Command& command, const Arguments& arguments) const;
  /// Whether it is a SORT whose BY or GET pattern reads keys that only the server can name.
  bool reads_by_pattern(const Command& command, const Arguments& arguments) const;

 private:
  Parts parts_;
  std::size_t longest_name_ = 0;  ///< longer ones are not even hashed
};

/// The same of the built-in table.
const Command* find_command(std::string_view name);
const Command* find_subcommand(const Command& command, std::string_view name);
std::span<const Command> all_commands();
bool find_keys(const Command& command, const Arguments& arguments,
               std::vector<std::uint32_t>& positions);
bool may_block(const Command& command, const Arguments& arguments);
bool reads_by_pattern(const Command& command, const Arguments& arguments);

/// "ERR unknown command 'x', with args beginning with: 'a' 'b' ", cut and cleaned as the server
/// does.
std::string unknown_command_error(const Arguments& arguments);
/// "ERR unknown subcommand 'x'. Try XINFO HELP." Needs two arguments.
std::string unknown_subcommand_error(const Arguments& arguments);
/// "ERR wrong number of arguments for 'get' command"; of a subcommand pass "xinfo|stream".
std::string wrong_arity_error(std::string_view name);

}  // namespace consort::redis
