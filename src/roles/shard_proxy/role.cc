#include "roles/shard_proxy/role.hpp"

#include <algorithm>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/pool.hpp"
#include "roles/shard_proxy/turn.hpp"

namespace consort::shard_proxy {
namespace {

constexpr std::uint64_t kDrainPollMs = 10;

class ShardProxy final : public Role {
 public:
  ShardProxy(const Services& services, const Config& config)
      : services_(services), pools_config_(config.pools), turn_(services.loop) {
    for (const PoolConfig& each : pools_config_) {
      pools_.push_back(std::make_unique<Pool>(services_, each, turn_));
    }
  }

  Task<Result<>> start() override {
    for (auto& pool : pools_) {
      auto started = pool->start();
      if (!started) co_return fail(std::move(started.error()));
    }
    co_return Result<>();
  }

  Task<Result<>> run() override {
    co_await never_.wait();
    co_return Result<>();
  }

  Task<> drain(std::uint64_t deadline_ms) override {
    // What clients sent before the signal may still lie in their sockets: one more turn takes it.
    std::uint64_t began = services_.loop.now_ms();
    co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, began + kDrainPollMs));
    for (auto& pool : pools_) pool->drain();
    auto is_drained = [](const auto& pool) { return pool->is_drained(); };
    while (!std::all_of(pools_.begin(), pools_.end(), is_drained)) {
      std::uint64_t now = services_.loop.now_ms();
      if (now >= deadline_ms) break;
      co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, now + kDrainPollMs));
    }
  }

  // Swapping pools under live clients is a delivery of its own; until then say so and change
  // nothing.
  Result<> reload(const RoleConfig& config) override {
    (void)config;
    return {};
  }

 private:
  const Services services_;
  const std::vector<PoolConfig> pools_config_;
  Turn turn_;
  std::vector<std::unique_ptr<Pool>> pools_;
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
        "consort ambassador shard-proxy --config nutcracker.yml --explain user:1000\n",
    .admin_port = 9853,
    .make_config = make_config,
    .make = make,
};

}  // namespace consort::shard_proxy
