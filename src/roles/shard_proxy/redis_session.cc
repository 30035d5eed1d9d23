// The commands of a Redis client that belong to its connection, and so are answered by the proxy.
#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kBadClientName =
    "ERR Client names cannot contain spaces, newlines or special characters.";
constexpr std::string_view kOldestWithHello = "6.0.0";

bool parse_number(std::string_view text, std::int64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Of CLIENT SETNAME, where it ends up in lists of one line per client.
bool is_client_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace

struct RedisClient::Local {
  std::string_view name;
  void (RedisClient::*answer)();
};

const RedisClient::Local* RedisClient::find_local(std::string_view name) {
  static constexpr Local kLocals[] = {
      {"ping", &RedisClient::answer_ping},
      {"echo", &RedisClient::answer_echo},
      {"select", &RedisClient::answer_select},
      {"auth", &RedisClient::answer_auth},
      {"hello", &RedisClient::answer_hello},
      {"client", &RedisClient::answer_client},
      {"reset", &RedisClient::answer_reset},
      {"readonly", &RedisClient::answer_no_cluster},
      {"readwrite", &RedisClient::answer_no_cluster},
      {"asking", &RedisClient::answer_no_cluster},
  };
  for (const Local& local : kLocals) {
    if (local.name == name) return &local;
  }
  return nullptr;
}

bool RedisClient::is_answered_here(const redis::Command& command) const {
  return find_local(command.name) != nullptr;
}

// True when the command was answered (or refused) here.
bool RedisClient::answer_here(const redis::Command& command) {
  const Local* local = find_local(command.name);
  if (local == nullptr) return false;
  if (command.accepts(argc())) {
    (this->*local->answer)();
  } else {
    answer_error(redis::wrong_arity_error(command.name));
  }
  return true;
}

// The SUBSCRIBE family; and what a RESP2 client may not say while it is subscribed, since it could
// not tell replies from messages.
bool RedisClient::answer_subscription(const redis::Command& command) {
  using Kind = RedisSubscriber::Kind;
  struct Entry {
    std::string_view name;
    Kind kind;
    bool subscribes;
  };
  static constexpr Entry kEntries[] = {
      {"subscribe", Kind::channel, true},        {"psubscribe", Kind::pattern, true},
      {"ssubscribe", Kind::shard_channel, true}, {"unsubscribe", Kind::channel, false},
      {"punsubscribe", Kind::pattern, false},    {"sunsubscribe", Kind::shard_channel, false},
  };
  bool is_restricted = is_subscribed() && dialect_ == Dialect::resp2;
  const Entry* found = nullptr;
  for (const Entry& entry : kEntries) {
    if (entry.name == command.name) found = &entry;
  }
  if (found == nullptr) {
    bool is_allowed = command.name == "ping" || command.name == "reset";
    if (!is_restricted || is_allowed || !command.accepts(argc())) return false;
    answer_error("ERR Can't execute '" + std::string(command.name) +
                 "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                 "this context");
    return true;
  }
  if (exclusive_ && exclusive_->is_queuing()) return false;
  if (!command.accepts(argc())) {
    answer_error(redis::wrong_arity_error(command.name));
    return true;
  }
  if (!subscriber_) subscriber_ = std::make_unique<RedisSubscriber>(*this);
  for (std::size_t i = 1; i < argc(); ++i) {
    if (found->subscribes) {
      subscriber_->subscribe(found->kind, arg(i));
    } else {
      subscriber_->unsubscribe(found->kind, arg(i));
    }
  }
  if (argc() == 1) subscriber_->unsubscribe_all(found->kind);
  update_plain();
  return true;
}

void RedisClient::answer_ping() {
  if (argc() > 2) {
    answer_error(redis::wrong_arity_error("ping"));
  } else if (is_subscribed() && dialect_ == Dialect::resp2) {
    std::string bytes = "*2\r\n";
    resp::append_bulk(bytes, "pong");
    resp::append_bulk(bytes, argc() == 2 ? arg(1) : std::string_view());
    reply(bytes);
  } else if (argc() == 2) {
    answer_bulk(arg(1));
  } else {
    reply("+PONG\r\n");
  }
}

void RedisClient::answer_echo() {
  answer_bulk(arg(1));
}

void RedisClient::answer_no_cluster() {
  answer_error("ERR This instance has cluster support disabled");
}

// Each database has its own connections to the servers: what was sent on the old ones must have
// been done before anything is sent on the new ones.
void RedisClient::answer_select() {
  std::int64_t database = 0;
  if (!parse_number(arg(1), database)) {
    answer_error("ERR value is not an integer or out of range");
  } else if (database < 0 || database >= static_cast<std::int64_t>(pool().databases())) {
    answer_error("ERR DB index is out of range");
  } else if (static_cast<std::uint32_t>(database) == database_ || is_silent()) {
    database_ = static_cast<std::uint32_t>(database);
    if (exclusive_) exclusive_->follow({"SELECT", arg(1)});
    reply("+OK\r\n");
  }
}

void RedisClient::set_authenticated(bool authenticated) {
  authenticated_ = authenticated;
  parser_.set_trusted(authenticated);
}

bool RedisClient::check_password(std::string_view user, std::string_view password) {
  const std::string& expected = pool().config().redis_auth;
  if (user != "default") return false;
  return expected.empty() || equals_in_constant_time(password, expected);
}

void RedisClient::answer_auth() {
  if (argc() > 3) {
    answer_error("ERR syntax error");
  } else if (argc() == 2 && pool().config().redis_auth.empty()) {
    answer_error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  } else if (check_password(argc() == 3 ? arg(1) : "default", arg(argc() - 1))) {
    set_authenticated(true);
    reply("+OK\r\n");
  } else {
    answer_error(kWrongPass);
  }
}

void RedisClient::answer_hello() {
  std::int64_t protocol = dialect_ == Dialect::resp3 ? 3 : 2;
  if (argc() > 1 && !parse_number(arg(1), protocol)) {
    answer_error("ERR Protocol version is not an integer or out of range");
    return;
  }
  if (protocol != 2 && protocol != 3) {
    answer_error("NOPROTO unsupported protocol version");
    return;
  }
  std::string_view name;
  bool allowed = authenticated_;
  for (std::size_t i = 2; i < argc(); ++i) {
    std::size_t left = argc() - 1 - i;
    if (equals_ignoring_case(arg(i), "auth") && left >= 2) {
      allowed = check_password(arg(i + 1), arg(i + 2));
      if (!allowed) {
        answer_error(kWrongPass);
        return;
      }
      i += 2;
    } else if (equals_ignoring_case(arg(i), "setname") && left >= 1) {
      name = arg(++i);
      if (!is_client_name(name)) {
        answer_error(kBadClientName);
        return;
      }
    } else {
      answer_error("ERR Syntax error in HELLO option '" + std::string(arg(i)) + "'");
      return;
    }
  }
  if (!allowed) {
    answer_error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time");
    return;
  }
  Dialect dialect = protocol == 3 ? Dialect::resp3 : Dialect::resp2;
  // The dialects have their own connections to a server, as databases have.
  if (dialect != dialect_) {
    if (!is_silent()) return;
    if (is_subscribed()) {
      answer_error("ERR the protocol cannot be changed while there are subscriptions");
      return;
    }
    if (exclusive_) exclusive_->follow({"HELLO", arg(1)});
  }
  dialect_ = dialect;
  update_plain();
  set_authenticated(true);
  if (!name.empty()) client_name_ = std::string(name);
  answer_hello_map();
}

// What one server would say of itself; clients read version and proto.
void RedisClient::answer_hello_map() {
  bool is_resp3 = dialect_ == Dialect::resp3;
  std::string reply = is_resp3 ? "%7\r\n" : "*14\r\n";
  auto pair = [&reply](std::string_view name, std::string_view value) {
    resp::append_bulk(reply, name);
    resp::append_bulk(reply, value);
  };
  auto number = [&reply](std::string_view name, std::uint64_t value) {
    resp::append_bulk(reply, name);
    reply += ":" + std::to_string(value) + "\r\n";
  };
  pair("server", "redis");
  pair("version", pool().server_version(kOldestWithHello));
  number("proto", is_resp3 ? 3 : 2);
  number("id", id());
  pair("mode", "standalone");
  pair("role", "master");
  resp::append_bulk(reply, "modules");
  resp::append_array_header(reply, 0);
  this->reply(reply);
}

void RedisClient::answer_reset() {
  bool changes = dialect_ != Dialect::resp2 || database_ != pool().config().redis_db;
  if ((changes || exclusive_ || subscriber_) && !is_silent()) return;
  if (exclusive_) exclusive_->drop();
  if (subscriber_) subscriber_->drop();
  exclusive_.reset();
  dialect_ = Dialect::resp2;
  database_ = pool().config().redis_db;
  client_name_.clear();
  reply_mode_ = ReplyMode::on;
  set_authenticated(pool().config().redis_auth.empty());
  update_plain();
  answer("+RESET\r\n");
}

}  // namespace consort::shard_proxy
