// RedisExclusive after MULTI: what is queued, where, and how it ends.
#include <utility>

#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"
#include "roles/shard_proxy/redis_exclusive.hpp"
#include "roles/shard_proxy/redis_fanout.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kNotInTransaction = "ERR Command not allowed inside a transaction";
constexpr std::string_view kAborted = "EXECABORT Transaction discarded because of previous errors.";

constexpr std::string_view kExecArity =
    "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";

constexpr std::string_view kQueued = "+QUEUED\r\n";

// They change what is spoken on a connection, or who speaks: not on one that is handed back.
bool changes_the_connection(const redis::Command& command) {
  return command.name == "hello" || command.name == "auth" || command.name == "select" ||
         command.name == "client" || command.name == "monitor" || command.name == "sync" ||
         command.name == "psync" || command.name == "replconf" ||
         (command.is(redis::kPubSub) && command.is(redis::kStateful));
}

}  // namespace

bool RedisExclusive::take_queuing(const redis::Command& command, std::string_view request) {
  std::string_view name = command.name;
  if (name == "reset") return false;
  bool fits = command.accepts(client_.argc());
  if (name == "exec" || (name == "discard" && fits)) {
    finish_queuing(name == "exec" ? fits ? Ending::exec : Ending::broken_exec : Ending::discard,
                   request);
    return true;
  }
  if (changes_the_connection(command)) return spoil(kNotInTransaction);
  Pool& pool = client_.pool();
  if (pool.servers() <= 1 && link_ && &pool.upstream(0) == &link_->upstream()) {
    unclean_ = unclean_ || command.is(redis::kStateful);
    ++queued_;
    forward(request, timeout_ms());
    return true;
  }
  if (name == "multi" && fits) {
    client_.answer_error("ERR MULTI calls can not be nested");
    return true;
  }
  if (name == "watch" && fits) {
    client_.answer_error("ERR WATCH inside MULTI is not allowed");
    return true;
  }
  std::string error = check_queued(command);
  if (!error.empty()) return spoil(error);
  if (!link_ && (watch_broken_ || spoiled_)) {
    client_.reply(kQueued);  // EXEC will tell
    return true;
  }
  bool has_keys = !client_.key_positions_.empty();
  if (!has_keys && !link_ && pool.servers() > 1) return hold(request);
  if (!link_) {
    std::uint32_t server = has_keys ? client_.key_servers_.front() : 0;
    if (!client_.is_silent() || !open_transaction(server)) return true;
    remember_key();
  } else if (has_keys && &pool.upstream(client_.key_servers_.front()) != &link_->upstream()) {
    return spoil(kCrossSlot);
  }
  ++queued_;
  forward(request, timeout_ms());
  return true;
}

// Why this command cannot be part of the transaction; leaves its keys and their servers in the
// client's lists.
std::string RedisExclusive::check_queued(const redis::Command& command) {
  Pool& pool = client_.pool();
  redis::Arguments arguments = client_.arguments();
  client_.key_positions_.clear();
  client_.key_servers_.clear();
  const redis::Command* exact = &command;
  if (command.is_container() && arguments.size() > 1) {
    exact = pool.commands().find_subcommand(command, arguments[1]);
    if (exact == nullptr) return redis::unknown_subcommand_error(arguments);
  }
  if (!exact->accepts(arguments.size())) {
    std::string name(command.name);
    if (exact != &command) name.append("|").append(exact->name);
    return redis::wrong_arity_error(name);
  }
  if (exact->is(redis::kNoMulti)) return std::string(kNotInTransaction);
  if (exact->is(redis::kUnknownKeys) && pool.servers() > 1) return std::string(kCrossSlot);
  if (command.name == "publish" || command.name == "spublish") {
    client_.key_positions_.push_back(1);
  } else if (!pool.commands().find_keys(*exact, arguments, client_.key_positions_)) {
    return {};
  }
  for (std::uint32_t position : client_.key_positions_) {
    client_.key_servers_.push_back(pool.server_of(arguments[position]));
    if (client_.key_servers_.back() != client_.key_servers_.front()) {
      return std::string(kCrossSlot);
    }
  }
  if (!client_.key_positions_.empty() || pool.servers() <= 1) return {};
  std::string_view subcommand = exact != &command ? exact->name : std::string_view();
  const FanoutRule* rule = find_fanout(command.name, subcommand);
  bool is_everywhere =
      rule != nullptr && (rule->target == Target::every_server || rule->target == Target::refused);
  if (is_everywhere || command.name == "scan") {
    return "ERR '" + std::string(command.name) +
           "' concerns every server of the pool, and a transaction only one";
  }
  return {};
}

// No key has said yet which server it will be.
bool RedisExclusive::hold(std::string_view request) {
  if (held_bytes_ + request.size() > kMaxHeldBytes) {
    return spoil("ERR more than 16 MiB before the first key of a transaction");
  }
  held_bytes_ += request.size();
  held_.emplace_back(request);
  ++queued_;
  client_.reply(kQueued);
  return true;
}

// On the server that the first key, or the want of any key, has chosen. The replies to what was
// answered here already are not wanted.
bool RedisExclusive::open_transaction(std::uint32_t server) {
  if (!open(server)) {
    spoiled_ = true;
    return false;
  }
  link_->send(resp::request({"MULTI"}), nullptr, 0, timeout_ms());
  for (const std::string& request : held_) link_->send(request, nullptr, 0, timeout_ms());
  held_.clear();
  held_bytes_ = 0;
  return true;
}

void RedisExclusive::finish_queuing(Ending ending, std::string_view request) {
  bool is_void = spoiled_ || watch_broken_ || ending == Ending::broken_exec;
  // What was queued is answered before its connection is closed.
  if (is_void && link_ && !client_.is_silent()) return;
  if (ending == Ending::exec && !is_void && !link_ && !held_.empty()) {
    if (!client_.is_silent()) return;
    if (!open_transaction(0)) {  // it has answered
      release();
      return;
    }
  }
  queuing_ = watching_ = false;
  if (link_ && !is_void) {
    forward(request, timeout_ms());
    return;
  }
  bool is_spoiled = spoiled_;
  // Closing the connection is what discards a transaction that the server knows.
  unclean_ = true;
  release();
  if (ending == Ending::discard) {
    client_.reply("+OK\r\n");
  } else if (ending == Ending::broken_exec) {
    client_.answer_error(kExecArity);
  } else if (is_spoiled) {
    client_.answer_error(kAborted);
  } else if (is_void) {
    client_.reply(client_.dialect_ == Dialect::resp3 ? "_\r\n" : "*-1\r\n");
  } else {
    client_.reply("*0\r\n");
  }
}

bool RedisExclusive::spoil(std::string_view error) {
  spoiled_ = true;
  client_.answer_error(error);
  return true;
}

}  // namespace consort::shard_proxy
