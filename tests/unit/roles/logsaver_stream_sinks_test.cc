#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/fd.hpp"
#include "logsaver_sink_world.hpp"
#include "roles/logsaver/sinks/stream_sinks.hpp"
#include "roles/logsaver/sinks/syslog_sink.hpp"

namespace consort::logsaver {
namespace {

using test::SinkBench;
using Verdict = Outcome::Verdict;

TEST_CASE("standard output gets the lines, as fast as it takes them") {
  SinkBench bench;
  const auto sink = bench.make("stdout:");
  bench.stdout_room = 5;
  const Batch batch = SinkBench::batch(*sink, {"one", "two"});
  bench.world.loop.after(500, [&] { bench.stdout_room = 100; });
  const std::uint64_t began_ms = bench.world.loop.now_ms();
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.written == "one\ntwo\n");
  CHECK(bench.world.loop.now_ms() - began_ms <= 550);
}

TEST_CASE("a slow reader gets the rest later, and nothing twice") {
  SinkBench bench;
  const auto sink = bench.make("stdout:?timeout=1s&encode=ndjson");
  const Batch batch = SinkBench::batch(*sink, {"one", "two"});
  bench.stdout_room = 7;
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  bench.stdout_room = 1000;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.written == batch.body);
  CHECK(bench.deliver(*sink, SinkBench::batch(*sink, {"x"}, 2)).verdict == Verdict::delivered);
}

TEST_CASE("nobody reads standard output: the batch is held") {
  SinkBench bench;
  const auto sink = bench.make("stdout:");
  bench.is_stdout_closed = true;
  CHECK(bench.deliver(*sink, SinkBench::batch(*sink, {"one"})).verdict == Verdict::hold);
}

TEST_CASE("a descriptor is written as far as it goes, and its flags stay") {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  io::Fd reader(ends[0]);
  const io::Fd writer(ends[1]);
  const auto write = descriptor_writer(writer.get());
  const std::string text(1 << 20, 'x');
  const Result<std::size_t> first = write(text);
  REQUIRE(first);
  CHECK(*first >= 4096);
  CHECK(*first < text.size());
  CHECK(write(text).value_or(99) == 0);
  CHECK((::fcntl(writer.get(), F_GETFL) & O_NONBLOCK) == 0);
  reader.reset();
  const Result<std::size_t> broken = write(text);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code() == Errc::closed);
}

TEST_CASE("null takes everything") {
  SinkBench bench;
  const auto sink = bench.make("null:");
  CHECK(bench.deliver(*sink, SinkBench::batch(*sink, {"one"})).verdict == Verdict::delivered);
}

struct SyslogBench : SinkBench {
  sim::SimServer& receiver = world.network.serve("10.0.0.2:514");

  Task<> static run_close(Sink& sink, Deadline deadline, bool& is_done) {
    co_await sink.close(deadline);
    is_done = true;
  }
};

TEST_CASE("syslog keeps its connection, and has delivered when that stands for a moment") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2");
  const Batch one = SinkBench::batch(*sink, {"one", "two"});
  const std::uint64_t began_ms = bench.world.loop.now_ms();
  CHECK(bench.deliver(*sink, one).verdict == Verdict::delivered);
  CHECK(bench.world.loop.now_ms() - began_ms >= 5);
  CHECK(bench.receiver.last().take() == one.body);
  CHECK(one.body.find("o=\"4\"] two") != std::string::npos);
  const Batch two = SinkBench::batch(*sink, {"three"}, 2);
  CHECK(bench.deliver(*sink, two).verdict == Verdict::delivered);
  CHECK(bench.receiver.last().take() == two.body);
  CHECK(bench.receiver.connections() == 1);
}

TEST_CASE("syslog has delivered what the receiver's kernel has confirmed, and nothing before") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2?timeout=2s");
  bench.receiver.on_connect = [](sim::SimPeer& peer) { peer.stall(); };
  const Batch batch = SinkBench::batch(*sink, {"one"});
  {
    std::optional<Outcome> outcome;
    TaskScope scope;
    scope.spawn(SinkBench::run(*sink, batch, outcome));
    bench.world.loop.run_for(1000);
    CHECK_FALSE(outcome);
    bench.receiver.last().resume();
    bench.world.loop.run_for(100);
    REQUIRE(outcome);
    CHECK(outcome->verdict == Verdict::delivered);
  }
  bench.receiver.last().stall();
  const Outcome stalled = bench.deliver(*sink, batch);
  CHECK(stalled.verdict == Verdict::retry);
  CHECK(stalled.is_overload);
  CHECK(stalled.why.find("has not confirmed") != std::string::npos);
}

TEST_CASE("a receiver that left while nothing was sent costs nothing") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  REQUIRE(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  bench.receiver.last().close();
  bench.world.loop.settle();
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.connections() == 2);
}

TEST_CASE("a receiver that leaves behind a batch gets it again, whole") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  bench.receiver.on_data = [](sim::SimPeer& peer) { peer.reset(); };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
  bench.receiver.on_data = nullptr;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.last().take() == batch.body);
}

TEST_CASE("a stalled receiver is overload, and no half message is gone on with") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2?timeout=2s");
  bench.receiver.on_connect = [](sim::SimPeer& peer) {
    peer.stall();
    peer.set_window(20);
  };
  const Batch batch = SinkBench::batch(*sink, {"one"});
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.is_overload);
  bench.receiver.on_connect = nullptr;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.connections() == 2);
  CHECK(bench.receiver.last().take() == batch.body);
}

TEST_CASE("a delivery that was dropped in its middle does not spoil the next one") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2");
  bench.receiver.on_connect = [](sim::SimPeer& peer) { peer.set_window(20); };
  bench.receiver.on_data = [](sim::SimPeer& peer) { peer.stall(); };
  const Batch batch = SinkBench::batch(*sink, {"one"});
  {
    std::optional<Outcome> outcome;
    TaskScope scope;
    scope.spawn(SinkBench::run(*sink, batch, outcome));
    bench.world.loop.run_for(100);
    CHECK_FALSE(outcome);
  }
  bench.receiver.on_connect = nullptr;
  bench.receiver.on_data = nullptr;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.last().take() == batch.body);
}

TEST_CASE("nobody there, and nobody of that name") {
  SyslogBench bench;
  auto sink = bench.make("syslog+tcp://10.0.0.9:1");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  const Outcome outcome = bench.deliver(*sink, batch);
  CHECK(outcome.verdict == Verdict::retry);
  CHECK(outcome.why.find("10.0.0.9:1") != std::string::npos);
  sink = bench.make("syslog+tcp://nobody.local");
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
}

TEST_CASE("of a name's addresses one that does not answer leaves time for the next") {
  SyslogBench bench;
  sim::SimServer& silent = bench.world.network.serve("10.0.0.3:514");
  silent.hang_next(1);
  bench.world.dns.set("logs.local", {{.ip = "10.0.0.3"}, {.ip = "10.0.0.2"}});
  const auto sink = bench.make("syslog+tcp://logs.local?timeout=12s");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  REQUIRE(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(silent.attempts() == 1);
  CHECK(bench.receiver.last().take() == batch.body);
}

TEST_CASE("confirm=close waits until the receiver has read all") {
  SyslogBench bench;
  const auto sink = bench.make("syslog+tcp://10.0.0.2?confirm=close&timeout=2s");
  const Batch batch = SinkBench::batch(*sink, {"one"});
  bench.receiver.on_data = [](sim::SimPeer& peer) {
    if (peer.ended()) peer.close();
  };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.last().take() == batch.body);
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::delivered);
  CHECK(bench.receiver.connections() == 2);
  bench.receiver.on_data = nullptr;
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
  bench.receiver.on_data = [](sim::SimPeer& peer) { peer.reset(); };
  CHECK(bench.deliver(*sink, batch).verdict == Verdict::retry);
}

TEST_CASE("closing waits for the receiver's end, but not for ever") {
  for (const bool is_answering : {true, false}) {
    SyslogBench bench;
    const auto sink = bench.make("syslog+tcp://10.0.0.2");
    REQUIRE(bench.deliver(*sink, SinkBench::batch(*sink, {"one"})).verdict == Verdict::delivered);
    if (is_answering) {
      bench.receiver.on_data = [](sim::SimPeer& peer) {
        if (peer.ended()) peer.close();
      };
    }
    bool is_done = false;
    TaskScope scope;
    const Deadline deadline = Deadline::after(bench.world.loop.now_ms(), Millis(3000));
    scope.spawn(SyslogBench::run_close(*sink, deadline, is_done));
    bench.world.loop.run_for(2000);
    CHECK(is_done == is_answering);
    bench.world.loop.run_for(2000);
    CHECK(is_done);
    CHECK(bench.logged("sink.unconfirmed") != is_answering);
  }
}

}  // namespace
}  // namespace consort::logsaver
