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
class MemcacheClient final : public Client {
 public:
  MemcacheClient(Pool& pool, std::unique_ptr<io::Stream> stream, std::uint64_t id)
      : Client(pool, std::move(stream), id) {}

 protected:
  Taken take_request(std::string_view bytes) override;
  std::string failure_reply(const Failure& failure) const override;
  std::string_view filter(std::uint8_t kind, std::string_view reply) const override;
  bool keeps_failures(std::uint8_t kind) const override { return kind == kNoReply; }

 private:
  enum Filter : std::uint8_t { kNoReply = 1, kQuietGet, kQuietChange };

  Parsed route();
  bool has_endless_reply() const;
  void route_retrieval();
  void route_one_key();
  void route_to_every_server();
  void answer_error(std::string_view line);
  std::string_view key_for_placement(std::string_view key);
  std::string_view forwardable();
  std::uint8_t filter_kind() const;
  std::string_view word(std::size_t i) const { return parser_.word(i, bytes_); }

  memcache::RequestParser parser_;
  std::string_view bytes_;  ///< of the request being taken
  std::string rebuilt_;
  std::string decoded_key_;
  std::vector<std::uint32_t> key_servers_;
};

}  // namespace consort::shard_proxy
