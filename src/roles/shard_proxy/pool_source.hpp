// Gives a pool the servers that its `servers_from` finds, and says in /health how the source does.
//
//   check "servers of pool NAME"   fail  no list yet, and the pool is not lazy
//                                  warn  the source fails, and the last list is in use; or no list
//                                        yet and the pool is lazy
//                                  pass  the last answer was good
#pragma once

#include <string>
#include <vector>

#include "manage/role.hpp"
#include "roles/shard_proxy/discovery.hpp"
#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {

/// Belongs to the role's thread, and ends before the pool.
class PoolSource final : private Discovery::Watcher {
 public:
  PoolSource(const Services& services, const ServerSource& source, Pool& pool);
  ~PoolSource();
  PoolSource(const PoolSource&) = delete;
  PoolSource& operator=(const PoolSource&) = delete;

  void start();
  const Pool& pool() const { return pool_; }
  const ServerSource& source() const { return discovery_.source(); }
  /// Why there is no good answer at present; empty when there is one.
  const std::string& problem() const { return problem_; }
  /// Health again: the pool's settings may have changed.
  void tell_health();

 private:
  void on_servers(const std::vector<ServerSpec>& servers) override;
  void on_discovery_failed(const std::string& why) override;
  void on_discovery_recovered() override;

  const Services& services_;
  Pool& pool_;
  const std::string check_;
  std::string problem_;
  Discovery discovery_;
};

}  // namespace consort::shard_proxy
