#include "async/timer.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.hpp"

namespace consort {
namespace {

/// A timer whose callback is any function, for tests only.
struct TestTimer {
  TestTimer(TimerQueue& queue, std::function<void()> body)
      : on_fire(std::move(body)), timer(queue, &TestTimer::fired, this) {}
  static void fired(void* context) {
    // A copy, because the function may destroy this timer and with it itself.
    auto body = static_cast<TestTimer*>(context)->on_fire;
    body();
  }
  std::function<void()> on_fire;
  Timer timer;
};

struct AlarmLog {
  static void told(void* owner, std::uint64_t at_ms) {
    static_cast<AlarmLog*>(owner)->seen.push_back(at_ms);
  }
  std::vector<std::uint64_t> seen;
};

TEST_CASE("timers fire earliest first and equal deadlines in the order of arming") {
  TimerQueue queue;
  std::vector<int> fired;
  TestTimer a(queue, [&] { fired.push_back(1); });
  TestTimer b(queue, [&] { fired.push_back(2); });
  TestTimer c(queue, [&] { fired.push_back(3); });
  TestTimer d(queue, [&] { fired.push_back(4); });
  a.timer.arm_at(20);
  b.timer.arm_at(10);
  c.timer.arm_at(20);
  d.timer.arm_at(30);
  CHECK(queue.next() == 10);
  queue.fire(9);
  CHECK(fired.empty());
  queue.fire(20);
  CHECK(fired == std::vector{2, 1, 3});
  CHECK(queue.size() == 1);
  CHECK_FALSE(a.timer.armed());
  CHECK(d.timer.armed());
  CHECK(queue.next() == 30);
}

TEST_CASE("arming again replaces the deadline and never waits for kNever") {
  TimerQueue queue;
  int fired = 0;
  TestTimer timer(queue, [&] { ++fired; });
  timer.timer.arm_at(10);
  timer.timer.arm_at(50);
  CHECK(queue.size() == 1);
  queue.fire(49);
  CHECK(fired == 0);
  queue.fire(50);
  CHECK(fired == 1);
  timer.timer.arm_at(60);
  timer.timer.arm_at(TimerQueue::kNever);
  CHECK_FALSE(timer.timer.armed());
  CHECK(queue.size() == 0);
  timer.timer.cancel();
  timer.timer.cancel();
  CHECK(queue.next() == TimerQueue::kNever);
}

TEST_CASE("a timer that arms itself for the past fires once per call and does not hang") {
  TimerQueue queue;
  int fired = 0;
  std::optional<TestTimer> timer;
  timer.emplace(queue, [&] {
    ++fired;
    timer->timer.arm_at(0);
  });
  timer->timer.arm_at(5);
  queue.fire(10);
  CHECK(fired == 1);
  CHECK(timer->timer.armed());
  CHECK(queue.next() == 0);
  queue.fire(10);
  CHECK(fired == 2);
}

TEST_CASE("a timer armed in the past by a callback does not hold up the others that are due") {
  TimerQueue queue;
  std::vector<int> fired;
  TestTimer late(queue, [&] { fired.push_back(0); });
  TestTimer first(queue, [&] {
    fired.push_back(1);
    late.timer.arm_at(0);
  });
  TestTimer second(queue, [&] { fired.push_back(2); });
  first.timer.arm_at(1);
  second.timer.arm_at(2);
  queue.fire(2);
  CHECK(fired == std::vector{1, 2});
  queue.fire(2);
  CHECK(fired == std::vector{1, 2, 0});
}

TEST_CASE("a callback may cancel, destroy or put off timers that are due in the same call") {
  TimerQueue queue;
  std::vector<int> fired;
  auto destroyed = std::make_unique<TestTimer>(queue, [&] { fired.push_back(2); });
  TestTimer cancelled(queue, [&] { fired.push_back(3); });
  TestTimer put_off(queue, [&] { fired.push_back(4); });
  TestTimer first(queue, [&] {
    fired.push_back(1);
    CHECK(destroyed->timer.armed());
    destroyed.reset();
    cancelled.timer.cancel();
    CHECK_FALSE(cancelled.timer.armed());
    put_off.timer.arm_at(100);
    CHECK(queue.size() == 1);
  });
  first.timer.arm_at(1);
  destroyed->timer.arm_at(2);
  cancelled.timer.arm_at(2);
  put_off.timer.arm_at(2);
  queue.fire(5);
  CHECK(fired == std::vector{1});
  queue.fire(100);
  CHECK(fired == std::vector{1, 4});
}

TEST_CASE("a callback may destroy its own timer") {
  TimerQueue queue;
  std::unique_ptr<TestTimer> timer;
  timer = std::make_unique<TestTimer>(queue, [&] { timer.reset(); });
  timer->timer.arm_at(1);
  queue.fire(1);
  CHECK(timer == nullptr);
  CHECK(queue.size() == 0);
}

TEST_CASE("timers that outlive their queue become idle") {
  auto queue = std::make_unique<TimerQueue>();
  TestTimer timer(*queue, [] {});
  timer.timer.arm_at(1);
  queue.reset();
  CHECK_FALSE(timer.timer.armed());
}

TEST_CASE("the alarm hears of every change of the earliest deadline and of nothing else") {
  TimerQueue queue;
  AlarmLog log;
  TestTimer a(queue, [] {});
  a.timer.arm_at(7);
  queue.set_alarm(&AlarmLog::told, &log);
  CHECK(log.seen == std::vector<std::uint64_t>{7});
  TestTimer b(queue, [] {});
  b.timer.arm_at(9);
  CHECK(log.seen.size() == 1);
  b.timer.arm_at(3);
  CHECK(log.seen.back() == 3);
  b.timer.cancel();
  CHECK(log.seen.back() == 7);
  a.timer.cancel();
  CHECK(log.seen.back() == TimerQueue::kNever);
  CHECK(log.seen.size() == 4);
}

TEST_CASE("fire tells the alarm once, at its end") {
  TimerQueue queue;
  AlarmLog log;
  queue.set_alarm(&AlarmLog::told, &log);
  std::optional<TestTimer> timer;
  timer.emplace(queue, [&] {
    timer->timer.arm_at(40);
    timer->timer.arm_at(30);
  });
  timer->timer.arm_at(10);
  log.seen.clear();
  queue.fire(10);
  CHECK(log.seen == std::vector<std::uint64_t>{30});
  timer->timer.cancel();
  queue.fire(11);
  CHECK(log.seen.back() == TimerQueue::kNever);
}

TEST_CASE("ten thousand random arms and cancels agree with a multimap") {
  TimerQueue queue;
  std::multimap<std::uint64_t, std::size_t> oracle;
  std::vector<std::multimap<std::uint64_t, std::size_t>::iterator> where(200, oracle.end());
  std::vector<std::size_t> fired;
  std::vector<std::unique_ptr<TestTimer>> timers;
  for (std::size_t i = 0; i < where.size(); ++i) {
    timers.push_back(std::make_unique<TestTimer>(queue, [&fired, i] { fired.push_back(i); }));
  }
  Random random(42);
  std::uint64_t now_ms = 1000;
  auto forget = [&](std::size_t i) {
    if (where[i] != oracle.end()) oracle.erase(where[i]);
    where[i] = oracle.end();
  };
  for (int step = 0; step < 10'000; ++step) {
    const auto i = static_cast<std::size_t>(random.below(timers.size()));
    const std::uint64_t action = random.below(10);
    if (action < 7) {
      const std::uint64_t at_ms = now_ms + random.below(100);
      timers[i]->timer.arm_at(at_ms);
      forget(i);
      where[i] = oracle.emplace(at_ms, i);
    } else if (action < 9) {
      timers[i]->timer.cancel();
      forget(i);
    } else {
      now_ms += random.below(20);
      fired.clear();
      queue.fire(now_ms);
      std::vector<std::size_t> expected;
      while (!oracle.empty() && oracle.begin()->first <= now_ms) {
        expected.push_back(oracle.begin()->second);
        forget(oracle.begin()->second);
      }
      REQUIRE(fired == expected);
    }
    REQUIRE(queue.size() == oracle.size());
    REQUIRE(queue.next() == (oracle.empty() ? TimerQueue::kNever : oracle.begin()->first));
  }
}

}  // namespace
}  // namespace consort
