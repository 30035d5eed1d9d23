// The same over real sockets.
#include <doctest/doctest.h>

#include <string>

#include "tls_support.hpp"
#include "uv_support.hpp"

using namespace consort;
using namespace consort::io;
using namespace consort::test;

namespace {

/// Accepts one connection and puts TLS on it.
struct UvTlsServer final : AcceptHandler, StreamHandler {
  explicit UvTlsServer(SSL_CTX* context) : side(context) {}
  void on_accept(std::unique_ptr<Stream> accepted) override {
    stream = std::move(accepted);
    stream->set_handler(*this);
  }
  void on_accept_paused(const Error&) override {}
  void on_data(std::string_view bytes) override {
    side.feed(bytes);
    on_writable();
  }
  void on_writable() override {
    out += side.output();
    auto sent = stream->try_write(out);
    if (!sent) return;
    out.erase(0, *sent);
    if (!out.empty()) stream->want_writable();
  }
  void on_end(const Error&) override { ended = true; }

  std::unique_ptr<Stream> stream;
  TlsServerSide side;
  std::string out;
  bool ended = false;
};

}  // namespace

TEST_CASE("a mebibyte is echoed over a real socket") {
  UvLoop loop;
  UvNetwork network(loop);
  const Identity ca = Identity::authority();
  const TempFile ca_file(ca.cert_pem());
  const SslContextPtr context =
      server_context({.identity = ca.issue({.alt_names = "IP:127.0.0.1"})});
  UvTlsServer server(context.get());
  server.side.echo = true;
  auto listener = network.listen(at("127.0.0.1:0"), {}, server);
  REQUIRE(listener.has_value());
  auto tls = TlsClient::create({.ca_file = ca_file.path()}, no_environment);
  REQUIRE(tls.has_value());
  TlsHandler client;
  client.stream = (*tls)->connect(network, loop, (*listener)->address(), "127.0.0.1", client, {});
  REQUIRE(run_until(loop, [&] { return !client.log.empty(); }));
  REQUIRE(client.log == "open;");
  const std::string text = tls_pattern(1 << 20);
  client.rest = text;
  client.go();
  CHECK(run_until(loop, [&] { return client.data.size() >= text.size(); }));
  CHECK(client.data == text);
  client.stream.reset();
  CHECK(run_until(loop, [&] { return server.ended; }));
  CHECK(server.side.saw_close_notify);
}
