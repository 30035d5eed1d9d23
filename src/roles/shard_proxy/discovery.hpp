// Keeps a pool's list of servers up to date from DNS or a file.
//
// When to ask, when to ask again and what to tell of a failure is RecordWatch's business
// (net/record_watch.hpp); which servers an answer means is decided here (server_list.hpp). The last
// good list stays until a better one comes: a resolver that is down takes no cache away.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "net/record_watch.hpp"
#include "roles/shard_proxy/server_list.hpp"
#include "roles/shard_proxy/server_source.hpp"

namespace consort::shard_proxy {

/// One source under watch. Belongs to the role's thread; nothing here blocks but reading the file.
class Discovery final : private RecordWatch::Handler {
 public:
  /// Never told within start(). Each telling may destroy the discovery.
  class Watcher {
   public:
    /// Another list than before; the first one too. 1 to kMaxServers, names distinct.
    virtual void on_servers(const std::vector<ServerSpec>& servers) = 0;
    /// Why there is no answer, in one sentence with the source's name.
    virtual void on_discovery_failed(const std::string& why) = 0;
    /// After a failure: the answers are good again, and the same as before it.
    virtual void on_discovery_recovered() {}

   protected:
    ~Watcher() = default;
  };

  Discovery(const Services& services, const ServerSource& source, Watcher& watcher);
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  /// Asks for the first time, and goes on until destroyed. Call once.
  void start() { watch_.start(); }
  const ServerSource& source() const { return source_; }

 private:
  Result<RecordWatch::News> on_records(const Records& records) override;
  void on_records_changed() override;
  void on_records_failed(const std::string& why) override;
  void on_records_recovered() override;
  Result<std::vector<ServerSpec>> servers_in(const Records& records) const;

  const ServerSource source_;
  Watcher& watcher_;
  std::optional<std::vector<ServerSpec>> servers_;  ///< as last told
  RecordWatch watch_;
};

}  // namespace consort::shard_proxy
