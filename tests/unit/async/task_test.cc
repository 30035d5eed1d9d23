#include "async/task.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "unit/async/support.hpp"

namespace consort {
namespace {

using test::Alive;

Task<int> wait_and_return(Event& event, int value, Alive alive) {
  (void)alive;
  co_await event.wait();
  co_return value;
}

Task<int> add_one(Event& event, int& alive) {
  Alive mine(alive);
  const int value = co_await wait_and_return(event, 41, Alive(alive));
  co_return value + 1;
}

Task<> store(Event& event, int& alive, std::optional<int>& out) {
  Alive mine(alive);
  out = co_await add_one(event, alive);
}

TEST_CASE("a task does nothing until it is awaited") {
  int alive = 0;
  Event event;
  std::optional<int> out;
  {
    auto task = store(event, alive, out);
    CHECK(alive == 0);
    CHECK_FALSE(event.has_waiter());
  }
  CHECK_FALSE(out.has_value());
}

TEST_CASE("dropping a task that never started destroys its parameters") {
  int alive = 0;
  Event event;
  {
    auto task = wait_and_return(event, 1, Alive(alive));
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("values travel up through nested tasks once the innermost wait is over") {
  int alive = 0;
  Event event;
  std::optional<int> out;
  TaskScope scope;
  scope.spawn(store(event, alive, out));
  CHECK(alive == 3);
  CHECK_FALSE(out.has_value());
  event.set();
  CHECK(out == 42);
  CHECK(alive == 0);
  CHECK(scope.size() == 0);
}

TEST_CASE("dropping a suspended task destroys all nested frames and takes back the wait") {
  int alive = 0;
  Event event;
  std::optional<int> out;
  {
    TaskScope scope;
    scope.spawn(store(event, alive, out));
    CHECK(event.has_waiter());
  }
  CHECK(alive == 0);
  CHECK_FALSE(event.has_waiter());
  event.set();
  CHECK_FALSE(out.has_value());
}

Task<> hold(Event& event, Task<int> finished, int& out) {
  out = co_await std::move(finished);
  co_await event.wait();
}

TEST_CASE("dropping a task that is done but still held frees it") {
  int alive = 0;
  int out = 0;
  Event never;
  Event event;
  event.set();
  TaskScope scope;
  scope.spawn(hold(never, wait_and_return(event, 7, Alive(alive)), out));
  CHECK(out == 7);
  CHECK(alive == 1);
  scope.cancel();
  CHECK(alive == 0);
}

Task<> replace_running(Event& event, Event& other, int& alive) {
  auto task = wait_and_return(event, 1, Alive(alive));
  task = wait_and_return(other, 2, Alive(alive));
  CHECK(alive == 1);
  CHECK(co_await std::move(task) == 2);
}

TEST_CASE("assigning over a task drops the one before") {
  int alive = 0;
  Event event;
  Event other;
  TaskScope scope;
  scope.spawn(replace_running(event, other, alive));
  CHECK_FALSE(event.has_waiter());
  other.set();
  CHECK(scope.size() == 0);
  CHECK(alive == 0);
}

Task<std::unique_ptr<std::string>> make_text() {
  co_return std::make_unique<std::string>("text");
}
Task<Result<>> succeed() {
  co_return {};
}
Task<> use_move_only(std::string& out) {
  auto text = co_await make_text();
  out = *text;
  auto result = co_await succeed();
  if (!result) out.clear();
}

TEST_CASE("a task returns move-only values and an empty pair of braces") {
  std::string out;
  TaskScope scope;
  scope.spawn(use_move_only(out));
  CHECK(out == "text");
}

Task<int> immediate(int value) {
  co_return value;
}
Task<> sum_many(std::uint64_t& sum) {
  for (int i = 0; i < 200'000; ++i) {
    const int value = co_await immediate(i);
    sum += static_cast<std::uint64_t>(value);
  }
}

TEST_CASE("awaiting many tasks that never suspend does not grow the stack") {
  std::uint64_t sum = 0;
  TaskScope scope;
  scope.spawn(sum_many(sum));
  CHECK(sum == 199'999ULL * 200'000ULL / 2);
}

}  // namespace
}  // namespace consort
