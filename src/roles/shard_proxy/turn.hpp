// What must be written at the end of a loop turn: one write per peer and turn, however many
// requests and replies the turn brought.
#pragma once

#include <vector>

#include "io/loop.hpp"

namespace consort::shard_proxy {

class Link;
class Client;
class Pool;

/// Collects peers with unsent bytes, and flushes servers before clients. Also the only place where
/// clients are destroyed, so that no callback can pull the ground from under its caller.
class Turn final : public io::TurnHook {
 public:
  explicit Turn(io::Loop& loop) : loop_(loop) { loop_.add_turn_hook(*this); }
  ~Turn() { loop_.remove_turn_hook(*this); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  void write_later(Link& link) { links_.push_back(&link); }
  void write_later(Client& client) { clients_.push_back(&client); }
  void bury_later(Client& client) { dead_.push_back(&client); }
  /// Before a link or client is destroyed by other ways than bury_later().
  void forget(Link& link);
  void forget(Client& client);

  void on_turn_end() override;

 private:
  io::Loop& loop_;
  std::vector<Link*> links_;
  std::vector<Client*> clients_;
  std::vector<Client*> dead_;
  std::vector<Link*> flushing_links_;
  std::vector<Client*> flushing_clients_;
};

}  // namespace consort::shard_proxy
