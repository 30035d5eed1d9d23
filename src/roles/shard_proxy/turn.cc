#include "roles/shard_proxy/turn.hpp"

#include <algorithm>

#include "roles/shard_proxy/client.hpp"
#include "roles/shard_proxy/link.hpp"
#include "roles/shard_proxy/pool.hpp"

namespace consort::shard_proxy {
namespace {

template <class T>
void blank_out(std::vector<T*>& list, T* gone) {
  std::replace(list.begin(), list.end(), gone, static_cast<T*>(nullptr));
}

}  // namespace

void Turn::forget(Link& link) {
  blank_out(links_, &link);
  blank_out(flushing_links_, &link);
}

void Turn::forget(Client& client) {
  blank_out(clients_, &client);
  blank_out(flushing_clients_, &client);
  blank_out(dead_, &client);
}

void Turn::on_turn_end() {
  // A failed write brings error replies for clients, and a drained client brings new requests: go
  // round until nothing is left. Each round writes to the kernel or ends, so this is finite.
  while (!links_.empty() || !clients_.empty()) {
    flushing_links_.swap(links_);
    for (std::size_t i = 0; i < flushing_links_.size(); ++i) {
      if (flushing_links_[i] != nullptr) flushing_links_[i]->flush();
    }
    flushing_links_.clear();
    flushing_clients_.swap(clients_);
    for (std::size_t i = 0; i < flushing_clients_.size(); ++i) {
      if (flushing_clients_[i] != nullptr) flushing_clients_[i]->flush();
    }
    flushing_clients_.clear();
  }
  for (std::size_t i = 0; i < dead_.size(); ++i) {
    Client* client = dead_[i];
    if (client != nullptr) client->pool().destroy(*client);
  }
  dead_.clear();
}

}  // namespace consort::shard_proxy
