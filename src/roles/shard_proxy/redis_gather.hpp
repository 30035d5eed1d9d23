// Merging the replies of a split Redis command.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/gather.hpp"

namespace consort::shard_proxy {

/// How the replies of several servers become one. The names are those of Redis' command tips.
enum class RedisMerge : std::uint8_t {
  array,          ///< MGET: elements in the order of the request's keys
  sum,            ///< DEL, EXISTS, DBSIZE
  logical_and,    ///< SCRIPT EXISTS: an array of 0 and 1, element by element
  all_succeeded,  ///< MSET, FLUSHALL: the first reply when none is an error
};

class RedisGather final : public Gather {
 public:
  /// For RedisMerge::array, `part_of_key[i]` says which part holds the reply to key i.
  RedisGather(Client& client, std::uint32_t slot, std::uint32_t parts, RedisMerge merge,
              std::vector<std::uint32_t> part_of_key);

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  std::string merge_array() const;
  std::string merge_sum() const;
  std::string merge_flags() const;

  const RedisMerge merge_;
  const std::vector<std::uint32_t> part_of_key_;
};

/// "-ERR <server> <reason>\r\n", the reason on one line.
std::string redis_failure_line(const Failure& failure);

}  // namespace consort::shard_proxy
