// Merging the replies of a split memcached command.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/gather.hpp"

namespace consort::shard_proxy {

/// A multi-get: hits in the order of the request's keys, then one END.
class RetrievalGather final : public Gather {
 public:
  struct Key {
    std::uint32_t part;
    std::string name;
  };
  RetrievalGather(Client& client, std::uint32_t slot, std::uint32_t parts, std::vector<Key> keys,
                  PartialMultiget on_failure);

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  const std::vector<Key> keys_;
  const PartialMultiget on_failure_;
};

/// A command for every server (flush_all, verbosity): the first reply that is not OK, else OK.
class EveryServerGather final : public Gather {
 public:
  using Gather::Gather;

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;
};

/// "SERVER_ERROR <server> <reason>\r\n", the reason on one line.
std::string memcache_failure_line(const Failure& failure);

}  // namespace consort::shard_proxy
