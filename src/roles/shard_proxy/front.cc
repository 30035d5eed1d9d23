#include "roles/shard_proxy/front.hpp"

namespace consort::shard_proxy {

Result<std::unique_ptr<Front>> Front::open(const Services& services, const Address& address,
                                           Pool& pool) {
  auto front = std::make_unique<Front>(services, address, pool);
  io::ListenOptions options;
  options.backlog = static_cast<int>(pool.config().backlog);
  // A client whose host is gone would hold what waits for it for ever.
  options.keep_alive = true;
  auto listener = services.network.listen(address, options, *front);
  if (!listener) {
    return fail(std::move(listener.error()).in("pool \"" + pool.config().name + "\""));
  }
  front->listener_ = std::move(*listener);
  services.log.info("pool.listening", {{"pool", pool.config().name},
                                       {"address", front->listener_->address().to_string()},
                                       {"servers", pool.config().servers.size()}});
  return front;
}

void Front::on_accept_paused(const Error& why) {
  services_.log.warn("accept.paused", {{"pool", pool_->config().name}, {"reason", why.message()}});
}

}  // namespace consort::shard_proxy
