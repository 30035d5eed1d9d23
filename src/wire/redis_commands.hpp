// What a sharding proxy must know of each Redis command: where its keys are, whether it writes,
// blocks or changes the connection, and how to spread it over servers and merge the replies.
//
// The table is the server's own: scripts/redis-commands writes redis_command_table.inc from the
// COMMAND reply of redis 7.0.15 (key specifications and command tips included).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/resp.hpp"

namespace consort::redis {

/// Properties of a command, or-ed. All but kStateful and kNoKeys are the server's flags.
enum Flag : std::uint16_t {
  kWrite = 1 << 0,
  kReadonly = 1 << 1,
  kBlocking = 1 << 2,  ///< may hold its connection: BLPOP, XREAD.. (see may_block)
  kStateful = 1 << 3,  ///< changes or needs the state of its connection: MULTI, AUTH, WAIT..
  kPubSub = 1 << 4,    ///< the SUBSCRIBE family and PUBLISH
  kAdmin = 1 << 5,
  kMovableKeys = 1 << 6,  ///< key positions depend on the arguments
  kNoKeys = 1 << 7,  ///< has no key arguments (for a container: none of its subcommands either)
  kFast = 1 << 8,
  kDenyOom = 1 << 9,  ///< may be refused for want of memory
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

/// One command or subcommand of the table. Objects are constants; pointers to them never end.
struct Command {
  std::string_view name;   ///< lower case; a subcommand's is its own word ("stream")
  std::int16_t arity;      ///< arguments with the name(s); negative: at least so many
  std::int16_t first_key;  ///< 0: none, or not at a fixed place (see find_keys)
  std::int16_t last_key;   ///< negative counts from the end, -1 is the last argument
  std::int16_t key_step;
  std::uint16_t flags;
  std::uint8_t key_rule;  ///< for find_keys()
  RequestPolicy request_policy;
  ResponsePolicy response_policy;
  std::uint16_t first_subcommand;
  std::uint8_t subcommand_count;

  bool is(Flag flag) const { return (flags & flag) != 0; }
  bool is_container() const { return subcommand_count > 0; }
  /// Whether the server takes so many arguments (the name included).
  bool accepts(std::size_t argc) const {
    const auto count = static_cast<std::int64_t>(argc);
    return arity >= 0 ? count == arity : count >= -arity;
  }
};

/// The arguments of a request, the command's name first, wherever they lie. A view: what it was
/// made from must outlive it.
class Arguments {
 public:
  Arguments(std::span<const std::string_view> words) : words_(words) {}
  Arguments(const resp::RequestParser& request, std::string_view bytes)
      : request_(&request), bytes_(bytes) {}

  std::size_t size() const { return request_ != nullptr ? request_->argc() : words_.size(); }
  std::string_view operator[](std::size_t i) const {
    return request_ != nullptr ? request_->arg(i, bytes_) : words_[i];
  }

 private:
  const resp::RequestParser* request_ = nullptr;
  std::string_view bytes_;
  std::span<const std::string_view> words_;
};

/// Case-insensitive, without allocation, about 10 ns. nullptr when the server does not know it.
const Command* find_command(std::string_view name);
/// The entry of a container's subcommand (of "xinfo": "stream"), or nullptr. Linear in the
/// container's subcommands, at most 28.
const Command* find_subcommand(const Command& command, std::string_view name);
/// The whole table by name; subcommands are reached through find_subcommand().
std::span<const Command> all_commands();

/// Replaces `positions` by the argument numbers of the request's keys, in ascending order. For a
/// container pass its subcommand's entry. False when the arguments are too few, or too malformed,
/// for the keys to be found: the server would refuse the request as well, so any server may be
/// asked for the text. True with no positions: the request has no keys. Keys that SORT's BY and GET
/// patterns reach are not arguments and are not found: see reads_by_pattern().
bool find_keys(const Command& command, const Arguments& arguments,
               std::vector<std::uint32_t>& positions);

/// Whether this request may hold its connection until something happens: BLPOP always, XREAD only
/// with BLOCK.
bool may_block(const Command& command, const Arguments& arguments);
/// Whether it is a SORT whose BY or GET pattern reads keys that only the server can name.
bool reads_by_pattern(const Command& command, const Arguments& arguments);

/// "ERR unknown command 'x', with args beginning with: 'a' 'b' ", cut and cleaned as the server
/// does.
std::string unknown_command_error(const Arguments& arguments);
/// "ERR unknown subcommand 'x'. Try XINFO HELP." Needs two arguments.
std::string unknown_subcommand_error(const Arguments& arguments);
/// "ERR wrong number of arguments for 'get' command"; of a subcommand pass "xinfo|stream".
std::string wrong_arity_error(std::string_view name);

}  // namespace consort::redis
