#include "roles/gather/role.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "base/check.hpp"
#include "net/tls_options.hpp"
#include "roles/gather/admin_pages.hpp"
#include "roles/gather/config.hpp"
#include "roles/gather/external_merges.hpp"
#include "roles/gather/health.hpp"
#include "roles/gather/leaf_spec.hpp"
#include "roles/gather/root.hpp"
#include "roles/gather/topology_source.hpp"

namespace consort::gather {
namespace {

constexpr std::uint64_t kTickMs = 1000;
// How soon after a suspicious failure the outliers are looked at.
constexpr std::uint64_t kSuspectMs = 20;
constexpr Millis kFirstTopology{1000};
constexpr std::uint64_t kDrainPollMs = 10;
// Merged answers may be large and clients far.
constexpr Millis kWriteTimeout{60'000};

std::string instance_of(Random& random) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::uint64_t bits = random.next(); text.size() < 8; bits >>= 4) text += kDigits[bits & 15];
  return text;
}

bool needs_tls(const Topology& topology) {
  return std::any_of(topology.shards.begin(), topology.shards.end(), [](const ShardSpec& shard) {
    return std::any_of(shard.replicas.begin(), shard.replicas.end(), [](const auto& replica) {
      return replica.url.scheme == http::Url::Scheme::https;
    });
  });
}

class GatherRoot final : public Role, public TopologySource::Watcher {
 public:
  GatherRoot(const Services& services, const Config& config)
      : services_(services),
        config_(config),
        root_(services_, config_, instance_of(services.random)),
        health_(services.checks),
        tick_(
            services.loop.timers(), [](void* self) { static_cast<GatherRoot*>(self)->on_tick(); },
            this) {
    root_.state().on_suspect = [this] {
      // Sooner, never later: failures without end must not put the tick off for ever.
      const std::uint64_t at_ms = services_.loop.now_ms() + kSuspectMs;
      if (!tick_.armed() || at_ms < tick_.at()) tick_.arm_at(at_ms);
    };
  }

  ~GatherRoot() override { root_.close(); }

  Task<Result<>> start() override {
    auto routes = make_routes(config_);
    if (!routes) co_return fail(std::move(routes.error()));
    auto fixed = fixed_leaves(config_);
    if (!fixed) co_return fail(std::move(fixed.error()));
    root_.set_routes(std::move(*routes), *fixed);
    auto fronts = open_missing(config_);
    if (!fronts) co_return fail(std::move(fronts.error()));
    fronts_ = std::move(*fronts);
    follow_source();
    // A file is read within a turn or two: being started means to know the leaves. A resolver that
    // hangs only makes the root unready.
    const Deadline deadline = Deadline::after(services_.loop.now_ms(), kFirstTopology);
    Task<Result<>> first = wait_for_topology();
    Result<> known = co_await with_deadline(services_.loop.timers(), deadline, std::move(first));
    if (!known) services_.log.info("topology.waiting", {{"source", source_name()}});
    health_.tell(root_, services_.loop.now_ms());
    tick_.arm_at(services_.loop.now_ms() + kTickMs);
    co_return Result<>();
  }

  Task<Result<>> run() override {
    co_await never_.wait();
    co_return Result<>();
  }

  Task<> drain(std::uint64_t deadline_ms) override {
    // What clients sent before the signal may still lie in their sockets: one more turn takes it.
    const std::uint64_t began = services_.loop.now_ms();
    co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, began + kDrainPollMs));
    source_.reset();
    for (Front& front : fronts_) front.server->stop_accepting();
    while (!is_drained()) {
      const std::uint64_t now_ms = services_.loop.now_ms();
      if (now_ms >= deadline_ms) break;
      co_await sleep_until(services_.loop.timers(), std::min(deadline_ms, now_ms + kDrainPollMs));
    }
  }

  Result<> reload(const RoleConfig& config) override {
    const auto& next = static_cast<const Config&>(config);
    auto routes = make_routes(next);
    if (!routes) return fail(std::move(routes.error()));
    // Everything that can fail comes first: a reload is done whole or not at all.
    const bool moves = !same_leaves(next);
    std::shared_ptr<const Topology> fixed;
    if (moves) {
      auto leaves = fixed_leaves(next);
      if (!leaves) return fail(std::move(leaves.error()));
      fixed = std::move(*leaves);
    }
    auto opened = open_missing(next);
    if (!opened) return fail(std::move(opened.error()));
    close_fronts_but(next.listen);
    std::move(opened->begin(), opened->end(), std::back_inserter(fronts_));
    config_ = next;
    root_.set_limits(config_.limits);
    root_.set_flags(config_.access_log, config_.explain);
    root_.set_routes(std::move(*routes), fixed);
    if (moves) follow_source();
    health_.tell(root_, services_.loop.now_ms());
    return {};
  }

  Result<std::string> would_reload(const RoleConfig& config) const override {
    const auto& next = static_cast<const Config&>(config);
    std::string lines;
    for (const RouteConfig& route : next.routes) {
      const RouteState* now = route_called(route.name);
      if (now == nullptr) {
        lines += "route " + route.name + ": comes\n";
      } else if (!same_route(now->config, route)) {
        lines += "route " + route.name + ": changes\n";
      }
    }
    if (!same_leaves(next)) lines += "topology: from another source\n";
    for (const auto& route : root_.epoch()->routes) {
      const auto stays = [&route](const RouteConfig& each) {
        return each.name == route->config.name;
      };
      if (std::none_of(next.routes.begin(), next.routes.end(), stays)) {
        lines += "route " + route->config.name + ": goes\n";
      }
    }
    if (!lines.empty()) lines.pop_back();
    return lines;
  }

  AdminAnswer ask(const AdminQuestion& question) override {
    return answer_page(question, root_, source_name());
  }

 private:
  struct Front {
    std::string address;  ///< as asked for
    std::unique_ptr<http::Server> server;
    bool is_old = false;  ///< it ends with its last client
  };

  static bool same_route(const RouteConfig& a, const RouteConfig& b) {
    return a.name == b.name &&
           std::all_of(kRouteOptions.begin(), kRouteOptions.end(),
                       [&](const Option& each) { return each.get(&a) == each.get(&b); });
  }

  bool same_leaves(const Config& next) const {
    return next.leaves == config_.leaves && next.topology.source == config_.topology.source;
  }

  const RouteState* route_called(const std::string& name) const {
    for (const auto& route : root_.epoch()->routes) {
      if (route->config.name == name) return route.get();
    }
    return nullptr;
  }

  /// Routes that are as before stay as they are, with what they have learnt.
  Result<std::vector<std::shared_ptr<RouteState>>> make_routes(const Config& config) {
    std::vector<std::shared_ptr<RouteState>> made;
    for (const RouteConfig& wanted : config.routes) {
      std::shared_ptr<RouteState> same;
      for (const auto& route : root_.epoch()->routes) {
        if (same_route(route->config, wanted)) same = route;
      }
      if (!same) {
        same = std::make_shared<RouteState>(services_, wanted, root_.instance());
        auto merge = make_external_merge(services_, wanted, tls_, config.tls);
        if (!merge) return fail(std::move(merge.error()).in("route \"" + wanted.name + "\""));
        same->merge = std::move(*merge);
      }
      made.push_back(std::move(same));
    }
    return made;
  }

  bool listens_at(const std::string& address) const {
    return std::any_of(fronts_.begin(), fronts_.end(), [&address](const Front& front) {
      return !front.is_old && front.address == address;
    });
  }

  /// Listeners for the addresses that have none yet; all or an error.
  Result<std::vector<Front>> open_missing(const Config& config) {
    http::Limits limits;
    limits.header_bytes = config.limits.header_bytes.bytes;
    limits.body_bytes = config.limits.request_body.bytes;
    limits.connections = config.limits.connections;
    limits.write_timeout = kWriteTimeout;
    std::vector<Front> opened;
    for (const Address& address : config.listen) {
      if (listens_at(address.to_string())) continue;
      Front front;
      front.address = address.to_string();
      front.server =
          std::make_unique<http::Server>(services_.loop, services_.network, root_, limits);
      auto bound = front.server->listen(address);
      if (!bound) return fail(std::move(bound.error()));
      services_.log.info("listening", {{"address", bound->to_string()}});
      opened.push_back(std::move(front));
    }
    return opened;
  }

  /// Those that stay are not closed for a moment; the clients of the others are served to the end
  /// of their requests.
  void close_fronts_but(const std::vector<Address>& wanted) {
    for (Front& front : fronts_) {
      const bool stays = std::any_of(wanted.begin(), wanted.end(), [&front](const Address& each) {
        return each.to_string() == front.address;
      });
      if (stays || front.is_old) continue;
      front.server->stop_accepting();
      front.is_old = true;
    }
  }

  void bury_fronts() {
    std::erase_if(fronts_,
                  [](const Front& front) { return front.is_old && front.server->is_drained(); });
  }

  bool is_drained() const {
    return std::all_of(fronts_.begin(), fronts_.end(),
                       [](const Front& front) { return front.server->is_drained(); });
  }

  Task<Result<>> wait_for_topology() {
    co_await first_topology_.wait();
    co_return Result<>();
  }

  std::string source_name() const { return source_ ? source_->name() : std::string("--leaf"); }

  /// The topology of --leaf, ready to be used; null when another source tells it.
  Result<std::shared_ptr<const Topology>> fixed_leaves(const Config& config) {
    if (config.leaves.empty()) return std::shared_ptr<const Topology>();
    auto topology = topology_of(config.leaves);
    if (!topology) return fail(std::move(topology.error()));
    topology->epoch = ++fixed_epoch_;
    if (auto ready = prepare(*topology, config); !ready) return fail(std::move(ready.error()));
    return std::make_shared<const Topology>(std::move(*topology));
  }

  Result<> prepare(const Topology& topology, const Config& config) {
    if (!needs_tls(topology)) return {};
    auto made = tls_.make(config.tls, services_.log);
    if (!made) return fail(std::move(made.error()));
    root_.set_tls(*made);
    return {};
  }

  /// Leaves from flags are known already.
  void follow_source() {
    source_.reset();
    if (!config_.topology.source) {
      first_topology_.set();
      return;
    }
    source_ = std::make_unique<TopologySource>(services_, *config_.topology.source, *this);
    source_->start();
  }

  void on_topology(std::shared_ptr<const Topology> topology) override {
    if (auto ready = prepare(*topology, config_); !ready) {
      on_topology_failed(ready.error().message());
      return;
    }
    services_.log.info("topology.changed", {{"source", source_name()},
                                            {"epoch", topology->epoch},
                                            {"shards", topology->shards.size()}});
    root_.set_topology(topology);
    health_.tell_failure({});
    health_.tell(root_, services_.loop.now_ms());
    first_topology_.set();
  }

  void on_topology_failed(const std::string& why) override {
    root_.state().metrics.topology_failures.add();
    services_.log.warn("topology.failed", {{"reason", why}});
    health_.tell_failure(why);
    health_.tell(root_, services_.loop.now_ms());
    first_topology_.set();
  }

  void on_topology_recovered() override {
    health_.tell_failure({});
    health_.tell(root_, services_.loop.now_ms());
  }

  void on_tick() {
    root_.tick();
    health_.tell(root_, services_.loop.now_ms());
    bury_fronts();
    tick_.arm_at(services_.loop.now_ms() + kTickMs);
  }

  const Services services_;
  Config config_;
  LazyTls tls_;
  Root root_;
  LeafHealth health_;
  std::unique_ptr<TopologySource> source_;  ///< none for leaves from flags
  std::uint64_t fixed_epoch_ = 0;
  std::vector<Front> fronts_;
  Timer tick_;
  Event first_topology_;
  Event never_;
};

std::unique_ptr<RoleConfig> make_config() {
  return std::make_unique<Config>();
}

std::unique_ptr<Role> make(const Services& services, const RoleConfig& config) {
  return std::make_unique<GatherRoot>(services, static_cast<const Config&>(config));
}

}  // namespace

const RoleSpec kGatherRoot{
    .group = "",
    .name = "gather-root",
    .summary = "scatter a request to many leaves, gather their answers into one",
    .examples =
        "consort gather-root --leaf 'http://a:80|http://b:80' --leaf 'http://c-{0..9}:80' \\\n"
        "    --merge top-k:score:10 --timeout 500ms --min-coverage 90\n"
        "consort gather-root --topology /etc/shards.yaml --merge-url unix:/run/merge.sock\n"
        "consort gather-root --topology dns://leaf.local:80 --merge deep --mode majority\n",
    .admin_port = 9858,
    .make_config = make_config,
    .make = make,
    .pages = kPages,
};

}  // namespace consort::gather
