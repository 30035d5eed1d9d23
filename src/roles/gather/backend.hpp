// The replicas as a running root knows them, and the generation of topology that each request
// keeps.
//
//   Generation (epoch 7) --> Shard s0 --> Backend http://10.0.0.1:80 <-- Shard s3 <-- Generation 6
//        ^ a request holds it                (connections, statistics)
//
// A URL is one Backend however many shards it serves and however often the topology changes: its
// connections and what was learnt of it outlive a reload. It ends with the last request that may
// use it. (Shared ownership, because generations end in any order.)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "net/http_pool.hpp"
#include "roles/gather/replica_choice.hpp"
#include "roles/gather/replica_stats.hpp"
#include "roles/gather/shard_select.hpp"
#include "roles/gather/topology.hpp"

namespace consort::gather {

/// One replica. Belongs to the role's loop.
class Backend {
 public:
  /// Somebody who waits for a place because the replica has its limit of calls in flight. In one
  /// backend's line at a time; its destructor leaves the line.
  class Waiter {
   public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    /// There is a place now, and it is the waiter's if it starts a call at once.
    virtual void on_place() = 0;
    bool is_waiting() const { return line_ != nullptr; }
    void leave_line();

   protected:
    ~Waiter() { leave_line(); }

   private:
    friend class Backend;
    Backend* line_ = nullptr;
    Waiter* before_ = nullptr;
    Waiter* behind_ = nullptr;
  };

  Backend(const Services& services, const http::Url& url, const http::PoolOptions& options,
          std::uint32_t inflight_max)
      : name_(url.to_string()),
        pool_(services.loop, services.network, services.dns, url, options),
        inflight_max_(inflight_max) {}

  const std::string& name() const { return name_; }
  const http::Url& url() const { return pool_.url(); }
  http::Pool& pool() { return pool_; }
  ReplicaStats& stats() { return stats_; }
  bool has_place() const { return stats_.inflight() < inflight_max_; }
  std::size_t waiting() const { return waiting_; }

  /// Lines up; on_place() follows, never during the call.
  void wait(Waiter& waiter);
  /// For good: nobody in the line is called any more.
  void close() { is_closed_ = true; }
  /// To be called after a call has ended: the first in the line gets its place.
  void call_ended();

 private:
  const std::string name_;
  http::Pool pool_;
  ReplicaStats stats_;
  const std::uint32_t inflight_max_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
  std::size_t waiting_ = 0;
  bool is_closed_ = false;
};

/// A shard of a generation.
struct Shard {
  const ShardSpec* spec;
  std::vector<std::shared_ptr<Backend>> replicas;  ///< as in spec->replicas
  std::vector<ReplicaStats*> stats;                ///< of them, for ReplicaChoice
  /// What the last answer said it covers, for a leaf that is a root: counted when it fails.
  std::uint64_t last_total = 1;
};

/// What a route needs of a generation.
struct RouteShards {
  ShardSelector selector;
  std::vector<ReplicaChoice> choices;  ///< by shard
};

struct Generation {
  std::shared_ptr<const Topology> topology;
  std::vector<Shard> shards;
  std::vector<RouteShards> routes;  ///< in the order of the configuration
};

struct RouteConfig;

/// Every backend that some generation uses, by URL.
class BackendSet {
 public:
  struct Options {
    http::PoolOptions pool;
    std::uint32_t inflight_max = 64;
  };
  BackendSet(const Services& services, Options options) : services_(services), options_(options) {}

  /// A new generation with the backends that exist and those that are missing.
  std::shared_ptr<Generation> make_generation(const std::shared_ptr<const Topology>& topology,
                                              const std::vector<const RouteConfig*>& routes,
                                              const Generation* before);
  /// For backends made from now on.
  void set_tls(io::TlsClient* tls) { options_.pool.tls = tls; }
  /// Null when no generation uses it.
  std::shared_ptr<Backend> find(const std::string& url) const;
  /// Calls `visit` for each that is alive, by URL.
  template <class F>
  void for_each(F visit) const {
    for (const auto& [url, backend] : backends_) {
      if (auto alive = backend.lock()) visit(*alive);
    }
  }

 private:
  std::shared_ptr<Backend> get(const ReplicaSpec& spec);

  const Services& services_;
  Options options_;
  std::map<std::string, std::weak_ptr<Backend>> backends_;
};

}  // namespace consort::gather
