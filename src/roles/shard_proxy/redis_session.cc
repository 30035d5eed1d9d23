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

// True when the command was answered (or refused) here.
bool RedisClient::answer_here(const redis::Command& command) {
  struct Entry {
    std::string_view name;
    void (RedisClient::*answer)();
  };
  static constexpr Entry kEntries[] = {
      {"ping", &RedisClient::answer_ping},     {"echo", &RedisClient::answer_echo},
      {"select", &RedisClient::answer_select}, {"auth", &RedisClient::answer_auth},
      {"hello", &RedisClient::answer_hello},   {"client", &RedisClient::answer_client},
      {"reset", &RedisClient::answer_reset},
  };
  for (const Entry& entry : kEntries) {
    if (entry.name != command.name) continue;
    if (command.accepts(parser_.argc())) {
      (this->*entry.answer)();
    } else {
      answer_error(redis::wrong_arity_error(command.name));
    }
    return true;
  }
  return false;
}

void RedisClient::answer_ping() {
  if (parser_.argc() > 2) {
    answer_error(redis::wrong_arity_error("ping"));
  } else if (parser_.argc() == 2) {
    answer_bulk(arg(1));
  } else {
    answer("+PONG\r\n");
  }
}

void RedisClient::answer_echo() {
  answer_bulk(arg(1));
}

// Connections to servers are shared, so they stay in the pool's database.
void RedisClient::answer_select() {
  std::int64_t database = 0;
  if (!parse_number(arg(1), database)) {
    answer_error("ERR value is not an integer or out of range");
  } else if (database == static_cast<std::int64_t>(pool().config().redis_db)) {
    answer("+OK\r\n");
  } else {
    answer_error("ERR DB index is out of range");
  }
}

void RedisClient::set_authenticated(bool authenticated) {
  authenticated_ = authenticated;
  parser_.set_trusted(authenticated);
}

// The dialects have their own connections to a server: what was sent on the old one must have been
// done before anything is sent on the new one. False: this request has to be taken again later.
bool RedisClient::may_switch_to(Dialect dialect) {
  must_wait_ = dialect != dialect_ && has_unanswered();
  return !must_wait_;
}

bool RedisClient::check_password(std::string_view user, std::string_view password) {
  const std::string& expected = pool().config().redis_auth;
  if (user != "default") return false;
  return expected.empty() || equals_in_constant_time(password, expected);
}

void RedisClient::answer_auth() {
  if (parser_.argc() > 3) {
    answer_error("ERR syntax error");
  } else if (parser_.argc() == 2 && pool().config().redis_auth.empty()) {
    answer_error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  } else if (check_password(parser_.argc() == 3 ? arg(1) : "default", arg(parser_.argc() - 1))) {
    set_authenticated(true);
    answer("+OK\r\n");
  } else {
    answer_error(kWrongPass);
  }
}

void RedisClient::answer_hello() {
  std::int64_t protocol = dialect_ == Dialect::resp3 ? 3 : 2;
  if (parser_.argc() > 1 && !parse_number(arg(1), protocol)) {
    answer_error("ERR Protocol version is not an integer or out of range");
    return;
  }
  if (protocol != 2 && protocol != 3) {
    answer_error("NOPROTO unsupported protocol version");
    return;
  }
  std::string_view name;
  bool allowed = authenticated_;
  for (std::size_t i = 2; i < parser_.argc(); ++i) {
    std::size_t left = parser_.argc() - 1 - i;
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
  if (!may_switch_to(dialect)) return;
  dialect_ = dialect;
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
  answer(reply);
}

void RedisClient::answer_client() {
  const redis::Command* exact = redis::find_subcommand(*redis::find_command("client"), arg(1));
  if (exact == nullptr) {
    answer_error(redis::unknown_subcommand_error(redis::Arguments(parser_, bytes_)));
    return;
  }
  if (!exact->accepts(parser_.argc())) {
    answer_error(redis::wrong_arity_error("client|" + std::string(exact->name)));
    return;
  }
  if (parser_.argc() == 3 && equals_ignoring_case(arg(1), "setname")) {
    if (!is_client_name(arg(2))) {
      answer_error(kBadClientName);
      return;
    }
    client_name_ = std::string(arg(2));
    answer("+OK\r\n");
  } else if (parser_.argc() == 2 && equals_ignoring_case(arg(1), "getname")) {
    if (!client_name_.empty()) {
      answer_bulk(client_name_);
    } else {
      answer(dialect_ == Dialect::resp3 ? "_\r\n" : "$-1\r\n");
    }
  } else if (parser_.argc() == 2 && equals_ignoring_case(arg(1), "id")) {
    answer(":" + std::to_string(id()) + "\r\n");
  } else {
    refuse("concerns a connection that others share; only SETNAME, GETNAME and ID are answered");
  }
}

void RedisClient::answer_reset() {
  if (!may_switch_to(Dialect::resp2)) return;
  dialect_ = Dialect::resp2;
  client_name_.clear();
  set_authenticated(pool().config().redis_auth.empty());
  answer("+RESET\r\n");
}

}  // namespace consort::shard_proxy
