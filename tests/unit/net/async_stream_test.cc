#include "net/async_stream.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "async/event.hpp"
#include "async/scope.hpp"
#include "sim/world.hpp"

namespace consort {
namespace {

const Address kAddress{.host = "10.0.0.1", .port = 7};

/// A connected stream, its other end, and what waits on it came to.
struct Line {
  explicit Line(sim::Conditions conditions = {}, std::size_t buffer_bytes = 100)
      : world(1, conditions), server(world.network.serve("10.0.0.1:7")) {
    stream = std::make_unique<AsyncStream>(world.loop, world.network, kAddress, buffer_bytes);
    world.loop.run_for(10);
  }
  sim::SimPeer& peer() { return server.last(); }
  Deadline within(int ms) {
    return Deadline::after(world.loop.now_ms(), std::chrono::milliseconds(ms));
  }

  static Task<> read(Line& line, Deadline deadline) {
    Result<std::string_view> got = co_await line.stream->read_some(deadline);
    line.note(got ? "read " + std::string(*got) : std::string(to_string(got.error().code())));
  }
  static Task<> write(Line& line, std::string bytes, Deadline deadline) {
    Result<> sent = co_await line.stream->write_all(std::move(bytes), deadline);
    line.note(sent ? "sent" : std::string(to_string(sent.error().code())));
  }
  static Task<> open(Line& line, Deadline deadline) {
    Result<> stands = co_await line.stream->opened(deadline);
    line.note(stands ? "open" : std::string(to_string(stands.error().code())));
  }
  static Task<> read_and_destroy(Line& line) {
    Result<std::string_view> got = co_await line.stream->read_some(Deadline::never());
    line.note(got ? "read" : "end");
    line.stream.reset();
  }
  static Task<int> work(Event& event, int& alive) {
    struct Guard {
      int& count;
      ~Guard() { --count; }
    };
    ++alive;
    const Guard guard{alive};
    co_await event.wait();
    co_return 7;
  }
  static Task<> attend(Line& line, Event& event, int& alive) {
    Task<int> inner = work(event, alive);
    Result<int> result = co_await line.stream->while_open(std::move(inner));
    line.note(result ? "worked" : std::string(to_string(result.error().code())));
  }

  void note(const std::string& what) { log += what + ";"; }
  std::string take() { return std::exchange(log, {}); }
  std::string settled() {
    world.loop.settle();
    return take();
  }

  sim::World world;
  sim::SimServer& server;
  std::unique_ptr<AsyncStream> stream;
  std::string log;
  TaskScope scope;
};

TEST_CASE("a read waits for bytes, and takes those that came before it") {
  Line line;
  line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.settled().empty());
  line.peer().send("abc");
  CHECK(line.settled() == "read abc;");
  line.peer().send("d");
  line.peer().send("e");
  line.world.loop.settle();
  CHECK(line.stream->has_unread());
  line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.take() == "read de;");
}

TEST_CASE("bytes that came before the end are read before the error") {
  Line line;
  line.peer().send("abc");
  line.peer().close();
  line.world.loop.settle();
  for (int i = 0; i < 3; ++i) line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.settled() == "read abc;closed;closed;");
}

TEST_CASE("a view stays whole until the next read, whatever arrives") {
  struct Keeper {
    static Task<> run(Line& line, Event& event) {
      Result<std::string_view> got = co_await line.stream->read_some(Deadline::never());
      co_await event.wait();
      line.note(std::string(*got));
    }
  };
  Line line({}, 1'000'000);
  Event event;
  line.scope.spawn(Keeper::run(line, event));
  line.peer().send("first");
  line.world.loop.settle();
  line.peer().send(std::string(100'000, 'x'));
  line.world.loop.settle();
  event.set();
  CHECK(line.take() == "first;");
}

TEST_CASE("reading pauses at the bound and goes on when somebody reads") {
  Line line;
  for (int i = 0; i < 50; ++i) line.peer().send("0123456789");
  line.world.loop.settle();
  CHECK(line.peer().unread_bytes() == 400);
  line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.take().size() == 106);
  line.world.loop.settle();
  CHECK(line.peer().unread_bytes() == 300);
}

TEST_CASE("a read ends at its deadline and the stream can be read again") {
  Line line;
  line.scope.spawn(Line::read(line, line.within(50)));
  line.world.loop.run_for(49);
  CHECK(line.take().empty());
  line.world.loop.run_for(1);
  CHECK(line.take() == "timed_out;");
  line.scope.spawn(Line::read(line, line.within(50)));
  line.peer().send("late");
  CHECK(line.settled() == "read late;");
  line.world.loop.run_for(100);
  CHECK(line.take().empty());
}

TEST_CASE("bytes that are there win over a deadline that has passed") {
  Line line;
  line.peer().send("x");
  line.world.loop.settle();
  line.scope.spawn(Line::read(line, line.within(-5)));
  line.scope.spawn(Line::read(line, line.within(-5)));
  CHECK(line.settled() == "read x;timed_out;");
}

TEST_CASE("a dropped read takes nothing with it") {
  Line line;
  line.scope.spawn(Line::read(line, line.within(50)));
  line.scope.cancel();
  CHECK(line.world.loop.timers().size() == 0);
  line.peer().send("kept");
  line.world.loop.settle();
  line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.take() == "read kept;");
}

TEST_CASE("a cancelled read says so; cancelling nothing is nothing") {
  Line line;
  line.stream->cancel_read();
  line.scope.spawn(Line::read(line, Deadline::never()));
  line.stream->cancel_read();
  CHECK(line.take() == "cancelled;");
}

TEST_CASE("a task may destroy the stream when bytes or the end wake it") {
  for (bool bytes : {true, false}) {
    Line line({.window_bytes = 10});
    line.peer().stall();
    int alive = 0;
    Event event;
    line.scope.spawn(Line::read_and_destroy(line));
    line.scope.spawn(Line::write(line, std::string(100'000, 'x'), line.within(100)));
    line.scope.spawn(Line::attend(line, event, alive));
    if (bytes) line.peer().send("x");
    if (!bytes) line.peer().reset();
    line.world.loop.settle();
    CHECK(line.stream == nullptr);
    CHECK_FALSE(line.peer().connected());
    CHECK(line.take() == (bytes ? "read;" : "closed;end;"));
    // The other waits stay pending, their timers quiet, until they are dropped.
    line.world.loop.run_for(1000);
    CHECK(line.take().empty());
    CHECK(alive == 1);
    line.scope.cancel();
    CHECK(alive == 0);
  }
}

TEST_CASE("a write that the kernel takes at once does not wait") {
  Line line;
  line.scope.spawn(Line::write(line, "abc", line.within(10)));
  CHECK(line.take() == "sent;");
  line.world.loop.settle();
  CHECK(line.peer().take() == "abc");
  line.scope.spawn(Line::write(line, "", line.within(10)));
  CHECK(line.take() == "sent;");
}

TEST_CASE("a long write goes on as the peer takes bytes") {
  Line line({.latency_ms = 1, .window_bytes = 10});
  const std::string bytes = std::string(50, 'a') + std::string(45, 'b');
  line.scope.spawn(Line::write(line, bytes, line.within(1000)));
  CHECK(line.take().empty());
  line.world.loop.run_for(100);
  CHECK(line.take() == "sent;");
  CHECK(line.peer().take() == bytes);
}

TEST_CASE("a write to a peer that does not read ends at its deadline") {
  Line line({.window_bytes = 10});
  line.peer().stall();
  line.scope.spawn(Line::write(line, std::string(50, 'a'), line.within(30)));
  line.world.loop.run_for(29);
  CHECK(line.take().empty());
  line.world.loop.run_for(1);
  CHECK(line.take() == "timed_out;");
}

TEST_CASE("the end wakes a pending write and a pending read") {
  Line line({.window_bytes = 10});
  line.peer().stall();
  line.scope.spawn(Line::read(line, Deadline::never()));
  line.scope.spawn(Line::write(line, std::string(50, 'a'), Deadline::never()));
  line.peer().reset();
  CHECK(line.settled() == "closed;closed;");
  line.scope.spawn(Line::write(line, "x", Deadline::never()));
  CHECK(line.take() == "closed;");
}

TEST_CASE("reading and writing wait independently") {
  Line line({.window_bytes = 10});
  line.peer().stall();
  line.scope.spawn(Line::write(line, std::string(15, 'a'), Deadline::never()));
  line.scope.spawn(Line::read(line, Deadline::never()));
  line.peer().send("x");
  CHECK(line.settled() == "read x;");
  line.peer().resume();
  CHECK(line.settled() == "sent;");
}

TEST_CASE("opened tells that the connection stands, or why not, or that it took too long") {
  Line line;
  line.scope.spawn(Line::open(line, line.within(10)));
  CHECK(line.take() == "open;");

  line.server.refuse_next(1);
  line.stream = std::make_unique<AsyncStream>(line.world.loop, line.world.network, kAddress);
  line.scope.spawn(Line::open(line, line.within(10)));
  CHECK(line.settled() == "refused;");
  line.scope.spawn(Line::open(line, line.within(10)));
  CHECK(line.take() == "refused;");

  line.server.hang_next(1);
  line.stream = std::make_unique<AsyncStream>(line.world.loop, line.world.network, kAddress);
  line.scope.spawn(Line::open(line, line.within(10)));
  CHECK(line.settled().empty());
  line.world.loop.run_for(10);
  CHECK(line.take() == "timed_out;");
}

TEST_CASE("while_open gives the task's result") {
  Line line;
  Event event;
  int alive = 0;
  line.scope.spawn(Line::attend(line, event, alive));
  CHECK(alive == 1);
  event.set();
  CHECK(line.take() == "worked;");
  CHECK(alive == 0);
  line.peer().close();
  CHECK(line.settled().empty());
}

TEST_CASE("while_open drops the task when the peer leaves, or never starts it") {
  Line line;
  Event event;
  int alive = 0;
  line.scope.spawn(Line::attend(line, event, alive));
  line.peer().close();
  CHECK(line.settled() == "closed;");
  CHECK(alive == 0);
  CHECK_FALSE(event.has_waiter());
  line.scope.spawn(Line::attend(line, event, alive));
  CHECK(line.take() == "closed;");
  CHECK(alive == 0);
}

TEST_CASE("dropping a task inside while_open drops the inner one") {
  Line line;
  Event event;
  int alive = 0;
  line.scope.spawn(Line::attend(line, event, alive));
  line.scope.cancel();
  CHECK(alive == 0);
  line.peer().close();
  CHECK(line.settled().empty());
}

TEST_CASE("shutting down the writing half leaves the reading one") {
  Line line;
  line.scope.spawn(Line::write(line, "bye", line.within(10)));
  line.stream->shutdown_write();
  line.world.loop.settle();
  CHECK(line.peer().take() == "bye");
  CHECK(line.peer().ended());
  line.peer().send("answer");
  line.scope.spawn(Line::read(line, Deadline::never()));
  CHECK(line.settled() == "sent;read answer;");
}

}  // namespace
}  // namespace consort
