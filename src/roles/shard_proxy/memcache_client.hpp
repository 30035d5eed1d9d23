// A memcached client of a pool: text protocol, classic and meta commands.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/memcache_gather.hpp"
#include "wire/memcache.hpp"

namespace consort::shard_proxy {

/// noreply and the meta flag q are stripped before a request is forwarded, and what the client did
/// not want to hear is swallowed on the way back: so every request has exactly one reply on the
/// shared connection, whatever happens. Our own failures stay silent for noreply as well: a client
/// that expects no line would take it for the answer to its next request.
///
/// What concerns a whole server goes to all of them, and comes back as one answer. Refused, since
/// all clients would wait for one: `watch`, the key dumps of `lru_crawler` (1.6.18 itself refuses
/// them where other requests are pipelined), and the two forms of `stats` whose end cannot be seen.
/// `shutdown` gets the answer of a server that does not allow it.
class MemcacheClient final : public Client {
 public:
  MemcacheClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id)
      : Client(pool, std::move(stream), id) {}

 protected:
  Taken take_request(std::string_view bytes) override;
  std::string failure_reply(const Failure& failure) const override;
  std::string_view filter(std::uint8_t kind, std::string_view reply) const override;
  bool hides_all(std::uint8_t kind) const override { return kind == kNoReply; }
  bool keeps_failures(std::uint8_t kind) const override { return kind == kNoReply; }
  std::string_view miss_reply(std::uint8_t kind) const override;

 private:
  enum Filter : std::uint8_t { kNoReply = 1, kQuietGet, kQuietChange };

  enum Miss : std::uint8_t { kEnd = 1, kNotFound };

  Parsed route();
  void route_retrieval();
  void route_one_key();
  void route_stats();
  void route_quiet_creation(std::uint32_t server);
  void route_to_every_server();
  template <class Kind, class... More>
  void gather_from_every_server(std::string request, std::uint8_t filter_kind, More... more);
  bool may_create() const;
  void answer_error(std::string_view line);
  std::string_view key_for_placement(std::string_view key);
  std::string_view forwardable();
  std::uint8_t filter_kind() const;
  std::uint8_t miss_kind() const;
  std::string_view word(std::size_t i) const { return parser_.word(i, bytes_); }
  std::string_view word_or_nothing(std::size_t i) const {
    return i < parser_.words() ? word(i) : std::string_view();
  }

  memcache::RequestParser parser_;
  std::string_view bytes_;  ///< of the request being taken
  std::string rebuilt_;
  std::string decoded_key_;
  std::vector<std::uint32_t> key_servers_;
};

}  // namespace consort::shard_proxy
