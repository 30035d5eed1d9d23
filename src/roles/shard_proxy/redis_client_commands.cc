// CLIENT: about the client connections of this pool, which a server cannot know.
#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kSyntax = "ERR syntax error";

bool parse_id(std::string_view text, std::uint64_t& id) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size() && id > 0;
}

// Of CLIENT SETNAME and SETINFO, where it ends up in lists of one line per client.
bool is_printable(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

/// What CLIENT KILL and CLIENT LIST choose by; empty members choose everybody.
struct ClientFilter {
  std::vector<std::uint64_t> ids;  ///< ascending
  std::string_view address;
  std::string_view local_address;
  std::string_view type;
  std::string_view user;
  bool skips_me = true;

  bool matches(const RedisClient& client) const {
    bool has_type = type.empty() || (type == "pubsub") == client.is_subscribed();
    bool has_id = ids.empty() || std::binary_search(ids.begin(), ids.end(), client.id());
    return has_id && has_type && type != "master" && type != "replica" && type != "slave" &&
           (user.empty() || user == "default") && (address.empty() || address == client.peer()) &&
           (local_address.empty() || local_address == client.local_address());
  }
};

constexpr std::string_view kTypes[] = {"normal", "pubsub", "master", "replica", "slave"};

std::string_view find_type(std::string_view word) {
  for (std::string_view type : kTypes) {
    if (equals_ignoring_case(word, type)) return type;
  }
  return {};
}

}  // namespace

struct RedisClient::ClientCommand {
  std::string_view name;
  void (RedisClient::*answer)();
};

void RedisClient::answer_client() {
  static constexpr ClientCommand kCommands[] = {
      {"caching", &RedisClient::client_caching},
      {"getname", &RedisClient::client_getname},
      {"getredir", &RedisClient::client_getredir},
      {"help", &RedisClient::client_help},
      {"id", &RedisClient::client_id},
      {"info", &RedisClient::client_info},
      {"kill", &RedisClient::client_kill},
      {"list", &RedisClient::client_list},
      {"no-evict", &RedisClient::client_no_evict},
      {"no-touch", &RedisClient::client_no_evict},
      {"pause", &RedisClient::client_pause},
      {"reply", &RedisClient::client_reply},
      {"setinfo", &RedisClient::client_setinfo},
      {"setname", &RedisClient::client_setname},
      {"tracking", &RedisClient::client_tracking},
      {"trackinginfo", &RedisClient::client_trackinginfo},
      {"unblock", &RedisClient::client_unblock},
      {"unpause", &RedisClient::client_pause},
  };
  const redis::CommandTable& table = pool().commands();
  const redis::Command* exact = table.find_subcommand(*table.find("client"), arg(1));
  if (exact == nullptr) {
    answer_error(redis::unknown_subcommand_error(arguments()));
    return;
  }
  if (!exact->accepts(argc())) {
    answer_error(redis::wrong_arity_error("client|" + std::string(exact->name)));
    return;
  }
  for (const ClientCommand& command : kCommands) {
    if (command.name != exact->name) continue;
    (this->*command.answer)();
    return;
  }
  refuse("concerns a connection that others share");
}

// ---- this connection ----

void RedisClient::client_id() {
  reply(":" + std::to_string(id()) + "\r\n");
}

void RedisClient::client_getname() {
  if (client_name_.empty()) {
    reply(dialect_ == Dialect::resp3 ? "_\r\n" : "$-1\r\n");
  } else {
    answer_bulk(client_name_);
  }
}

void RedisClient::client_setname() {
  if (!is_printable(arg(2))) {
    answer_error("ERR Client names cannot contain spaces, newlines or special characters.");
    return;
  }
  client_name_ = std::string(arg(2));
  reply("+OK\r\n");
}

// Of redis 7.2: the library's name and version, for lists only.
void RedisClient::client_setinfo() {
  bool is_name = equals_ignoring_case(arg(2), "lib-name");
  if (!is_name && !equals_ignoring_case(arg(2), "lib-ver")) {
    answer_error("ERR Unrecognized option '" + std::string(arg(2).substr(0, 128)) + "'");
  } else if (!is_printable(arg(3))) {
    answer_error("ERR " + std::string(is_name ? "lib-name" : "lib-ver") +
                 " cannot contain spaces, newlines or special characters.");
  } else {
    reply("+OK\r\n");
  }
}

void RedisClient::client_no_evict() {
  bool is_known = equals_ignoring_case(arg(2), "on") || equals_ignoring_case(arg(2), "off");
  if (is_known) {
    reply("+OK\r\n");
  } else {
    answer_error(kSyntax);
  }
}

void RedisClient::client_reply() {
  if (equals_ignoring_case(arg(2), "on")) {
    reply_mode_ = ReplyMode::on;
    reply("+OK\r\n");
  } else if (equals_ignoring_case(arg(2), "off")) {
    reply_mode_ = ReplyMode::off;
  } else if (equals_ignoring_case(arg(2), "skip")) {
    if (reply_mode_ != ReplyMode::off) reply_mode_ = ReplyMode::skip_next;
  } else {
    answer_error(kSyntax);
  }
  update_plain();
}

// Invalidation messages of a shared connection could not be told apart.
void RedisClient::client_tracking() {
  if (equals_ignoring_case(arg(2), "off")) {
    reply("+OK\r\n");
  } else if (equals_ignoring_case(arg(2), "on")) {
    answer_error(
        "ERR CLIENT TRACKING is not available through this proxy: it watches reads of a "
        "connection that clients share");
  } else {
    answer_error(kSyntax);
  }
}

void RedisClient::client_getredir() {
  reply(":-1\r\n");
}

void RedisClient::client_trackinginfo() {
  bool is_resp3 = dialect_ == Dialect::resp3;
  std::string out = is_resp3 ? "%3\r\n" : "*6\r\n";
  resp::append_bulk(out, "flags");
  out += is_resp3 ? "~1\r\n" : "*1\r\n";
  resp::append_bulk(out, "off");
  resp::append_bulk(out, "redirect");
  out += ":-1\r\n";
  resp::append_bulk(out, "prefixes");
  reply(out + "*0\r\n");
}

void RedisClient::client_caching() {
  answer_error(
      "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
      "OPTIN or OPTOUT mode enabled");
}

// ---- all of them ----

// As configured: which of a pool's addresses it came by is not known.
std::string RedisClient::local_address() const {
  const std::vector<Address>& listen = pool().config().listen;
  return listen.empty() ? std::string() : listen.front().to_string();
}

// The fields of redis 7.0, those that a proxy cannot know as 0.
std::string RedisClient::describe() const {
  std::uint64_t now_ms = pool().now_ms();
  std::size_t channels = subscriber_ ? subscriber_->count(RedisSubscriber::Kind::channel) : 0;
  std::size_t patterns = subscriber_ ? subscriber_->count(RedisSubscriber::Kind::pattern) : 0;
  std::size_t shards = subscriber_ ? subscriber_->count(RedisSubscriber::Kind::shard_channel) : 0;
  bool is_queuing = exclusive_ && exclusive_->is_queuing();
  std::string flags = is_queuing ? "x" : "";
  if (blocked_on() != nullptr) flags += 'b';
  if (is_subscribed()) flags += 'P';
  auto field = [](std::string_view name, std::uint64_t value) {
    return " " + std::string(name) + "=" + std::to_string(value);
  };
  std::string line = "id=" + std::to_string(id()) + " addr=" + peer() +
                     " laddr=" + local_address() + field("fd", 0);
  line += " name=" + client_name_ + field("age", (now_ms - connected_ms_) / 1000) +
          field("idle", (now_ms - last_progress_ms()) / 1000);
  line += " flags=" + (flags.empty() ? "N" : flags) + field("db", database_) +
          field("sub", channels) + field("psub", patterns) + field("ssub", shards);
  line += " multi=" + (is_queuing ? std::to_string(exclusive_->queued()) : "-1") +
          field("qbuf", 0) + field("qbuf-free", 0) + field("argv-mem", 0) + field("multi-mem", 0) +
          field("rbs", 0) + field("rbp", 0) + field("obl", 0) + field("oll", 0) +
          field("omem", unsent_bytes()) + field("tot-mem", 0) + " events=r";
  line += " cmd=" + std::string(last_command_.empty() ? "NULL" : last_command_);
  if (!last_subcommand_.empty()) line.append("|").append(last_subcommand_);
  line.append(" user=default redir=-1 resp=").append(dialect_ == Dialect::resp3 ? "3" : "2");
  return line;
}

void RedisClient::client_info() {
  answer_text(describe() + "\n");
}

void RedisClient::client_list() {
  ClientFilter filter;
  if (argc() == 4 && equals_ignoring_case(arg(2), "type")) {
    filter.type = find_type(arg(3));
    if (filter.type.empty()) {
      answer_error("ERR Unknown client type '" + std::string(arg(3).substr(0, 128)) + "'");
      return;
    }
  } else if (argc() > 3 && equals_ignoring_case(arg(2), "id")) {
    for (std::size_t i = 3; i < argc(); ++i) {
      std::uint64_t wanted = 0;
      if (!parse_id(arg(i), wanted)) {
        answer_error("ERR Invalid client ID");
        return;
      }
      filter.ids.push_back(wanted);
    }
  } else if (argc() != 2) {
    answer_error(kSyntax);
    return;
  }
  std::sort(filter.ids.begin(), filter.ids.end());
  std::vector<const RedisClient*> found;
  pool().for_each_client([&](const Client& each) {
    const auto& client = static_cast<const RedisClient&>(each);
    if (!client.is_closed() && filter.matches(client)) found.push_back(&client);
  });
  std::sort(found.begin(), found.end(),
            [](const RedisClient* a, const RedisClient* b) { return a->id() < b->id(); });
  std::string lines;
  for (const RedisClient* client : found) lines += client->describe() + "\n";
  answer_text(lines);
}

// `CLIENT KILL addr`, or `CLIENT KILL name value..` with names ID TYPE USER ADDR LADDR SKIPME.
void RedisClient::client_kill() {
  ClientFilter filter;
  bool is_old_form = argc() == 3;
  if (is_old_form) {
    filter.address = arg(2);
    filter.skips_me = false;
  } else if (argc() % 2 != 0) {
    answer_error(kSyntax);
    return;
  }
  for (std::size_t i = 2; !is_old_form && i < argc(); i += 2) {
    std::string_view value = arg(i + 1);
    std::uint64_t wanted = 0;
    if (equals_ignoring_case(arg(i), "id")) {
      if (!parse_id(value, wanted)) {
        answer_error("ERR client-id should be greater than 0");
        return;
      }
      filter.ids = {wanted};
    } else if (equals_ignoring_case(arg(i), "addr")) {
      filter.address = value;
    } else if (equals_ignoring_case(arg(i), "type")) {
      filter.type = find_type(value);
      if (filter.type.empty()) {
        answer_error("ERR Unknown client type '" + std::string(value.substr(0, 128)) + "'");
        return;
      }
    } else if (equals_ignoring_case(arg(i), "user")) {
      filter.user = value;
      if (value != "default") {
        answer_error("ERR No such user '" + std::string(value.substr(0, 128)) + "'");
        return;
      }
    } else if (equals_ignoring_case(arg(i), "skipme")) {
      bool is_yes = equals_ignoring_case(value, "yes");
      if (!is_yes && !equals_ignoring_case(value, "no")) {
        answer_error(kSyntax);
        return;
      }
      filter.skips_me = is_yes;
    } else if (equals_ignoring_case(arg(i), "laddr")) {
      filter.local_address = value;
    } else {
      answer_error(kSyntax);
      return;
    }
  }
  std::size_t killed = 0;
  bool kills_me = false;
  pool().for_each_client([&](Client& each) {
    auto& client = static_cast<RedisClient&>(each);
    if (client.is_closed() || !filter.matches(client)) return;
    if (&client == this) {
      kills_me = !filter.skips_me;
      killed += kills_me ? 1 : 0;
      return;
    }
    ++killed;
    client.close("CLIENT KILL");
  });
  if (is_old_form && killed == 0) {
    answer_error("ERR No such client");
  } else {
    reply(is_old_form ? "+OK\r\n" : ":" + std::to_string(killed) + "\r\n");
  }
  ends_ = kills_me;
}

void RedisClient::client_unblock() {
  std::uint64_t wanted = 0;
  bool is_known = argc() == 3 || (argc() == 4 && (equals_ignoring_case(arg(3), "timeout") ||
                                                  equals_ignoring_case(arg(3), "error")));
  if (!is_known) {
    answer_error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    return;
  }
  if (!parse_id(arg(2), wanted)) {
    answer_error("ERR value is not an integer or out of range");
    return;
  }
  const PrivateLink* link = nullptr;
  pool().for_each_client([&](const Client& each) {
    if (each.id() == wanted) link = static_cast<const RedisClient&>(each).blocked_on();
  });
  if (link == nullptr || link->server_side_id() == 0) {
    reply(":0\r\n");
    return;
  }
  std::string request;
  resp::append_array_header(request, argc());
  for (std::size_t i = 0; i < argc(); ++i) {
    resp::append_bulk(request, i == 2 ? std::to_string(link->server_side_id()) : arg(i));
  }
  forward(link->upstream().link_for(id(), lane()), request, filter_now());
}

// Every client of every server, as an operator means it.
void RedisClient::client_pause() {
  static constexpr FanoutRule kRule{
      .command = "client", .target = Target::every_server, .merge = merge_all_succeeded};
  broadcast(kRule, bytes_);
}

void RedisClient::client_help() {
  send_to(pool().any_server(), bytes_);
}

}  // namespace consort::shard_proxy
