#include "roles/shard_proxy/role.hpp"

#include <algorithm>
#include <utility>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "manage/clock.hpp"
#include "manage/probe.hpp"
#include "roles/shard_proxy/admin_pages.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/front.hpp"
#include "roles/shard_proxy/placement_diff.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/pool_source.hpp"
#include "roles/shard_proxy/stats_port.hpp"
#include "roles/shard_proxy/turn.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint64_t kDrainPollMs = 10;
// How often pools that left the configuration are looked at: they go with their last client.
constexpr std::uint64_t kBuryMs = 500;

using Pools = std::vector<std::unique_ptr<Pool>>;

class ShardProxy final : public Role {
 public:
  ShardProxy(const Services& services, const Config& config)
      : services_(services),
        turn_(services.loop),
        first_(config.pools),
        first_stats_(config.stats_port),
        started_ms_(services.loop.now_ms()),
        bury_timer_(
            services.loop.timers(), [](void* self) { static_cast<ShardProxy*>(self)->on_bury(); },
            this) {}

  Task<Result<>> start() override { co_return take_over(std::exchange(first_, {}), first_stats_); }

  Task<Result<>> run() override {
    co_await never_.wait();
    co_return Result<>();
  }

  Task<> drain(std::uint64_t deadline_ms) override {
    // What clients sent before the signal may still lie in their sockets: one more turn takes it.
    std::uint64_t began = services_.loop.now_ms();
    co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, began + kDrainPollMs));
    fronts_.clear();
    stats_port_.reset();
    sources_.clear();
    for (auto& pool : pools_) retire(std::move(pool));
    pools_.clear();
    while (bury_drained(), !retired_.empty()) {
      std::uint64_t now = services_.loop.now_ms();
      if (now >= deadline_ms) break;
      co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, now + kDrainPollMs));
    }
  }

  Result<> reload(const RoleConfig& config) override {
    const auto& next = static_cast<const Config&>(config);
    return take_over(next.pools, next.stats_port);
  }

  Result<std::string> would_reload(const RoleConfig& config) const override {
    std::string lines;
    const std::vector<PoolConfig>& wanted = static_cast<const Config&>(config).pools;
    for (const PoolConfig& next : wanted) {
      std::string line = describe_change(next);
      if (!line.empty()) lines += "pool " + next.name + ": " + line + "\n";
    }
    for (const auto& pool : pools_) {
      if (!is_called(wanted, pool->config().name)) {
        lines += "pool " + pool->config().name + ": goes; its clients are closed when idle\n";
      }
    }
    if (!lines.empty()) lines.pop_back();
    return lines;
  }

  AdminAnswer ask(const AdminQuestion& question) override {
    std::vector<ShownPool> shown;
    for (const auto& pool : pools_) shown.push_back({*pool, source_of(*pool)});
    return answer_page(question, shown, services_.loop.now_ms());
  }

 private:
  // Everything that can fail comes first: a reload is done whole or not at all.
  Result<> take_over(const std::vector<PoolConfig>& wanted, const StatsAddress& stats) {
    std::unique_ptr<StatsPort> opened_stats;
    if (stats.address && !has_stats_at(*stats.address)) {
      auto opened = StatsPort::open(services_, *stats.address, [this] { return stats_text(); });
      if (!opened) return fail(std::move(opened.error()));
      opened_stats = std::move(*opened);
    }
    Pools next;
    Pools before = std::exchange(pools_, {});
    std::vector<Pool*> old(wanted.size(), nullptr);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      auto same = std::find_if(before.begin(), before.end(), [&](const auto& pool) {
        return pool && continues(*pool, wanted[i]);
      });
      if (same != before.end()) old[i] = same->get();
      next.push_back(same != before.end() ? std::move(*same)
                                          : std::make_unique<Pool>(services_, wanted[i], turn_));
    }
    std::vector<std::unique_ptr<Front>> opened;
    Result<> listening = open_fronts(wanted, next, opened);
    if (!listening) {
      for (std::size_t i = 0; i < next.size(); ++i) {
        if (old[i] != nullptr) before.push_back(std::move(next[i]));
      }
      std::erase(before, nullptr);
      pools_ = std::move(before);
      return listening;
    }
    close_fronts_but(wanted, next, std::move(opened));
    if (!stats.address || opened_stats) stats_port_ = std::move(opened_stats);
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (old[i] != nullptr) {
        reconfigure(*next[i], wanted[i]);
      } else {
        next[i]->start();
      }
    }
    pools_ = std::move(next);
    replace_sources();
    let_go(std::move(before));
    return {};
  }

  static bool continues(const Pool& pool, const PoolConfig& wanted) {
    return pool.config().name == wanted.name && pool.config().protocol == wanted.protocol;
  }

  static bool is_called(const std::vector<PoolConfig>& pools, const std::string& name) {
    return std::any_of(pools.begin(), pools.end(),
                       [&name](const PoolConfig& pool) { return pool.name == name; });
  }

  bool has_stats_at(const Address& address) const {
    return stats_port_ && stats_port_->asked_for() == address;
  }

  // As Pool::reconfigure does: what was discovered, or listed, stays until a source has answered.
  static PlacedPool place_next(const Pool& pool, const PoolConfig& wanted) {
    if (wanted.servers_from) return {wanted, pool.specs()};
    return {wanted, wanted.servers};
  }

  void reconfigure(Pool& pool, const PoolConfig& wanted) {
    if (same_settings(pool.config(), wanted)) return;
    double moved = moved_share({pool.config(), pool.specs()}, place_next(pool, wanted));
    pool.reconfigure(wanted);
    services_.log.info(
        "pool.reloaded",
        {{"pool", wanted.name}, {"servers", pool.servers()}, {"moved_percent", percent(moved)}});
  }

  /// What a reload would do to one pool; empty when nothing.
  std::string describe_change(const PoolConfig& wanted) const {
    for (const auto& pool : pools_) {
      if (pool->config().name != wanted.name) continue;
      if (!continues(*pool, wanted)) return "made anew, for its protocol changes";
      if (same_settings(pool->config(), wanted)) return {};
      return describe_move({pool->config(), pool->specs()}, place_next(*pool, wanted), kLiveKeys);
    }
    return "comes, listening on " + wanted.listen.front().to_string();
  }

  const PoolSource* source_of(const Pool& pool) const {
    for (const auto& source : sources_) {
      if (&source->pool() == &pool) return source.get();
    }
    return nullptr;
  }

  // A source goes on as long as its pool does and asks for the same one.
  void replace_sources() {
    std::vector<std::unique_ptr<PoolSource>> before = std::exchange(sources_, {});
    std::vector<PoolSource*> started;
    for (auto& pool : pools_) {
      const std::optional<ServerSource>& wanted = pool->config().servers_from;
      if (!wanted) continue;
      auto same = std::find_if(before.begin(), before.end(), [&](const auto& source) {
        return source && &source->pool() == pool.get() && source->source() == *wanted;
      });
      if (same != before.end()) {
        sources_.push_back(std::move(*same));
      } else {
        sources_.push_back(std::make_unique<PoolSource>(services_, *wanted, *pool));
        started.push_back(sources_.back().get());
      }
    }
    before.clear();  // before the new ones speak: their checks have the same names
    for (PoolSource* source : started) source->start();
    for (auto& source : sources_) source->tell_health();
  }

  Front* front_at(const Address& address) {
    for (auto& front : fronts_) {
      if (front->asked_for() == address) return front.get();
    }
    return nullptr;
  }

  Result<> open_fronts(const std::vector<PoolConfig>& wanted,
                       const std::vector<std::unique_ptr<Pool>>& pools,
                       std::vector<std::unique_ptr<Front>>& opened) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (const Address& address : wanted[i].listen) {
        if (front_at(address) != nullptr) continue;
        auto front = Front::open(services_, address, *pools[i]);
        if (!front) return fail(std::move(front.error()));
        opened.push_back(std::move(*front));
      }
    }
    return {};
  }

  void close_fronts_but(const std::vector<PoolConfig>& wanted,
                        const std::vector<std::unique_ptr<Pool>>& pools,
                        std::vector<std::unique_ptr<Front>> opened) {
    std::vector<std::unique_ptr<Front>> kept = std::move(opened);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (auto& front : fronts_) {
        if (!front ||
            std::count(wanted[i].listen.begin(), wanted[i].listen.end(), front->asked_for()) == 0) {
          continue;
        }
        front->aim_at(*pools[i]);
        kept.push_back(std::move(front));
      }
    }
    fronts_ = std::move(kept);
  }

  // ---- pools that left ----

  void let_go(Pools pools) {
    for (auto& pool : pools) {
      if (!pool) continue;
      services_.log.info("pool.removed", {{"pool", pool->config().name}});
      retire(std::move(pool));
    }
    bury_drained();
    if (!retired_.empty()) bury_timer_.arm_at(services_.loop.now_ms() + kBuryMs);
  }

  // Its clients are served until each falls silent.
  void retire(std::unique_ptr<Pool> pool) {
    pool->drain();
    retired_.push_back(std::move(pool));
  }

  void on_bury() {
    bury_drained();
    if (!retired_.empty()) bury_timer_.arm_at(services_.loop.now_ms() + kBuryMs);
  }

  void bury_drained() {
    for (auto& pool : retired_) {
      if (!pool->is_drained()) continue;
      const std::string name = pool->config().name;
      pool.reset();
      auto has_name = [&name](const auto& other) { return other && other->config().name == name; };
      if (std::none_of(pools_.begin(), pools_.end(), has_name)) {
        services_.checks.remove("pool " + name);
      }
    }
    std::erase(retired_, nullptr);
  }

  std::string stats_text() {
    Moment now = system_moment();
    StatsFacts facts;
    facts.host = host_name();
    facts.wall_ms = now.wall_ms;
    facts.now_ms = services_.loop.now_ms();
    facts.started_ms = started_ms_;
    facts.listeners = fronts_.size();
    std::vector<Pool*> pools;
    for (const auto& pool : pools_) pools.push_back(pool.get());
    return nutcracker_stats(facts, pools);
  }

  const Services services_;
  Turn turn_;
  std::vector<PoolConfig> first_;
  const StatsAddress first_stats_;
  const std::uint64_t started_ms_;
  Pools retired_;
  Pools pools_;
  std::vector<std::unique_ptr<PoolSource>> sources_;
  std::vector<std::unique_ptr<Front>> fronts_;
  std::unique_ptr<StatsPort> stats_port_;
  Timer bury_timer_;
  Event never_;
};

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<Config>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<ShardProxy>(services, static_cast<const Config&>(config));
}

}  // namespace

const RoleSpec kShardProxy{
    .group = "ambassador",
    .name = "shard-proxy",
    .summary = "one memcached or Redis on localhost in front of many",
    .examples =
        "consort ambassador shard-proxy --listen 127.0.0.1:6379 --protocol redis \\\n"
        "    --server 10.0.0.1:6379 --server 10.0.0.2:6379 --distribution jump --hash murmur\n"
        "consort ambassador shard-proxy --config nutcracker.yml\n"
        "consort ambassador shard-proxy --config nutcracker.yml --explain user:1000\n"
        "consort ambassador shard-proxy --config nutcracker.yml --diff next.yml\n",
    .admin_port = 9853,
    .make_config = make_config,
    .make = make,
    .pages = kPages,
};

}  // namespace consort::shard_proxy
