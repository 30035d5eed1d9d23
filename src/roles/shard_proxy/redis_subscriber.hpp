// The subscriptions of one Redis client, on connections of its own to the servers that carry them.
//
// A channel lives on one server, found like a key; PUBLISH finds the same one. Patterns, and the
// channels of keyspace notifications ("__key.."), live on every server. One connection (Feed) per
// server carries all that the client wants from it. Confirmations are written here, with the
// client's own count, when the servers concerned have confirmed; messages pass as they come.
//
// A server that fails takes its feed with it: the others go on, and the lost one is opened and
// subscribed anew after a pause that grows from kRetryMs to kMaxRetryMs. What was published in
// between is lost, as it is for a client that reconnects by itself; a line in the log tells. One
// that does not confirm within the pool's timeout has failed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "async/timer.hpp"
#include "roles/shard_proxy/private_link.hpp"

namespace consort::shard_proxy {

class RedisClient;

class RedisSubscriber final : private PrivateLink::Owner {
 public:
  enum class Kind : std::uint8_t { channel, pattern, shard_channel };
  static constexpr std::size_t kKinds = 3;
  static constexpr std::uint64_t kRetryMs = 100;
  static constexpr std::uint64_t kMaxRetryMs = 5'000;
  static constexpr std::size_t kMaxNames = 1'000'000;  ///< per client

  explicit RedisSubscriber(RedisClient& client);
  ~RedisSubscriber();

  void subscribe(Kind kind, std::string_view name);
  void unsubscribe(Kind kind, std::string_view name);
  void unsubscribe_all(Kind kind);
  /// Channels and patterns; shard channels are counted apart.
  std::size_t count() const { return names_[0].size() + names_[1].size(); }
  std::size_t count(Kind kind) const { return names_[static_cast<std::size_t>(kind)].size(); }
  std::size_t total() const { return count() + names_[2].size(); }
  bool has_unconfirmed() const { return unconfirmed_ > 0; }
  /// The pool's servers changed: subscriptions move to the servers that carry them now.
  void servers_changed();
  /// Ends every subscription without a word.
  void drop();

 private:
  /// What a (un)subscription waits for before the client is told.
  struct Confirmation {
    std::uint32_t slot;
    std::string text;        ///< the client's confirmation
    std::uint32_t missing;   ///< servers that have not answered
    bool succeeded = false;  ///< one of them has
    std::string error;       ///< of one that has not
    Kind kind;
    std::string name;
    bool subscribes = false;
    bool is_new = false;  ///< a subscription to forget when it fails
  };
  using Expected = std::shared_ptr<Confirmation>;
  struct Feed {
    Upstream* upstream;
    std::unique_ptr<PrivateLink> link;
    std::deque<Expected> expected;    ///< an answer each; null when nobody waits for it
    std::uint64_t owes_since_ms = 0;  ///< the last answer came, or the first question went
    std::set<std::pair<Kind, std::string>> names;
  };

  std::set<std::string, std::less<>>& names(Kind kind) {
    return names_[static_cast<std::size_t>(kind)];
  }
  std::vector<std::uint32_t> carriers(Kind kind, std::string_view name);
  void ask(Kind kind, const std::string& name, bool subscribes, const Expected& confirmation);
  Feed* feed_of(const Upstream& upstream);
  Feed* open_feed(Upstream& upstream, std::string& why_not);
  void send(Feed& feed, Kind kind, const std::string& name, bool subscribes, Expected expected);
  void settle(const Expected& confirmation, bool succeeded, std::string error);
  std::string confirmation_text(Kind kind, bool subscribes, const std::string* name) const;
  void reconcile();
  void retry_later();
  void on_patience_end();
  void close(Feed& feed);
  void close_idle_feeds();

  void on_private_idle(PrivateLink&) override {}
  void on_private_lost(PrivateLink& link, const std::string& reason) override;
  void on_private_push(PrivateLink& link, std::string_view push) override;

  RedisClient& client_;
  std::set<std::string, std::less<>> names_[kKinds];
  std::vector<std::unique_ptr<Feed>> feeds_;
  std::size_t unconfirmed_ = 0;
  Timer retry_timer_;
  std::uint64_t retry_ms_ = 0;
  Timer patience_;  ///< armed while a server owes a confirmation
};

}  // namespace consort::shard_proxy
