// What a call costs once the pool is warm, counted: writes, connections, allocations.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "http_pool_site.hpp"

namespace {
std::size_t allocations = 0;
}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CONSORT_HAS_ALLOCATOR_OF_ITS_OWN 1
#endif
#endif

#ifndef CONSORT_HAS_ALLOCATOR_OF_ITS_OWN
void* operator new(std::size_t size) {
  ++allocations;
  void* made = std::malloc(size > 0 ? size : 1);
  if (made == nullptr) std::abort();
  return made;
}
void operator delete(void* made) noexcept {
  std::free(made);
}
void operator delete(void* made, std::size_t) noexcept {
  std::free(made);
}
#endif

namespace consort::http {
namespace {

using pool_test::answer;

/// A network whose connections stand at once and take everything; the test hands in the answers.
class CountingNetwork final : public io::Network {
 public:
  class Line final : public io::Stream {
   public:
    explicit Line(CountingNetwork& network) : network_(network) {}
    void set_handler(io::StreamHandler&) override {}
    Result<std::size_t> try_write(std::string_view taken) override {
      ++network_.writes;
      network_.bytes += taken.size();
      return taken.size();
    }
    void want_writable() override {}
    void pause_reading() override {}
    void resume_reading() override {}
    void shutdown_write() override {}
    io::Peer peer() const override { return {}; }

   private:
    CountingNetwork& network_;
  };

  Result<std::unique_ptr<io::Listener>> listen(const Address&, io::ListenOptions,
                                               io::AcceptHandler&) override {
    return fail(Errc::invalid, "no listeners here");
  }
  std::unique_ptr<io::Stream> connect(const Address&, io::StreamHandler& to,
                                      io::ConnectOptions) override {
    ++connects;
    handler = &to;
    return std::make_unique<Line>(*this);
  }

  io::StreamHandler* handler = nullptr;
  std::size_t connects = 0;
  std::size_t writes = 0;
  std::size_t bytes = 0;
};

struct Quiet final : Call::Owner {
  void on_response(Call& answered) override {
    ++responses;
    body_bytes += answered.body().size();
    type_bytes += answered.header("content-type").size();
  }
  void on_call_failed(Call&, CallFailure) override { FAIL("no call fails here"); }
  std::size_t responses = 0;
  std::size_t body_bytes = 0;
  std::size_t type_bytes = 0;
};

struct Cost {
  std::size_t writes;
  std::size_t allocations;
};

/// Of one call after a hundred.
Cost cost_of(const CallRequest& request, std::string_view reply) {
  sim::World world;
  CountingNetwork network;
  Pool pool(world.loop, network, world.dns, *Url::parse("http://10.0.0.1"), {});
  Quiet owner;
  Cost before{};
  for (int i = 0; i < 101; ++i) {
    Call call(owner);
    before = {network.writes, allocations};
    pool.start(call, request);
    if (i == 0) network.handler->on_open();
    network.handler->on_data(reply);
  }
  CHECK(owner.responses == 101);
  CHECK(network.connects == 1);
  CHECK(network.bytes == 101 * (request.head.size() + request.body.size()));
  return {network.writes - before.writes, allocations - before.allocations};
}

TEST_CASE("a warm call is one write and no allocation but the body's") {
  const std::string small = answer("", "Server: x\r\nDate: Sat, 21 Nov 2026 17:28:00 GMT\r\n");
  const std::string large = answer(std::string(50'000, 'x'));
  const std::string body(Pool::kOneWriteBytes, 'b');
  const CallRequest get{.method = "GET", .head = pool_test::kHead};
  const CallRequest post{.method = "POST", .head = pool_test::kPostHead, .body = body};
  for (const CallRequest& request : {get, post}) {
    const Cost empty = cost_of(request, small);
    CHECK(empty.writes == 1);
    CHECK(empty.allocations == 0);
    const Cost full = cost_of(request, large);
    CHECK(full.writes == 1);
    CHECK(full.allocations <= 1);
  }
}

TEST_CASE("a chunked answer costs no more than its body's growth") {
  const Cost cost = cost_of({.method = "GET", .head = pool_test::kHead},
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "14\r\n01234567890123456789\r\n0\r\n\r\n");
  CHECK(cost.writes == 1);
  CHECK(cost.allocations <= 1);
}

}  // namespace
}  // namespace consort::http
