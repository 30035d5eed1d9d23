#include "roles/gather/leaf_role.hpp"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "net/http_server.hpp"
#include "roles/gather/leaf_config.hpp"
#include "roles/gather/leaf_handler.hpp"

namespace consort::gather {
namespace {

constexpr std::uint64_t kDrainPollMs = 10;
constexpr std::uint32_t kProcessesPerProcessor = 4;
constexpr std::size_t kHeaderBytes = 32 * 1024;

RunnerOptions runner_options(const LeafConfig& config) {
  const long processors = std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L);
  RunnerOptions options;
  options.processes_max = config.processes_max > 0
                              ? config.processes_max
                              : static_cast<std::uint32_t>(processors) * kProcessesPerProcessor;
  options.waiting_max = config.waiting_max > 0 ? config.waiting_max : options.processes_max;
  options.output_bytes_max = config.response_body.bytes;
  return options;
}

http::Limits http_limits(const LeafConfig& config) {
  http::Limits limits;
  limits.header_bytes = kHeaderBytes;
  limits.body_bytes = config.request_body.bytes;
  limits.connections = config.connections;
  return limits;
}

class GatherLeaf final : public Role {
 public:
  GatherLeaf(const Services& services, const LeafConfig& config)
      : services_(services),
        listen_(config.listen),
        handler_(services, LeafHandler::Settings::of(config), runner_options(config)),
        server_(services.loop, services.network, handler_, http_limits(config)) {
    warn_if_missing(services, config.exec);
  }

  Task<Result<>> start() override {
    for (const Address& address : listen_) {
      Result<Address> bound = server_.listen(address);
      if (!bound) co_return fail(std::move(bound.error()));
      services_.log.info("listening", {{"address", bound->to_string()}});
    }
    co_return Result<>();
  }

  Task<Result<>> run() override {
    co_await never_.wait();
    co_return Result<>();
  }

  Task<> drain(std::uint64_t deadline_ms) override {
    // What clients sent before the signal may still lie in their sockets: one more turn takes it.
    const std::uint64_t began_ms = services_.loop.now_ms();
    co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, began_ms + kDrainPollMs));
    server_.stop_accepting();
    while (!server_.is_drained()) {
      const std::uint64_t now_ms = services_.loop.now_ms();
      if (now_ms >= deadline_ms) break;
      co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, now_ms + kDrainPollMs));
    }
  }

  Result<> reload(const RoleConfig& config) override {
    const auto& next = static_cast<const LeafConfig&>(config);
    warn_if_missing(services_, next.exec);
    handler_.set(LeafHandler::Settings::of(next));
    return {};
  }

 private:
  const Services services_;
  const std::vector<Address> listen_;
  LeafHandler handler_;
  http::Server server_;  // after the handler: its tasks use it
  Event never_;
};

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<LeafConfig>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<GatherLeaf>(services, static_cast<const LeafConfig&>(config));
}

}  // namespace

const RoleSpec kGatherLeaf{
    .group = "",
    .name = "gather-leaf",
    .summary = "turns a command into a leaf of a scatter/gather root",
    .examples =
        "consort gather-leaf --exec 'wc -w /srv/texts/*.txt | tail -1'\n"
        "consort gather-leaf --listen unix:/run/leaf.sock --exec ./search.py --timeout 500ms\n"
        "consort gather-leaf --listen :8081 --exec ./cgi-bin/hits --cgi\n",
    .admin_port = 9859,
    .make_config = make_config,
    .make = make,
};

}  // namespace consort::gather
