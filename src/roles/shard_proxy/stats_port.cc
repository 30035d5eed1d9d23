#include "roles/shard_proxy/stats_port.hpp"

#include <algorithm>
#include <utility>

#include "base/json_writer.hpp"

namespace consort::shard_proxy {
namespace {

// Whose format this is; some readers look at it.
constexpr std::string_view kVersion = "0.5.0";

std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

/// In microseconds since 1970; 0 for one that is not ejected now.
std::int64_t ejected_at_us(const Upstream& server, const StatsFacts& facts) {
  if (!server.is_ejected()) return 0;
  auto ago_ms = static_cast<std::int64_t>(minus(facts.now_ms, server.changed_ms()));
  return (facts.wall_ms - ago_ms) * 1000;
}

void put_server(JsonWriter& json, Upstream& server, const StatsFacts& facts) {
  UpstreamMetrics& metrics = server.metrics();
  std::uint64_t open = server.connections();
  std::uint64_t ended = std::min(minus(metrics.connects.value(), open), metrics.closed.value());
  json.begin_object();
  json.key("server_eof").value(ended);
  json.key("server_err").value(minus(metrics.closed.value(), ended));
  json.key("server_timedout").value(metrics.timeouts.value());
  json.key("server_connections").value(open);
  json.key("server_ejected_at").value(ejected_at_us(server, facts));
  json.key("requests").value(metrics.requests.value());
  json.key("request_bytes").value(metrics.bytes_sent.value());
  json.key("responses").value(metrics.responses.value());
  json.key("response_bytes").value(metrics.bytes_received.value());
  json.key("in_queue").value(0);
  json.key("in_queue_bytes").value(server.unsent_bytes());
  json.key("out_queue").value(server.in_flight());
  json.key("out_queue_bytes").value(0);
  json.end_object();
}

void put_pool(JsonWriter& json, Pool& pool, const StatsFacts& facts) {
  PoolMetrics& metrics = pool.metrics();
  std::uint64_t ejects = 0;
  std::uint64_t failures = 0;
  for (std::uint32_t i = 0; i < pool.servers(); ++i) {
    ejects += pool.upstream(i).metrics().ejections.value();
    failures += pool.upstream(i).metrics().failures.value();
  }
  std::uint64_t cut_off = metrics.clients_cut_off.value();
  json.begin_object();
  json.key("client_eof").value(minus(metrics.client_disconnects.value(), cut_off));
  json.key("client_err").value(cut_off);
  json.key("client_connections").value(metrics.clients.value());
  json.key("server_ejects").value(ejects);
  json.key("forward_error").value(failures);
  json.key("fragments").value(metrics.split_requests.value());
  for (std::uint32_t i = 0; i < pool.servers(); ++i) {
    json.key(pool.specs()[i].name);
    put_server(json, pool.upstream(i), facts);
  }
  json.end_object();
}

}  // namespace

std::string nutcracker_stats(const StatsFacts& facts, std::span<Pool* const> pools) {
  std::uint64_t total = facts.listeners;
  std::uint64_t current = facts.listeners;
  for (Pool* pool : pools) {
    total += pool->metrics().client_connects.value();
    current += static_cast<std::uint64_t>(pool->metrics().clients.value());
    for (std::uint32_t i = 0; i < pool->servers(); ++i) {
      total += pool->upstream(i).metrics().connects.value();
      current += pool->upstream(i).connections();
    }
  }
  JsonWriter json;
  json.begin_object().key("service").value("nutcracker").key("source").value(facts.host);
  json.key("version").value(kVersion);
  json.key("uptime").value(minus(facts.now_ms, facts.started_ms) / 1000);
  json.key("timestamp").value(facts.wall_ms / 1000);
  json.key("total_connections").value(total).key("curr_connections").value(current);
  for (Pool* pool : pools) {
    json.key(pool->config().name);
    put_pool(json, *pool, facts);
  }
  json.end_object();
  return json.take() + "\n";
}

// ---- the listener ----

/// Sends, then waits for the peer to go: closing at once could take back what it has not read, when
/// it has sent something that nobody reads.
class StatsPort::PeerConnection final : public io::StreamHandler {
 public:
  PeerConnection(StatsPort& port, std::unique_ptr<io::Stream> stream, std::string text,
                 std::uint64_t until_ms)
      : port_(port), stream_(std::move(stream)), text_(std::move(text)), until_ms_(until_ms) {
    stream_->set_handler(*this);
  }

  /// May end in the destruction of this object.
  void send() {
    auto written = stream_->try_write(std::string_view(text_).substr(sent_));
    if (written) sent_ += *written;
    if (written && sent_ < text_.size()) {
      stream_->want_writable();
    } else if (written && !peer_has_ended_) {
      stream_->shutdown_write();
    } else if (peer_has_ended_) {
      port_.drop(*this);
    }
  }
  std::uint64_t until_ms() const { return until_ms_; }

 private:
  void on_data(std::string_view) override {}  // nothing is asked here
  void on_writable() override { send(); }
  void on_end(const Error& why) override {
    bool is_orderly = why.code() == Errc::closed && why.sys() == 0;
    peer_has_ended_ = true;
    if (!is_orderly || sent_ == text_.size()) port_.drop(*this);
  }

  StatsPort& port_;
  std::unique_ptr<io::Stream> stream_;
  const std::string text_;
  std::size_t sent_ = 0;
  bool peer_has_ended_ = false;
  const std::uint64_t until_ms_;
};

StatsPort::StatsPort(const Services& services, const Address& address, Tell tell)
    : services_(services),
      asked_for_(address),
      tell_(std::move(tell)),
      timer_(
          services.loop.timers(), [](void* self) { static_cast<StatsPort*>(self)->on_timer(); },
          this) {}

StatsPort::~StatsPort() = default;

Result<std::unique_ptr<StatsPort>> StatsPort::open(const Services& services, const Address& address,
                                                   Tell tell) {
  auto port = std::make_unique<StatsPort>(services, address, std::move(tell));
  auto listener = services.network.listen(address, io::ListenOptions{}, *port);
  if (!listener) return fail(std::move(listener.error()).in("--stats-port"));
  port->listener_ = std::move(*listener);
  services.log.info("stats.listening", {{"address", port->listener_->address().to_string()}});
  return port;
}

void StatsPort::on_accept(std::unique_ptr<io::Stream> stream) {
  if (peers_.size() >= kMaxPeers) drop(*peers_.front());
  std::uint64_t until_ms = services_.loop.now_ms() + kPatienceMs;
  peers_.push_back(std::make_unique<PeerConnection>(*this, std::move(stream), tell_(), until_ms));
  if (peers_.size() == 1) timer_.arm_at(until_ms);
  peers_.back()->send();
}

void StatsPort::on_accept_paused(const Error& why) {
  services_.log.warn("accept.paused", {{"listener", "stats-port"}, {"reason", why.message()}});
}

void StatsPort::drop(PeerConnection& peer) {
  std::erase_if(peers_, [&peer](const auto& each) { return each.get() == &peer; });
}

void StatsPort::on_timer() {
  std::uint64_t now_ms = services_.loop.now_ms();
  while (!peers_.empty() && peers_.front()->until_ms() <= now_ms) drop(*peers_.front());
  if (!peers_.empty()) timer_.arm_at(peers_.front()->until_ms());
}

}  // namespace consort::shard_proxy
