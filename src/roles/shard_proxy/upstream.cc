#include "roles/shard_proxy/upstream.hpp"

#include <algorithm>
#include <utility>

namespace consort::shard_proxy {
namespace {

bool is_silence(std::string_view why) {
  return why == Link::kSilent || why == Dialer::kNotConnected || why == Dialer::kNotGreeted;
}

}  // namespace

UpstreamMetrics::UpstreamMetrics(Registry& registry, const std::string& pool,
                                 const std::string& server)
    : requests(registry.counter("consort_shard_requests_total", "Requests sent to a server.",
                                {{"pool", pool}, {"server", server}})),
      responses(registry.counter("consort_shard_responses_total",
                                 "Replies of a server that were passed on.",
                                 {{"pool", pool}, {"server", server}})),
      timeouts(registry.counter("consort_shard_timeouts_total",
                                "Requests that a server did not answer in time.",
                                {{"pool", pool}, {"server", server}})),
      failures(registry.counter("consort_shard_failures_total",
                                "Requests answered with an error because of a server.",
                                {{"pool", pool}, {"server", server}})),
      connects(registry.counter("consort_shard_connects_total", "Connections made to a server.",
                                {{"pool", pool}, {"server", server}})),
      closed(registry.counter("consort_shard_disconnects_total",
                              "Connections to a server that failed or were closed by it.",
                              {{"pool", pool}, {"server", server}})),
      late_replies(registry.counter("consort_shard_late_replies_total",
                                    "Replies thrown away because the request had timed out.",
                                    {{"pool", pool}, {"server", server}})),
      ejections(registry.counter("consort_shard_ejections_total",
                                 "Times that a server's keys went to the others.",
                                 {{"pool", pool}, {"server", server}})),
      bytes_sent(registry.counter("consort_shard_sent_bytes_total", "Bytes sent to a server.",
                                  {{"pool", pool}, {"server", server}})),
      bytes_received(registry.counter("consort_shard_received_bytes_total",
                                      "Bytes received from a server.",
                                      {{"pool", pool}, {"server", server}})),
      latency(registry.histogram("consort_shard_latency_seconds",
                                 "From a request's arrival to the end of its reply.",
                                 {{"pool", pool}, {"server", server}})),
      in_flight(registry.gauge("consort_shard_in_flight_requests",
                               "Requests that wait for a server's reply on shared connections.",
                               {{"pool", pool}, {"server", server}})),
      up(registry.gauge("consort_shard_server_up", "1 while a server answers.",
                        {{"pool", pool}, {"server", server}})) {}

Upstream::Upstream(const PoolContext& context, const ServerSpec& spec, Watcher& watcher)
    : context_(context),
      spec_(spec),
      watcher_(watcher),
      metrics_(context.services.metrics, context.config.name, spec.name) {}

Upstream::~Upstream() = default;

Upstream::LaneLinks& Upstream::links_of(Lane lane) {
  for (LaneLinks& each : lanes_) {
    if (each.lane == lane) return each;
  }
  if (lanes_.size() >= kMaxLanes) drop_an_idle_lane();
  lanes_.push_back({lane, {}});
  lanes_.back().links.resize(context_.config.server_connections);
  return lanes_.back();
}

// A client may walk through thousands of databases. The prober's lane, the first, stays.
void Upstream::drop_an_idle_lane() {
  auto is_idle = [](const LaneLinks& lane) {
    return std::all_of(lane.links.begin(), lane.links.end(), [](const auto& link) {
      return !link || (link->in_flight() == 0 && link->unsent_bytes() == 0);
    });
  };
  auto found = std::find_if(lanes_.begin() + 1, lanes_.end(), is_idle);
  if (found != lanes_.end()) lanes_.erase(found);
}

Link& Upstream::link_for(std::uint64_t client_id, Lane lane) {
  auto& links = links_of(lane).links;
  auto& link = links[client_id % links.size()];
  if (!link) {
    link = std::make_unique<Link>(*this, lane);
    if (state_ == State::down) link->be_down(reason_);
  }
  return *link;
}

Link& Upstream::prober() {
  bool is_redis = context_.config.protocol == Protocol::redis;
  Lane lane{is_redis ? Dialect::resp2 : Dialect::memcache, is_redis ? context_.config.redis_db : 0};
  return link_for(0, lane);
}

void Upstream::connect_now() {
  prober().connect();
  if (!context_.config.preconnect) return;
  for (std::uint64_t i = 1; i < context_.config.server_connections; ++i) {
    link_for(i, lanes_.front().lane).connect();
  }
}

template <class Visit>
void Upstream::for_each_link(Visit visit) const {
  for (const LaneLinks& lane : lanes_) {
    for (const auto& link : lane.links) {
      if (link) visit(*link);
    }
  }
}

// ---- health ----

// One log line per change, however many connections change at once.
void Upstream::on_link_changed(Link& link, const std::string& why) {
  if (!why.empty()) {
    on_down(link, why);
    return;
  }
  is_stale_ = false;
  if (is_retired_) return;
  bool is_new_version = std::exchange(is_new_version_, false);
  if (state_ == State::up) {
    // It restarted while nobody asked.
    if (is_new_version) watcher_.on_server_changed();
    return;
  }
  state_ = State::up;
  reason_.clear();
  changed_ms_ = context_.services.loop.now_ms();
  metrics_.up.set(1);
  context_.services.log.info("server.up", {{"pool", context_.config.name}, {"server", spec_.name}});
  watcher_.on_server_changed();
  for_each_link([](Link& other) { other.come_back(); });
}

void Upstream::on_down(Link& link, const std::string& why) {
  metrics_.closed.add();
  if (is_retired_) return;
  bool any_up = false;
  for_each_link([&any_up](const Link& other) { any_up = any_up || other.is_up(); });
  if (any_up) {
    link.retry_later();
    if (is_silence(why)) for_each_link([](Link& other) { other.redial(); });
    return;
  }
  for_each_link([](Link& other) { other.stop_retrying(); });
  if (prober().is_down()) {
    prober().retry_later();
  } else {
    prober().connect();
  }
  bool is_news = state_ != State::down;
  if (!is_news && reason_ == why) return;
  state_ = State::down;
  reason_ = why;
  if (is_news) {
    changed_ms_ = context_.services.loop.now_ms();
    metrics_.up.set(0);
    context_.services.log.warn(
        "server.down", {{"pool", context_.config.name}, {"server", spec_.name}, {"reason", why}});
  }
  watcher_.on_server_changed();
}

void Upstream::fail_always(const std::string& reason) {
  if (is_retired_ && reason_ == reason) return;
  retire();
  state_ = State::down;
  reason_ = reason;
  for_each_link([&reason](Link& link) { link.be_down(reason); });
}

void Upstream::retire() {
  is_retired_ = true;
  metrics_.up.set(0);
}

void Upstream::set_ejected(bool is_ejected) {
  if (is_ejected_ == is_ejected) return;
  is_ejected_ = is_ejected;
  if (!is_ejected) {
    // A server that is down has its keys back when so many are down that none is ejected.
    std::string_view event = is_up() ? "server.returned" : "server.not_ejected";
    context_.services.log.info(event, {{"pool", context_.config.name}, {"server", spec_.name}});
    return;
  }
  metrics_.ejections.add();
  is_stale_ = true;
  context_.services.log.warn("server.ejected",
                             {{"pool", context_.config.name}, {"server", spec_.name}});
}

bool Upstream::fails_open(const Link& link) {
  if (is_retired_ || !watcher_.fails_open()) return false;
  if (!link.is_down()) return true;
  std::uint64_t now_ms = context_.services.loop.now_ms();
  if (now_ms < fail_open_at_ms_) return false;
  fail_open_at_ms_ = now_ms + kFailOpenMs;
  if (!must_flush() || is_prober(link)) return true;
  prober().connect();
  return false;
}

std::uint64_t Upstream::next_probe_ms() const {
  std::uint64_t next = 0;
  if (state_ == State::down && !lanes_.empty() && lanes_.front().links.front()) {
    next = lanes_.front().links.front()->next_try_ms();
  }
  return next;
}

void Upstream::settings_changed() {
  for_each_link([](Link& link) { link.settings_changed(); });
}

// ---- numbers ----

std::size_t Upstream::connections() const {
  std::size_t sum = 0;
  for_each_link([&sum](const Link& link) { sum += link.is_up() ? 1 : 0; });
  return sum;
}

std::size_t Upstream::in_flight() const {
  std::size_t sum = 0;
  for_each_link([&sum](const Link& link) { sum += link.in_flight(); });
  return sum;
}

std::size_t Upstream::unsent_bytes() const {
  std::size_t sum = 0;
  for_each_link([&sum](const Link& link) { sum += link.unsent_bytes(); });
  return sum;
}

}  // namespace consort::shard_proxy
