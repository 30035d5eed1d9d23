#include "roles/shard_proxy/redis_client.hpp"

#include <utility>

#include "base/text.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_gather.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint32_t kNoPart = ~std::uint32_t{0};
constexpr std::string_view kNeedsOwnConnection =
    "needs a connection of its own, which this proxy does not give yet";

// The commands whose keys may be on several servers, with what each part takes per key.
struct Splittable {
  std::string_view name;
  RedisMerge merge;
  std::uint32_t words_per_key;
};
constexpr Splittable kSplittable[] = {
    {"mget", RedisMerge::array, 1}, {"del", RedisMerge::sum, 1},
    {"unlink", RedisMerge::sum, 1}, {"touch", RedisMerge::sum, 1},
    {"exists", RedisMerge::sum, 1}, {"mset", RedisMerge::all_succeeded, 2},
};

const Splittable* find_splittable(std::string_view name) {
  for (const Splittable& entry : kSplittable) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

// Commands without keys, and subcommands, to which every server of the pool has the same answer.
bool any_server_will_do(std::string_view name) {
  return name == "time" || name == "command" || name == "lolwut" || name == "ping" ||
         name == "echo" || name == "help";
}

// What the server looks at before anything else, a password included.
struct Shape {
  const redis::Command* exact;  ///< a container's subcommand, else the command
  std::string error;            ///< no such command, or too few or many arguments
};

Shape check_shape(const redis::Command* command, const redis::Arguments& arguments) {
  if (command == nullptr) return {nullptr, redis::unknown_command_error(arguments)};
  const redis::Command* exact = command;
  std::string name(command->name);
  if (command->is_container() && arguments.size() > 1) {
    exact = redis::find_subcommand(*command, arguments[1]);
    if (exact == nullptr) return {nullptr, redis::unknown_subcommand_error(arguments)};
    name.append("|").append(exact->name);
  }
  if (exact->accepts(arguments.size())) return {exact, {}};
  return {exact, redis::wrong_arity_error(name)};
}

bool merge_of(redis::ResponsePolicy policy, RedisMerge& merge) {
  switch (policy) {
    case redis::ResponsePolicy::all_succeeded:
      merge = RedisMerge::all_succeeded;
      return true;
    case redis::ResponsePolicy::agg_sum:
      merge = RedisMerge::sum;
      return true;
    case redis::ResponsePolicy::agg_logical_and:
      merge = RedisMerge::logical_and;
      return true;
    default:
      return false;
  }
}

}  // namespace

RedisClient::RedisClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id)
    : Client(pool, std::move(stream), id) {
  set_authenticated(pool.config().redis_auth.empty());
}

Client::Taken RedisClient::take_request(std::string_view bytes) {
  switch (parser_.parse(bytes)) {
    case resp::Progress::more:
      return {Parsed::more};
    case resp::Progress::error:
      bytes_ = bytes;
      answer_error(parser_.error());
      return {Parsed::closing, bytes.size()};
    case resp::Progress::done:
      break;
  }
  Taken taken{Parsed::request, parser_.size()};
  bytes_ = bytes.substr(0, parser_.size());
  if (parser_.argc() > 0 && !route(bytes_)) taken.parsed = Parsed::closing;
  if (std::exchange(must_wait_, false)) taken = {Parsed::wait};
  parser_.reset();
  return taken;
}

// False when the connection ends after the answer.
bool RedisClient::route(std::string_view request) {
  if (parser_.is_inline()) {
    rebuilt_.clear();
    resp::append_array_header(rebuilt_, parser_.argc());
    for (std::size_t i = 0; i < parser_.argc(); ++i) resp::append_bulk(rebuilt_, arg(i));
    request = rebuilt_;
  }
  // What Redis takes for a web browser's request, and hangs up on without a word: it must not hang
  // up on the connection that all clients share.
  if (equals_ignoring_case(arg(0), "host:") || equals_ignoring_case(arg(0), "post")) return false;
  const redis::Command* command = redis::find_command(arg(0));
  if (command != nullptr && command->name == "quit") {
    answer("+OK\r\n");
    return false;
  }
  bool may_come_first =
      command != nullptr &&
      (command->name == "auth" || command->name == "hello" || command->name == "reset");
  if (!authenticated_ && !may_come_first) {
    std::string error = check_shape(command, redis::Arguments(parser_, bytes_)).error;
    answer_error(error.empty() ? "NOAUTH Authentication required." : error);
  } else if (command == nullptr) {
    // A module's command names its keys in a way that only the server knows.
    if (equals_ignoring_case(arg(0), "waitaof")) {
      refuse(kNeedsOwnConnection);  // of redis 7.2, and it may hold the connection for ever
    } else if (pool().servers() == 1) {
      send_to(0, request);
    } else {
      answer_error(redis::unknown_command_error(redis::Arguments(parser_, bytes_)));
    }
  } else {
    route_known(*command, request);
  }
  return true;
}

void RedisClient::route_known(const redis::Command& command, std::string_view request) {
  bool has_one_plain_key = command.first_key == 1 && command.last_key == 1 &&
                           (command.flags & (redis::kStateful | redis::kBlocking |
                                             redis::kMovableKeys | redis::kPubSub)) == 0;
  if (has_one_plain_key && parser_.argc() > 1 && command.accepts(parser_.argc())) {
    send_to(pool().server_of(arg(1)), request);
    return;
  }
  if (answer_here(command)) return;
  redis::Arguments arguments(parser_, bytes_);
  bool is_private = command.is(redis::kStateful) || redis::may_block(command, arguments);
  if (pool().servers() == 1 && !is_private) {
    send_to(0, request);
    return;
  }
  Shape shape = check_shape(&command, arguments);
  if (!shape.error.empty()) {
    answer_error(shape.error);
    return;
  }
  if (is_private) {
    refuse(kNeedsOwnConnection);
    return;
  }
  const redis::Command* exact = shape.exact;
  if (redis::reads_by_pattern(command, arguments)) {
    refuse("with a BY or GET pattern reads keys of every server of the pool");
  } else if (command.name == "publish" || command.name == "spublish") {
    send_to(pool().server_of(arg(1)), request);
  } else if (!redis::find_keys(*exact, arguments, key_positions_)) {
    // The server refuses it for the same reason, in its own words.
    send_to(pool().any_server(), request);
  } else if (key_positions_.empty()) {
    route_keyless(*exact, request);
  } else {
    route_keyed(*exact, request);
  }
}

void RedisClient::route_keyless(const redis::Command& command, std::string_view request) {
  // A container's subcommands carry their own names: `COMMAND COUNT` is "count".
  bool is_container = equals_ignoring_case(arg(0), "command");
  RedisMerge merge = RedisMerge::sum;
  bool goes_everywhere = command.request_policy == redis::RequestPolicy::all_shards ||
                         command.request_policy == redis::RequestPolicy::all_nodes;
  if (is_container || any_server_will_do(command.name)) {
    send_to(pool().any_server(), request);
  } else if (goes_everywhere && merge_of(command.response_policy, merge)) {
    broadcast(merge, request);
  } else if (command.is(redis::kMovableKeys)) {
    // A script without keys may read or write anything: only one fixed server gives it a meaning.
    send_to(0, request);
  } else {
    refuse("concerns every server of the pool, and their answers are not merged yet");
  }
}

void RedisClient::route_keyed(const redis::Command& command, std::string_view request) {
  key_servers_.clear();
  bool is_split = false;
  for (std::uint32_t position : key_positions_) {
    key_servers_.push_back(pool().server_of(arg(position)));
    is_split = is_split || key_servers_.back() != key_servers_.front();
  }
  if (!is_split) {
    send_to(key_servers_.front(), request);
    return;
  }
  const Splittable* splittable = find_splittable(command.name);
  if (splittable == nullptr) {
    answer_error("CROSSSLOT Keys in request don't hash to the same slot");
    return;
  }
  split(splittable->merge, splittable->words_per_key);
}

// One request per server, with its keys in the order of the original.
void RedisClient::split(RedisMerge merge, std::uint32_t words_per_key) {
  bool has_whole_pairs = (parser_.argc() - 1) % words_per_key == 0;
  if (!has_whole_pairs) {
    answer_error(redis::wrong_arity_error("mset"));
    return;
  }
  struct PartRequest {
    std::uint32_t server;
    std::uint32_t keys = 0;
    std::string words;
  };
  std::vector<std::uint32_t> part_of_server(pool().servers(), kNoPart);
  std::vector<PartRequest> parts;
  std::vector<std::uint32_t> part_of_key;
  part_of_key.reserve(key_positions_.size());
  for (std::size_t i = 0; i < key_positions_.size(); ++i) {
    std::uint32_t& part = part_of_server[key_servers_[i]];
    if (part == kNoPart) {
      part = static_cast<std::uint32_t>(parts.size());
      parts.push_back({key_servers_[i], 0, {}});
    }
    ++parts[part].keys;
    for (std::uint32_t word = 0; word < words_per_key; ++word) {
      resp::append_bulk(parts[part].words, arg(key_positions_[i] + word));
    }
    part_of_key.push_back(part);
  }
  pool().metrics().split_requests.add();
  std::uint32_t slot = open_slot();
  auto count = static_cast<std::uint32_t>(parts.size());
  Gather& gather =
      adopt(slot, std::make_unique<RedisGather>(*this, slot, count, merge, std::move(part_of_key)));
  std::string request;
  for (std::uint32_t i = 0; i < count; ++i) {
    request.clear();
    resp::append_array_header(request, 1 + std::size_t{parts[i].keys} * words_per_key);
    resp::append_bulk(request, arg(0));
    request.append(parts[i].words);
    pool().link(parts[i].server, *this, dialect_).send(request, gather, i);
  }
}

void RedisClient::broadcast(RedisMerge merge, std::string_view request) {
  std::uint32_t slot = open_slot();
  Gather& gather = adopt(slot, std::make_unique<RedisGather>(*this, slot, pool().servers(), merge,
                                                             std::vector<std::uint32_t>()));
  for (std::uint32_t i = 0; i < pool().servers(); ++i) {
    pool().link(i, *this, dialect_).send(request, gather, i);
  }
}

void RedisClient::send_to(std::uint32_t server, std::string_view request) {
  forward(pool().link(server, *this, dialect_), request);
}

void RedisClient::refuse(std::string_view text) {
  std::string line = "ERR '";
  for (char c : arg(0).substr(0, 64)) line += c > ' ' && c < 127 ? c : '?';
  answer_error(line.append("' ").append(text));
}

void RedisClient::answer_error(std::string_view text) {
  pool().metrics().client_errors.add();
  std::string line = "-";
  answer(line.append(text).append("\r\n"));
}

void RedisClient::answer_bulk(std::string_view text) {
  std::string reply;
  resp::append_bulk(reply, text);
  answer(reply);
}

std::string RedisClient::failure_reply(const Failure& failure) const {
  return redis_failure_line(failure);
}

}  // namespace consort::shard_proxy
