#include "roles/shard_proxy/turn.hpp"

#include <algorithm>

#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {
namespace {

template <class T>
void blank_out(std::vector<T*>& list, T* gone) {
  std::replace(list.begin(), list.end(), gone, static_cast<T*>(nullptr));
}

void flush_all(std::vector<Writer*>& list, std::vector<Writer*>& flushing) {
  flushing.swap(list);
  for (std::size_t i = 0; i < flushing.size(); ++i) {
    if (flushing[i] != nullptr) flushing[i]->flush();
  }
  flushing.clear();
}

}  // namespace

void Turn::forget(Writer& writer) {
  blank_out(servers_, &writer);
  blank_out(clients_, &writer);
  blank_out(flushing_, &writer);
}

void Turn::forget(Client& client) {
  forget(static_cast<Writer&>(client));
  blank_out(dead_clients_, &client);
}

void Turn::read_clock() {
  now_us_ = static_cast<std::uint32_t>(loop_.now_ns() / 1000);
  has_time_ = true;
}

void Turn::on_turn_end() {
  // A failed write brings error replies for clients, and a drained client brings new requests: go
  // round until nothing is left. Each round writes to the kernel or ends, so this is finite.
  while (!servers_.empty() || !clients_.empty()) {
    flush_all(servers_, flushing_);
    flush_all(clients_, flushing_);
  }
  for (std::size_t i = 0; i < dead_clients_.size(); ++i) {
    Client* client = dead_clients_[i];
    if (client != nullptr) client->pool().destroy(*client);
  }
  dead_clients_.clear();
  // A death may bring others.
  for (std::size_t i = 0; i < dead_.size(); ++i) std::unique_ptr<Mortal>(std::move(dead_[i]));
  dead_.clear();
  has_time_ = false;
}

}  // namespace consort::shard_proxy
