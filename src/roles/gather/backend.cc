#include "roles/gather/backend.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "roles/gather/config.hpp"

namespace consort::gather {

void Backend::Waiter::leave_line() {
  if (line_ == nullptr) return;
  (before_ != nullptr ? before_->behind_ : line_->first_) = behind_;
  (behind_ != nullptr ? behind_->before_ : line_->last_) = before_;
  --line_->waiting_;
  line_ = nullptr;
  before_ = behind_ = nullptr;
}

void Backend::wait(Waiter& waiter) {
  CHECK(!waiter.is_waiting());
  waiter.line_ = this;
  waiter.before_ = last_;
  (last_ != nullptr ? last_->behind_ : first_) = &waiter;
  last_ = &waiter;
  ++waiting_;
}

void Backend::call_ended() {
  if (first_ == nullptr || is_closed_ || !has_place()) return;
  Waiter* next = first_;
  next->leave_line();
  next->on_place();
}

std::shared_ptr<Backend> BackendSet::find(const std::string& url) const {
  const auto found = backends_.find(url);
  return found == backends_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<Backend> BackendSet::get(const ReplicaSpec& spec) {
  const std::string url = spec.url.to_string();
  std::weak_ptr<Backend>& known = backends_[url];
  std::shared_ptr<Backend> backend = known.lock();
  if (!backend) {
    backend = std::make_shared<Backend>(services_, spec.url, options_.pool, options_.inflight_max);
    known = backend;
  }
  ReplicaStats::Place place;
  place.weight = spec.weight;
  place.tier = static_cast<std::uint8_t>(std::min<std::uint16_t>(spec.priority, 255));
  backend->stats().set_place(place);
  return backend;
}

std::shared_ptr<Generation> BackendSet::make_generation(
    const std::shared_ptr<const Topology>& topology, const std::vector<const RouteConfig*>& routes,
    const Generation* before) {
  std::erase_if(backends_, [](const auto& known) { return known.second.expired(); });
  std::map<std::string_view, std::uint64_t> totals;
  if (before != nullptr) {
    for (const Shard& shard : before->shards) totals[shard.spec->id] = shard.last_total;
  }
  auto made = std::make_shared<Generation>();
  made->topology = topology;
  made->shards.reserve(topology->shards.size());
  for (const ShardSpec& spec : topology->shards) {
    Shard& shard = made->shards.emplace_back();
    shard.spec = &spec;
    if (const auto known = totals.find(spec.id); known != totals.end()) {
      shard.last_total = known->second;
    }
    for (const ReplicaSpec& replica : spec.replicas) {
      shard.replicas.push_back(get(replica));
      shard.stats.push_back(&shard.replicas.back()->stats());
    }
  }
  for (const RouteConfig* route : routes) {
    ReplicaChoice::Options options;
    options.policy = route->select;
    options.max_inflight = options_.inflight_max;
    made->routes.push_back(
        {ShardSelector(topology, route->to),
         std::vector<ReplicaChoice>(topology->shards.size(), ReplicaChoice(options))});
  }
  return made;
}

}  // namespace consort::gather
