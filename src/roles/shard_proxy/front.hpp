// A listening address, and the pool that its clients go to: a reload may give it to another pool
// without closing it for a moment.
#pragma once

#include <memory>

#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {

class Front final : private io::AcceptHandler {
 public:
  static Result<std::unique_ptr<Front>> open(const Services& services, const Address& address,
                                             Pool& pool);
  /// Does not listen: open() makes one that does.
  Front(const Services& services, const Address& address, Pool& pool)
      : services_(services), asked_for_(address), pool_(&pool) {}

  const Address& asked_for() const { return asked_for_; }
  void aim_at(Pool& pool) { pool_ = &pool; }

 private:
  void on_accept(std::unique_ptr<io::Stream> stream) override { pool_->accept(std::move(stream)); }
  void on_accept_paused(const Error& why) override;

  const Services& services_;
  const Address asked_for_;
  Pool* pool_;
  std::unique_ptr<io::Listener> listener_;
};

}  // namespace consort::shard_proxy
