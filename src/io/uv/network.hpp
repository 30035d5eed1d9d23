// Real sockets: what production gives to everything that wants an io::Network.
#pragma once

#include <memory>

#include "io/stream.hpp"
#include "io/uv/loop.hpp"

namespace consort::io {

/// Streams and listeners must be gone before the loop is; the network itself may go earlier.
class UvNetwork final : public Network {
 public:
  explicit UvNetwork(UvLoop& loop) : loop_(loop) {}

  Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options,
                                           AcceptHandler& handler) override;
  using Network::connect;
  std::unique_ptr<Stream> connect(const Address& address, StreamHandler& handler,
                                  ConnectOptions options) override;

 private:
  UvLoop& loop_;
};

}  // namespace consort::io
