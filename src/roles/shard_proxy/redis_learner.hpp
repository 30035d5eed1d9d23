// Learns from a pool's servers which commands they know and how many databases they have.
//
// Asked once per server version, over a connection that clients use too: COMMAND costs the server
// a millisecond. Until it is answered, and when it is refused (an ACL, a renamed command), the
// built-in table of redis 7.0.15 is used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "roles/shard_proxy/reply_sink.hpp"
#include "wire/redis_commands.hpp"

namespace consort::shard_proxy {

class Pool;
class Link;

class RedisLearner final : private ReplySink {
 public:
  /// Versions that are learned; after so many the last table stays.
  static constexpr std::size_t kMaxVersions = 16;

  static constexpr std::uint32_t kUsualDatabases = 16;

  explicit RedisLearner(Pool& pool) : pool_(pool) {}

  /// A server came up: ask it, unless its version has been asked.
  void server_is_up(Link& link, const std::string& version);
  /// Forget what was learned: the pool need not learn.
  void use_built_in();
  const redis::CommandTable& commands() const { return *commands_; }
  std::uint32_t databases() const { return databases_; }

 private:
  enum Question : std::uint32_t { kCommand, kDatabases };

  void on_reply(std::uint32_t tag, std::string_view bytes, bool last) override;
  void on_failure(std::uint32_t tag, const Failure& failure) override;
  bool congested(std::uint32_t) const override { return false; }
  void wait_for_room(ReplySource&, std::uint32_t) override {}
  void forget_waiting(ReplySource&) override {}
  void learn_commands(std::string_view reply);
  void learn_databases(std::string_view reply);

  Pool& pool_;
  std::string asked_version_;
  std::string reply_;
  std::uint32_t under_way_ = 0;
  struct Learned {
    std::string version;
    std::shared_ptr<const redis::CommandTable> table;
  };
  /// All that were ever learned, one per version: names of commands stay valid.
  std::vector<Learned> learned_;
  const redis::CommandTable* commands_ = &redis::CommandTable::built_in();
  std::uint32_t databases_ = kUsualDatabases;
};

}  // namespace consort::shard_proxy
