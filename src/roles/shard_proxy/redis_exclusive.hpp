// What one Redis client does on server connections of its own: transactions, WATCH, blocking
// commands, WAIT.
//
//              MULTI                    EXEC, DISCARD
//   (none) ------------> queuing ------------------------> (none)
//     |                     ^
//     | WATCH               | MULTI
//     +------> watching ----+
//     |            +------- UNWATCH ---------------------> (none)
//     +------> blocked: BLPOP, XREAD BLOCK, WAIT.. --reply-> (none)
//
// It begins and ends when no other request of the client is under way, so that what was sent on
// shared connections and what is sent here keep their order. MULTI is answered here and never
// fails: what follows it in a pipeline must not be done alone. With one server the rest is passed
// on as it comes. With several, the first key decides which server: what has no key waits for it,
// and a key of another server is -CROSSSLOT and spoils the transaction, as every error while
// queuing does.
//
// When the server fails: a transaction that was being queued ends in EXECABORT, one whose watched
// keys are no longer watched in a null reply, as if they had changed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "roles/shard_proxy/private_link.hpp"
#include "wire/redis_commands.hpp"

namespace consort::shard_proxy {

class RedisClient;

inline constexpr std::string_view kCrossSlot =
    "CROSSSLOT Keys in request don't hash to the same slot";

class RedisExclusive final : private PrivateLink::Owner {
 public:
  /// Of commands that wait for the transaction's server.
  static constexpr std::size_t kMaxHeldBytes = 16 << 20;

  explicit RedisExclusive(RedisClient& client) : client_(client) {}
  ~RedisExclusive();

  /// True when the request was answered, sent, or has to wait.
  bool take(const redis::Command& command, std::string_view request);
  /// Nothing left to do: the client has no use for it.
  bool is_over() const;
  bool is_queuing() const { return queuing_; }
  std::size_t queued() const { return queued_; }
  /// In BLPOP, WAIT or the like.
  bool is_waiting() const { return blocked_ || !waits_.empty(); }
  std::size_t unsent_bytes() const { return link_ ? link_->unsent_bytes() : 0; }
  const PrivateLink* blocked_on() const { return blocked_ && link_ ? link_.get() : nullptr; }
  /// An error of a queued command: EXEC will be refused.
  bool spoil(std::string_view error);
  /// SELECT or HELLO while keys are watched: the connection follows.
  void follow(std::initializer_list<std::string_view> words);
  /// Who waits for a key that another server has now would wait for ever.
  void servers_changed();
  /// RESET, or the client is gone.
  void drop();

 private:
  enum class Ending : std::uint8_t { exec, broken_exec, discard };

  bool begin(const redis::Command& command, std::string_view request);
  bool begin_multi();
  bool begin_watch(const redis::Command& command, std::string_view request);
  bool begin_blocking(const redis::Command& command, std::string_view request);
  bool begin_wait(std::string_view request);
  bool may_wait();
  bool take_queuing(const redis::Command& command, std::string_view request);
  bool take_watching(const redis::Command& command, std::string_view request);
  bool take_transaction_word(const redis::Command& command, std::string_view request);
  bool hold(std::string_view request);
  bool open_transaction(std::uint32_t server);
  void finish_queuing(Ending ending, std::string_view request);
  std::string check_queued(const redis::Command& command);
  bool find_server(const redis::Command& command, std::uint32_t& server);
  std::unique_ptr<PrivateLink> lease(std::uint32_t server);
  void remember_key();
  bool open(std::uint32_t server);
  void forward(std::string_view request, std::uint64_t limit_ms);
  void release();
  std::uint64_t timeout_ms() const;

  void on_private_idle(PrivateLink& link) override;
  void on_private_lost(PrivateLink& link, const std::string& reason) override;

  RedisClient& client_;
  std::unique_ptr<PrivateLink> link_;
  std::vector<std::unique_ptr<PrivateLink>> waits_;  ///< of WAIT, one per server
  std::vector<std::string> held_;                    ///< queued before the server was known
  std::size_t held_bytes_ = 0;
  std::size_t queued_ = 0;
  std::string key_;        ///< one of those that are watched, queued or waited for
  bool queuing_ = false;   ///< after MULTI
  bool watching_ = false;  ///< after WATCH
  bool blocked_ = false;
  bool spoiled_ = false;         ///< an error while queuing: EXEC will be refused
  bool watch_broken_ = false;    ///< the connection that watched is lost: EXEC will give null
  bool went_elsewhere_ = false;  ///< while watching, a request took the shared connections
  bool unclean_ = false;         ///< the connection is not as new: not for the next client
};

}  // namespace consort::shard_proxy
