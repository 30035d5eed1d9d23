#include "async/try.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "async/deadline.hpp"
#include "async/event.hpp"
#include "async/scope.hpp"
#include "unit/async/support.hpp"

namespace consort {
namespace {

using test::Alive;

Result<int> parse(std::string text) {
  if (text.empty()) return fail(Errc::invalid, "empty number");
  return static_cast<int>(text.size());
}
Task<Result<std::string>> job(std::string text, int& alive, bool& went_on) {
  Alive mine(alive);
  const int value = co_await try_(parse(text));
  went_on = true;
  co_return std::to_string(value);
}
Task<> run_job(std::string text, int& alive, bool& went_on, std::string& out) {
  auto result = co_await job(std::move(text), alive, went_on);
  CHECK(alive == 0);
  out = result ? *result : result.error().text();
}

TEST_CASE("try_ of a result unwraps it or leaves the task with its error") {
  int alive = 0;
  bool went_on = false;
  std::string out;
  TaskScope scope;
  scope.spawn(run_job("abc", alive, went_on, out));
  CHECK(out == "3");
  CHECK(went_on);
  went_on = false;
  scope.spawn(run_job("", alive, went_on, out));
  CHECK(out == "empty number");
  CHECK_FALSE(went_on);
  CHECK(scope.size() == 0);
}

Task<Result<int>> leaf(Event& event, bool good, int& alive) {
  Alive mine(alive);
  co_await event.wait();
  if (!good) co_return fail(Errc::refused, "leaf");
  co_return 5;
}
Task<Result<>> middle(Event& event, bool good, int& alive, int& steps) {
  Alive mine(alive);
  const int value = co_await try_(leaf(event, good, alive));
  steps += value;
  co_return {};
}
Task<Result<std::unique_ptr<int>>> outer(Event& event, bool good, int& alive, int& steps) {
  Alive mine(alive);
  co_await try_(middle(event, good, alive, steps));
  ++steps;
  co_return std::make_unique<int>(steps);
}
Task<> top(Event& event, bool good, int& alive, int& steps, std::string& out) {
  auto result = co_await outer(event, good, alive, steps);
  out = result ? std::to_string(**result) : result.error().text();
}

TEST_CASE("an error leaves several tasks at once and destroys all their frames") {
  for (const bool good : {true, false}) {
    for (const bool suspends : {true, false}) {
      CAPTURE(good);
      CAPTURE(suspends);
      Event event;
      int alive = 0;
      int steps = 0;
      std::string out;
      TaskScope scope;
      if (!suspends) event.set();
      scope.spawn(top(event, good, alive, steps, out));
      CHECK(alive == (suspends ? 3 : 0));
      event.set();
      CHECK(alive == 0);
      CHECK(scope.size() == 0);
      CHECK(out == (good ? "6" : "leaf"));
      CHECK(steps == (good ? 6 : 0));
    }
  }
}

TEST_CASE("dropping a chain of try_ cancels it like any other wait") {
  Event event;
  int alive = 0;
  int steps = 0;
  std::string out;
  {
    TaskScope scope;
    scope.spawn(top(event, false, alive, steps, out));
    CHECK(alive == 3);
  }
  CHECK(alive == 0);
  CHECK_FALSE(event.has_waiter());
  CHECK(out.empty());
}

Task<Result<int>> guarded(TimerQueue& queue, Event& event, int& alive) {
  Alive mine(alive);
  const int value = co_await try_(with_deadline(queue, Deadline{10}, leaf(event, true, alive)));
  co_return value * 2;
}
Task<> run_guarded(TimerQueue& queue, Event& event, int& alive, std::string& out) {
  auto result = co_await guarded(queue, event, alive);
  out = result ? std::to_string(*result) : result.error().text();
}

TEST_CASE("try_ of a guarded task leaves when the deadline passes") {
  TimerQueue queue;
  int alive = 0;
  std::string out;
  TaskScope scope;
  Event event;
  scope.spawn(run_guarded(queue, event, alive, out));
  queue.fire(10);
  CHECK(out == "the deadline passed");
  CHECK(alive == 0);
  scope.spawn(run_guarded(queue, event, alive, out));
  event.set();
  CHECK(out == "10");
  CHECK(queue.size() == 0);
  CHECK(alive == 0);
}

Task<Result<int>> many_tries(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await try_(parse("xx"));
    sum += value;
  }
  co_return sum;
}
Task<Result<>> fail_at(int depth) {
  if (depth == 0) co_return fail(Errc::io, "bottom");
  co_await try_(fail_at(depth - 1));
  co_return {};
}
Task<> run_many(int& sum, std::string& out) {
  auto many = co_await many_tries(1000);
  sum = *many;
  auto deep = co_await fail_at(500);
  out = deep.error().text();
}

TEST_CASE("try_ works in loops and an error climbs a deep chain") {
  int sum = 0;
  std::string out;
  TaskScope scope;
  scope.spawn(run_many(sum, out));
  CHECK(sum == 2000);
  CHECK(out == "bottom");
}

}  // namespace
}  // namespace consort
