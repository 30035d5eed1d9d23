// A Redis client of a pool: which server each command goes to, and what is answered here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/lane.hpp"
#include "roles/shard_proxy/redis_exclusive.hpp"
#include "roles/shard_proxy/redis_gather.hpp"
#include "roles/shard_proxy/redis_subscriber.hpp"
#include "wire/redis_commands.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

struct FanoutRule;

/// Routing, in the order that is tried:
///   the connection's   PING ECHO QUIT SELECT AUTH HELLO RESET CLIENT are answered here
///   its own connection MULTI WATCH BLPOP WAIT.. (RedisExclusive), SUBSCRIBE.. (RedisSubscriber)
///   one server         what is left goes to a pool's only server
///   no key             as FanoutRule says: to one server, or to all and their answers merged
///   keys, one server   forwarded as it came
///   keys, several      MGET DEL UNLINK TOUCH EXISTS MSET are split, SUNION SINTER SDIFF PFCOUNT
///                      computed here; the rest is -CROSSSLOT
/// A command that is unknown or malformed goes to a server for its own error text, unless several
/// servers could each take it for something else: then the text is made here.
class RedisClient final : public Client {
 public:
  RedisClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id);
  ~RedisClient() override;

  void servers_changed() override;
  /// The server connection on which it waits in BLPOP or the like; null when it does not.
  const PrivateLink* blocked_on() const;
  /// Its line in CLIENT LIST, without the line end.
  std::string describe() const;
  std::string local_address() const;
  bool is_subscribed() const;

 protected:
  Taken take_request(std::string_view bytes) override;
  std::string failure_reply(const Failure& failure) const override;
  std::string_view filter(std::uint8_t kind, std::string_view reply) const override;
  bool hides_all(std::uint8_t kind) const override { return kind == kSilent; }
  bool keeps_failures(std::uint8_t kind) const override { return kind == kSilent; }
  std::string_view miss_reply(std::uint8_t kind) const override;
  void on_closed() override;
  bool is_blocked() const override {
    return is_subscribed() || (exclusive_ && exclusive_->is_waiting());
  }
  std::size_t private_unsent_bytes() const override {
    return exclusive_ ? exclusive_->unsent_bytes() : 0;
  }

 private:
  friend class RedisExclusive;
  friend class RedisSubscriber;

  enum Filter : std::uint8_t { kSilent = 1 };
  /// CLIENT REPLY.
  enum class ReplyMode : std::uint8_t { on, off, skip_next, skip };

  bool route(std::string_view request);
  void route_known(const redis::Command& command, std::string_view request);
  void route_unknown(std::string_view request);
  struct Local;
  static const Local* find_local(std::string_view name);
  bool answer_here(const redis::Command& command);
  void answer_ping();
  void answer_echo();
  void answer_select();
  void answer_auth();
  void answer_hello();
  void answer_hello_map();
  void answer_client();
  struct ClientCommand;
  void client_getname();
  void client_id();
  void client_info();
  void client_kill();
  void client_list();
  void client_no_evict();
  void client_reply();
  void client_setinfo();
  void client_setname();
  void client_tracking();
  void client_getredir();
  void client_trackinginfo();
  void client_caching();
  void client_unblock();
  void client_pause();
  void client_help();
  void answer_reset();
  void answer_no_cluster();
  bool answer_subscription(const redis::Command& command);
  bool is_answered_here(const redis::Command& command) const;
  bool is_silent();
  bool check_password(std::string_view user, std::string_view password);
  void set_authenticated(bool authenticated);
  void update_plain();
  void end_of_skip();
  Lane lane() const { return {dialect_, database_}; }

  void route_shared(const redis::Command& command, std::string_view request);
  bool takes_over_connection(const redis::Command& command) const;
  void remember_command(const redis::Command& command);
  void route_keyless(const redis::Command& command, const redis::Command& exact,
                     std::string_view request);
  void route_scan(std::string_view request);
  void route_keyed(const redis::Command& command, std::string_view request);
  void compute_across_servers(const redis::Command& command);
  void split(RedisMerge merge, std::uint32_t words_per_key);
  void broadcast(const FanoutRule& rule, std::string_view request);
  void send_to(std::uint32_t server, std::string_view request);
  void send_keyed(const redis::Command& command, std::uint32_t server, std::string_view request);
  void refuse(std::string_view text);
  void answer_error(std::string_view text);
  void answer_failure(const Failure& failure);
  void answer_bulk(std::string_view text);
  void answer_text(std::string_view text);
  void reply(std::string_view bytes);
  std::uint8_t filter_now() const;
  std::string_view arg(std::size_t i) const { return parser_.arg(i, bytes_); }
  std::size_t argc() const { return parser_.argc(); }
  redis::Arguments arguments() const { return {parser_, bytes_}; }

  resp::RequestParser parser_;
  std::string_view bytes_;  ///< of the request being taken
  std::string rebuilt_;     ///< an inline command as an array
  std::vector<std::uint32_t> key_positions_;
  std::vector<std::uint32_t> key_servers_;
  Dialect dialect_ = Dialect::resp2;
  std::uint32_t database_ = 0;
  std::string client_name_;
  std::uint64_t connected_ms_;
  std::string_view last_command_;     ///< of a table that lives as long as the pool
  std::string_view last_subcommand_;  ///< of a container
  ReplyMode reply_mode_ = ReplyMode::on;
  bool authenticated_ = true;
  /// Nothing but a key decides where a request goes: no transaction, no subscription..
  bool is_plain_ = true;
  bool ends_ = false;       ///< the connection ends after what has been answered
  bool must_wait_ = false;  ///< the request cannot be taken before the others are answered
  std::unique_ptr<RedisExclusive> exclusive_;
  std::unique_ptr<RedisSubscriber> subscriber_;
};

}  // namespace consort::shard_proxy
