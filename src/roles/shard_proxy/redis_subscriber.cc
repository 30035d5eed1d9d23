#include "roles/shard_proxy/redis_subscriber.hpp"

#include <algorithm>
#include <utility>

#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/redis_client.hpp"

namespace consort::shard_proxy {
namespace {

using Kind = RedisSubscriber::Kind;

constexpr std::string_view kSubscribe[] = {"subscribe", "psubscribe", "ssubscribe"};
constexpr std::string_view kUnsubscribe[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

std::string_view verb(Kind kind, bool subscribes) {
  return (subscribes ? kSubscribe : kUnsubscribe)[static_cast<std::size_t>(kind)];
}

// The bytes of a bulk string's text.
std::string_view text_of(std::string_view bulk) {
  std::size_t start = bulk.find("\r\n");
  if (!bulk.starts_with('$') || start == std::string_view::npos) return {};
  bulk.remove_prefix(start + 2);
  return bulk.substr(0, bulk.size() < 2 ? 0 : bulk.size() - 2);
}

bool is_confirmation(std::string_view word) {
  return std::count(std::begin(kSubscribe), std::end(kSubscribe), word) +
             std::count(std::begin(kUnsubscribe), std::end(kUnsubscribe), word) >
         0;
}

}  // namespace

RedisSubscriber::RedisSubscriber(RedisClient& client)
    : client_(client),
      retry_timer_(
          client.pool().timers(),
          [](void* self) { static_cast<RedisSubscriber*>(self)->reconcile(); }, this),
      patience_(
          client.pool().timers(),
          [](void* self) { static_cast<RedisSubscriber*>(self)->on_patience_end(); }, this) {}

RedisSubscriber::~RedisSubscriber() = default;

// ---- what the client asks ----

void RedisSubscriber::subscribe(Kind kind, std::string_view name) {
  if (total() >= kMaxNames) {
    client_.answer_error("ERR more than 1000000 subscriptions");
    return;
  }
  std::string owned(name);
  bool is_new = names(kind).insert(owned).second;
  auto confirmation = std::make_shared<Confirmation>();
  confirmation->text = confirmation_text(kind, true, &owned);
  confirmation->kind = kind;
  confirmation->name = owned;
  confirmation->subscribes = true;
  confirmation->is_new = is_new;
  ask(kind, owned, true, confirmation);
}

void RedisSubscriber::unsubscribe(Kind kind, std::string_view name) {
  std::string owned(name);
  names(kind).erase(owned);
  auto confirmation = std::make_shared<Confirmation>();
  confirmation->text = confirmation_text(kind, false, &owned);
  confirmation->kind = kind;
  confirmation->name = owned;
  ask(kind, owned, false, confirmation);
}

void RedisSubscriber::unsubscribe_all(Kind kind) {
  if (names(kind).empty()) {
    client_.reply(confirmation_text(kind, false, nullptr));
    return;
  }
  for (const std::string& name : std::set<std::string, std::less<>>(names(kind))) {
    unsubscribe(kind, name);
  }
}

// `["subscribe", name, count]`; RESP3 sends it as a push.
std::string RedisSubscriber::confirmation_text(Kind kind, bool subscribes,
                                               const std::string* name) const {
  bool is_resp3 = client_.dialect_ == Dialect::resp3;
  std::string text = is_resp3 ? ">3\r\n" : "*3\r\n";
  resp::append_bulk(text, verb(kind, subscribes));
  if (name != nullptr) {
    resp::append_bulk(text, *name);
  } else {
    text += is_resp3 ? "_\r\n" : "$-1\r\n";
  }
  std::size_t number = kind == Kind::shard_channel ? count(kind) : count();
  return text + ":" + std::to_string(number) + "\r\n";
}

// One answer of the client's, in its place among the others; told when all servers have answered.
void RedisSubscriber::ask(Kind kind, const std::string& name, bool subscribes,
                          const Expected& confirmation) {
  std::vector<std::uint32_t> servers = carriers(kind, name);
  confirmation->slot = client_.open_slot(client_.filter_now());
  confirmation->missing = static_cast<std::uint32_t>(servers.size()) + 1;
  ++unconfirmed_;
  for (std::uint32_t server : servers) {
    std::string why_not;
    Upstream& upstream = client_.pool().upstream(server);
    Feed* feed = subscribes ? open_feed(upstream, why_not) : feed_of(upstream);
    if (feed != nullptr && (subscribes || feed->names.contains({kind, name}))) {
      send(*feed, kind, name, subscribes, confirmation);
    } else {
      // Where nothing was subscribed there is nothing to end.
      settle(confirmation, !subscribes, std::move(why_not));
    }
  }
  bool is_nowhere = servers.empty() && subscribes;
  settle(confirmation, !is_nowhere && servers.empty(),
         is_nowhere ? "-ERR the pool has no servers\r\n" : "");
}

std::vector<std::uint32_t> RedisSubscriber::carriers(Kind kind, std::string_view name) {
  Pool& pool = client_.pool();
  std::vector<std::uint32_t> servers;
  bool is_everywhere =
      kind == Kind::pattern || (kind == Kind::channel && name.starts_with("__key"));
  for (std::uint32_t i = 0; is_everywhere && i < pool.servers(); ++i) servers.push_back(i);
  if (!is_everywhere && pool.servers() > 0) servers.push_back(pool.server_of(name));
  return servers;
}

// ---- feeds ----

RedisSubscriber::Feed* RedisSubscriber::feed_of(const Upstream& upstream) {
  for (auto& feed : feeds_) {
    if (feed->upstream == &upstream) return feed.get();
  }
  return nullptr;
}

RedisSubscriber::Feed* RedisSubscriber::open_feed(Upstream& upstream, std::string& why_not) {
  if (Feed* feed = feed_of(upstream)) return feed;
  Pool& pool = client_.pool();
  if (upstream.state() == Upstream::State::down && !pool.fails_open()) {
    why_not = redis_failure_line(Failure{upstream.spec().name, upstream.reason()});
    return nullptr;
  }
  auto link = pool.private_links().lease(upstream, client_.lane(), *this);
  if (!link) {
    why_not =
        "-ERR a subscription needs a connection of its own, and all private_connections are "
        "taken\r\n";
    return nullptr;
  }
  link->expect_pushes();
  feeds_.push_back(std::make_unique<Feed>());
  feeds_.back()->upstream = &upstream;
  feeds_.back()->link = std::move(link);
  return feeds_.back().get();
}

void RedisSubscriber::send(Feed& feed, Kind kind, const std::string& name, bool subscribes,
                           Expected expected) {
  std::string request;
  resp::append_array_header(request, 2);
  resp::append_bulk(request, verb(kind, subscribes));
  resp::append_bulk(request, name);
  if (subscribes) {
    feed.names.emplace(kind, name);
  } else {
    feed.names.erase({kind, name});
  }
  std::uint64_t now_ms = client_.pool().now_ms();
  if (feed.expected.empty()) feed.owes_since_ms = now_ms;
  feed.expected.push_back(std::move(expected));
  feed.link->send(request);
  auto timeout = static_cast<std::uint64_t>(client_.pool().config().timeout.count());
  if (!patience_.armed()) patience_.arm_at(now_ms + timeout);
}

void RedisSubscriber::on_patience_end() {
  std::uint64_t now_ms = client_.pool().now_ms();
  auto timeout = static_cast<std::uint64_t>(client_.pool().config().timeout.count());
  std::vector<PrivateLink*> silent;
  std::uint64_t next_ms = TimerQueue::kNever;
  for (auto& feed : feeds_) {
    if (feed->expected.empty()) continue;
    std::uint64_t due_ms = feed->owes_since_ms + timeout;
    if (due_ms <= now_ms) {
      silent.push_back(feed->link.get());
    } else {
      next_ms = std::min(next_ms, due_ms);
    }
  }
  patience_.arm_at(next_ms);
  for (PrivateLink* link : silent) link->give_up("timed out");
}

void RedisSubscriber::on_private_push(PrivateLink& link, std::string_view push) {
  auto found = std::find_if(feeds_.begin(), feeds_.end(),
                            [&link](const auto& feed) { return feed->link.get() == &link; });
  if (found == feeds_.end()) return;
  Feed& feed = **found;
  resp::ArrayReader reader(push);
  bool is_error = !reader.is_array();
  if (!is_error && !is_confirmation(text_of(reader.next()))) {
    client_.push(push, client_.dialect_ == Dialect::resp2 || has_unconfirmed());
    return;
  }
  if (feed.expected.empty()) return;
  Expected expected = std::move(feed.expected.front());
  feed.expected.pop_front();
  feed.owes_since_ms = client_.pool().now_ms();
  if (!expected) {
    retry_ms_ = 0;  // made anew
  } else {
    if (is_error) feed.names.erase({expected->kind, expected->name});
    settle(expected, !is_error, is_error ? std::string(push) : std::string());
  }
  close_idle_feeds();
}

// One of the servers has answered, or will not.
void RedisSubscriber::settle(const Expected& confirmation, bool succeeded, std::string error) {
  confirmation->succeeded = confirmation->succeeded || succeeded;
  if (!error.empty()) confirmation->error = std::move(error);
  if (--confirmation->missing > 0) return;
  --unconfirmed_;
  bool is_told = confirmation->succeeded || confirmation->error.empty();
  if (!is_told && confirmation->is_new) {
    names(confirmation->kind).erase(confirmation->name);
  }
  client_.finish_slot(confirmation->slot, is_told ? confirmation->text : confirmation->error);
  client_.update_plain();
  // A pattern that one server of several could not take: it is tried again there.
  if (is_told && !confirmation->error.empty()) retry_later();
}

void RedisSubscriber::on_private_lost(PrivateLink& link, const std::string& reason) {
  auto found = std::find_if(feeds_.begin(), feeds_.end(),
                            [&link](const auto& feed) { return feed->link.get() == &link; });
  if (found == feeds_.end()) return;
  std::unique_ptr<Feed> feed = std::move(*found);
  feeds_.erase(found);
  const std::string& server = feed->upstream->spec().name;
  std::string line = redis_failure_line(Failure{server, reason});
  close(*feed);
  for (Expected& expected : std::exchange(feed->expected, {})) {
    if (!expected) continue;
    // The end of a connection ends its subscriptions too; one that stood before is made anew.
    bool stands = !expected->is_new && names(expected->kind).contains(expected->name);
    settle(expected, !expected->subscribes || stands, line);
  }
  if (total() == 0) return;
  client_.pool().services().log.warn("subscriptions.interrupted",
                                     {{"pool", client_.pool().config().name},
                                      {"client", client_.id()},
                                      {"server", server},
                                      {"reason", reason}});
  retry_later();
}

void RedisSubscriber::retry_later() {
  if (retry_timer_.armed()) return;
  retry_ms_ = retry_ms_ == 0 ? kRetryMs : std::min(retry_ms_ * 2, kMaxRetryMs);
  retry_timer_.arm_at(client_.pool().now_ms() + retry_ms_);
}

void RedisSubscriber::servers_changed() {
  reconcile();
}

// Each name on the feeds of its servers, and on no other.
void RedisSubscriber::reconcile() {
  Pool& pool = client_.pool();
  using Names = std::set<std::pair<Kind, std::string>>;
  std::vector<Names> wanted(pool.servers());
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    for (const std::string& name : names_[kind]) {
      for (std::uint32_t server : carriers(static_cast<Kind>(kind), name)) {
        if (server < wanted.size()) wanted[server].emplace(static_cast<Kind>(kind), name);
      }
    }
  }
  bool is_whole = true;
  std::vector<Feed*> kept;
  for (std::uint32_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].empty()) continue;
    std::string why_not;
    Feed* feed = open_feed(pool.upstream(i), why_not);
    is_whole = is_whole && feed != nullptr;
    if (feed == nullptr) continue;
    kept.push_back(feed);
    for (const auto& [kind, name] : wanted[i]) {
      if (!feed->names.contains({kind, name})) send(*feed, kind, name, true, nullptr);
    }
    for (const auto& [kind, name] : Names(feed->names)) {
      if (!wanted[i].contains({kind, name})) send(*feed, kind, name, false, nullptr);
    }
  }
  for (auto& feed : feeds_) {
    if (std::count(kept.begin(), kept.end(), feed.get()) > 0) continue;
    for (const auto& [kind, name] : Names(feed->names)) send(*feed, kind, name, false, nullptr);
  }
  if (!is_whole && total() > 0) retry_later();
}

void RedisSubscriber::close_idle_feeds() {
  for (auto& feed : feeds_) {
    if (!feed->names.empty() || !feed->expected.empty()) continue;
    close(*feed);
    feed.reset();
  }
  std::erase(feeds_, nullptr);
}

void RedisSubscriber::close(Feed& feed) {
  client_.pool().private_links().discard(std::move(feed.link));
}

void RedisSubscriber::drop() {
  retry_timer_.cancel();
  patience_.cancel();
  for (auto& set : names_) set.clear();
  for (auto& feed : std::exchange(feeds_, {})) {
    close(*feed);
    for (Expected& expected : std::exchange(feed->expected, {})) {
      if (expected) settle(expected, true, "");
    }
  }
}

}  // namespace consort::shard_proxy
