#include "roles/shard_proxy/private_links.hpp"

#include <algorithm>
#include <utility>

#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {

PrivateLinks::PrivateLinks(Pool& pool)
    : pool_(pool),
      timer_(
          pool.timers(), [](void* self) { static_cast<PrivateLinks*>(self)->on_timer(); }, this) {}

PrivateLinks::~PrivateLinks() = default;

std::unique_ptr<PrivateLink> PrivateLinks::lease(Upstream& upstream, Lane lane,
                                                 PrivateLink::Owner& owner) {
  for (auto idle = idle_.rbegin(); idle != idle_.rend(); ++idle) {
    if (&idle->link->upstream() != &upstream || !(idle->link->lane() == lane)) continue;
    std::unique_ptr<PrivateLink> link = std::move(idle->link);
    idle_.erase(std::next(idle).base());
    link->set_owner(owner);
    return link;
  }
  if (open_ >= pool_.config().private_connections) {
    if (idle_.empty()) return nullptr;
    std::unique_ptr<PrivateLink> oldest = std::move(idle_.front().link);
    idle_.erase(idle_.begin());
    discard(std::move(oldest));
  }
  ++open_;
  upstream.count_private(1);
  pool_.metrics().private_connections.set(static_cast<std::int64_t>(open_));
  return std::make_unique<PrivateLink>(upstream, lane, owner);
}

void PrivateLinks::give_back(std::unique_ptr<PrivateLink> link) {
  if (link->is_dead() || !link->is_idle() || link->upstream().is_retired()) {
    discard(std::move(link));
    return;
  }
  link->set_owner(*this);
  idle_.push_back({std::move(link), pool_.now_ms()});
  if (!timer_.armed()) timer_.arm_at(pool_.now_ms() + kIdleMs);
}

void PrivateLinks::discard(std::unique_ptr<PrivateLink> link) {
  --open_;
  link->upstream().count_private(-1);
  pool_.metrics().private_connections.set(static_cast<std::int64_t>(open_));
  link->abandon();
  pool_.turn().bury_later(std::unique_ptr<Mortal>(std::move(link)));
}

void PrivateLinks::drop_idle(const Upstream& upstream) {
  std::vector<Idle> all = std::exchange(idle_, {});
  for (Idle& idle : all) {
    if (&idle.link->upstream() == &upstream) {
      discard(std::move(idle.link));
    } else {
      idle_.push_back(std::move(idle));
    }
  }
}

void PrivateLinks::on_private_lost(PrivateLink& link, const std::string&) {
  auto found = std::find_if(idle_.begin(), idle_.end(),
                            [&link](const Idle& idle) { return idle.link.get() == &link; });
  if (found == idle_.end()) return;
  std::unique_ptr<PrivateLink> dead = std::move(found->link);
  idle_.erase(found);
  discard(std::move(dead));
}

void PrivateLinks::on_timer() {
  std::uint64_t now_ms = pool_.now_ms();
  while (!idle_.empty() && now_ms - idle_.front().since_ms >= kIdleMs) {
    std::unique_ptr<PrivateLink> link = std::move(idle_.front().link);
    idle_.erase(idle_.begin());
    discard(std::move(link));
  }
  if (!idle_.empty()) timer_.arm_at(idle_.front().since_ms + kIdleMs);
}

}  // namespace consort::shard_proxy
