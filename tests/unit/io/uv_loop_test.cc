#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "async/timer.hpp"
#include "io/uv/loop.hpp"
#include "io/uv/signals.hpp"

using namespace consort;
using namespace consort::io;

namespace {

struct CountingHook final : TurnHook {
  void on_turn_end() override {
    ++calls;
    if (then) then();
  }
  int calls = 0;
  std::function<void()> then;
};

/// A timer with a lambda, for tests.
struct TestTimer {
  TestTimer(Loop& loop, std::function<void()> fn)
      : callback(std::move(fn)),
        timer(loop.timers(), [](void* self) { static_cast<TestTimer*>(self)->callback(); }, this) {}
  std::function<void()> callback;
  Timer timer;
};

}  // namespace

TEST_CASE("an unused loop opens and closes cleanly") {
  UvLoop loop;
}

TEST_CASE("timers fire in order of their deadlines and not before") {
  UvLoop loop;
  std::string order;
  std::uint64_t start = loop.now_ms();
  TestTimer second(loop, [&] {
    order += "b";
    CHECK(loop.now_ms() >= start + 6);
    loop.stop();
  });
  TestTimer first(loop, [&] { order += "a"; });
  TestTimer never(loop, [&] { order += "x"; });
  second.timer.arm_at(start + 6);
  first.timer.arm_at(start + 2);
  never.timer.arm_at(start + 4);
  never.timer.cancel();
  loop.run();
  CHECK(order == "ab");
}

TEST_CASE("a timer that arms itself for now lets sockets and hooks have their turn") {
  UvLoop loop;
  CountingHook hook;
  loop.add_turn_hook(hook);
  int fired = 0;
  TestTimer* again = nullptr;
  TestTimer timer(loop, [&] {
    if (++fired == 5) {
      loop.stop();
    } else {
      again->timer.arm_at(loop.now_ms());
    }
  });
  again = &timer;
  timer.timer.arm_at(loop.now_ms());
  loop.run();
  CHECK(fired == 5);
  CHECK(hook.calls >= 5);
  loop.remove_turn_hook(hook);
}

TEST_CASE("hooks run once per turn, also for what posts and timers did") {
  UvLoop loop;
  CountingHook hook;
  loop.add_turn_hook(hook);
  std::vector<int> calls_seen;
  TestTimer timer(loop, [&] {
    calls_seen.push_back(hook.calls);
    loop.stop();
  });
  loop.post([&] {
    calls_seen.push_back(hook.calls);
    timer.timer.arm_at(loop.now_ms() + 1);
  });
  loop.run();
  REQUIRE(calls_seen.size() == 2);
  CHECK(calls_seen[0] == 1);  // the turn before the first sleep
  CHECK(calls_seen[1] == 2);
  CHECK(hook.calls == 3);
  loop.remove_turn_hook(hook);
}

TEST_CASE("a hook may remove itself or others, and what it adds runs in the next turn") {
  UvLoop loop;
  CountingHook first;
  CountingHook second;
  CountingHook third;
  loop.add_turn_hook(first);
  loop.add_turn_hook(second);
  first.then = [&] {
    loop.remove_turn_hook(first);
    loop.remove_turn_hook(second);
    loop.add_turn_hook(third);
    loop.post([&] { loop.stop(); });
  };
  loop.run();
  CHECK(first.calls == 1);
  CHECK(second.calls == 0);
  CHECK(third.calls == 1);
  loop.remove_turn_hook(third);
}

TEST_CASE("posts from another thread run on the loop's thread, none is lost") {
  UvLoop loop;
  constexpr int kPosts = 1000;
  int ran = 0;
  auto loop_thread = std::this_thread::get_id();
  std::thread other([&] {
    for (int i = 0; i < kPosts; ++i) {
      loop.post([&] {
        if (std::this_thread::get_id() == loop_thread && ++ran == kPosts) loop.stop();
      });
    }
  });
  loop.run();
  other.join();
  CHECK(ran == kPosts);
}

TEST_CASE("posts that never ran are dropped with the loop") {
  auto token = std::make_shared<int>(1);
  {
    UvLoop loop;
    loop.post([token] { *token = 2; });
  }
  CHECK(token.use_count() == 1);
  CHECK(*token == 1);
}

TEST_CASE("the loop knows when it is busy, and for how long it was") {
  UvLoop loop;
  LatencyHistogram histogram;
  loop.set_turn_histogram(&histogram);
  CHECK(loop.busy_since_ns() == 0);
  std::uint64_t seen = 0;
  loop.post([&] {
    seen = loop.busy_since_ns();
    loop.stop();
  });
  loop.run();
  CHECK(seen >= loop.started_ns());
  CHECK(loop.busy_since_ns() == 0);
  CHECK(loop.busy_ns() > 0);
  CHECK(loop.busy_ns() <= loop.now_ns() - loop.started_ns());
  std::uint64_t observed = 0;
  for (std::size_t i = 0; i <= LatencyHistogram::kBoundsNs.size(); ++i) {
    observed += histogram.bucket(i);
  }
  CHECK(observed == loop.turns());
}

TEST_CASE("signals arrive as events, by number, until nobody watches") {
  struct Recorder final : SignalHandler {
    void on_signal(int number) override {
      seen.push_back(number);
      if (then) then();
    }
    std::vector<int> seen;
    std::function<void()> then;
  };
  UvLoop loop;
  UvSignals signals(loop);
  Recorder usr1;
  Recorder hup;
  REQUIRE(signals.watch(SIGUSR1, usr1).has_value());
  REQUIRE(signals.watch(SIGHUP, hup).has_value());
  CHECK_FALSE(signals.watch(SIGKILL, usr1).has_value());
  usr1.then = [&] { std::raise(SIGHUP); };
  hup.then = [&] { loop.stop(); };
  std::raise(SIGUSR1);
  std::raise(SIGPIPE);  // ignored
  loop.run();
  CHECK(usr1.seen == std::vector<int>{SIGUSR1});
  CHECK(hup.seen == std::vector<int>{SIGHUP});
  signals.unwatch(SIGUSR1);
}
