#include "net/http_pool.hpp"

#include <utility>

#include "base/check.hpp"
#include "net/http_pool_connection.hpp"
#include "net/http_pool_core.hpp"

namespace consort::http {

Call::~Call() {
  cancel();
  if (answering_ != nullptr) answering_->forget_answering();
}

void Call::cancel() {
  if (connection_ != nullptr) connection_->give_up();
}

const http1::ResponseHead& Call::head() const {
  CHECK(answering_ != nullptr);
  return answering_->answer;
}

Pool::Pool(io::Loop& loop, io::Network& network, io::Dns& dns, Url url, PoolOptions options)
    : core_(std::make_unique<detail::PoolCore>(loop, network, dns, std::move(url), options)) {}
Pool::~Pool() = default;

void Pool::start(Call& call, const CallRequest& request) {
  core_->start(call, request);
}
Pool::Stats Pool::stats() const {
  return core_->stats();
}
void Pool::close_idle() {
  core_->close_idle();
}
void Pool::drain() {
  core_->drain();
}
const Url& Pool::url() const {
  return core_->url;
}
io::Loop& Pool::loop() const {
  return core_->loop;
}
const PoolOptions& Pool::options() const {
  return core_->options;
}

}  // namespace consort::http
