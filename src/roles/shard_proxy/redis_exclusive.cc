#include "roles/shard_proxy/redis_exclusive.hpp"

#include <algorithm>
#include <utility>

#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"
#include "roles/shard_proxy/redis_fanout.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::string_view kNoneLeft =
    "needs a connection of its own, and all private_connections are taken";

constexpr FanoutRule kWaitRule{
    .command = "wait", .target = Target::every_server, .merge = merge_min};

bool is_transaction_word(std::string_view name) {
  return name == "multi" || name == "exec" || name == "discard" || name == "watch" ||
         name == "unwatch";
}

}  // namespace

RedisExclusive::~RedisExclusive() = default;

std::uint64_t RedisExclusive::timeout_ms() const {
  return static_cast<std::uint64_t>(client_.pool().config().timeout.count());
}

bool RedisExclusive::is_over() const {
  return !link_ && waits_.empty() && !queuing_ && !watching_;
}

bool RedisExclusive::take(const redis::Command& command, std::string_view request) {
  if (queuing_) return take_queuing(command, request);
  if (watching_) return take_watching(command, request);
  // EXEC's or BLPOP's reply is still to come.
  if (!is_over()) return !client_.is_silent();
  return begin(command, request);
}

// ---- beginnings ----

bool RedisExclusive::begin(const redis::Command& command, std::string_view request) {
  if (is_transaction_word(command.name)) {
    if (!command.accepts(client_.argc())) {
      client_.answer_error(redis::wrong_arity_error(command.name));
    } else if (command.name == "multi") {
      return begin_multi();
    } else if (command.name == "watch") {
      return begin_watch(command, request);
    } else if (command.name == "unwatch") {
      client_.reply("+OK\r\n");
    } else {
      client_.answer_error(command.name == "exec" ? "ERR EXEC without MULTI"
                                                  : "ERR DISCARD without MULTI");
    }
    return true;
  }
  if (command.name == "wait" || command.name == "waitaof") return begin_wait(request);
  if (!client_.pool().commands().may_block(command, client_.arguments())) return false;
  return begin_blocking(command, request);
}

// Never fails: if it did, what follows in a pipeline would be done outside of a transaction.
bool RedisExclusive::begin_multi() {
  client_.reply("+OK\r\n");
  queuing_ = true;
  return true;
}

bool RedisExclusive::begin_watch(const redis::Command& command, std::string_view request) {
  std::uint32_t server = 0;
  if (!find_server(command, server)) {
    client_.answer_error(kCrossSlot);
    return true;
  }
  if (!client_.is_silent() || !open(server)) return true;
  watching_ = true;
  remember_key();
  forward(request, timeout_ms());
  return true;
}

bool RedisExclusive::begin_blocking(const redis::Command& command, std::string_view request) {
  if (!command.accepts(client_.argc())) {
    client_.answer_error(redis::wrong_arity_error(command.name));
    return true;
  }
  std::uint32_t server = 0;
  bool is_anywhere = command.is(redis::kUnknownKeys) && client_.pool().servers() > 1;
  if (is_anywhere || !find_server(command, server)) {
    client_.answer_error(kCrossSlot);
    return true;
  }
  if (!may_wait() || !open(server)) return true;
  blocked_ = true;
  remember_key();
  forward(request, PrivateLink::kNoLimit);
  return true;
}

// What may wait for ever is not begun for a client that has hung up already: an element would be
// taken for nobody.
bool RedisExclusive::may_wait() {
  if (!client_.is_silent()) return false;
  client_.ends_ = client_.is_leaving();
  return !client_.ends_;
}

// It is about all that was written before it; a server takes that to be the place in its
// replication stream that it had reached at this connection's last command, whoever wrote. So a
// PING right before it on a connection of its own makes it mean the same as on the shared one.
bool RedisExclusive::begin_wait(std::string_view request) {
  if (!may_wait()) return true;
  Pool& pool = client_.pool();
  std::uint32_t servers = pool.servers();
  for (std::uint32_t i = 0; i < std::max(servers, 1u); ++i) {
    if (auto link = lease(i)) {
      waits_.push_back(std::move(link));
      continue;
    }
    for (auto& link : std::exchange(waits_, {})) pool.private_links().give_back(std::move(link));
    return true;
  }
  std::uint32_t slot = client_.open_slot(client_.filter_now());
  auto count = static_cast<std::uint32_t>(waits_.size());
  Gather& gather = client_.adopt(
      slot, std::make_unique<FanoutGather>(client_, slot, kWaitRule, client_.arguments()));
  std::string ping = resp::request({"PING"});
  for (std::uint32_t i = 0; i < count; ++i) {
    waits_[i]->send(ping, nullptr, 0, timeout_ms());
    waits_[i]->send(request, &gather, i, PrivateLink::kNoLimit);
  }
  return true;
}

// ---- after WATCH ----

bool RedisExclusive::take_watching(const redis::Command& command, std::string_view request) {
  if ((blocked_ || !waits_.empty()) && !client_.is_silent()) return true;
  if (is_transaction_word(command.name)) return take_transaction_word(command, request);
  if (command.name == "wait" || command.name == "waitaof") return begin_wait(request);
  if (client_.is_answered_here(command)) return false;
  std::uint32_t server = 0;
  bool blocks = client_.pool().commands().may_block(command, client_.arguments());
  bool is_ours = link_ && !command.is(redis::kUnknownKeys) && find_server(command, server) &&
                 !client_.key_positions_.empty() &&
                 &client_.pool().upstream(server) == &link_->upstream();
  if (is_ours) {
    // What went another way before it may be about the same keys: FLUSHALL, a split DEL.
    if (went_elsewhere_ && !client_.is_silent()) return true;
    if (blocks && !may_wait()) return true;
    went_elsewhere_ = false;
    blocked_ = blocks;
    if (blocks) remember_key();
    forward(request, blocks ? PrivateLink::kNoLimit : timeout_ms());
    return true;
  }
  if (blocks) {
    client_.refuse("cannot wait on one server while keys of another are watched");
    return true;
  }
  // Its reply must not depend on whether the WATCH has arrived yet.
  if (!client_.is_silent()) return true;
  went_elsewhere_ = true;
  return false;
}

bool RedisExclusive::take_transaction_word(const redis::Command& command,
                                           std::string_view request) {
  std::string_view name = command.name;
  std::uint32_t server = 0;
  if (!command.accepts(client_.argc())) {
    client_.answer_error(redis::wrong_arity_error(name));
  } else if (name == "exec" || name == "discard") {
    client_.answer_error(name == "exec" ? "ERR EXEC without MULTI" : "ERR DISCARD without MULTI");
  } else if (name == "watch" &&
             (!find_server(command, server) ||
              (link_ && &client_.pool().upstream(server) != &link_->upstream()))) {
    client_.answer_error(kCrossSlot);
  } else if (name == "unwatch" && !link_) {
    client_.reply("+OK\r\n");
    release();
  } else if (link_ && went_elsewhere_ && !client_.is_silent()) {
    return true;
  } else if (name == "multi") {
    queuing_ = true;
    if (link_) link_->send(request, nullptr, 0, timeout_ms());
    client_.reply("+OK\r\n");
  } else {
    watching_ = name == "watch";
    if (link_) {
      forward(request, timeout_ms());
    } else {
      client_.reply("+OK\r\n");
    }
  }
  return true;
}

void RedisExclusive::follow(std::initializer_list<std::string_view> words) {
  if (!link_) return;
  unclean_ = true;
  link_->send(resp::request(words), nullptr, 0, timeout_ms());
}

void RedisExclusive::servers_changed() {
  if (!link_ || key_.empty()) return;
  Pool& pool = client_.pool();
  if (&pool.upstream(pool.server_of(key_)) == &link_->upstream()) return;
  if (blocked_on() != nullptr) {
    link_->give_up("no longer has the key; try again");
  } else if (queuing_) {
    spoiled_ = true;  // it would be done where nobody looks for it any more
  } else if (watching_) {
    watch_broken_ = true;
  }
}

// ---- the connection ----

// Where all keys of the request are; false when they are on several servers.
bool RedisExclusive::find_server(const redis::Command& command, std::uint32_t& server) {
  Pool& pool = client_.pool();
  server = 0;
  if (!pool.commands().find_keys(command, client_.arguments(), client_.key_positions_)) return true;
  for (std::size_t i = 0; i < client_.key_positions_.size(); ++i) {
    std::uint32_t owner = pool.server_of(client_.arg(client_.key_positions_[i]));
    if (i > 0 && owner != server) return false;
    server = owner;
  }
  return true;
}

// Null when the client has been answered that it cannot be had.
std::unique_ptr<PrivateLink> RedisExclusive::lease(std::uint32_t server) {
  Pool& pool = client_.pool();
  Upstream& upstream = pool.upstream(server);
  if (upstream.state() == Upstream::State::down && !pool.fails_open()) {
    client_.answer_failure(Failure{upstream.spec().name, upstream.reason()});
    return nullptr;
  }
  auto link = pool.private_links().lease(upstream, client_.lane(), *this);
  if (!link) client_.refuse(kNoneLeft);
  return link;
}

bool RedisExclusive::open(std::uint32_t server) {
  link_ = lease(server);
  return link_ != nullptr;
}

void RedisExclusive::remember_key() {
  key_.clear();
  if (!client_.key_positions_.empty()) {
    key_ = std::string(client_.arg(client_.key_positions_.front()));
  }
}

void RedisExclusive::forward(std::string_view request, std::uint64_t limit_ms) {
  client_.forward(*link_, request, limit_ms, client_.filter_now());
}

void RedisExclusive::release() {
  PrivateLinks& links = client_.pool().private_links();
  if (link_ && unclean_) {
    links.discard(std::exchange(link_, nullptr));
  } else if (link_) {
    links.give_back(std::exchange(link_, nullptr));
  }
  for (auto& link : std::exchange(waits_, {})) links.discard(std::move(link));
  held_.clear();
  held_bytes_ = queued_ = 0;
  queuing_ = watching_ = blocked_ = spoiled_ = watch_broken_ = unclean_ = went_elsewhere_ = false;
}

void RedisExclusive::drop() {
  unclean_ = true;
  release();
}

void RedisExclusive::on_private_idle(PrivateLink& link) {
  for (auto& wait : waits_) {
    if (wait.get() != &link) continue;
    client_.pool().private_links().give_back(std::move(wait));
    std::erase(waits_, nullptr);
    return;
  }
  blocked_ = false;
  if (!queuing_ && !watching_) release();
}

void RedisExclusive::on_private_lost(PrivateLink& link, const std::string&) {
  PrivateLinks& links = client_.pool().private_links();
  for (auto& wait : waits_) {
    if (wait.get() != &link) continue;
    links.discard(std::move(wait));
    std::erase(waits_, nullptr);
    return;
  }
  links.discard(std::exchange(link_, nullptr));
  blocked_ = false;
  if (queuing_) {
    spoiled_ = true;
  } else if (watching_) {
    watch_broken_ = true;
  } else {
    release();
  }
}

}  // namespace consort::shard_proxy
