// Merging the replies of a split memcached command.
#pragma once

#include <string>
#include <vector>

#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/gather.hpp"
#include "roles/shard_proxy/memcache_stats.hpp"

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

/// A command for every server (flush_all, stats reset, lru): the first reply that is not OK, else
/// OK.
class EveryServerGather final : public Gather {
 public:
  using Gather::Gather;

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;
};

/// Statistics of every server as one. Numbers without those of a server that failed would be wrong
/// ones, so its failure is the answer, as is the first line of a server that is no statistics.
class StatsGather final : public Gather {
 public:
  StatsGather(Client& client, std::uint32_t slot, std::uint32_t parts, StatsQuery query)
      : Gather(client, slot, parts), query_(query) {}

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;

 private:
  const StatsQuery query_;
};

/// The lowest version of the servers that answer: clients ask before they use what is new.
class VersionGather final : public Gather {
 public:
  using Gather::Gather;

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;
};

/// A quiet `ma` that may create its key: a server hides the answer only when the key was there.
/// Part 0 is the answer to `me` just before it, which changes and counts nothing; part 1 its own.
/// Another connection's request that comes between the two may cost a line, never the value.
class QuietCreationGather final : public Gather {
 public:
  using Gather::Gather;

 protected:
  std::string merge() override;
  std::string failure_line(const Failure& failure) const override;
};

/// "SERVER_ERROR <server> <reason>\r\n", the reason on one line.
std::string memcache_failure_line(const Failure& failure);

}  // namespace consort::shard_proxy
