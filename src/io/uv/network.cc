#include "io/uv/network.hpp"

#include "io/uv/listener.hpp"
#include "io/uv/stream.hpp"

namespace consort::io {

Result<std::unique_ptr<Listener>> UvNetwork::listen(const Address& address, ListenOptions options,
                                                    AcceptHandler& handler) {
  auto listener = std::make_unique<UvListener>(loop_, handler);
  auto listening = listener->listen(address, options);
  if (!listening) return fail(std::move(listening.error()));
  return listener;
}

std::unique_ptr<Stream> UvNetwork::connect(const Address& address, StreamHandler& handler,
                                           ConnectOptions options) {
  auto stream = std::make_unique<UvStream>(loop_);
  stream->connect(address, handler, options);
  return stream;
}

}  // namespace consort::io
