#include "net/http_pool_core.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.hpp"
#include "net/http_pool_connection.hpp"

namespace consort::http::detail {
namespace {

/// An answer that comes too late for the call that asked is kept for the next one.
constexpr Millis kQueryTimeout{5000};

std::uint64_t to_ms(Millis wait) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(wait.count(), 0));
}

}  // namespace

PoolCore::PoolCore(io::Loop& used_loop, io::Network& used_network, io::Dns& dns, Url origin,
                   PoolOptions chosen)
    : loop(used_loop),
      network(used_network),
      url(std::move(origin)),
      options(chosen),
      names(used_loop, dns, url.address,
            {.query_timeout = std::max(kQueryTimeout, chosen.connect_timeout),
             .ttl_min = chosen.dns_ttl_min,
             .ttl_max = chosen.dns_ttl_max},
            *this),
      sweep_timer_(
          used_loop.timers(), [](void* self) { static_cast<PoolCore*>(self)->sweep(); }, this) {}

PoolCore::~PoolCore() {
  if (gone_ != nullptr) *gone_ = true;
  if (answering_ != nullptr) answering_->answering_ = nullptr;
}

void PoolCore::start(Call& call, const CallRequest& request) {
  CHECK(!call.in_flight());
  call.request_ = request;
  call.body_.clear();
  call.times_ = CallTimes{.started_ns = loop.now_ns()};
  call.bytes_in_ = 0;
  call.bytes_out_ = 0;
  call.status_ = 0;
  call.was_sent_ = false;
  call.saw_bytes_ = false;
  ++counted.calls_total;
  while (!idle_.empty()) {
    PooledConnection& newest = *idle_.back();
    idle_.pop_back();
    if (loop.now_ms() >= newest.idle_until_ms()) {
      take_out(newest);
      continue;
    }
    ++counted.reused_total;
    newest.serve(call);
    return;
  }
  open(call);
}

void PoolCore::open(Call& call) {
  all_.push_back(std::make_unique<PooledConnection>(*this, call));
  PooledConnection& connection = *all_.back();
  connection.index = all_.size() - 1;
  if (url.scheme == Url::Scheme::https && options.tls == nullptr) {
    connection.fail_later(ProxyError::proxy_internal_error, "https without a TLS client");
    return;
  }
  const std::optional<Address> address = names.next();
  if (address) connection.connect(*address);
}

void PoolCore::on_names(const Error* failure) {
  // Connecting and failing only begin here, so the list stays as it is.
  for (const auto& connection : all_) {
    if (connection->state() != PooledConnection::State::resolving) continue;
    if (failure != nullptr) {
      const bool is_silent = failure->code() == Errc::timed_out;
      connection->fail_later(is_silent ? ProxyError::dns_timeout : ProxyError::dns_error,
                             failure->message());
    } else if (const std::optional<Address> address = names.next()) {
      connection->connect(*address);
    }
  }
}

std::uint64_t PoolCore::idle_until_ms(const http1::ResponseStream& answer_read) const {
  if (draining || !answer_read.keep_alive() || idle_.size() >= options.idle_max) return 0;
  std::uint64_t wait_ms = to_ms(options.idle_timeout);
  if (const auto told_s = answer_read.keep_alive_timeout_s()) {
    // A second for the way there: a request must not meet the server's close.
    const std::uint64_t told_ms = std::uint64_t{*told_s} * 1000;
    wait_ms = std::min(wait_ms, told_ms - std::min<std::uint64_t>(told_ms, 1000));
  }
  return wait_ms == 0 ? 0 : loop.now_ms() + wait_ms;
}

void PoolCore::put_idle(PooledConnection& connection) {
  idle_.push_back(&connection);
  const std::uint64_t until_ms = connection.idle_until_ms();
  if (!sweep_timer_.armed() || until_ms < sweep_timer_.at()) sweep_timer_.arm_at(until_ms);
}

/// Linear in idle connections, of which there are few; the timer goes off about once for each
/// idle_timeout, whatever is asked meanwhile.
void PoolCore::sweep() {
  const std::uint64_t now_ms = loop.now_ms();
  std::uint64_t next_ms = TimerQueue::kNever;
  for (std::size_t i = 0; i < idle_.size();) {
    const std::uint64_t until_ms = idle_[i]->idle_until_ms();
    if (until_ms <= now_ms) {
      take_out(*idle_[i]);
    } else {
      next_ms = std::min(next_ms, until_ms);
      ++i;
    }
  }
  sweep_timer_.arm_at(next_ms);
}

std::unique_ptr<PooledConnection> PoolCore::take_out(PooledConnection& connection) {
  if (connection.state() == PooledConnection::State::idle) std::erase(idle_, &connection);
  auto& place = all_[connection.index];
  std::unique_ptr<PooledConnection> taken = std::move(place);
  if (connection.index + 1 != all_.size()) {
    place = std::move(all_.back());
    place->index = connection.index;
  }
  all_.pop_back();
  return taken;
}

void PoolCore::deliver(Call& call) {
  bool is_gone = false;
  gone_ = &is_gone;
  answering_ = &call;
  call.answering_ = this;
  call.owner_->on_response(call);
  if (is_gone) return;
  gone_ = nullptr;
  if (answering_ != nullptr) answering_->answering_ = nullptr;
  answering_ = nullptr;
}

void PoolCore::close_idle() {
  while (!idle_.empty()) take_out(*idle_.back());
}

void PoolCore::drain() {
  draining = true;
  close_idle();
}

Pool::Stats PoolCore::stats() const {
  Pool::Stats out = counted;
  out.idle = idle_.size();
  out.busy = all_.size() - idle_.size();
  return out;
}

}  // namespace consort::http::detail
