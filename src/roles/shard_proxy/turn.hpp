// What must be written at the end of a loop turn: one write per peer and turn, however many
// requests and replies the turn brought.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "io/loop.hpp"

namespace consort::shard_proxy {

class Client;

/// A connection with unsent bytes.
class Writer {
 public:
  virtual void flush() = 0;

 protected:
  ~Writer() = default;
};

/// Something that must not be destroyed by the callback that ends it.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

/// Collects peers with unsent bytes, and flushes servers before clients. Also the place where
/// connections are destroyed, so that no callback can pull the ground from under its caller.
class Turn final : public io::TurnHook {
 public:
  explicit Turn(io::Loop& loop) : loop_(loop) { loop_.add_turn_hook(*this); }
  ~Turn() { loop_.remove_turn_hook(*this); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// Microseconds, read once per turn; wraps every 71 minutes.
  std::uint32_t now_us() {
    if (!has_time_) read_clock();
    return now_us_;
  }

  void write_later_to_server(Writer& writer) { servers_.push_back(&writer); }
  void write_later_to_client(Writer& writer) { clients_.push_back(&writer); }
  /// Before a writer is destroyed.
  void forget(Writer& writer);
  /// The pool is told to destroy it at the end of the turn.
  void bury_later(Client& client) { dead_clients_.push_back(&client); }
  /// Before a client is destroyed by other ways than bury_later().
  void forget(Client& client);
  void bury_later(std::unique_ptr<Mortal> dead) { dead_.push_back(std::move(dead)); }

  void on_turn_end() override;

 private:
  void read_clock();

  io::Loop& loop_;
  std::uint32_t now_us_ = 0;
  bool has_time_ = false;
  std::vector<Writer*> servers_;
  std::vector<Writer*> clients_;
  std::vector<Writer*> flushing_;
  std::vector<Client*> dead_clients_;
  std::vector<std::unique_ptr<Mortal>> dead_;
};

}  // namespace consort::shard_proxy
