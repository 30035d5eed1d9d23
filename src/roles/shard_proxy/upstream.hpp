// One server of a pool: its name, its connections, its health, its numbers.
//
// Health. A server is up once a connection has answered its greeting, and down when its last one
// has failed: refused, closed, or silent for server_failure_limit timeouts. While it is down its
// requests fail at once and one connection, the prober, tries again: after server_retry_timeout,
// then 1.5 times longer each time up to Link::kMaxRetryMs, give or take a fifth. Only an answered
// greeting ends it; then all other connections come back too. When one connection is lost to
// silence, those without requests are made anew, for they would not notice that the server hangs.
//
// With flush_on_return an ejected server is emptied by the prober's greeting, before any request.
// What a hung server had read before it was ejected it may still do after that: a write that timed
// out may have happened, as always.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "manage/role.hpp"
#include "roles/shard_proxy/config.hpp"
#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/turn.hpp"

namespace consort::shard_proxy {

/// What every object of a pool needs. Lives as long as the pool.
struct PoolContext {
  const Services& services;
  const PoolConfig& config;
  Turn& turn;
};

/// Series with the labels pool and server.
struct UpstreamMetrics {
  UpstreamMetrics(Registry& registry, const std::string& pool, const std::string& server);
  Counter& requests;
  Counter& responses;
  Counter& timeouts;
  Counter& failures;  ///< requests answered with an error of ours, timeouts included
  Counter& connects;
  Counter& closed;  ///< connections that ended, by whomever
  Counter& late_replies;
  Counter& ejections;
  Counter& bytes_sent;
  Counter& bytes_received;
  LatencyHistogram& latency;
  Gauge& in_flight;
  Gauge& up;
};

class Upstream final : public Mortal {
 public:
  enum class State : std::uint8_t { unknown, up, down };

  class Watcher {
   public:
    /// It went up or down, or its reason changed.
    virtual void on_server_changed() = 0;
    /// Whether so many servers are down that being down means nothing.
    virtual bool fails_open() const = 0;

   protected:
    ~Watcher() = default;
  };
  /// Connections are kept for so many kinds; beyond, those of a kind that is idle are closed.
  static constexpr std::size_t kMaxLanes = 64;
  /// With all servers down a request may try to connect, but not more often than this.
  static constexpr std::uint64_t kFailOpenMs = 100;

  Upstream(const PoolContext& context, const ServerSpec& spec, Watcher& watcher);
  ~Upstream() override;

  /// The connection for this client; made on first use.
  Link& link_for(std::uint64_t client_id, Lane lane);
  /// Connects before anybody asks, so that health is known.
  void connect_now();
  State state() const { return state_; }
  bool is_up() const { return state_ == State::up; }
  /// Why it is down; empty when it is not.
  const std::string& reason() const { return reason_; }
  std::uint64_t next_probe_ms() const;
  /// When it last went up or down, on the loop's clock; 0 when it never did.
  std::uint64_t changed_ms() const { return changed_ms_; }
  /// As the server itself told in its greeting; empty until then.
  const std::string& version() const { return version_; }
  void set_version(std::string version) {
    is_new_version_ = version != version_;
    version_ = std::move(version);
  }
  /// True until the first greeting after an ejection when the pool flushes who returns.
  bool must_flush() const { return is_stale_ && context_.config.flush_on_return; }
  /// Takes over that duty from an object for the same server.
  void inherit(const Upstream& other) { is_stale_ = other.is_stale_; }
  const ServerSpec& spec() const { return spec_; }
  const PoolContext& context() const { return context_; }
  UpstreamMetrics& metrics() { return metrics_; }
  std::size_t connections() const;
  std::size_t in_flight() const;
  std::size_t unsent_bytes() const;
  /// Exponentially weighted mean over the last replies.
  std::uint32_t mean_latency_us() const { return mean_latency_us_; }

  /// For a pool without servers: one that fails every request. May be called again.
  void fail_always(const std::string& reason);
  /// It has left the pool, and ends when nothing is in flight.
  void retire();
  bool is_retired() const { return is_retired_; }
  /// Private connections to it.
  void count_private(int change) { private_links_ += change; }
  bool is_unused() const { return in_flight() == 0 && private_links_ == 0; }
  /// The pool's settings are others than before.
  void settings_changed();

  /// Its keys go to others (on_server_down: rehash), so that what it holds becomes stale.
  void set_ejected(bool is_ejected);
  bool is_ejected() const { return is_ejected_; }
  /// From a link whose state changed; `why` is empty when it is up.
  void on_link_changed(Link& link, const std::string& why);
  bool is_prober(const Link& link) const {
    return !lanes_.empty() && lanes_.front().links.front().get() == &link;
  }
  /// For a link that is down and has a request: whether to connect at once.
  bool fails_open(const Link& link);
  void count_reply(std::uint32_t latency_us) {
    metrics_.responses.add();
    metrics_.latency.observe_ns(std::uint64_t{latency_us} * 1000);
    auto difference = static_cast<std::int32_t>(latency_us - mean_latency_us_);
    mean_latency_us_ += static_cast<std::uint32_t>(difference / 16);
  }

 private:
  struct LaneLinks {
    Lane lane;
    std::vector<std::unique_ptr<Link>> links;
  };

  LaneLinks& links_of(Lane lane);
  void drop_an_idle_lane();
  Link& prober();
  void on_down(Link& link, const std::string& why);
  template <class Visit>
  void for_each_link(Visit visit) const;

  const PoolContext& context_;
  const ServerSpec spec_;
  Watcher& watcher_;
  UpstreamMetrics metrics_;
  std::string version_;
  bool is_new_version_ = false;   ///< and the watcher has not been told
  std::vector<LaneLinks> lanes_;  ///< the prober's comes first
  State state_ = State::unknown;
  bool is_ejected_ = false;
  bool is_stale_ = false;  ///< it has been ejected since its last greeting
  bool is_retired_ = false;
  int private_links_ = 0;
  std::string reason_;
  std::uint64_t changed_ms_ = 0;
  std::uint64_t fail_open_at_ms_ = 0;
  std::uint32_t mean_latency_us_ = 0;
};

}  // namespace consort::shard_proxy
