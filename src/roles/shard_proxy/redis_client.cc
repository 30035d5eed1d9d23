#include "roles/shard_proxy/redis_client.hpp"

#include <utility>

#include "base/text.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_fanout.hpp"
#include "roles/shard_proxy/redis_gather.hpp"
#include "roles/shard_proxy/redis_merge_scan.hpp"
#include "roles/shard_proxy/redis_merge_sets.hpp"
#include "roles/shard_proxy/redis_miss.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint32_t kNoPart = ~std::uint32_t{0};

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

// What the server looks at before anything else, a password included.
struct Shape {
  const redis::Command* exact;  ///< a container's subcommand, else the command
  std::string error;            ///< no such command, or too few or many arguments
};

Shape check_shape(const redis::CommandTable& table, const redis::Command* command,
                  const redis::Arguments& arguments) {
  if (command == nullptr) return {nullptr, redis::unknown_command_error(arguments)};
  const redis::Command* exact = command;
  std::string name(command->name);
  if (command->is_container() && arguments.size() > 1) {
    exact = table.find_subcommand(*command, arguments[1]);
    if (exact == nullptr) return {nullptr, redis::unknown_subcommand_error(arguments)};
    name.append("|").append(exact->name);
  }
  if (exact->accepts(arguments.size())) return {exact, {}};
  return {exact, redis::wrong_arity_error(name)};
}

// What a redis-server takes for a web browser's request, and hangs up on without a word: it must
// not hang up on the connection that all clients share.
bool is_web_browser(std::string_view word) {
  return equals_ignoring_case(word, "host:") || equals_ignoring_case(word, "post");
}

bool may_come_before_password(const redis::Command* command) {
  return command != nullptr &&
         (command->name == "auth" || command->name == "hello" || command->name == "reset");
}

}  // namespace

RedisClient::RedisClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id)
    : Client(pool, std::move(stream), id),
      database_(pool.config().redis_db),
      connected_ms_(pool.now_ms()) {
  set_authenticated(pool.config().redis_auth.empty());
}

RedisClient::~RedisClient() = default;

Client::Taken RedisClient::take_request(std::string_view bytes) {
  switch (parser_.parse(bytes)) {
    case resp::Progress::more:
      return {Parsed::more};
    case resp::Progress::error:
      bytes_ = bytes;
      pool().metrics().parse_errors.add();
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
    resp::append_array_header(rebuilt_, argc());
    for (std::size_t i = 0; i < argc(); ++i) resp::append_bulk(rebuilt_, arg(i));
    request = rebuilt_;
  }
  const redis::Command* command = pool().commands().find(arg(0));
  if (command == nullptr && is_web_browser(arg(0))) return false;
  if (command != nullptr && command->name == "quit") {
    reply("+OK\r\n");
    return false;
  }
  if (!authenticated_ && !may_come_before_password(command)) {
    std::string error = check_shape(pool().commands(), command, arguments()).error;
    answer_error(error.empty() ? "NOAUTH Authentication required." : error);
  } else if (command == nullptr) {
    route_unknown(request);
  } else {
    remember_command(*command);
    route_known(*command, request);
    if (!must_wait_) pool().count_command(*command);
  }
  if (reply_mode_ != ReplyMode::on && !must_wait_) end_of_skip();
  return !std::exchange(ends_, false);
}

// For CLIENT LIST: "get", "config|set".
void RedisClient::remember_command(const redis::Command& command) {
  last_command_ = command.name;
  last_subcommand_ = {};
  if (!command.is_container() || argc() < 2) return;
  const redis::Command* exact = pool().commands().find_subcommand(command, arg(1));
  if (exact != nullptr) last_subcommand_ = exact->name;
}

// A command that no table knows names its keys in a way that only the server understands.
void RedisClient::route_unknown(std::string_view request) {
  bool may_hold = equals_ignoring_case(arg(0), "waitaof");  // of redis 7.2
  bool is_restricted = is_subscribed() && dialect_ == Dialect::resp2;
  if (exclusive_ && exclusive_->is_queuing()) {
    exclusive_->spoil(redis::unknown_command_error(arguments()));
  } else if (pool().servers() != 1 || may_hold || is_restricted) {
    answer_error(redis::unknown_command_error(arguments()));
  } else if (!exclusive_ || is_silent()) {
    send_to(0, request);
  }
}

void RedisClient::route_known(const redis::Command& command, std::string_view request) {
  bool has_one_plain_key = command.first_key == 1 && command.last_key == 1 &&
                           (command.flags & (redis::kStateful | redis::kBlocking |
                                             redis::kMovableKeys | redis::kPubSub)) == 0;
  if (has_one_plain_key && is_plain_ && argc() > 1 && command.accepts(argc())) {
    send_keyed(command, pool().server_of(arg(1)), request);
    return;
  }
  if (answer_subscription(command)) return;
  bool needs_own = command.is(redis::kStateful) || command.is(redis::kBlocking);
  if (exclusive_ || needs_own) {
    if (!exclusive_) exclusive_ = std::make_unique<RedisExclusive>(*this);
    bool is_taken = exclusive_->take(command, request);
    if (exclusive_->is_over()) exclusive_.reset();
    update_plain();
    if (is_taken) return;
  }
  if (answer_here(command)) return;
  route_shared(command, request);
}

// What may go over connections that other clients use too.
void RedisClient::route_shared(const redis::Command& command, std::string_view request) {
  if (takes_over_connection(command)) {
    Shape shape = check_shape(pool().commands(), &command, arguments());
    if (!shape.error.empty()) {
      answer_error(shape.error);
    } else if (command.name == "script" && equals_ignoring_case(arg(2), "no")) {
      reply("+OK\r\n");
    } else {
      refuse("is not available through this proxy: it takes over the connection");
    }
    return;
  }
  if (pool().servers() == 0) {
    send_to(Placement::kNoServer, request);
    return;
  }
  if (pool().servers() == 1 && !(pool().reads_miss() && command.name == "mget")) {
    send_to(0, request);
    return;
  }
  const redis::CommandTable& table = pool().commands();
  Shape shape = check_shape(table, &command, arguments());
  const redis::Command* exact = shape.exact;
  if (!shape.error.empty()) {
    answer_error(shape.error);
  } else if (exact->is(redis::kUnknownKeys)) {
    refuse("does not tell where its keys are, so it cannot be placed on one of several servers");
  } else if (table.reads_by_pattern(command, arguments())) {
    refuse("with a BY or GET pattern reads keys of every server of the pool");
  } else if (command.name == "scan") {
    route_scan(request);
  } else if (command.name == "publish" || command.name == "spublish") {
    send_to(pool().server_of(arg(1)), request);
  } else if (!table.find_keys(*exact, arguments(), key_positions_)) {
    // The server refuses it for the same reason, in its own words.
    send_to(pool().any_server(), request);
  } else if (key_positions_.empty()) {
    route_keyless(command, *exact, request);
  } else {
    route_keyed(command, request);
  }
}

bool RedisClient::takes_over_connection(const redis::Command& command) const {
  bool is_debugger =
      command.name == "script" && argc() > 1 && equals_ignoring_case(arg(1), "debug");
  return is_debugger || command.name == "monitor" || command.name == "sync" ||
         command.name == "psync" || command.name == "replconf";
}

void RedisClient::route_keyless(const redis::Command& command, const redis::Command& exact,
                                std::string_view request) {
  std::string_view subcommand = &exact != &command ? exact.name : std::string_view();
  const FanoutRule* rule = find_fanout(command.name, subcommand);
  if (rule == nullptr) rule = find_fanout_by_tips(exact.request_policy, exact.response_policy);
  if (rule == nullptr) {
    refuse("concerns every server of the pool, and nothing says how to merge their answers");
    return;
  }
  switch (rule->target) {
    case Target::any_server:
      send_to(pool().any_server(), request);
      break;
    case Target::first_server:
      send_to(0, request);
      break;
    case Target::refused:
      refuse(rule->why_refused);
      break;
    case Target::every_server:
      broadcast(*rule, request);
      break;
  }
}

void RedisClient::route_scan(std::string_view request) {
  auto place = decode_cursor(arg(1), pool().servers());
  if (!place) {
    answer_error("ERR invalid cursor");
    return;
  }
  std::string own;
  resp::append_array_header(own, argc());
  resp::append_bulk(own, arg(0));
  resp::append_bulk(own, std::to_string(place->cursor));
  for (std::size_t i = 2; i < argc(); ++i) resp::append_bulk(own, arg(i));
  (void)request;
  std::uint32_t slot = open_slot(filter_now());
  Gather& gather =
      adopt(slot, std::make_unique<ScanGather>(*this, slot, place->server, pool().servers()));
  pool().link(place->server, *this, lane()).send(own, gather, 0);
}

void RedisClient::route_keyed(const redis::Command& command, std::string_view request) {
  key_servers_.clear();
  bool is_split = false;
  for (std::uint32_t position : key_positions_) {
    key_servers_.push_back(pool().server_of(arg(position)));
    is_split = is_split || key_servers_.back() != key_servers_.front();
  }
  bool gathers_misses = pool().reads_miss() && command.name == "mget";
  if (!is_split && !gathers_misses) {
    send_keyed(command, key_servers_.front(), request);
    return;
  }
  if (CrossRead::covers(command.name)) {
    compute_across_servers(command);
    return;
  }
  const Splittable* splittable = find_splittable(command.name);
  if (splittable == nullptr) {
    answer_error(kCrossSlot);
    return;
  }
  split(splittable->merge, splittable->words_per_key);
}

void RedisClient::compute_across_servers(const redis::Command& command) {
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < argc(); ++i) words.push_back(arg(i));
  auto read = CrossRead::plan({command.name, words, key_positions_, key_servers_});
  if (!read) {
    send_to(pool().any_server(), bytes_);
    return;
  }
  std::vector<std::pair<std::uint32_t, std::string>> requests;
  for (const CrossRead::Part& part : read->parts()) {
    requests.emplace_back(part.server, std::string());
    resp::append_array_header(requests.back().second, part.words.size());
    for (std::string_view word : part.words) resp::append_bulk(requests.back().second, word);
  }
  read->release_words();
  pool().metrics().split_requests.add();
  std::uint32_t slot = open_slot(filter_now());
  Gather& gather = adopt(slot, std::make_unique<CrossGather>(*this, slot, std::move(*read)));
  for (std::uint32_t i = 0; i < requests.size(); ++i) {
    pool().link(requests[i].first, *this, lane()).send(requests[i].second, gather, i);
  }
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
  std::uint32_t slot = open_slot(filter_now());
  auto count = static_cast<std::uint32_t>(parts.size());
  auto split_reply =
      std::make_unique<RedisGather>(*this, slot, count, merge, std::move(part_of_key));
  if (pool().reads_miss()) split_reply->miss_on_failure(dialect_ == Dialect::resp3);
  Gather& gather = adopt(slot, std::move(split_reply));
  std::string request;
  for (std::uint32_t i = 0; i < count; ++i) {
    request.clear();
    resp::append_array_header(request, 1 + std::size_t{parts[i].keys} * words_per_key);
    resp::append_bulk(request, arg(0));
    request.append(parts[i].words);
    pool().link(parts[i].server, *this, lane()).send(request, gather, i);
  }
}

void RedisClient::broadcast(const FanoutRule& rule, std::string_view request) {
  if (pool().servers() == 0) {
    send_to(Placement::kNoServer, request);
    return;
  }
  std::uint32_t slot = open_slot(filter_now());
  Gather& gather = adopt(slot, std::make_unique<FanoutGather>(*this, slot, rule, arguments()));
  for (std::uint32_t i = 0; i < pool().servers(); ++i) {
    pool().link(i, *this, lane()).send(request, gather, i);
  }
}

void RedisClient::send_to(std::uint32_t server, std::string_view request) {
  forward(pool().link(server, *this, lane()), request, filter_now());
}

void RedisClient::send_keyed(const redis::Command& command, std::uint32_t server,
                             std::string_view request) {
  std::uint8_t miss = pool().reads_miss() ? miss_kind_of(command.name) : kNoMiss;
  forward(pool().link(server, *this, lane()), request, filter_now(), miss);
}

std::string_view RedisClient::miss_reply(std::uint8_t kind) const {
  return redis_miss_reply(kind, dialect_ == Dialect::resp3);
}

void RedisClient::refuse(std::string_view text) {
  std::string line = "ERR '";
  for (char c : arg(0).substr(0, 64)) line += c > ' ' && c < 127 ? c : '?';
  answer_error(line.append("' ").append(text));
}

void RedisClient::answer_error(std::string_view text) {
  pool().metrics().client_errors.add();
  std::string line = "-";
  reply(line.append(text).append("\r\n"));
}

void RedisClient::answer_failure(const Failure& failure) {
  pool().metrics().client_errors.add();
  reply(redis_failure_line(failure));
}

void RedisClient::answer_bulk(std::string_view text) {
  std::string bytes;
  resp::append_bulk(bytes, text);
  reply(bytes);
}

// Text for people: RESP3 has a type for it.
void RedisClient::answer_text(std::string_view text) {
  if (dialect_ == Dialect::resp2) {
    answer_bulk(text);
    return;
  }
  std::string bytes = "=" + std::to_string(text.size() + 4) + "\r\ntxt:";
  reply(bytes.append(text).append("\r\n"));
}

// ---- what is not told (CLIENT REPLY) ----

void RedisClient::reply(std::string_view bytes) {
  if (filter_now() != kSilent) answer(bytes);
}

std::uint8_t RedisClient::filter_now() const {
  bool is_told = reply_mode_ == ReplyMode::on || reply_mode_ == ReplyMode::skip_next;
  return is_told ? kUnfiltered : std::uint8_t{kSilent};
}

std::string_view RedisClient::filter(std::uint8_t, std::string_view) const {
  return {};
}

// SKIP is about the command after it.
void RedisClient::end_of_skip() {
  if (reply_mode_ == ReplyMode::skip) {
    reply_mode_ = ReplyMode::on;
  } else if (reply_mode_ == ReplyMode::skip_next) {
    reply_mode_ = ReplyMode::skip;
  }
  update_plain();
}

// ---- state ----

bool RedisClient::is_silent() {
  must_wait_ = has_unanswered();
  return !must_wait_;
}

bool RedisClient::is_subscribed() const {
  return subscriber_ != nullptr && subscriber_->total() > 0;
}

void RedisClient::update_plain() {
  bool is_restricted = is_subscribed() && dialect_ == Dialect::resp2;
  is_plain_ = !exclusive_ && !is_restricted && reply_mode_ == ReplyMode::on;
}

const PrivateLink* RedisClient::blocked_on() const {
  return exclusive_ ? exclusive_->blocked_on() : nullptr;
}

void RedisClient::servers_changed() {
  if (exclusive_) exclusive_->servers_changed();
  if (subscriber_) subscriber_->servers_changed();
}

void RedisClient::on_closed() {
  if (exclusive_) exclusive_->drop();
  if (subscriber_) subscriber_->drop();
}

std::string RedisClient::failure_reply(const Failure& failure) const {
  return redis_failure_line(failure);
}

}  // namespace consort::shard_proxy
