// Runs a real loop until something holds; a test that would hang fails instead.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "async/timer.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/network.hpp"
#include "recorder.hpp"

namespace consort::test {

/// True when done() held at the end of a turn within limit_ms.
inline bool run_until(io::UvLoop& loop, std::function<bool()> done, std::uint64_t limit_ms = 5000) {
  struct Watch final : io::TurnHook {
    Watch(io::UvLoop& watched, std::function<bool()> condition)
        : loop(watched), done(std::move(condition)) {}
    void on_turn_end() override {
      if (done()) loop.stop();
    }
    io::UvLoop& loop;
    std::function<bool()> done;
  };
  Watch watch(loop, std::move(done));
  loop.add_turn_hook(watch);
  Timer limit(loop.timers(), [](void* self) { static_cast<io::UvLoop*>(self)->stop(); }, &loop);
  limit.arm_at(loop.now_ms() + limit_ms);
  loop.run();
  loop.remove_turn_hook(watch);
  return watch.done();
}

/// Turns for that long, to see that something does not happen.
inline void run_for(io::UvLoop& loop, std::uint64_t ms) {
  run_until(loop, [] { return false; }, ms);
}

/// A client and the server's end of one connection over a real socket.
struct Pair {
  explicit Pair(std::string_view address = "127.0.0.1:0") : network(loop) {
    auto made = network.listen(at(address), {}, acceptor);
    if (!made) return;
    listener = std::move(*made);
    client.stream = network.connect(listener->address(), client);
    run_until(loop, [this] {
      return client.log == "open;" && (acceptor.handler.stream || acceptor.handler.drop_on_open);
    });
  }
  Recorder& server() { return acceptor.handler; }
  bool until(std::function<bool()> done) { return run_until(loop, std::move(done)); }

  io::UvLoop loop;
  io::UvNetwork network;
  Acceptor acceptor;
  std::unique_ptr<io::Listener> listener;
  Recorder client;
};

}  // namespace consort::test
