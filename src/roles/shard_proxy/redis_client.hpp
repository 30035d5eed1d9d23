// A Redis client of a pool: which server each command goes to, and what is answered here.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/redis_gather.hpp"
#include "wire/redis_commands.hpp"
#include "wire/resp.hpp"

namespace consort::shard_proxy {

/// Routing, in the order that is tried:
///   the connection's   PING ECHO QUIT SELECT AUTH HELLO RESET CLIENT are answered here
///   its own connection MULTI, SUBSCRIBE, BLPOP, WAIT and their like are refused: they would change
///                      or hold the connection that others share
///   one server         what is left goes to a pool's only server
///   no key             to any server (TIME, COMMAND), or to all and their answers merged (DBSIZE)
///   keys, one server   forwarded as it came
///   keys, several      MGET DEL UNLINK TOUCH EXISTS MSET are split; the rest is -CROSSSLOT
/// A command that is unknown or malformed goes to a server for its own error text, unless several
/// servers could each take it for something else: then the text is made here.
class RedisClient final : public Client {
 public:
  RedisClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id);

 protected:
  Taken take_request(std::string_view bytes) override;
  std::string failure_reply(const Failure& failure) const override;
  std::string_view filter(std::uint8_t, std::string_view reply) const override { return reply; }
  bool keeps_failures(std::uint8_t) const override { return false; }

 private:
  bool route(std::string_view request);
  void route_known(const redis::Command& command, std::string_view request);
  bool answer_here(const redis::Command& command);
  void answer_ping();
  void answer_echo();
  void answer_select();
  void answer_auth();
  void answer_hello();
  void answer_hello_map();
  void answer_client();
  void answer_reset();
  bool may_switch_to(Dialect dialect);
  void set_authenticated(bool authenticated);
  bool check_password(std::string_view user, std::string_view password);
  void route_keyless(const redis::Command& command, std::string_view request);
  void route_keyed(const redis::Command& command, std::string_view request);
  void split(RedisMerge merge, std::uint32_t words_per_key);
  void broadcast(RedisMerge merge, std::string_view request);
  void send_to(std::uint32_t server, std::string_view request);
  void refuse(std::string_view text);
  void answer_error(std::string_view text);
  void answer_bulk(std::string_view text);
  std::string_view arg(std::size_t i) const { return parser_.arg(i, bytes_); }

  resp::RequestParser parser_;
  std::string_view bytes_;  ///< of the request being taken
  std::string rebuilt_;     ///< an inline command as an array
  std::vector<std::uint32_t> key_positions_;
  std::vector<std::uint32_t> key_servers_;
  Dialect dialect_ = Dialect::resp2;
  std::string client_name_;
  bool authenticated_ = true;
  bool must_wait_ = false;  ///< the request cannot be taken before the others are answered
};

}  // namespace consort::shard_proxy
