#include "roles/shard_proxy/discovery.hpp"

#include <algorithm>
#include <utility>

namespace consort::shard_proxy {
namespace {

constexpr double kJitter = 0.2;

/// The shortest TTL of an answer.
template <class Record>
std::uint64_t ttl_ms(const std::vector<Record>& answer) {
  std::uint64_t shortest = Discovery::kTtlMaxMs;
  for (const Record& record : answer) {
    shortest = std::min(shortest, std::uint64_t{record.ttl_s} * 1000);
  }
  return std::max(shortest, Discovery::kTtlMinMs);
}

}  // namespace

Discovery::Discovery(const Services& services, const ServerSource& source, Watcher& watcher)
    : services_(services),
      source_(source),
      watcher_(watcher),
      failures_(services.metrics.counter("consort_discovery_failures_total",
                                         "Questions for servers without a good answer.",
                                         {{"source", source.to_string()}})),
      again_(
          services.loop.timers(), [](void* self) { static_cast<Discovery*>(self)->ask(); }, this) {}

void Discovery::start() {
  if (source_.kind == ServerSource::Kind::file) {
    watch_ = services_.files.watch(source_.target, *this);
  }
  ask_again_after(0);
}

void Discovery::ask_again_after(std::uint64_t wait_ms) {
  again_.arm_at(services_.loop.now_ms() + wait_ms);
}

void Discovery::ask() {
  switch (source_.kind) {
    case ServerSource::Kind::dns:
      query_ = services_.dns.resolve(source_.target, kQuestionTime, *this);
      break;
    case ServerSource::Kind::srv:
      query_ = services_.dns.resolve_service(source_.target, kQuestionTime, *this);
      break;
    case ServerSource::Kind::file:
      read_servers();
      break;
  }
}

void Discovery::on_resolved(Result<std::vector<io::DnsAddress>> answer) {
  query_.reset();
  if (!answer) {
    fail_with(source_.to_string() + ": " + answer.error().message());
    return;
  }
  ask_again_after(ttl_ms(*answer));
  take(named(servers_of(*answer, source_.port, source_.weight)));
}

void Discovery::on_resolved(Result<std::vector<io::DnsService>> answer) {
  query_.reset();
  if (!answer) {
    fail_with(source_.to_string() + ": " + answer.error().message());
    return;
  }
  ask_again_after(ttl_ms(*answer));
  take(named(servers_of(*answer)));
}

/// Errors about an answer say whose it is.
Result<std::vector<ServerSpec>> Discovery::named(Result<std::vector<ServerSpec>> found) const {
  if (found) return found;
  return fail(std::move(found.error()).in(source_.to_string()));
}

void Discovery::on_file_changed() {
  read_servers();
}

void Discovery::read_servers() {
  again_.cancel();
  const Result<std::string> text = services_.files.read(source_.target, kMaxServerFileBytes);
  if (!text) {
    fail_with(text.error().message());
    return;
  }
  take(servers_of(*text, source_.target));
}

void Discovery::take(Result<std::vector<ServerSpec>> found) {
  if (!found) {
    fail_with(found.error().message());
    return;
  }
  retry_ms_ = kRetryMinMs;
  const bool was_failing = !std::exchange(told_why_, {}).empty();
  if (!servers_ || !same_servers(*servers_, *found)) {
    servers_ = std::move(*found);
    const std::vector<ServerSpec> told = *servers_;
    watcher_.on_servers(told);
  } else if (was_failing) {
    watcher_.on_discovery_recovered();
  }
}

void Discovery::fail_with(const std::string& why) {
  failures_.add();
  const double spread = 1 + kJitter * (2 * services_.random.unit() - 1);
  ask_again_after(static_cast<std::uint64_t>(static_cast<double>(retry_ms_) * spread));
  retry_ms_ = std::min(retry_ms_ * 3 / 2, kRetryMaxMs);
  if (std::exchange(told_why_, why) != why) watcher_.on_discovery_failed(why);
}

}  // namespace consort::shard_proxy
