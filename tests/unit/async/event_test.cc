#include "async/event.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <utility>

#include "async/gate.hpp"
#include "async/scope.hpp"

namespace consort {
namespace {

Task<> count_after(Event& event, int& count) {
  co_await event.wait();
  ++count;
}

TEST_CASE("an event that is set lets every wait pass until it is reset") {
  Event event;
  int count = 0;
  TaskScope scope;
  scope.spawn(count_after(event, count));
  CHECK(event.has_waiter());
  CHECK(count == 0);
  event.set();
  CHECK(count == 1);
  scope.spawn(count_after(event, count));
  CHECK(count == 2);
  event.set();
  CHECK(count == 2);
  event.reset();
  CHECK_FALSE(event.is_set());
  scope.spawn(count_after(event, count));
  CHECK(count == 2);
}

TEST_CASE("setting an event nobody waits for any more does nothing") {
  Event event;
  int count = 0;
  TaskScope scope;
  scope.spawn(count_after(event, count));
  scope.cancel();
  CHECK_FALSE(event.has_waiter());
  event.set();
  CHECK(count == 0);
}

TEST_CASE("an event may die before the task that waits for it is dropped") {
  int count = 0;
  TaskScope scope;
  {
    Event event;
    scope.spawn(count_after(event, count));
  }
  CHECK(scope.size() == 1);
  scope.cancel();
  CHECK(count == 0);
}

Task<> destroy_event(std::optional<Event>& event) {
  co_await event->wait();
  event.reset();
}

TEST_CASE("the waiter may destroy the event that woke it") {
  std::optional<Event> event(std::in_place);
  TaskScope scope;
  scope.spawn(destroy_event(event));
  event->set();
  CHECK_FALSE(event.has_value());
}

Task<> wait_again(Event& event, int& count) {
  for (;;) {
    co_await event.wait();
    event.reset();
    ++count;
  }
}

TEST_CASE("a waiter may reset the event and wait again") {
  Event event;
  int count = 0;
  TaskScope scope;
  scope.spawn(wait_again(event, count));
  event.set();
  event.set();
  event.set();
  CHECK(count == 3);
}

Task<> note_drained(Gate& gate, bool& drained) {
  co_await gate.drained();
  drained = true;
}

TEST_CASE("a gate drains when it is closed and the last pass is gone") {
  Gate gate;
  bool drained = false;
  TaskScope scope;
  scope.spawn(note_drained(gate, drained));
  auto first = gate.enter();
  auto second = gate.enter();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(gate.inside() == 2);
  first.reset();
  gate.close();
  CHECK_FALSE(drained);
  CHECK_FALSE(gate.enter().has_value());
  auto moved = std::move(second);
  second.reset();
  CHECK_FALSE(drained);
  moved.reset();
  CHECK(drained);
  CHECK(gate.inside() == 0);
}

TEST_CASE("an empty gate that closes has drained, and an open one that empties has not") {
  Gate gate;
  bool drained = false;
  TaskScope scope;
  {
    auto pass = gate.enter();
  }
  scope.spawn(note_drained(gate, drained));
  CHECK_FALSE(drained);
  gate.close();
  CHECK(drained);
}

}  // namespace
}  // namespace consort
