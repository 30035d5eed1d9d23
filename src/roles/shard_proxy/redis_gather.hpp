// Merging the replies of a split Redis command.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/gather.hpp"
#include "roles/shard_proxy/redis_fanout.hpp"
#include "roles/shard_proxy/redis_merge_sets.hpp"

namespace consort::shard_proxy {

class RedisClient;

/// How the replies of several servers become one. The names are those of Redis' command tips.
enum class RedisMerge : std::uint8_t {
  array,          ///< MGET: elements in the order of the request's keys
  sum,            ///< DEL, EXISTS
  all_succeeded,  ///< MSET: the first reply when none is an error
};

class RedisGather final : public Gather {
 public:
  /// For RedisMerge::array, `part_of_key[i]` says which part holds the reply to key i.
  RedisGather(Client& client, std::uint32_t slot, std::uint32_t parts, RedisMerge merge,
              std::vector<std::uint32_t> part_of_key);
  /// The keys of a failed part are not there: for RedisMerge::array only, since the others' numbers
  /// would be wrong ones.
  void miss_on_failure(bool is_resp3) { null_ = is_resp3 ? "_\r\n" : "$-1\r\n"; }

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  std::string merge_array() const;

  const RedisMerge merge_;
  std::string_view null_;  ///< in place of elements that a failed part had
  const std::vector<std::uint32_t> part_of_key_;
};

/// A command for every server, merged as its rule says.
class FanoutGather final : public Gather {
 public:
  FanoutGather(RedisClient& client, std::uint32_t slot, const FanoutRule& rule,
               const redis::Arguments& arguments);

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  const FanoutRule& rule_;
  const std::vector<std::string> words_;
  std::vector<std::string> servers_;  ///< names, by part
  const std::uint64_t random_;
};

/// One step of a SCAN over several servers: the cursor becomes ours.
class ScanGather final : public Gather {
 public:
  ScanGather(RedisClient& client, std::uint32_t slot, std::uint32_t server, std::uint32_t servers);

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  const std::uint32_t server_;
  const std::uint32_t servers_;
};

/// A read over keys of several servers that is computed here.
class CrossGather final : public Gather {
 public:
  CrossGather(RedisClient& client, std::uint32_t slot, CrossRead read);

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  const CrossRead read_;
};

/// "-ERR <server> <reason>\r\n", the reason on one line.
std::string redis_failure_line(const Failure& failure);

}  // namespace consort::shard_proxy
