#include "async/scope.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "async/event.hpp"
#include "unit/async/support.hpp"

namespace consort {
namespace {

using test::Alive;

Task<> wait_for(Event& event, int& alive) {
  Alive mine(alive);
  co_await event.wait();
}

Task<> finish_now(int& runs) {
  ++runs;
  co_return;
}

TEST_CASE("a spawned task starts at once and unlinks when it is done") {
  TaskScope scope;
  int runs = 0;
  scope.spawn(finish_now(runs));
  CHECK(runs == 1);
  CHECK(scope.size() == 0);
}

TEST_CASE("tasks finish in any order") {
  TaskScope scope;
  Event events[3];
  int alive = 0;
  for (Event& event : events) scope.spawn(wait_for(event, alive));
  CHECK(scope.size() == 3);
  events[1].set();
  CHECK(scope.size() == 2);
  events[0].set();
  events[2].set();
  CHECK(scope.size() == 0);
  CHECK(alive == 0);
}

TEST_CASE("cancel destroys what waits and the scope can be used again") {
  TaskScope scope;
  Event first;
  Event second;
  int alive = 0;
  scope.spawn(wait_for(first, alive));
  scope.spawn(wait_for(second, alive));
  CHECK(alive == 2);
  scope.cancel();
  CHECK(alive == 0);
  CHECK(scope.size() == 0);
  first.set();
  scope.cancel();
  int runs = 0;
  scope.spawn(finish_now(runs));
  CHECK(runs == 1);
}

struct NoteAtEnd {
  ~NoteAtEnd() { notes.push_back(text); }
  std::vector<std::string>& notes;
  std::string text;
};
Task<> note_when_dropped(Event& event, std::vector<std::string>& notes, std::string text) {
  NoteAtEnd note{notes, std::move(text)};
  co_await event.wait();
}

TEST_CASE("cancel drops the newest task first") {
  Event events[3];
  std::vector<std::string> notes;
  {
    TaskScope scope;
    scope.spawn(note_when_dropped(events[0], notes, "a"));
    scope.spawn(note_when_dropped(events[1], notes, "b"));
    scope.spawn(note_when_dropped(events[2], notes, "c"));
  }
  CHECK(notes == std::vector<std::string>{"c", "b", "a"});
}

/// Sets an event when destroyed, as a guard in a frame may do.
struct SetAtEnd {
  ~SetAtEnd() { event.set(); }
  Event& event;
};
Task<> wake_when_dropped(Event& event, Event& other, int& alive) {
  Alive mine(alive);
  SetAtEnd guard{other};
  co_await event.wait();
}

TEST_CASE("a destructor that ends another task of the scope during cancel is harmless") {
  Event never;
  Event other;
  int alive = 0;
  TaskScope scope;
  scope.spawn(wait_for(other, alive));
  scope.spawn(wake_when_dropped(never, other, alive));
  scope.cancel();
  CHECK(alive == 0);
  CHECK(scope.size() == 0);
}

struct SpawnAtEnd {
  ~SpawnAtEnd() { scope.spawn(finish_now(runs)); }
  TaskScope& scope;
  int& runs;
};
Task<> spawn_when_dropped(TaskScope& scope, Event& event, int& runs) {
  SpawnAtEnd guard{scope, runs};
  co_await event.wait();
}

TEST_CASE("a task spawned during cancel is dropped, one spawned by a finished task runs") {
  Event never;
  int runs = 0;
  TaskScope scope;
  scope.spawn(spawn_when_dropped(scope, never, runs));
  scope.cancel();
  CHECK(runs == 0);
  Event ready;
  ready.set();
  scope.spawn(spawn_when_dropped(scope, ready, runs));
  CHECK(runs == 1);
}

struct DestroyAtEnd {
  ~DestroyAtEnd() { owner.reset(); }
  std::unique_ptr<TaskScope>& owner;
};
Task<> end_with(std::unique_ptr<DestroyAtEnd> last, Event& event) {
  (void)last;
  co_await event.wait();
}

TEST_CASE("a parameter's destructor at a task's end may destroy the scope") {
  auto scope = std::make_unique<TaskScope>();
  Event event;
  Event never;
  int alive = 0;
  scope->spawn(wait_for(never, alive));
  scope->spawn(end_with(std::make_unique<DestroyAtEnd>(scope), event));
  event.set();
  CHECK(scope == nullptr);
  CHECK(alive == 0);
}

}  // namespace
}  // namespace consort
