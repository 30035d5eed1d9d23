#include "async/deadline.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "unit/async/support.hpp"

namespace consort {
namespace {

using std::chrono::milliseconds;
using test::Alive;

TEST_CASE("a deadline has passed from its own millisecond on") {
  const Deadline deadline = Deadline::after(100, milliseconds(50));
  CHECK(deadline.at_ms == 150);
  CHECK_FALSE(deadline.passed(149));
  CHECK(deadline.passed(150));
  CHECK(deadline.left(120) == milliseconds(30));
  CHECK(deadline.left(151) == milliseconds(0));
}

TEST_CASE("never does not pass, whatever it is computed from") {
  CHECK_FALSE(Deadline::never().passed(~std::uint64_t{0}));
  CHECK(Deadline::never().left(5) == milliseconds::max());
  CHECK(Deadline::after(~std::uint64_t{0} - 5, milliseconds(10)).is_never());
  CHECK(Deadline::after(100, milliseconds(-5)) == Deadline{100});
  CHECK(earlier(Deadline::never(), Deadline{7}) == Deadline{7});
  CHECK(earlier(Deadline{3}, Deadline{7}) == Deadline{3});
}

Task<> sleep_and_note(TimerQueue& queue, std::uint64_t at_ms, std::vector<std::uint64_t>& notes) {
  co_await sleep_until(queue, at_ms);
  notes.push_back(at_ms);
}

TEST_CASE("sleepers wake in the order of their times and a dropped one never does") {
  TimerQueue queue;
  std::vector<std::uint64_t> notes;
  TaskScope scope;
  TaskScope dropped;
  scope.spawn(sleep_and_note(queue, 30, notes));
  scope.spawn(sleep_and_note(queue, 10, notes));
  dropped.spawn(sleep_and_note(queue, 20, notes));
  scope.spawn(sleep_and_note(queue, TimerQueue::kNever, notes));
  CHECK(queue.size() == 3);
  dropped.cancel();
  CHECK(queue.size() == 2);
  queue.fire(100);
  CHECK(notes == std::vector<std::uint64_t>{10, 30});
  CHECK(scope.size() == 1);
}

Task<> tick(TimerQueue& queue, int& ticks) {
  for (;;) {
    co_await sleep_until(queue, 0);
    ++ticks;
  }
}

TEST_CASE("a loop of sleeps in the past advances once per turn") {
  TimerQueue queue;
  int ticks = 0;
  TaskScope scope;
  scope.spawn(tick(queue, ticks));
  queue.fire(1000);
  queue.fire(1000);
  CHECK(ticks == 2);
}

Task<Result<int>> answer_at(TimerQueue& queue, std::uint64_t at_ms, int value, Alive alive) {
  (void)alive;
  co_await sleep_until(queue, at_ms);
  co_return value;
}

Task<> race(TimerQueue& queue, Deadline deadline, Task<Result<int>> task, std::string& out) {
  auto result = co_await with_deadline(queue, deadline, std::move(task));
  out = result ? std::to_string(*result) : std::string(to_string(result.error().code()));
}

TEST_CASE("a task that ends in time gives its result and leaves no timer behind") {
  TimerQueue queue;
  int alive = 0;
  std::string out;
  TaskScope scope;
  scope.spawn(race(queue, Deadline{50}, answer_at(queue, 10, 7, Alive(alive)), out));
  CHECK(queue.size() == 2);
  queue.fire(10);
  CHECK(out == "7");
  CHECK(alive == 0);
  CHECK(queue.size() == 0);
}

TEST_CASE("a task that is late is dropped and its waiter gets timed_out") {
  TimerQueue queue;
  int alive = 0;
  std::string out;
  TaskScope scope;
  scope.spawn(race(queue, Deadline{50}, answer_at(queue, 60, 7, Alive(alive)), out));
  queue.fire(49);
  CHECK(out.empty());
  queue.fire(50);
  CHECK(out == "timed_out");
  CHECK(alive == 0);
  CHECK(queue.size() == 0);
}

TEST_CASE("when both are due in one turn the earlier one wins") {
  TimerQueue queue;
  int alive = 0;
  std::string early;
  std::string late;
  TaskScope scope;
  scope.spawn(race(queue, Deadline{50}, answer_at(queue, 40, 1, Alive(alive)), early));
  scope.spawn(race(queue, Deadline{50}, answer_at(queue, 60, 2, Alive(alive)), late));
  queue.fire(1000);
  CHECK(early == "1");
  CHECK(late == "timed_out");
  CHECK(alive == 0);
}

TEST_CASE("a race that is dropped cancels the task and the timer") {
  TimerQueue queue;
  int alive = 0;
  std::string out;
  TaskScope scope;
  scope.spawn(race(queue, Deadline{50}, answer_at(queue, 60, 7, Alive(alive)), out));
  scope.cancel();
  CHECK(alive == 0);
  CHECK(queue.size() == 0);
  CHECK(out.empty());
}

Task<Result<int>> at_once(int value) {
  co_return value;
}
Task<Result<int>> broken() {
  co_return fail(Errc::refused, "nobody there");
}

TEST_CASE("a task that does not wait beats a deadline in the past") {
  TimerQueue queue;
  std::string out;
  TaskScope scope;
  scope.spawn(race(queue, Deadline{0}, at_once(3), out));
  CHECK(out == "3");
  scope.spawn(race(queue, Deadline{0}, broken(), out));
  CHECK(out == "refused");
  CHECK(queue.size() == 0);
}

TEST_CASE("without a deadline only the task can end the race") {
  TimerQueue queue;
  int alive = 0;
  std::string out;
  TaskScope scope;
  scope.spawn(race(queue, Deadline::never(), answer_at(queue, 60, 7, Alive(alive)), out));
  CHECK(queue.size() == 1);
  queue.fire(60);
  CHECK(out == "7");
}

/// Notes when the loser is destroyed, to compare with when the waiter goes on.
struct NoteAtEnd {
  ~NoteAtEnd() { notes.push_back("dropped"); }
  std::vector<std::string>& notes;
};
Task<Result<>> never_ends(Event& event, std::vector<std::string>& notes) {
  NoteAtEnd note{notes};
  co_await event.wait();
  co_return {};
}
Task<> note_after(TimerQueue& queue, Task<Result<>> task, std::vector<std::string>& notes) {
  auto guarded = with_deadline(queue, Deadline{5}, std::move(task));
  auto result = co_await std::move(guarded);
  notes.push_back(result ? "ok" : "late");
}

TEST_CASE("the loser is gone before its waiter goes on") {
  TimerQueue queue;
  Event event;
  std::vector<std::string> notes;
  TaskScope scope;
  scope.spawn(note_after(queue, never_ends(event, notes), notes));
  queue.fire(5);
  CHECK(notes == std::vector<std::string>{"dropped", "late"});
}

}  // namespace
}  // namespace consort
