// Connections in virtual time between the code under test and peers that a test scripts.
//
// The code connects, the test is the server:
//
//   auto& server = network.serve("10.0.0.1:11211");       // before the code connects
//   server.on_data = [](SimPeer& peer) { peer.take(); peer.send("END\r\n"); };   // or by hand:
//   loop.settle();
//   SimPeer& peer = server.peer(0);
//   CHECK(peer.take() == "get a\r\n");
//   peer.send("END\r\n");  peer.close();  peer.reset();  peer.stall();
//   server.refuse_next(2);  server.hang_next(1);  network.forget("10.0.0.1:11211");
//
// The code listens, the test is a client:
//
//   SimPeer& client = network.connect_client("127.0.0.1:8080");
//   client.send("GET / HTTP/1.1\r\n\r\n");
//   loop.settle();
//   CHECK(client.received() == "...");  CHECK(client.ended());
//
// SimPeers live as long as the network; references stay valid. Nothing happens within a call of
// either side: all effects arrive through the loop, after Options::latency_ms, in order.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "io/stream.hpp"
#include "sim/connection.hpp"
#include "sim/loop.hpp"

namespace consort::sim {

/// What answers at one address that the code connects to.
class SimServer {
 public:
  /// Run for each new connection, and whenever bytes (or an end) arrived on one; may be empty.
  std::function<void(SimPeer&)> on_connect;
  std::function<void(SimPeer&)> on_data;

  /// The next n connects are answered with a reset, or not at all.
  void refuse_next(int n) { refuse_ = n; }
  void hang_next(int n) { hang_ = n; }
  /// Connections so far, in order; ended ones too.
  std::size_t connections() const { return peers_.size(); }
  SimPeer& peer(std::size_t index) { return *peers_.at(index); }
  SimPeer& last() { return *peers_.back(); }
  /// All connect() calls of the code, refused and hanging ones included.
  int attempts() const { return attempts_; }

 private:
  friend class SimNetwork;
  int refuse_ = 0;
  int hang_ = 0;
  int attempts_ = 0;
  std::vector<std::shared_ptr<SimPeer>> peers_;
};

class SimNetwork final : public io::Network {
 public:
  SimNetwork(SimLoop& loop, std::uint64_t seed, Conditions conditions = {})
      : loop_(loop), random_(seed), conditions_(conditions) {}

  // --- For the test ---------------------------------------------------------------------------
  /// What new connections are like from now on.
  void set_conditions(const Conditions& conditions) { conditions_ = conditions; }
  SimServer& serve(const std::string& address) {
    auto& server = servers_[address];
    if (!server) server = std::make_unique<SimServer>();
    return *server;
  }
  /// Nobody listens there any more; connects are refused. Open connections stay.
  void forget(const std::string& address) { servers_.erase(address); }
  /// A client of the code's listener at the address. Aborts when there is none.
  SimPeer& connect_client(const std::string& address) {
    auto found = listeners_.find(address);
    if (found == listeners_.end()) die("nobody listens on ", address);
    auto peer = std::make_shared<SimPeer>(loop_, random_.next(), conditions_);
    clients_.push_back(peer);
    loop_.after(conditions_.latency_ms, [this, peer, address] { accept(address, peer); });
    return *peer;
  }
  /// Lets the code's listener report EMFILE once.
  void pause_accepting(const std::string& address);
  bool listening(const std::string& address) const { return listeners_.contains(address); }

  // --- io::Network ----------------------------------------------------------------------------
  Result<std::unique_ptr<io::Listener>> listen(const Address& address, io::ListenOptions,
                                               io::AcceptHandler& handler) override;
  using Network::connect;
  std::unique_ptr<io::Stream> connect(const Address& address, io::StreamHandler& handler,
                                      io::ConnectOptions) override {
    auto peer = std::make_shared<SimPeer>(loop_, random_.next(), conditions_);
    auto stream = std::make_unique<SimStream>(peer, SimStream::State::connecting);
    stream->set_handler(handler);
    std::string text = address.to_string();
    if (auto found = servers_.find(text); found != servers_.end()) ++found->second->attempts_;
    loop_.after(2 * conditions_.latency_ms, [this, peer, text] { answer_connect(text, peer); });
    return stream;
  }

 private:
  class SimListener;

  void answer_connect(const std::string& address, const std::shared_ptr<SimPeer>& peer) {
    if (!peer->connected()) return;
    auto found = servers_.find(address);
    if (found == servers_.end()) {
      peer->refuse(address);
      return;
    }
    SimServer& server = *found->second;
    if (server.hang_ > 0) {
      --server.hang_;
      return;
    }
    if (server.refuse_ > 0) {
      --server.refuse_;
      peer->refuse(address);
      return;
    }
    server.peers_.push_back(peer);
    peer->on_data = [this, address](SimPeer& from) {
      auto still = servers_.find(address);
      if (still != servers_.end() && still->second->on_data) still->second->on_data(from);
    };
    if (server.on_connect) server.on_connect(*peer);
    peer->open();
  }

  void accept(const std::string& address, const std::shared_ptr<SimPeer>& peer);

  [[noreturn]] static void die(const char* why, const std::string& what) {
    std::fprintf(stderr, "simulation: %s%s\n", why, what.c_str());
    std::abort();
  }

  SimLoop& loop_;
  Random random_;
  Conditions conditions_;
  std::uint16_t next_port_ = 40'000;
  std::map<std::string, std::unique_ptr<SimServer>> servers_;
  std::map<std::string, SimListener*> listeners_;
  std::vector<std::shared_ptr<SimPeer>> clients_;
};

class SimNetwork::SimListener final : public io::Listener {
 public:
  SimListener(SimNetwork& network, Address address, io::AcceptHandler& handler)
      : network_(network), address_(std::move(address)), handler_(handler) {
    network_.listeners_[address_.to_string()] = this;
  }
  ~SimListener() override { network_.listeners_.erase(address_.to_string()); }
  Address address() const override { return address_; }
  io::AcceptHandler& handler() { return handler_; }

 private:
  SimNetwork& network_;
  Address address_;
  io::AcceptHandler& handler_;
};

inline Result<std::unique_ptr<io::Listener>> SimNetwork::listen(const Address& address,
                                                                io::ListenOptions,
                                                                io::AcceptHandler& handler) {
  Address bound = address;
  if (!bound.is_unix() && bound.port == 0) bound.port = next_port_++;
  if (listeners_.contains(bound.to_string())) {
    return fail(Errc::invalid, "somebody already listens on " + bound.to_string());
  }
  return std::make_unique<SimListener>(*this, std::move(bound), handler);
}

inline void SimNetwork::accept(const std::string& address, const std::shared_ptr<SimPeer>& peer) {
  auto found = listeners_.find(address);
  if (found == listeners_.end()) {
    peer->end_now();
    return;
  }
  auto stream = std::make_unique<SimStream>(peer, SimStream::State::open);
  found->second->handler().on_accept(std::move(stream));
}

inline void SimNetwork::pause_accepting(const std::string& address) {
  auto found = listeners_.find(address);
  if (found == listeners_.end()) die("nobody listens on ", address);
  found->second->handler().on_accept_paused(Error(Errc::limit, "accept", 24));
}

}  // namespace consort::sim
